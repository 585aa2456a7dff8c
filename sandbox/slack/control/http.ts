import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { BodyTooLarge, mediaType, parseJson, readBody, sendJson } from '../http.ts';
import { type Control, ControlError } from './api.ts';

const BODY_MAX = 50_000_000;
const text = z.string();
const place = { channel: text, user: text };

const callFault = z.strictObject({
  method: text.optional(),
  kind: z.enum(['ratelimited', 'ok_false', 'http_500', 'reset_before', 'reset_after', 'delay', 'html', 'redirect']),
  error: text.optional(),
  retryAfter: z.number().min(0).optional(),
  ms: z.number().min(0).optional(),
  to: text.optional(),
  times: z.number().int().min(1).optional(),
});
const access = z.enum(['visible', 'check_file_info', 'tombstone', 'hidden_by_limit']);
const fileInput = z.strictObject({
  name: text,
  content: text.optional(),
  base64: text.optional(),
  mimetype: text.optional(),
  padding: z.number().int().min(0).max(2_000_000_000).optional(),
  mode: z.enum(['hosted', 'snippet', 'email', 'external']).optional(),
  access: access.optional(),
  url: text.optional(),
  clip: z.enum(['audio', 'video']).optional(),
  transcript: text.optional(),
});
const socketFault = z.strictObject({
  socket: z.enum(['close', 'disconnect_warning', 'freeze', 'no_hello', 'refuse']),
  ms: z.number().min(0).optional(),
  times: z.number().int().min(1).optional(),
});

/** Removes members that are `undefined`, because optional members must be absent. */
function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as T;
}

function endpoint<T>(schema: z.ZodType<T>, run: (input: T) => Promise<object>) {
  return async (body: unknown) => {
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw new ControlError(400, z.prettifyError(parsed.error));
    return run(parsed.data);
  };
}

function postEndpoints(control: Control): Record<string, (body: unknown) => Promise<object>> {
  return {
    message: endpoint(
      z.strictObject({
        ...place,
        text,
        thread_ts: text.optional(),
        subtype: text.optional(),
        by_app: z.boolean().optional(),
        blocks: z.array(z.looseObject({})).optional(),
        attachments: z.array(z.looseObject({})).optional(),
        files: z.array(fileInput).optional(),
      }),
      control.message,
    ),
    interact: endpoint(
      z.strictObject({
        user: text,
        action: text,
        channel: text.optional(),
        messageTs: text.optional(),
        view: z.enum(['modal', 'home']).optional(),
        option: z.union([text, z.array(text)]).optional(),
        value: text.optional(),
      }),
      control.interact,
    ),
    shortcut: endpoint(z.strictObject({ ...place, messageTs: text, shortcut: text }), control.shortcut),
    'view-submit': endpoint(
      z.strictObject({ user: text, values: z.record(text, z.union([text, z.array(text)])).optional() }),
      control.viewSubmit,
    ),
    'view-close': endpoint(z.strictObject({ user: text }), control.viewClose),
    command: endpoint(
      z.strictObject({ ...place, command: text, text: text.optional(), thread_ts: text.optional() }),
      control.command,
    ),
    remind: endpoint(z.strictObject({ channel: text, text }), control.remind),
    reaction: endpoint(
      z.strictObject({ ...place, messageTs: text, name: text, remove: z.boolean().optional() }),
      control.reaction,
    ),
    'edit-message': endpoint(z.strictObject({ ...place, messageTs: text, text }), control.editMessage),
    'add-files': endpoint(
      z.strictObject({ ...place, messageTs: text, files: z.array(fileInput).min(1) }),
      control.addFiles,
    ),
    'restrict-file': endpoint(z.strictObject({ file: text, access }), control.restrictFile),
    'delete-message': endpoint(
      z.strictObject({ channel: text, messageTs: text, user: text.optional() }),
      control.deleteMessage,
    ),
    'open-home': endpoint(
      z.strictObject({ user: text, tab: z.enum(['home', 'messages']).optional() }),
      control.openHome,
    ),
    openGroup: endpoint(z.strictObject({ users: z.array(text).min(2).max(8) }), control.openGroup),
    member: endpoint(z.strictObject({ ...place, joined: z.boolean(), inviter: text.optional() }), control.member),
    archive: endpoint(z.strictObject({ channel: text, archived: z.boolean().optional() }), control.archive),
    'change-channel-id': endpoint(z.strictObject({ channel: text, newId: text }), control.changeChannelId),
    'stop-session': endpoint(z.strictObject({ ...place, thread_ts: text }), control.stopSession),
    'context-changed': endpoint(z.strictObject(place), control.contextChanged),
    user: endpoint(z.strictObject({ user: text, deleted: z.boolean() }), control.user),
    revoke: endpoint(z.strictObject({ error: text.nullable() }), control.revoke),
    'verify-url': endpoint(z.strictObject({}), control.verifyUrl),
    faults: endpoint(z.union([callFault, socketFault, z.strictObject({ kind: z.literal('clear') })]), (input) =>
      control.faults(withoutUndefined(input)),
    ),
    reset: endpoint(z.strictObject({}), control.reset),
  };
}

