import type { Choices, Log } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { AgentSummary } from './hosted-api.ts';

export interface AgentChoice {
  /** `LETTA_AGENT_ID`; wins over what was stored. */
  configured: string | null;
  choices: Choices;
  list(): Promise<AgentSummary[]>;
  /** `null` where the bridge makes no agents (hosted). @returns the new agent's id */
  create: (() => Promise<string>) | null;
  log: Log;
}

const NAMES_LISTED = 10;

/**
 * The agent of new threads: the configured one, else the one chosen before, else the only one there is, which is stored
 * so that another agent that appears later does not take over. Rejects with `several_agents` or `no_agent`.
 */
export async function chooseAgent({ configured, choices, list, create, log }: AgentChoice): Promise<string> {
  if (configured !== null) return configured;
  const stored = await choices.get('agent');
  if (stored !== null) return stored;
  const agents = await list();
  const [only] = agents;
  if (agents.length > 1) {
    throw new BridgeError('several_agents', 'more than one agent fits', {
      notice: `Letta has several agents: set LETTA_AGENT_ID to one of ${listed(agents)}.`,
    });
  }
  if (only) {
    log.info({ agentId: only.id, agent: only.name }, 'the only agent there is was chosen');
    await choices.set('agent', only.id);
    return only.id;
  }
  if (create === null) {
    throw new BridgeError('no_agent', 'there is no agent', {
      notice: 'Letta has no agent yet: create one and set LETTA_AGENT_ID to its id.',
    });
  }
  const agentId = await create();
  await choices.set('agent', agentId);
  return agentId;
}

function listed(agents: readonly AgentSummary[]): string {
  const names = agents
    .slice(0, NAMES_LISTED)
    .map(({ id, name }) => `${id} (${name.replace(/\s+/g, ' ').trim().slice(0, 60)})`);
  return names.join(', ') + (agents.length > NAMES_LISTED ? ' or another one' : '');
}
