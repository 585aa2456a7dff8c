import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from './http.ts';
import type { World } from './world.ts';

const TYPES: Record<string, { mimetype: string; filetype: string }> = {
  txt: { mimetype: 'text/plain', filetype: 'text' },
  md: { mimetype: 'text/markdown', filetype: 'markdown' },
  json: { mimetype: 'application/json', filetype: 'json' },
  csv: { mimetype: 'text/csv', filetype: 'csv' },
  html: { mimetype: 'text/html', filetype: 'html' },
  png: { mimetype: 'image/png', filetype: 'png' },
  jpg: { mimetype: 'image/jpeg', filetype: 'jpg' },
  pdf: { mimetype: 'application/pdf', filetype: 'pdf' },
};

export function fileType(name: string): { mimetype: string; filetype: string } {
  const ending = name.split('.').at(-1)?.toLowerCase() ?? '';
  return TYPES[ending] ?? { mimetype: 'application/octet-stream', filetype: 'binary' };
}

const LOGIN_PAGE = '<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in to Sandbox</body></html>';

/**
 * `url_private`: the content with the bot token and `files:read`, else a login page with status 200 (docs/slack.md,
 * Files).
 */
export function serveFile(world: World, request: IncomingMessage, response: ServerResponse, path: string): void {
  const id = /^\/files-pri\/[A-Z0-9]+-(F[A-Z0-9]+)\//.exec(path)?.[1] ?? '';
  const file = world.workspace.files.get(id);
  const allowed = request.headers.authorization === `Bearer ${world.tokens.bot}` && world.scopes.has('files:read');
  if (!allowed || world.revoked !== null) {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(LOGIN_PAGE);
    return;
  }
  if (!file) {
    response.writeHead(404, { 'content-type': 'text/html' }).end('<html><body>Not found</body></html>');
    return;
  }
  response.writeHead(200, { 'content-type': file.mimetype, 'content-length': file.content.length }).end(file.content);
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
