import {
  LogLevel,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebAPIRequestError,
  WebClient,
} from '@slack/web-api';
import { type Backoff, backoffMs } from '../../backoff.ts';
import type { Clock, Log, Metrics, Random } from '../../bridge/ports.ts';
import { pause } from './pause.ts';
import { isSlackWord } from './refusals.ts';
import { type SlackAnswer, type SlackApi, type SlackClient, SlackError } from './slack-api.ts';
import { fixedToken, type TokenSource, tokenError } from './token-source.ts';

export interface SlackApiOptions {
  /**
   * Bot (`xoxb-`) or app-level (`xapp-`) token; leaves in the `Authorization` header only. A source is asked before each
   * try, so that a rotated token is used at once. `null`: for methods that need none.
   */
  token: string | TokenSource | null;
  /** Default `https://slack.com/api/`; a missing trailing slash is added (docs/slack.md, Bolt options). */
  slackApiUrl?: string;
  /** Makes the requests; left out: the global one. */
  fetch?: typeof globalThis.fetch;
  log: Log;
  clock: Clock;
  random: Random;
  /** Counts every try, retries included. */
  metrics?: Metrics;
  /** Called with Slack's time (ms since 1970) for each answer that tells it. */
  onTime?: (at: number) => void;
  /**
   * Aborted: a call that runs is given up (`unknown`, `closed`), none waits to be repeated, and none begins any more.
   */
  signal?: AbortSignal;
  /** ms until a call without an answer becomes `unknown`. Default 10 s live, 30 s control. */
  timeoutMs?: Partial<Record<SlackClient, number>>;
}

const SLACK_API_URL = 'https://slack.com/api/';
const TIMEOUT_MS: Record<SlackClient, number> = { live: 10_000, control: 30_000 };
const RETRIES = 4;
const RETRY: Backoff = { firstMs: 500, longestMs: 8_000, spread: [1, 1.5] };
/** A `control` call waits no longer than this for its retries; if `Retry-After` is longer, it rejects at once. */
const RETRY_TOTAL_MS = 60_000;
/**
 * Used for a 429 without a usable `Retry-After`, which the SDK would not report as a 429 (docs/slack.md, Retries of
 * @slack/web-api).
 */
const RETRY_AFTER_MISSING_S = 5;

/**
 * Not retried here: the outbox budgets and repeats these, and the history paces its own, so they must see every 429.
 */
const PACED = new Set([
  'chat.postMessage',
  'chat.update',
  'chat.delete',
  'chat.startStream',
  'chat.appendStream',
  'chat.stopStream',
  'assistant.threads.setStatus',
  'agents.sessions.setStatus',
  'conversations.replies',
  'conversations.history',
  'files.getUploadURLExternal',
  'files.completeUploadExternal',
]);
/** Not retried: their trigger id expires after 3 s (docs/slack.md, Interactivity). */
const AT_ONCE = new Set(['views.open', 'views.push']);
/** Repeated even when the outcome is unknown, because a second call changes nothing. */
const IDEMPOTENT = new Set([
  'api.test',
  'auth.test',
  'bots.info',
  'chat.getPermalink',
  'conversations.info',
  'conversations.members',
  'conversations.open',
  'files.info',
  'reactions.add',
  'team.info',
  'usergroups.list',
  'usergroups.users.list',
  'users.conversations',
  'users.info',
  'users.list',
  'users.lookupByEmail',
  'views.publish',
]);

/** Slack sends these with status 200 although the call may have had its effect. */
const UNCERTAIN = new Set(['internal_error', 'fatal_error', 'service_unavailable']);
const NO_TOKEN = '';
/** The word of calls that are given up because the bridge closes. */
const CLOSED = 'closed';
const LIMITED = new Set(['ratelimited', 'rate_limited']);
/** Refusals that another token of the same installation would not get. */
const TOKEN_WORDS = new Set(['token_expired', 'token_revoked', 'invalid_auth']);

/** Every Web API call of one token. Rejects with a SlackError that holds no secret and no message text. */
export function createSlackApi(options: SlackApiOptions): SlackApi {
  const { clock, random, log, metrics, signal } = options;
  const { token: given } = options;
  const source = typeof given === 'string' || given === null ? fixedToken(given ?? NO_TOKEN) : given;
  let current: { token: string; clients: Record<SlackClient, WebClient> } | null = null;

  function clientsFor(token: string): Record<SlackClient, WebClient> {
    if (current?.token !== token) {
      const clients = { live: createClient(options, token, 'live'), control: createClient(options, token, 'control') };
      current = { token, clients };
    }
    return current.clients;
  }

  /** With the present token, and once more when Slack refused it and there is a newer one: a refused call did nothing. */
  async function callOnce(method: string, args: Record<string, unknown>, client: SlackClient): Promise<SlackAnswer> {
    const token = await getToken(method);
    try {
      return await callWith(token, method, args, client);
    } catch (error) {
      const isTokenRefused = error instanceof SlackError && error.failure === 'refused' && TOKEN_WORDS.has(error.error);
      if (!isTokenRefused || !source.replace || signal?.aborted) throw error;
      const newer = await source.replace(token);
      if (newer === null) throw error;
      return await callWith(newer, method, args, client);
    }
  }

  async function getToken(method: string): Promise<string> {
    if (signal?.aborted) throw new SlackError(method, 'unknown', CLOSED);
    try {
      return await source.get();
    } catch (error) {
      throw tokenError(method, error);
    }
  }

  async function callWith(
    token: string,
    method: string,
    args: Record<string, unknown>,
    client: SlackClient,
  ): Promise<SlackAnswer> {
    if (signal?.aborted) throw new SlackError(method, 'unknown', CLOSED);
    try {
      // A copy, because the SDK changes its argument.
      const answer = await clientsFor(token)[client].apiCall(method, { ...args });
      metrics?.count('api_calls', { method, result: 'ok' });
      return answer as unknown as SlackAnswer;
    } catch (error) {
      const failure = signal?.aborted ? new SlackError(method, 'unknown', CLOSED) : toSlackError(method, error);
      metrics?.count('api_calls', { method, result: failure.failure });
      throw failure;
    }
  }

  return {
    async call(method, args, { client }) {
      if (client === 'live' || PACED.has(method) || AT_ONCE.has(method)) return await callOnce(method, args, client);
      const giveUpAt = clock.monotonic() + RETRY_TOTAL_MS;
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await callOnce(method, args, client);
        } catch (error) {
          if (!(error instanceof SlackError) || error.failure === 'refused') throw error;
          if (signal?.aborted || (error.failure === 'unknown' && !IDEMPOTENT.has(method))) throw error;
          const ms = Math.max(error.retryAfterMs ?? 0, backoffMs(RETRY, attempt + 1, random.next()));
          if (attempt >= RETRIES || clock.monotonic() + ms > giveUpAt) throw error;
          log.debug({ method, failure: error.failure, error: error.error, ms }, 'repeating a Slack call');
          if (!(await pause(clock, ms, signal))) throw error;
        }
      }
    },
  };
}

