import type { AgentGateway, Metrics } from '../bridge/ports.ts';
import type { HomeAgent } from '../bridge/view/home.ts';
import type { Check } from './health.ts';

export interface LettaWatch {
  /** The same gateway, listened to. */
  gateway: AgentGateway;
  check(): Check;
  /** Which agents answered of late, and where; the latest first. */
  agents(): readonly HomeAgent[];
}

const AGENTS_KEPT = 5;

/** Codes that no retry heals and that hit every thread: the bridge as it is set up can answer nobody. */
const BROKEN: ReadonlySet<string> = new Set(['letta_unauthorized', 'config_invalid']);

/**
 * What the last word about Letta was. A device that is offline is Letta's state, not ours: messages are kept for it, so
 * the bridge stays ready and only says so.
 */
export function watchLetta(gateway: AgentGateway, metrics: Metrics): LettaWatch {
  let state = 'not asked yet';
  let isOk = true;
  let agents: HomeAgent[] = [];
  const noteAgent = (agent: HomeAgent) => {
    const others = agents.filter(({ agentId, device }) => agentId !== agent.agentId || device !== agent.device);
    agents = [agent, ...others].slice(0, AGENTS_KEPT);
  };
  return {
    gateway: {
      connect(options, onEvent) {
        return gateway.connect(options, (event) => {
          if (event.type === 'ready') {
            if (event.reconnected) metrics.count('letta_reconnects');
            state = 'reachable';
            isOk = true;
            const { runtime, deviceName: device, workingDirectory } = event;
            noteAgent({ agentId: runtime.agentId, device, workingDirectory });
          } else if (event.type === 'unavailable') {
            state = event.code;
            isOk = !BROKEN.has(event.code);
          }
          onEvent(event);
        });
      },
    },
    check: () => ({ name: 'letta', ok: isOk, state }),
    agents: () => agents,
  };
}
