import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Played } from '../player.ts';
import type { Sandbox } from '../sandbox.ts';
import { ControlError } from '../slack/control/api.ts';
import { controlServer, refuseForeignHosts, refuseStrangers } from '../slack/control/http.ts';
import { BodyTooLarge, mediaType, parseJson, readBody, sendJson } from '../slack/http.ts';
import { Feed } from './feed.ts';
import { type PageFile, readPageFiles } from './page-files.ts';
import { Stage } from './stage.ts';
import type { FeedEvent, ThreadPlace } from './wire.ts';

export interface Page {
  /** `http://127.0.0.1:PORT/` */
  url: string;
  /** Begins a scene of the page at once; `onBegun` hears of each thread. @returns how it went, when it is over; `null`: it broke off */
  playScene(id: string, onBegun?: (thread: ThreadPlace) => void): Promise<Played | null>;
  close(): Promise<void>;
}

const LOOK_EVERY_MS = 100;
/** How often an empty line is sent, so that a dead connection is noticed. */
const KEEP_ALIVE_MS = 15_000;
const MAX_WATCHERS = 20;
/** Bytes that a page may be behind; beyond that it gets no changes until it has read them. */
const MAX_BEHIND = 1_000_000;

/** Nothing inline, nothing from elsewhere, nothing to elsewhere, in no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** Types that the page may show in its own origin; all others are downloads. */
const SHOWN = /^image\/(?:png|jpeg|gif|webp)$/;

/**
 * The sandbox as a page, on 127.0.0.1: its files, what happens as server-sent events (`/_page/feed`), scenes, faults
 * and the bridge (`/_page/…`), and the small Slack's control API.
 * @param port 0: any free one.
 */
export async function startPage(sandbox: Sandbox, { port }: { port: number }): Promise<Page> {
  const files = await readPageFiles();
  const stage = new Stage(sandbox);
  const serveControl = controlServer(sandbox.slack.control);
  const acts = pageActs(sandbox, stage);
  let watchers = 0;

  const serveFeed = (request: IncomingMessage, response: ServerResponse, user: string) => {
    if (watchers >= MAX_WATCHERS) throw new ControlError(503, 'too many pages are open');
    const known = sandbox.slack.control.state().users.find(({ id, kind }) => id === user && kind !== 'bot');
    if (!known) throw new ControlError(404, `no such user: ${user}`);
    watchers += 1;
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const feed = new Feed(sandbox, stage, user);
    const sendEvent = (event: FeedEvent) => response.write(`data: ${JSON.stringify(event)}\n\n`);
    const sendChanges = () => {
      if (response.writableLength < MAX_BEHIND) for (const event of feed.takeChanges()) sendEvent(event);
    };
    sendEvent(feed.makeHello());
    sendChanges();
    const looking = setInterval(sendChanges, LOOK_EVERY_MS);
    const living = setInterval(() => response.write(':\n\n'), KEEP_ALIVE_MS);
    request.once('close', () => {
      watchers -= 1;
      clearInterval(looking);
      clearInterval(living);
    });
  };

  const serveRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const path = url.pathname;
    const file = files.get(path === '/' ? '/index.html' : path);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    try {
      // A link from anywhere may open the page; other requests must come from the page itself.
      if (file && reads && request.headers['sec-fetch-mode'] === 'navigate') refuseForeignHosts(request);
      else refuseStrangers(request);
      if (file && reads) return sendFile(response, file);
      if (path === '/_page/feed' && reads) return serveFeed(request, response, url.searchParams.get('user') ?? '');
      if (path.startsWith('/_page/files/') && reads) {
        return sendUpload(response, sandbox.slack.control.file(path.slice('/_page/files/'.length)));
      }
      if (path.startsWith('/_page/')) {
        await acts(path.slice('/_page/'.length), request);
        return sendJson(response, 200, { ok: true });
      }
    } catch (error) {
      if (error instanceof BodyTooLarge) return sendJson(response, 413, { ok: false, error: 'body too large' });
      if (!(error instanceof ControlError)) throw error;
      return sendJson(response, error.status, { ok: false, error: error.message });
    }
    if (path.startsWith('/_control/')) return serveControl(request, response, url);
    sendJson(response, 404, { ok: false, error: 'not found' });
  };

  const server = createServer((request, response) => {
    serveRequest(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { ok: false, error: error instanceof Error ? error.message : String(error) });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    playScene: (id, onBegun) => stage.playScene(id, onBegun),
    close() {
      stage.endScene();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

const act = z.union([
  z.strictObject({ scene: z.string() }),
  z.strictObject({ fault: z.string() }),
  z.strictObject({ bridge: z.enum(['start', 'stop', 'kill']) }),
]);

/** `POST /_page/act`: what a person does that the small Slack knows nothing of. `{ scene: '' }` ends the scene. */
function pageActs(sandbox: Sandbox, stage: Stage) {
  return async (name: string, request: IncomingMessage): Promise<void> => {
    if (name !== 'act') throw new ControlError(404, 'not found');
    if (request.method !== 'POST') throw new ControlError(405, 'method not allowed');
    if (mediaType(request) !== 'application/json') throw new ControlError(415, 'the body must be application/json');
    const read = act.safeParse(parseJson((await readBody(request, 10_000)).toString()));
    if (!read.success) throw new ControlError(400, z.prettifyError(read.error));
    const wanted = read.data;
    if ('fault' in wanted) return stage.causeFault(wanted.fault);
    if ('scene' in wanted) {
      if (wanted.scene === '') stage.endScene();
      else void stage.playScene(wanted.scene);
      return;
    }
    if (wanted.bridge === 'start') return sandbox.startBridge();
    return wanted.bridge === 'stop' ? sandbox.stopBridge() : sandbox.killBridge();
  };
}

function sendFile(response: ServerResponse, { type, body, hasHashedName }: PageFile): void {
  const cache = hasHashedName ? 'public, max-age=31536000, immutable' : 'no-store';
  response.writeHead(200, { ...HEADERS, 'content-type': type, 'cache-control': cache, 'content-length': body.length });
  response.end(body);
}

/** Sends a file of the workspace so that nothing in it can run in the page's origin. */
function sendUpload(response: ServerResponse, file: { name: string; mimetype: string; content: Buffer } | null): void {
  if (!file) throw new ControlError(404, 'no such file');
  const shown = SHOWN.test(file.mimetype);
  const name = encodeURIComponent(file.name);
  response.writeHead(200, {
    ...HEADERS,
    'content-security-policy': "default-src 'none'; sandbox",
    'content-type': shown ? file.mimetype : 'application/octet-stream',
    'content-disposition': shown ? 'inline' : `attachment; filename*=UTF-8''${name}`,
    'cache-control': 'no-store',
    'content-length': file.content.length,
  });
  response.end(file.content);
}
