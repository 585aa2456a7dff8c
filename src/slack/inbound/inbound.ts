import type { UserId } from '../../bridge/ids.ts';
import type { Clock, Intake, Log, Metrics, Random, Surface } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { type Identity, identify } from '../api/identity.ts';
import type { SlackApi } from '../api/slack-api.ts';
import { createBoltApp } from '../listeners/bolt.ts';
import type { ListenerContext } from '../listeners/context.ts';
import { noteForeign } from '../listeners/foreign.ts';
import { createMessageListener } from '../listeners/message.ts';
import { createHomeTabs } from '../outbox/home-tabs.ts';
import { createHttpTransport, type HttpRoute } from '../receiver/http.ts';
import { createReceiver } from '../receiver/receiver.ts';
import { createSocketTransport } from '../receiver/socket.ts';
import type { Envelope, Transport, TransportState } from '../receiver/transport.ts';
import { homeView } from '../render/home.ts';

export type SlackMode =
  /** Socket Mode, with the app-level token. */
  | { socket: { appToken: string } }
  | {
      http: {
        signingSecret: string;
        port: number;
        host?: string;
        /** Further paths answered on GET: health, metrics. */
        routes?: Readonly<Record<string, HttpRoute>>;
      };
    }
  /** A transport that the caller made, and whose state it watches itself. */
  | { transport: Transport };

export interface SlackInboundOptions {
  mode: SlackMode;
  /** Default: Slack's own. */
  slackApiUrl?: string | undefined;
  intake: Intake;
  api: SlackApi;
  /** Sends private messages at a fair pace; left out: they are sent at once. */
  whispers?: Pick<Surface, 'whisper'> | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Who we are; left out: `start` asks Slack. */
  identity?: Identity | undefined;
  /** Called with every delivery, before it is handled. */
  onDelivery?: ((envelope: Envelope) => void) | undefined;
  onState?: ((state: TransportState) => void) | undefined;
  /** Slack refuses the app-level token for good, although it accepted it before. */
  onRefused?: ((error: BridgeError) => void) | undefined;
}

export interface SlackInbound {
  /**
   * Resolves with who we are, once Slack can reach us. Keeps trying while Slack cannot be reached; rejects with a
   * BridgeError `config_invalid` when Slack refuses a token or the port cannot be used.
   */
  start(): Promise<Identity>;
  /** Stops accepting deliveries, finishes those in work, then closes. Stopping twice is fine. */
  stop(): Promise<void>;
  /** Something may have changed on the Home tabs of these people; `null`: of everyone. */
  noteHomeChange(users: readonly UserId[] | null): void;
  state(): TransportState;
  /** The port of HTTP mode; 0 otherwise. */
  port(): number;
}

/** Receives everything from Slack: messages, clicks, modals, commands, Home tab openings. */
export function createSlackInbound(options: SlackInboundOptions): SlackInbound {
  const { mode, slackApiUrl, intake, api, clock, random, log, metrics, onDelivery, onState, onRefused } = options;
  const stopping = new AbortController();
  let identity: Identity | null = options.identity ?? null;

  const who = () => {
    if (!identity) throw new TypeError('a delivery arrived before the bridge knew who the bot is');
    return identity;
  };
  const homes = createHomeTabs({
    api,
    clock,
    log,
    draw: async (user, why) => homeView(await intake.viewHome(user, who().teamId, why), who().url),
  });
  const listeners: ListenerContext = {
    intake,
    api,
    homes,
    whispers: options.whispers,
    clock,
    log,
    metrics,
    identity: who,
  };
  const shared = { clock, log, onState };
  const makeTransport = (): Transport & { port?: () => number } => {
    if ('transport' in mode) return mode.transport;
    if ('http' in mode) return createHttpTransport({ ...mode.http, ...shared });
    return createSocketTransport({ ...mode.socket, ...shared, slackApiUrl, random, metrics, onRefused });
  };
  const transport = makeTransport();
  const receiver = createReceiver({
    transport,
    storeEvent: createMessageListener(listeners),
    onDelivery,
    noteForeign: (envelope) => noteForeign(listeners, envelope),
    clock,
    log,
  });

  return {
    async start() {
      identity ??= await identify({ api, clock, random, log, signal: stopping.signal });
      stopping.signal.throwIfAborted();
      const app = await createBoltApp({ slackApiUrl, receiver, listeners, log });
      await app.start();
      return identity;
    },
    async stop() {
      stopping.abort(new BridgeError('internal', 'stopped before Slack was reached'));
      await receiver.stop();
      homes.close();
    },
    noteHomeChange: homes.noteChange,
    state: transport.state,
    port: () => transport.port?.() ?? 0,
  };
}
