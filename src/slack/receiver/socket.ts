import { SocketModeClient } from '@slack/socket-mode';
import { WebAPIPlatformError, WebAPIRateLimitedError } from '@slack/web-api';
import { z } from 'zod';
import { backoffMs } from '../../backoff.ts';
import type { Clock, Log, Metrics, Random, Timer } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { isLasting, isPassing, isSlackWord } from '../api/refusals.ts';
import { BACKGROUND_RETRY } from '../api/slack-api.ts';
import { boltLogger } from '../listeners/bolt-logger.ts';
import { appTokenRefusedText } from '../words/notices.ts';
import { readControlFrame } from './control-frame.ts';
import { createHearing, type Hearing } from './hearing.ts';
import { type Accept, createStateKeeper, type Envelope, type Transport, type TransportState } from './transport.ts';

/**
 * Time from dialling to Slack's `hello`. The library would wait for ever (docs/slack.md, The library for Socket Mode).
 */
const HELLO_MS = 20_000;
const OPEN_TIMEOUT_MS = 10_000;
const CLOSE_MS = 2_000;
/** If a connection lasted this long, the next is dialled without a wait. */
const STABLE_MS = 10_000;
/**
 * After so long without a frame or a pong we give the socket up; the library would take 35 s (docs/slack.md, The
 * library for Socket Mode).
 */
const DEAF_AFTER_MS = 12_000;
const LISTEN_EVERY_MS = 3_000;
/**
 * How long the old socket stays open beside the new one, so that deliveries on it can be acknowledged: Slack waits 3 s
 * for that.
 */
const OVERLAP_MS = 3_000;
/** For so long Slack may still count a socket that we lost. */
const REMEMBERED_MS = 60_000;
/**
 * Slack tells the number of the app's connections only when one opens. So from time to time we replace ours, to learn
 * whether another process takes messages away; more often while one does.
 */
const COUNT_EVERY_MS = 4 * 60_000;
const COUNT_AGAIN_MS = 90_000;
/** A sibling that has just connected is known after this long; so a connection that nobody knows is asked about twice. */
const SIBLINGS_TELL_MS = 8_000;
/** Slack may refuse a good token once by mistake; after so many refusals in a row we believe it. */
const LASTING_REFUSALS = 3;
/** The wait after a refusal at the start. It is short, so that people learn soon that the token is wrong. */
const REFUSED_AGAIN_MS = 1_000;

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
  metrics: Metrics;
  onState?: ((state: TransportState) => void) | undefined;
  /** Other processes of this bridge; left out: there are none. */
  siblings?: Siblings | undefined;
  /** Slack refuses the token for good, so we no longer dial. Not called when `start` rejects. */
  onRefused?: ((error: BridgeError) => void) | undefined;
}

/** Processes of one bridge, whose sockets Slack counts together. */
export interface Siblings {
  /** Tells the others how many sockets this process has, or Slack may still count as its own. */
  noteOwnSockets(count: number): void;
  /** How many the others have, or may have. Rejects when that cannot be found out now. */
  countSockets(): Promise<number>;
}

interface Connection {
  /** By the monotonic clock. */
  since: number;
  hearing: Hearing;
  silenceTimer: Timer | null;
  countTimer: Timer | null;
}

/**
 * Socket Mode. Each connection is a new client of the library, which must not reconnect by itself: it would wait five
 * seconds, and a failure would be an unhandled rejection after which it is dead (docs/slack.md, The library for Socket
 * Mode).
 */