function answerGet(control: Control, path: string[], query: URLSearchParams): object {
  const [name, id] = path;
  const filter = (key: string) => query.get(key) ?? undefined;
  if (name === 'messages' && id !== undefined) {
    return { messages: control.messages(id, { thread_ts: filter('thread_ts'), user: filter('user') }) };
  }
  if (name === 'views' && id !== undefined) return control.views(id);
  if (name === 'log') return { entries: control.log({ type: filter('type'), method: filter('method') }) };
  if (name === 'state') return control.state();
  throw new ControlError(404, 'no such control endpoint');
}

const LOOPBACK_HOSTS = ['127.0.0.1', 'localhost', '[::1]'];
const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1', '::ffff:127.0.0.1'];

function hostOf(value: string): string | null {
  try {
    return new URL(value.includes('://') ? value : `http://${value}`).hostname;
  } catch {
    return null;
  }
}

/** Accepts only this machine under its own name: DNS could point another name here. */
export function refuseForeignHosts(request: IncomingMessage): void {
  const { host } = request.headers;
  if (!LOOPBACK_ADDRESSES.includes(request.socket.remoteAddress ?? '')) throw new ControlError(403, 'loopback only');
  const name = host === undefined ? null : hostOf(host);
  if (name === null || !LOOPBACK_HOSTS.includes(name)) throw new ControlError(403, 'foreign Host');
}

/**
 * With a real agent, pressing Approve here runs commands. So only programs on this machine may call it, not web pages
 * in its browser.
 */
export function refuseStrangers(request: IncomingMessage): void {
  refuseForeignHosts(request);
  const { host, origin } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`) throw new ControlError(403, 'foreign Origin');
  if (request.headers['sec-fetch-site'] === 'cross-site') throw new ControlError(403, 'foreign Origin');
}

/** The control API over HTTP; every answer is JSON with `ok`. */
export function controlServer(control: Control) {
  const endpoints = postEndpoints(control);
  const answer = async (request: IncomingMessage, url: URL): Promise<object> => {
    refuseStrangers(request);
    const path = url.pathname.split('/').slice(2).map(decodeURIComponent);
    const name = path.join('/');
    if (request.method === 'GET') return answerGet(control, path, url.searchParams);
    if (request.method === 'DELETE' && name === 'faults') return control.faults({ kind: 'clear' });
    if (request.method !== 'POST') throw new ControlError(405, 'method not allowed');
    if (mediaType(request) !== 'application/json') throw new ControlError(415, 'the body must be application/json');
    const run = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined;
    if (!run) throw new ControlError(404, 'no such control endpoint');
    const body = (await readBody(request, BODY_MAX)).toString();
    const json = parseJson(body === '' ? '{}' : body);
    if (json === undefined) throw new ControlError(400, 'the body is not JSON');
    return run(json);
  };
  return async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> => {
    try {
      sendJson(response, 200, { ok: true, ...(await answer(request, url)) });
    } catch (error) {
      if (error instanceof BodyTooLarge) return sendJson(response, 413, { ok: false, error: 'body too large' });
      if (!(error instanceof ControlError)) throw error;
      sendJson(response, error.status, { ok: false, error: error.message });
    }
  };
}
