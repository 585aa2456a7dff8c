import { SocketModeClient } from '@slack/socket-mode';
import { WebAPIPlatformError, WebAPIRateLimitedError } from '@slack/web-api';
import { z } from 'zod';
import type { Clock, Log, Random, Timer } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { backoff } from '../backoff.ts';
import { boltLogger } from '../bolt-logger.ts';
import { isPassing } from '../refusals.ts';
import { type Accept, createStateKeeper, type Envelope, type Transport, type TransportState } from './transport.ts';

/** From dialling to Slack's `hello`; the library would wait for ever (PLATFORM.md 5.5). */
const HELLO_MS = 20_000;
const OPEN_TIMEOUT_MS = 10_000;
const CLOSE_MS = 2_000;
/** A connection that lived this long was a good one: the next is dialled at once. */
const STABLE_MS = 10_000;

type Ack = (reply?: unknown) => Promise<void>;

const frame = z.looseObject({ envelope_id: z.string().min(1), ack: z.custom<Ack>((ack) => typeof ack === 'function') });
const delivery = z.looseObject({
  type: z.string(),
  body: z.record(z.string(), z.unknown()),
  retry_num: z.number().nullish(),
  retry_reason: z.string().nullish(),
});
const KINDS: ReadonlySet<string> = new Set<Envelope['kind']>(['events_api', 'interactive', 'slash_commands']);

type Listener = (...args: unknown[]) => unknown;

export interface SocketOptions {
  /** App-level token (`xapp-…`). */
  appToken: string;
  slackApiUrl?: string | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  onState?: ((state: TransportState) => void) | undefined;
}

/**
 * Socket Mode. One client of the library is one connection here, and never reconnects by itself: its own reconnecting
 * waits five seconds, and when it fails it is an unhandled rejection that leaves the client dead (PLATFORM.md 5.5).
 */
