import { getEventListeners } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log } from '../../../src/bridge/ports.ts';
import { systemClock } from '../../../src/clock.ts';
import { BridgeError } from '../../../src/errors.ts';
import { SlackError } from '../../../src/slack/api/slack-api.ts';
import type { TokenSource } from '../../../src/slack/api/token-source.ts';
import { createSlackApi } from '../../../src/slack/api/web-api.ts';

const TOKEN = 'xoxb-very-secret';
const SECRET_TEXT = 'the model said this';

interface Seen {
  method: string;
  authorization: string | undefined;
  form: URLSearchParams;
}

let server: Server;
let seen: Seen[];
let logged: string[];
let answer: (response: ServerResponse, call: Seen, nth: number) => void;

const json = (response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}

beforeEach(async () => {
  seen = [];
  logged = [];
  server = createServer(async (request, response) => {
    const form = new URLSearchParams(await bodyOf(request));
    const call = {
      method: (request.url ?? '').replace('/api/', ''),
      authorization: request.headers.authorization,
      form,
    };
    seen.push(call);
    answer(response, call, seen.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function note(fields: object, message: string) {
  logged.push(JSON.stringify(fields) + message);
}

function createApi(token: string | TokenSource = TOKEN, signal?: AbortSignal) {
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const { port } = server.address() as AddressInfo;
  return createSlackApi({
    token,
    slackApiUrl: `http://127.0.0.1:${port}/api/`,
    log,
    // Waits are not part of what is tested: they end at once and are written down.
    clock: {
      now: () => 0,
      monotonic: () => waits.reduce((sum, ms) => sum + ms, 0),
      after(ms, run) {
        waits.push(ms);
        waited(ms);
        return systemClock.after(0, run);
      },
    },
    random: { next: () => 0, id: () => 'x' },
    ...(signal && { signal }),
    timeoutMs: { live: 300, control: 600 },
  });
}

let waits: number[] = [];
let waited: (ms: number) => void;
beforeEach(() => {
  waits = [];
  waited = () => undefined;
});

async function failureOf(method = 'chat.postMessage', client: 'live' | 'control' = 'control'): Promise<SlackError> {
  try {
    await createApi().call(method, { channel: 'C1', text: SECRET_TEXT }, { client });
  } catch (error) {
    if (error instanceof SlackError) return error;
    throw error;
  }
  throw new Error('the call should have failed');
}

describe('a Web API call', () => {
  test('sends arguments as form fields with JSON, the token only as header', async () => {
    answer = (response) => json(response, { ok: true, ts: '1.000001' });
    const blocks = [{ type: 'markdown', text: 'a & b' }];
    const args = { channel: 'C1', blocks, unfurl_links: false };
    const got = await createApi().call('chat.postMessage', args, { client: 'live' });
    expect(got).toMatchObject({ ok: true, ts: '1.000001' });
    expect(seen[0]?.authorization).toBe(`Bearer ${TOKEN}`);
    expect(JSON.parse(seen[0]?.form.get('blocks') ?? '')).toEqual(blocks);
    expect(seen[0]?.form.get('unfurl_links')).toBe('false');
    expect(seen[0]?.form.has('token')).toBe(false);
    expect(args).toEqual({ channel: 'C1', blocks, unfurl_links: false });
  });

  test('carries the token of its own client, never another one', async () => {
    answer = (response) => json(response, { ok: true });
    const [bot, app] = [createApi('xoxb-a'), createApi('xapp-b')];
    await bot.call('auth.test', {}, { client: 'control' });
    await app.call('apps.connections.open', {}, { client: 'control' });
    await bot.call('auth.test', {}, { client: 'live' });
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer xoxb-a', 'Bearer xapp-b', 'Bearer xoxb-a']);
  });

  test('goes to the configured host even when the method is a URL', async () => {
    answer = (response) => json(response, { ok: false, error: 'unknown_method' });
    await expect(createApi().call('http://127.0.0.1:1/steal', {}, { client: 'live' })).rejects.toMatchObject({
      error: 'unknown_method',
    });
    expect(seen).toHaveLength(1);
  });

  test('refused by Slack: fails with Slack’s error code and its details', async () => {
    const messages = ['[ERROR] must be more than 0 characters [json-pointer:/blocks/0]'];
    answer = (response) => json(response, { ok: false, error: 'invalid_blocks', response_metadata: { messages } });
    expect(await failureOf()).toMatchObject({ failure: 'refused', error: 'invalid_blocks', details: messages });
    expect(seen).toHaveLength(1);
  });

  test.each([
    ['a 429', (r: ServerResponse) => json(r, { ok: false, error: 'ratelimited' }, 429, { 'retry-after': '7' }), 7_000],
    ['a 429 without Retry-After', (r: ServerResponse) => json(r, { ok: false }, 429), 5_000],
    ['a 429 with a date in it', (r: ServerResponse) => json(r, {}, 429, { 'retry-after': 'Wed, 21 Oct' }), 5_000],
    ['ratelimited in a body', (r: ServerResponse) => json(r, { ok: false, error: 'ratelimited' }), null],
    ['rate_limited in a body', (r: ServerResponse) => json(r, { ok: false, error: 'rate_limited' }), null],
  ])('answered with %s: fails as limited, without a retry', async (_, reply, retryAfterMs) => {
    answer = reply;
    expect(await failureOf()).toMatchObject({ failure: 'limited', retryAfterMs });
    expect(await failureOf('chat.update', 'live')).toMatchObject({ failure: 'limited', retryAfterMs });
    expect(seen).toHaveLength(2);
  });

  test.each<[string, (r: ServerResponse) => void, string]>([
    [
      'HTML',
      (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sorry, we are down</html>'),
      'not_json',
    ],
    ['an empty body', (r) => r.writeHead(200).end(), 'not_json'],
    ['JSON that is no object', (r) => r.writeHead(200).end('null'), 'request_failed'],
    ['an object without ok', (r) => json(r, {}), 'not_json'],
    ['half a body', (r) => r.writeHead(200, { 'content-length': '50' }).end('{"ok":'), 'not_json'],
    ['an error of Slack’s own', (r) => json(r, { ok: false, error: 'internal_error' }), 'internal_error'],
    ['503', (r) => r.writeHead(503).end('busy'), 'http_503'],
    ['500 with JSON', (r) => json(r, { ok: false, error: 'fatal_error' }, 500), 'http_500'],
    ['413', (r) => r.writeHead(413).end('too large'), 'http_413'],
    ['a redirect', (r) => r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'request_failed'],
    ['a reset', (r) => r.socket?.destroy(), 'UND_ERR_SOCKET'],
    ['no answer', () => {}, 'timeout'],
    ['a body that never ends', (r) => r.writeHead(200).write('{"ok":'), 'timeout'],
  ])('answered with %s: fails as unknown, without a retry', async (_, reply, word) => {
    answer = reply;
    const error = await failureOf('chat.postMessage', 'live');
    expect(error.failure).toBe('unknown');
    if (word !== 'not_json') expect(error.error).toBe(word);
    expect(seen).toHaveLength(1);
    answer = reply;
    expect((await failureOf('chat.postMessage', 'control')).failure).toBe('unknown');
    expect(seen).toHaveLength(2);
  });

  test('retries a read-only method a few times, then gives up', async () => {
    answer = (response, _call, nth) => (nth < 3 ? response.writeHead(503).end() : json(response, { ok: true }));
    await createApi().call('users.info', { user: 'U1' }, { client: 'control' });
    expect(seen).toHaveLength(3);
    answer = (response) => response.writeHead(503).end();
    expect((await failureOf('users.info')).error).toBe('http_503');
    expect(seen).toHaveLength(3 + 5);
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(60_000);
  });

  test('by the control client waits three seconds of Retry-After, not 900', async () => {
    answer = (response, _call, nth) =>
      nth === 1 ? json(response, {}, 429, { 'retry-after': '3' }) : json(response, { ok: true });
    await createApi().call('views.publish', {}, { client: 'control' });
    expect(waits).toEqual([3_000]);
    answer = (response) => json(response, {}, 429, { 'retry-after': '900' });
    expect(await failureOf('views.publish')).toMatchObject({ failure: 'limited', retryAfterMs: 900_000 });
    expect(waits).toEqual([3_000]);
  });

  test('opens a view without a retry: its trigger expires in three seconds', async () => {
    answer = (response) => json(response, {}, 429, { 'retry-after': '1' });
    expect((await failureOf('views.open')).failure).toBe('limited');
    expect(seen).toHaveLength(1);
  });

  test('leaves no token and no message text in errors and logs', async () => {
    answer = (response) => response.writeHead(503, { 'set-cookie': 'd=secret' }).end(SECRET_TEXT);
    const failed = await failureOf('users.info');
    answer = (response) => response.writeHead(200).end(`${SECRET_TEXT} ${TOKEN}`);
    const page = await failureOf();
    for (const error of [failed, page]) {
      const all = `${error.stack} ${JSON.stringify(error, Object.getOwnPropertyNames(error))}`;
      expect(all).not.toContain(TOKEN);
      expect(all).not.toContain(SECRET_TEXT);
      expect(all).not.toContain('127.0.0.1');
    }
    expect(logged.join()).not.toMatch(/xoxb|model said|127\.0\.0\.1/);
  });
});

describe('when the bridge closes', () => {
  const closed = { failure: 'unknown', error: 'closed' };

  test('a call that Slack has not answered is given up', async () => {
    const closing = new AbortController();
    const gone = Promise.withResolvers<void>();
    answer = (response) => {
      response.on('close', gone.resolve);
      closing.abort();
    };
    const call = createApi(TOKEN, closing.signal).call('users.info', { user: 'U1' }, { client: 'control' });
    await expect(call).rejects.toMatchObject(closed);
    await gone.promise;
    expect(seen).toHaveLength(1);
  });

  test('a call that waits to be repeated fails instead', async () => {
    const closing = new AbortController();
    answer = (response) => {
      json(response, { ok: false, error: 'ratelimited' }, 429, { 'retry-after': '30' });
    };
    const api = createApi(TOKEN, closing.signal);
    const call = api.call('users.info', { user: 'U1' }, { client: 'control' });
    const failed = expect(call).rejects.toMatchObject({ failure: 'limited' });
    waited = () => closing.abort();
    await failed;
    expect(seen).toHaveLength(1);
    await expect(api.call('users.info', {}, { client: 'control' })).rejects.toMatchObject(closed);
    expect(seen).toHaveLength(1);
  });

  test('the signal keeps nothing of calls that were answered', async () => {
    const closing = new AbortController();
    answer = (response) => json(response, { ok: true });
    const api = createApi(TOKEN, closing.signal);
    await Promise.all(Array.from({ length: 20 }, () => api.call('users.info', {}, { client: 'control' })));
    expect(getEventListeners(closing.signal, 'abort')).toEqual([]);
  });
});

describe('a token that is rotated', () => {
  const refuseOld = (response: ServerResponse, { authorization }: Seen) =>
    json(response, authorization === 'Bearer xoxe.xoxb-old' ? { ok: false, error: 'token_expired' } : { ok: true });
  const post = (token: TokenSource) => createApi(token).call('chat.postMessage', { channel: 'C1' }, { client: 'live' });

  test('used by the next call, without a new client by the caller', async () => {
    answer = (response) => json(response, { ok: true });
    let token = 'xoxe.xoxb-1';
    const api = createApi({ get: async () => token });
    await api.call('auth.test', {}, { client: 'control' });
    token = 'xoxe.xoxb-2';
    await api.call('auth.test', {}, { client: 'control' });
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer xoxe.xoxb-1', 'Bearer xoxe.xoxb-2']);
  });

  test('refused in mid-turn: the call is repeated with the newer one', async () => {
    answer = refuseOld;
    await post({ get: async () => 'xoxe.xoxb-old', replace: async () => 'xoxe.xoxb-new' });
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer xoxe.xoxb-old', 'Bearer xoxe.xoxb-new']);
  });

  test('refused without a newer one: the refusal is told', async () => {
    answer = refuseOld;
    const old = { get: async () => 'xoxe.xoxb-old', replace: async () => null };
    await expect(post(old)).rejects.toMatchObject({ failure: 'refused', error: 'token_expired' });
    expect(seen).toHaveLength(1);
  });

  test('refused again although it is newer: not repeated without end', async () => {
    answer = (response) => json(response, { ok: false, error: 'token_revoked' });
    const source = { get: async () => 'xoxb-a', replace: async () => 'xoxb-b' };
    await expect(post(source)).rejects.toMatchObject({ failure: 'refused', error: 'token_revoked' });
    expect(seen).toHaveLength(2);
  });

  test('missing for now: nothing is sent, and the call may be repeated', async () => {
    const source = {
      get: async () => {
        throw new BridgeError('store_failed', 'away', { retry: true });
      },
    };
    await expect(post(source)).rejects.toMatchObject({ failure: 'limited', error: 'no_token_yet' });
    expect(seen).toEqual([]);
  });

  test('gone for good: nothing is sent', async () => {
    const source = {
      get: async () => {
        throw new BridgeError('slack_failed', 'uninstalled');
      },
    };
    await expect(post(source)).rejects.toMatchObject({ failure: 'refused', error: 'not_authed' });
    expect(seen).toEqual([]);
  });
});
