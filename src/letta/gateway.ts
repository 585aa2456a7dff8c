import type { AgentGateway, Choices, Clock, Conversations, Log, Models, Random } from '../bridge/ports.ts';
import { createConnection } from './connection.ts';
import { createConversations } from './conversations.ts';
import type { Devices } from './devices/devices.ts';
import { createHostedApi, type FetchLike } from './hosted-api.ts';
import type { AppServerAddress, CloudAddress } from './link/endpoints.ts';
import type { LaneDialer } from './link/lane.ts';
import { createModels } from './models.ts';
import { createAppServerRoute } from './routes/app-server.ts';
import { createCloudRoute } from './routes/cloud.ts';
import { createListenRoute } from './routes/listen.ts';
import type { Route } from './routes/route.ts';
import { createStartLine } from './start-line.ts';

/** Where Letta is: `app-server` directly, a device behind the hosted relay (`cloud`), or devices that dial us (`listen`). */
export type LettaTarget =
  | ({ mode: 'app-server' } & AppServerAddress)
  | ({
      mode: 'cloud';
      /** `LETTA_ENVIRONMENT`: a device id or a connection name; `null` takes the only one online. */
      environment: string | null;
      /** `LETTA_WEB_URL`, without a slash at its end: where people see the conversations. */
      webUrl?: string | null;
    } & CloudAddress)
  | {
      mode: 'listen';
      /** `LETTA_ENVIRONMENT`: a device id or a connection name; `null` takes the only one that has dialled in. */
      environment: string | null;
      devices: Devices;
    };

export interface GatewayOptions {
  target: LettaTarget;
  /** `LETTA_AGENT_ID`; `null` takes the only agent there is. */
  agentId: string | null;
  clock: Clock;
  random: Random;
  dial: LaneDialer;
  /** Used in `cloud` mode only. */
  fetch: FetchLike;
  choices: Choices;
  log: Log;
}

/** Connections to runtimes, one link each. Throws `config_invalid` for an address that cannot be used. */
export function createGateway(
  options: GatewayOptions,
): AgentGateway & { models: Models; conversations: Conversations } {
  const { target, clock, random, log } = options;
  const dial = target.mode === 'listen' ? target.devices.dial : options.dial;
  const route = createRoute(options);
  const line = createStartLine(clock);
  return {
    models: createModels({ route, dial, clock, random, log }),
    conversations: createConversations({ route, dial, clock, random, log }),
    connect(wanted, onEvent) {
      return createConnection({ route, dial, line, clock, random, log }, wanted, onEvent);
    },
  };
}

function createRoute({ target, ...parts }: GatewayOptions): Route {
  if (target.mode === 'app-server') return createAppServerRoute({ ...parts, address: target });
  if (target.mode === 'listen') return createListenRoute({ ...parts, ...target });
  const api = createHostedApi({ ...target, fetch: parts.fetch, clock: parts.clock });
  return createCloudRoute({ ...parts, ...target, address: target, api });
}