export function createSocketTransport(options: SocketOptions): Transport {
  const { appToken, slackApiUrl, clock, random, log, metrics, siblings } = options;
  const state = createStateKeeper(clock.monotonic, options.onState);
  const connected = new Map<SocketModeClient, Connection>();
  /** Clients whose socket may be open, whether it is usable or not. */
  const openClients = new Set<SocketModeClient>();
  /** When we lost connections that Slack may still count; by the monotonic clock. */
  let recentLosses: number[] = [];
  /** Clients that are to be replaced: they go on receiving until a new one is connected. */
  const askedToGo = new WeakSet<SocketModeClient>();
  const started = Promise.withResolvers<void>();
  started.promise.catch(() => {});
  let accept: Accept | null = null;
  let wasEverConnected = false;
  let isCounting = false;
  let isPaused = false;
  let isStopped = false;
  let isDialling = false;
  let failures = 0;
  let lastingRefusals = 0;
  let newestClient: SocketModeClient | null = null;
  let wakeSleeper: (() => void) | null = null;

  function sleep(ms: number): Promise<void> {
    if (ms <= 0 || isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.after(ms, resolve);
      wakeSleeper = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  function withTimeout<Value>(
    ms: number,
    promise: Promise<Value>,
    late: () => Error | null,
  ): Promise<Value | undefined> {
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
      // Made anew for each client and without `headers`, because the library writes into this object (docs/slack.md,
      // Hazards: Shared headers) and would fill in a hundred retries (docs/slack.md, Hazards: Shared retry settings).
      // One try is enough: `keepConnected` dials again.
      clientOptions: {
        retryConfig: { retries: 0 },
        rejectRateLimitedCalls: true,
        timeout: OPEN_TIMEOUT_MS,
        ...(slackApiUrl === undefined ? {} : { slackApiUrl }),
      },
    });
    guardFrames(client);
    let hearing: Hearing | null = null;
    client.once('authenticated', (answer: unknown) => {
      openClients.add(client);
      hearing?.stop();
      hearing = createHearing(socketUrl(answer), clock);
    });
    client.on('ws_message', () => hearing?.noteFrame());
    client.on('disconnected', () => {
      openClients.delete(client);
      siblings?.noteOwnSockets(countOwn());
      hearing?.stop();
      handleDisconnect(client);
    });
    client.on('connected', () => {
      if (isStopped || !hearing) return;
      wasEverConnected = true;
      const again = state.get().foreignConnections > 0 ? COUNT_AGAIN_MS : COUNT_EVERY_MS;
      const counting = clock.after(again, () => reconnectToCount(client));
      connected.set(client, { since: clock.monotonic(), hearing, silenceTimer: null, countTimer: counting });
      state.setConnected(true);
      log[isCounting ? 'debug' : 'info']({}, 'Slack socket connected');
      isCounting = false;
      watchSilence(client);
      for (const old of connected.keys())
        if (askedToGo.has(old)) clock.after(OVERLAP_MS, () => ignoreFailure(old.disconnect()));
    });
    client.on('slack_event', (args: unknown) => void handleEnvelope(args));
    return client;
  }

  /** The library ignores the promise of its async frame handler, so one bad frame would end the process: catch it. */
  function guardFrames(client: SocketModeClient): void {
    const handlers = client.listeners('ws_message') as Listener[];
    client.removeAllListeners('ws_message');
    client.on('ws_message', async (data: unknown, isBinary: unknown) => {
      const control = readControlFrame(data);
      if (control?.type === 'hello') noteConnectionCount(control.connections);
      // The library would close at once and miss deliveries (docs/slack.md, The library for Socket Mode); Slack itself
      // waits for some seconds.
      if (control?.type === 'disconnect' && renewConnection(client, control.reason)) return;
      try {
        for (const handle of handlers) await handle(data, isBinary);
      } catch (error) {
        log.warn({ error: asBridgeError(error).message }, 'could not read a Slack frame');
      }
    });
  }

  /**
   * Slack will close this connection: it goes on receiving while the next one is dialled. False: it is not connected.
   */
  function renewConnection(client: SocketModeClient, reason: string | null): boolean {
    const connection = connected.get(client);
    if (!connection) return false;
    if (askedToGo.has(client)) return true;
    askedToGo.add(client);
    connection.countTimer?.cancel();
    if (clock.monotonic() - connection.since >= STABLE_MS) failures = 0;
    log.info({ reason }, 'renewing the Slack socket');
    metrics.count('socket_reconnects', { why: 'renewed' });
    void keepConnected();
    return true;
  }

  /** Replaces the connection, because Slack tells how many processes are connected only when one opens. */
  function reconnectToCount(client: SocketModeClient): void {
    const connection = connected.get(client);
    if (!connection || isStopped || isPaused || askedToGo.has(client)) return;
    isCounting = true;
    askedToGo.add(client);
    if (clock.monotonic() - connection.since >= STABLE_MS) failures = 0;
    metrics.count('socket_reconnects', { why: 'counted' });
    void keepConnected();
  }

  function handleDisconnect(client: SocketModeClient): void {
    const connection = forgetConnection(client);
    if (!connection) return;
    if (connected.size === 0) state.setConnected(false, connection.hearing.heardAt());
    if (isStopped) return;
    if (!askedToGo.has(client)) {
      log.warn({}, 'lost the Slack socket');
      metrics.count('socket_reconnects', { why: 'lost' });
    }
    noteLoss();
    void keepConnected();
  }

  function forgetConnection(client: SocketModeClient): Connection | null {
    const connection = connected.get(client);
    if (!connection) return null;
    connected.delete(client);
    connection.silenceTimer?.cancel();
    connection.countTimer?.cancel();
    if (clock.monotonic() - connection.since >= STABLE_MS) failures = 0;
    return connection;
  }

  function noteLoss(): void {
    const now = clock.monotonic();
    recentLosses = [...recentLosses.filter((at) => now - at < REMEMBERED_MS), now];
  }

  /**
   * Checks every few seconds whether the socket is still alive. It must be silent at two checks in a row, because our
   * own process may have been suspended before the first.
   */
  function watchSilence(client: SocketModeClient, wasDeaf = false): void {
    const connection = connected.get(client);
    if (!connection) return;
    connection.silenceTimer = clock.after(LISTEN_EVERY_MS, () => {
      const { hearing } = connection;
      const isDeaf = hearing.canSeePongs() && clock.monotonic() - hearing.heardAt() >= DEAF_AFTER_MS;
      if (!isDeaf || !wasDeaf) return watchSilence(client, isDeaf);
      log.warn({ silentMs: clock.monotonic() - hearing.heardAt() }, 'the Slack socket is deaf; opening another');
      metrics.count('socket_reconnects', { why: 'deaf' });
      forgetConnection(client);
      noteLoss();
      if (connected.size === 0) state.setConnected(false, hearing.heardAt());
      abandon(client);
      void keepConnected();
    });
  }

  /** Sockets that Slack may count as ours. */
  function countOwn(): number {
    const now = clock.monotonic();
    return openClients.size + recentLosses.filter((at) => now - at < REMEMBERED_MS).length;
  }

  /** Slack spreads deliveries over all connections of the app, so another process takes messages away from us. */
  function noteConnectionCount(count: number | null): void {
    if (count === null) return;
    const own = countOwn();
    siblings?.noteOwnSockets(own);
    const others = Math.max(0, count - own);
    if (others === 0 || !siblings) {
      noteForeign(others, { connections: count, own });
      return;
    }
    void countForeign(others).then((foreign) => {
      if (foreign !== null && !isStopped) noteForeign(foreign, { connections: count, own });
    });
  }

  /** @returns how many of the others are no process of this bridge; `null`: it cannot be found out. */
  async function countForeign(others: number): Promise<number | null> {
    let most = 0;
    for (const waitMs of [0, SIBLINGS_TELL_MS]) {
      if (waitMs > 0) await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      if (isStopped) return null;
      try {
        most = Math.max(most, (await siblings?.countSockets()) ?? 0);
      } catch {
        return null;
      }
      if (most >= others) return 0;
    }
    return others - most;
  }

  function noteForeign(foreign: number, counted: { connections: number; own: number }): void {
    metrics.gauge('socket_foreign_connections', foreign);
    state.noteForeignCount(foreign);
    if (foreign === 0) return;
    log.error(
      counted,
      'ANOTHER PROCESS USES THIS APP TOKEN and receives some of our messages: stop it, or give it its own app',
    );
  }

  async function handleEnvelope(args: unknown): Promise<void> {
    const known = frame.safeParse(args);
    if (!known.success) return log.warn({}, 'Slack frame without an envelope');
    if (isPaused || !accept) return;
    const { ack } = known.data;
    const parsed = delivery.safeParse(args);
    try {
      if (!parsed.success || !KINDS.has(parsed.data.type)) {
        log.warn({ type: parsed.data?.type ?? null }, 'Slack envelope of an unknown kind');
        await ack();
        return;
      }
      const { type, body, retry_num, retry_reason } = parsed.data;
      const kind = type as Envelope['kind'];
      await ack(await accept({ kind, body, retryNum: retry_num ?? 0, retryReason: retry_reason || null }));
    } catch (error) {
      // It was not stored, or the socket closed meanwhile. Slack delivers it again either way, and repeats are
      // recognised.
      log.warn({ error: asBridgeError(error).message }, 'did not acknowledge a Slack envelope');
    }
  }

  async function dial(): Promise<void> {
    const client = createClient();
    newestClient = client;
    const opened = client.start();
    opened.catch(() => {});
    try {
      await withTimeout(
        HELLO_MS,
        opened,
        () => new BridgeError('slack_failed', 'no hello from Slack', { retry: true }),
      );
    } catch (error) {
      abandon(client);
      throw error ?? new BridgeError('slack_failed', 'the socket closed before hello', { retry: true });
    }
  }

  /** Gives up a client. If it connects later after all, it is closed at once, or it would swallow deliveries. */
  function abandon(client: SocketModeClient): void {
    client.removeAllListeners('slack_event');
    client.removeAllListeners('connected');
    client.on('connected', () => ignoreFailure(client.disconnect()));
    ignoreFailure(client.disconnect());
  }

  /** Whether there is a connection that is not being replaced. */
  function hasServingConnection(): boolean {
    return [...connected.keys()].some((client) => !askedToGo.has(client));
  }

  /** The only loop that dials. It ends when there is a connection. */
  async function keepConnected(): Promise<void> {
    if (isDialling || hasServingConnection()) return;
    isDialling = true;
    let wait = backoffMs(BACKGROUND_RETRY, failures, random.next());
    while (!isStopped && !hasServingConnection()) {
      await sleep(wait);
      if (isStopped) break;
      // Counted before the outcome is known; only a connection that lasts resets it. So a flapping one backs off, too.
      failures += 1;
      try {
        await dial();
        started.resolve();
        lastingRefusals = 0;
        wait = backoffMs(BACKGROUND_RETRY, failures, random.next());
      } catch (error) {
        const refusal = refusalOf(error);
        // Before the first connection any refusal means a wrong setting; later only a refusal of the token does.
        const isLastingRefusal = refusal !== null && (!wasEverConnected || isLasting(refusal));
        lastingRefusals = isLastingRefusal ? lastingRefusals + 1 : 0;
        if (isLastingRefusal && lastingRefusals >= LASTING_REFUSALS) {
          if (wasEverConnected) return options.onRefused?.(tokenRefused(refusal));
          isStopped = true;
          started.reject(tokenRefused(refusal));
          break;
        }
        const slackWaitMs = error instanceof WebAPIRateLimitedError ? error.retryAfter * 1_000 : 0;
        wait =
          isLastingRefusal && !wasEverConnected
            ? REFUSED_AGAIN_MS
            : Math.max(backoffMs(BACKGROUND_RETRY, failures, random.next()), slackWaitMs);
        log.warn(
          { error: asBridgeError(error).message.slice(0, 200), failures, waitMs: Math.round(wait) },
          'could not open the Slack socket; trying again',
        );
      }
    }
    isDialling = false;
  }

  return {
    start(use) {
      accept = use;
      void keepConnected();
      return started.promise;
    },
    pause() {
      isPaused = true;
    },
    async stop() {
      if (isStopped) return;
      isPaused = true;
      isStopped = true;
      wakeSleeper?.();
      started.reject(new BridgeError('internal', 'stopped before Slack was reached'));
      const clients = new Set(newestClient ? [...connected.keys(), newestClient] : connected.keys());
      const closing = [...clients].map((client) => {
        if (connected.has(client)) return client.disconnect();
        abandon(client);
        return Promise.resolve();
      });
      await withTimeout(CLOSE_MS, Promise.allSettled(closing), () => null);
      state.setConnected(false);
    },
    state: state.get,
  };
}

/** The socket's URL in the form in which the socket reports it; used only to compare. */
function socketUrl(answer: unknown): string {
  const url = z.looseObject({ url: z.string() }).safeParse(answer);
  return url.success ? (URL.parse(url.data.url)?.href ?? '') : '';
}

/** Slack's word for why it refused the app token or Socket Mode; `null` when trying again may help. */
function refusalOf(error: unknown): string | null {
  if (!(error instanceof WebAPIPlatformError)) return null;
  const word: unknown = error.data.error;
  return isSlackWord(word) && !isPassing(word) ? word : null;
}

/** For closing a client: it fails only if the client is closed already. */
function ignoreFailure(ending: Promise<void>): void {
  ending.catch(() => {});
}

function tokenRefused(word: string): BridgeError {
  return new BridgeError('config_invalid', `SLACK_APP_TOKEN was refused by Slack: ${word}`, {
    notice: appTokenRefusedText(word),
  });
}
