import type { Choices, Log } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { chooseOnce } from './chosen-once.ts';
import type { AgentSummary } from './hosted-api.ts';
import { NOTICES, severalAgentsText } from './words/notices.ts';

export interface AgentChoiceParts {
  /** `LETTA_AGENT_ID`; wins over what was stored. */
  configuredId: string | null;
  choices: Choices;
  /** Under which name the store keeps the chosen agent; left out: {@link CHOSEN_AGENT}. */
  storedAs?: string;
  listAgents(): Promise<AgentSummary[]>;
  /** `null` where the bridge makes no agents (hosted). @returns the new agent's id */
  createAgent: (() => Promise<string>) | null;
  log: Log;
}

/** The agent of new threads. */
export interface AgentChoice {
  /** Its id. Rejects with `several_agents` or `no_agent`. */
  get(): Promise<string>;
  /**
   * Letta no longer has that agent. If the bridge had chosen it, chooses another one in the same way.
   * @returns the new agent's id; `null` if somebody configured the agent, because then they must correct it
   */
  replaceAgent(gone: string): Promise<string | null>;
}

/** The store keeps the chosen agent's id under this name; empty: the last one is gone. */
export const CHOSEN_AGENT = 'agent';
const NAMES_LISTED = 10;

/**
 * The configured agent, else the one chosen before, else the only one there is. The choice is stored, so that an agent
 * that appears later does not take over.
 */
export function createAgentChoice({
  configuredId,
  choices,
  storedAs = CHOSEN_AGENT,
  listAgents,
  createAgent,
  log,
}: AgentChoiceParts): AgentChoice {
  const chosen = chooseOnce(storedAs, choices, async () => {
    const agents = await listAgents();
    const [only] = agents;
    if (agents.length > 1) {
      throw new BridgeError('several_agents', 'more than one agent fits', {
        notice: severalAgentsText(describeAgents(agents)),
      });
    }
    if (only) {
      log.info({ agentId: only.id, agent: only.name }, 'chose the only agent there is');
      return only.id;
    }
    if (createAgent !== null) return createAgent();
    throw new BridgeError('no_agent', 'there is no agent', {
      notice: NOTICES.noAgent,
    });
  });
  return {
    get: async () => configuredId ?? chosen.get(),
    async replaceAgent(gone) {
      if (configuredId !== null) return null;
      log.warn({ agentId: gone }, 'the agent chosen for new threads no longer exists; choosing another');
      const agentId = await chosen.replace(gone);
      log.warn({ gone, agentId }, 'chose another agent for new threads');
      return agentId;
    },
  };
}

function describeAgents(agents: readonly AgentSummary[]): string {
  const names = agents
    .slice(0, NAMES_LISTED)
    .map(({ id, name }) => `${id} (${name.replace(/\s+/g, ' ').trim().slice(0, 60)})`);
  return names.join(', ') + (agents.length > NAMES_LISTED ? ' or another one' : '');
}
