import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { readBody } from './http.ts';
import type { SlackFile } from './model.ts';
import { fileSize } from './wire.ts';
import type { World } from './world.ts';

const TYPES: Record<string, { mimetype: string; filetype: string }> = {
  txt: { mimetype: 'text/plain', filetype: 'text' },
  md: { mimetype: 'text/markdown', filetype: 'markdown' },
  json: { mimetype: 'application/json', filetype: 'json' },
  csv: { mimetype: 'text/csv', filetype: 'csv' },
  html: { mimetype: 'text/html', filetype: 'html' },
  png: { mimetype: 'image/png', filetype: 'png' },
  jpg: { mimetype: 'image/jpeg', filetype: 'jpg' },
  gif: { mimetype: 'image/gif', filetype: 'gif' },
  webp: { mimetype: 'image/webp', filetype: 'webp' },
  svg: { mimetype: 'image/svg+xml', filetype: 'svg' },
  pdf: { mimetype: 'application/pdf', filetype: 'pdf' },
  zip: { mimetype: 'application/zip', filetype: 'zip' },
  log: { mimetype: 'text/plain', filetype: 'text' },
  mp4: { mimetype: 'video/mp4', filetype: 'mp4' },
  mov: { mimetype: 'video/quicktime', filetype: 'mov' },
  m4a: { mimetype: 'audio/mp4', filetype: 'm4a' },
  eml: { mimetype: 'message/rfc822', filetype: 'email' },
};

export function fileType(name: string): { mimetype: string; filetype: string } {
  const ending = name.split('.').at(-1)?.toLowerCase() ?? '';
  return TYPES[ending] ?? { mimetype: 'application/octet-stream', filetype: 'binary' };
}

const HTML = { 'content-type': 'text/html; charset=utf-8' };
/** No text, and not all the same byte. */
const PADDING = Buffer.from(Array.from({ length: 65_536 }, (_, at) => (at * 31) % 251)).fill(0xff, 0, 1);
const LOGIN_PAGE = '<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in to Sandbox</body></html>';

/**
 * `url_private`: the content with the bot token and `files:read`, else a login page, with status 200 or behind a
 * redirect (docs/slack.md, Files). Faults of the method `url_private` hit it.
 */
export function serveFile(world: World, request: IncomingMessage, response: ServerResponse, path: string): void {
  const id = /^\/files-pri\/[A-Z0-9]+-(F[A-Z0-9]+)\//.exec(path)?.[1] ?? '';
  const file = world.workspace.files.get(id);
  const fault = world.faults.takeDownloadFault();
  const { authorization = '' } = request.headers;
  world.log.addEntry({ type: 'download', at: world.now(), file: id, hasToken: authorization !== '' }, 100);
  if (fault?.kind === 'reset_before') return void request.socket.destroy();
  if (fault?.kind === 'http_500') return void response.writeHead(500, HTML).end('<html><body>Oops</body></html>');
  if (fault?.kind === 'redirect') return void response.writeHead(302, { location: fault.to ?? '/login' }).end();
  const bearer = /^Bearer (.+)$/.exec(authorization)?.[1] ?? '';
  const found = world.app.tokens.find(bearer);
  const isOurs = found?.state === 'live' && found.grant.id === world.installedAs;
  const allowed = isOurs && world.scopes.has('files:read');
  if (!allowed || world.revoked !== null || fault?.kind === 'html') {
    response.writeHead(200, HTML).end(LOGIN_PAGE);
    return;
  }
  if (!file || file.access === 'tombstone') {
    response.writeHead(404, HTML).end('<html><body>Not found</body></html>');
    return;
  }
  response.writeHead(200, { 'content-type': file.mimetype, 'content-length': fileSize(file) });
  const send = () => void pipeline(Readable.from(piecesOf(file, fault?.kind === 'reset_after')), response, () => {});
  if (fault?.kind === 'delay') world.runAfter(fault.ms ?? 1000, send);
  else send();
}

/** The content and its padding, which repeats one piece. @param breaks whether the connection ends half-way */
function* piecesOf(file: SlackFile, breaks: boolean): Generator<Buffer> {
  const { content, padding = 0 } = file;
  yield breaks ? content.subarray(0, content.length >> 1) : content;
  if (breaks) throw new Error('cut');
  for (let left = padding; left > 0; left -= PADDING.length) yield PADDING.subarray(0, Math.min(left, PADDING.length));
}

/** The upload step: raw bytes, or the first file of a multipart form, as the SDK sends it. */
export async function receiveUpload(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  const upload = world.workspace.uploads.get(path.replace('/upload/v1/', ''));
  const body = await readBody(request, 100_000_000);
  if (!upload) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found');
    return;
  }
  const type = request.headers['content-type'] ?? '';
  let bytes = body;
  if (type.startsWith('multipart/form-data')) {
    const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
    for (const value of form.values()) {
      if (typeof value !== 'string') bytes = Buffer.from(await value.arrayBuffer());
    }
  }
  if (bytes.length !== upload.length) {
    response.writeHead(400, { 'content-type': 'text/plain' }).end('length mismatch');
    return;
  }
  upload.content = bytes;
  response.writeHead(200, { 'content-type': 'text/plain' }).end(`OK - ${bytes.length}`);
}
