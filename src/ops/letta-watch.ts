import type { AgentGateway, Metrics } from '../bridge/ports.ts';
import type { HomeAgent } from '../bridge/view/home.ts';
import { shortCause } from '../bridge/words/causes.ts';
import type { Check } from './health.ts';

export interface LettaWatch {
  /** The same gateway; what its connections report is noted here. */
  gateway: AgentGateway;
  check(): Check;
  /** The agents that connected most recently, and where; the latest first. */
  agents(): readonly HomeAgent[];
}

const AGENTS_KEPT = 5;

/** Codes that no retry fixes and that concern every thread: with this configuration the bridge can answer nobody. */
const BROKEN: ReadonlySet<string> = new Set(['letta_unauthorized', 'config_invalid']);

/**
 * Remembers the last connection result of Letta. The bridge stays ready while a device is offline, because it keeps the
 * messages for the device.
 * @param onChanged called when a connection comes, goes, or cannot be had
 */
export function watchLetta(gateway: AgentGateway, metrics: Metrics, onChanged: () => void = () => {}): LettaWatch {
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
            const { runtime, agentName: name = null, deviceName: device, workingDirectory } = event;
            noteAgent({ agentId: runtime.agentId, name, device, workingDirectory });
          } else if (event.type === 'unavailable') {
            state = shortCause(event.code);
            isOk = !BROKEN.has(event.code);
          }
          onEvent(event);
          if (event.type === 'ready' || event.type === 'lost' || event.type === 'unavailable') onChanged();
        });
      },
    },
    check: () => ({ name: 'letta', ok: isOk, state }),
    agents: () => agents,
  };
}