export function createSocketTransport(options: SocketOptions): Transport {
  const { appToken, slackApiUrl, clock, random, log } = options;
  const state = createStateKeeper(clock.now, options.onState);
  /** Each live connection and since when. */
  const connected = new Map<SocketModeClient, number>();
  const leaving = new WeakSet<SocketModeClient>();
  const started = Promise.withResolvers<void>();
  started.promise.catch(() => {});
  let accept: Accept | null = null;
  let everConnected = false;
  let paused = false;
  let stopped = false;
  let dialling = false;
  let failures = 0;
  let newest: SocketModeClient | null = null;
  let wake: (() => void) | null = null;

  function sleep(ms: number): Promise<void> {
    if (ms <= 0 || stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.after(ms, resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  function within<Value>(ms: number, promise: Promise<Value>, late: () => Error | null): Promise<Value | undefined> {
    let timer: Timer;
    return Promise.race([
      promise,
      new Promise<undefined>((resolve, reject) => {
        timer = clock.after(ms, () => {
          const error = late();
          if (error) reject(error);
          else resolve(undefined);
        });
      }),
    ]).finally(() => timer.cancel());
  }

  function createClient(): SocketModeClient {
    const client = new SocketModeClient({
      appToken,
      autoReconnectEnabled: false,
      logger: boltLogger(log),
      // Made anew for each client and without `headers`: the library writes into this object (10.2 a), and would
      // fill in a hundred retries (10.2 b). One try here; `keepConnected` owns the waiting.
      clientOptions: {
        retryConfig: { retries: 0 },
        rejectRateLimitedCalls: true,
        timeout: OPEN_TIMEOUT_MS,
        ...(slackApiUrl === undefined ? {} : { slackApiUrl }),
      },
    });
    guardFrames(client);
    client.on('connected', () => {
      if (stopped) return;
      everConnected = true;
      connected.set(client, clock.now());
      state.connected(true);
      log.info({}, 'slack socket connected');
      client.once('disconnected', () => gone(client));
    });
    client.on('slack_event', (args: unknown) => void receive(args));
    return client;
  }

  /** The library's frame handler is async and nobody looks at its promise: one odd frame would end the process. */
  function guardFrames(client: SocketModeClient): void {
    const handlers = client.listeners('ws_message') as Listener[];
    client.removeAllListeners('ws_message');
    client.on('ws_message', async (data: unknown, isBinary: unknown) => {
      try {
        for (const handle of handlers) await handle(data, isBinary);
      } catch (error) {
        log.warn({ error: asBridgeError(error).message }, 'slack frame not understood');
      }
      if (typeof data === 'string' && data.length < 2_000 && /"type"\s*:\s*"disconnect"/.test(data)) leave(client);
    });
  }

  /** Slack asked this connection to go and the library closes it: the next one is dialled meanwhile. */
  function leave(client: SocketModeClient): void {
    if (!connected.has(client)) return;
    leaving.add(client);
    log.info({}, 'slack socket is being renewed');
    gone(client);
  }

  function gone(client: SocketModeClient): void {
    const since = connected.get(client);
    if (since === undefined) return;
    connected.delete(client);
    if (clock.now() - since >= STABLE_MS) failures = 0;
    if (connected.size === 0) state.connected(false);
    if (stopped) return;
    if (!leaving.has(client)) log.warn({}, 'slack socket lost');
    void keepConnected();
  }

  async function receive(args: unknown): Promise<void> {
    const known = frame.safeParse(args);
    if (!known.success) return log.warn({}, 'slack frame without an envelope');
    state.delivered();
    if (paused || !accept) return;
    const { ack } = known.data;
    const parsed = delivery.safeParse(args);
    try {
      if (!parsed.success || !KINDS.has(parsed.data.type)) {
        log.warn({ type: parsed.data?.type ?? null }, 'slack envelope of an unknown kind');
        await ack();
        return;
      }
      const { type, body, retry_num, retry_reason } = parsed.data;
      const kind = type as Envelope['kind'];
      await ack(await accept({ kind, body, retryNum: retry_num ?? 0, retryReason: retry_reason || null }));
    } catch (error) {
      // Not stored, or the socket went away meanwhile: either way Slack delivers it again, and nothing is done twice.
      log.warn({ error: asBridgeError(error).message }, 'slack envelope not acknowledged');
    }
  }

  async function dial(): Promise<void> {
    const client = createClient();
    newest = client;
    const opened = client.start();
    opened.catch(() => {});
    try {
      await within(HELLO_MS, opened, () => new BridgeError('slack_failed', 'no hello from Slack', { retry: true }));
    } catch (error) {
      abandon(client);
      throw error ?? new BridgeError('slack_failed', 'the socket closed before hello', { retry: true });
    }
  }

  /** Gives up a client that may still be opening: it must not come alive later and swallow deliveries. */
  function abandon(client: SocketModeClient): void {
    client.removeAllListeners('slack_event');
    client.removeAllListeners('connected');
    client.on('connected', () => void client.disconnect());
    client.disconnect().catch(() => {});
  }

  /** The one loop that dials; it ends when there is a connection. */
  async function keepConnected(): Promise<void> {
    if (dialling) return;
    dialling = true;
    let wait = backoff(failures, random);
    while (!stopped && connected.size === 0) {
      await sleep(wait);
      if (stopped) break;
      // Counted before it is known: only a connection that lasts takes it back, so one that flaps backs off too.
      failures += 1;
      try {
        await dial();
        started.resolve();
        wait = backoff(failures, random);
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal && !everConnected) {
          stopped = true;
          started.reject(refused(refusal));
          break;
        }
        log.warn({ error: asBridgeError(error).message.slice(0, 200), failures }, 'slack socket not opened');
        wait = Math.max(
          backoff(failures, random),
          error instanceof WebAPIRateLimitedError ? error.retryAfter * 1_000 : 0,
        );
      }
    }
    dialling = false;
  }

  return {
    start(use) {
      accept = use;
      void keepConnected();
      return started.promise;
    },
    pause() {
      paused = true;
    },
    async stop() {
      if (stopped) return;
      paused = true;
      stopped = true;
      wake?.();
      started.reject(new BridgeError('internal', 'stopped before Slack was reached'));
      const clients = new Set(newest ? [...connected.keys(), newest] : connected.keys());
      const closing = [...clients].map((client) => {
        if (connected.has(client)) return client.disconnect();
        abandon(client);
        return Promise.resolve();
      });
      await within(CLOSE_MS, Promise.allSettled(closing), () => null);
      state.connected(false);
    },
    state: state.get,
  };
}

/** Slack's word when it refused the app token or Socket Mode itself; `null` when trying again may help. */
function refusalOf(error: unknown): string | null {
  if (!(error instanceof WebAPIPlatformError)) return null;
  return isPassing(error.data.error) ? null : error.data.error;
}

function refused(word: string): BridgeError {
  return new BridgeError('config_invalid', `SLACK_APP_TOKEN was refused by Slack: ${word}`, {
    notice: `Slack refused the app-level token (${word}).`,
  });
}