/**
 * Each client gets its own options object, without `headers`, because the SDK writes into both (docs/slack.md, Hazards:
 * Shared headers, Shared retry settings).
 */
function createClient(options: SlackApiOptions, token: string, client: SlackClient): WebClient {
  return new WebClient(token === NO_TOKEN ? undefined : token, {
    slackApiUrl: options.slackApiUrl ?? SLACK_API_URL,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: options.timeoutMs?.[client] ?? TIMEOUT_MS[client],
    allowAbsoluteUrls: false,
    logger: quietLogger(),
    fetch: (input, init) => fetchForSlack(input, init, options),
  });
}

/** Ends a request that Slack has not answered when the signal aborts. */
async function fetchUntil(
  signal: AbortSignal | undefined,
  input: string | URL | Request,
  init: RequestInit | undefined,
  fetch: typeof globalThis.fetch,
): Promise<Response> {
  if (!signal) return fetch(input, init);
  // `AbortSignal.any` would keep something of each request for as long as the bridge runs (Node 24).
  const given = new AbortController();
  const giveUp = () => given.abort();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await fetch(input, {
      ...init,
      signal: AbortSignal.any([given.signal, ...(init?.signal ? [init.signal] : [])]),
    });
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/**
 * Gives every 429 a `Retry-After`, and reads its body, which the SDK would leave unread and so block the connection.
 */
async function fetchForSlack(
  input: string | URL | Request,
  init: RequestInit | undefined,
  { onTime, signal, fetch = globalThis.fetch }: Pick<SlackApiOptions, 'onTime' | 'signal' | 'fetch'>,
): Promise<Response> {
  const response = await fetchUntil(signal, input, init, fetch);
  const at = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(at)) onTime?.(at);
  if (response.status !== 429) return response;
  await response.text().catch(() => '');
  const seconds = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
  const isUsable = Number.isFinite(seconds) && seconds >= 0;
  return new Response(null, {
    status: 429,
    headers: { 'retry-after': String(isUsable ? seconds : RETRY_AFTER_MISSING_S) },
  });
}

/** Silent, because the SDK logs whole request bodies. What matters for the log is in the SlackError. */
function quietLogger() {
  const noop = () => {};
  return {
    debug: noop,
    info: noop,
    warn: noop,
    error: noop,
    setLevel: noop,
    setName: noop,
    getLevel: () => LogLevel.ERROR,
  };
}

/** Translates what the SDK threw into a failure and a code. Without the cause, which may hold bodies and headers. */
function toSlackError(method: string, error: unknown): SlackError {
  if (error instanceof WebAPIRateLimitedError)
    return new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: error.retryAfter * 1000 });
  if (error instanceof WebAPIHTTPError) return new SlackError(method, 'unknown', `http_${error.statusCode}`);
  if (error instanceof WebAPIRequestError) return new SlackError(method, 'unknown', networkWord(error.original));
  if (!(error instanceof WebAPIPlatformError)) return new SlackError(method, 'unknown', networkWord(error));
  const word = error.data.error as unknown;
  const details = detailsOf(error.data.response_metadata);
  if (!isSlackWord(word)) return new SlackError(method, 'unknown', 'not_json');
  if (LIMITED.has(word)) {
    const seconds = error.data.response_metadata?.retryAfter;
    return new SlackError(method, 'limited', word, { retryAfterMs: seconds === undefined ? null : seconds * 1000 });
  }
  return new SlackError(method, UNCERTAIN.has(word) ? 'unknown' : 'refused', word, { details });
}

/** `timeout`, or the code of the operating system or of undici (`ECONNRESET`, `UND_ERR_SOCKET`). */
function networkWord(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    if (at.name === 'TimeoutError' || at.name === 'AbortError') return 'timeout';
    const code = 'code' in at ? at.code : undefined;
    if (isSlackWord(code) && !code.startsWith('slack_webapi')) return code;
  }
  return 'request_failed';
}

function detailsOf(metadata: { messages?: string[] } | undefined): string[] {
  const messages: unknown = metadata?.messages;
  if (!Array.isArray(messages)) return [];
  return messages
    .filter((line) => typeof line === 'string')
    .map((line) => line.slice(0, 300))
    .slice(0, 5);
}
