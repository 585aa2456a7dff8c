import type { Clock, Log, Metrics, Random } from '../bridge/ports.ts';
import type { Config } from '../config/config.ts';
import type { BridgeError } from '../errors.ts';
import type { HealthRoutes } from '../ops/health.ts';
import { INSTALL_PATH, REDIRECT_PATH } from '../slack/installations/installer.ts';
import { createHttpTransport, type HttpOptions, type HttpRoute } from '../slack/receiver/http.ts';
import { createSocketTransport, type Siblings } from '../slack/receiver/socket.ts';
import type { Transport, TransportState } from '../slack/receiver/transport.ts';

export interface TransportParts {
  clock: Clock;
  /** As Slack's clock: signatures carry its time. */
  slackClock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  health: HealthRoutes;
  /** The pages on which people install the app; left out: there are none. */
  pages?: HealthRoutes | undefined;
  /** What else answers on the port of HTTP mode. */
  guest: HttpOptions['guest'];
  onState(state: TransportState): void;
  /** Other processes of this bridge; left out: there are none. */
  siblings: Siblings | undefined;
  /** Slack refuses the app-level token for good, although it accepted it before. */
  onRefused(error: BridgeError): void;
}

/** The one way from Slack into this process. */
export interface ProcessTransport extends Transport {
  /**
   * Opens the port of HTTP mode before the start, so that health is answered while the start waits for Slack. Deliveries
   * are refused until then, and Slack repeats them in any order: call it only when the start has to wait.
   */
  listenEarly(): void;
  /** The port of HTTP mode; 0 otherwise. */
  port(): number;
}

/** Socket Mode or HTTP, as the configuration says. */
export function openTransport({ mode, apiUrl }: Config['slack'], parts: TransportParts): ProcessTransport {
  const { clock, slackClock, random, log, metrics, health, pages, guest, onState, onRefused, siblings } = parts;
  if (mode.kind === 'socket') {
    const { appToken } = mode;
    const socket = { appToken, slackApiUrl: apiUrl, clock, random, log, metrics, onState, onRefused, siblings };
    return { ...createSocketTransport(socket), listenEarly: () => undefined, port: () => 0 };
  }
  const { signingSecret, port } = mode;
  const routes = routesOf(health, pages);
  const http = createHttpTransport({ signingSecret, port, routes, guest, clock: slackClock, log, onState });
  return { ...http, listenEarly: () => void http.listen().catch(() => undefined) };
}

function routesOf(health: HealthRoutes, pages: HealthRoutes | undefined): Record<string, HttpRoute> {
  const over =
    (handle: HealthRoutes): HttpRoute =>
    (request, response) => {
      if (!handle(request, response)) response.writeHead(404).end();
    };
  const route = over(health);
  return {
    ...{ '/healthz': route, '/readyz': route, '/metrics': route },
    ...(pages && { [INSTALL_PATH]: over(pages), [REDIRECT_PATH]: over(pages) }),
  };
}
