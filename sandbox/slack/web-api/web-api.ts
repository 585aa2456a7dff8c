import type { IncomingMessage, ServerResponse } from 'node:http';
import { worldsOf } from '../app.ts';
import type { CallFault } from '../faults.ts';
import { BodyTooLarge, parseArguments, readBody } from '../http.ts';
import type { JsonObject } from '../model.ts';
import { Refusal } from '../refusal.ts';
import type { World } from '../world.ts';
import { Args } from './args.ts';
import { assistant } from './assistant.ts';
import { auth } from './auth.ts';
import { blocks } from './blocks.ts';
import { chat } from './chat.ts';
import { conversations } from './conversations.ts';
import { files } from './files.ts';
import { type Method, type Methods, requireScope } from './method.ts';
import { oauth } from './oauth.ts';
import { reactions } from './reactions.ts';
import { streams } from './streams.ts';
import { users } from './users.ts';
import { views } from './views.ts';

const METHODS = new Map<string, Method>(
  Object.entries<Method>({
    ...auth,
    ...oauth,
    ...chat,
    ...streams,
    ...conversations,
    ...users,
    ...views,
    ...reactions,
    ...assistant,
    ...files,
    ...blocks,
  } satisfies Methods),
);

const BODY_MAX = 10_000_000;

interface Answer {
  status: number;
  body: JsonObject | string;
  headers?: Record<string, string>;
}

function rateLimited(seconds: number): Answer {
  return { status: 429, body: { ok: false, error: 'ratelimited' }, headers: { 'retry-after': String(seconds) } };
}

/** The workspace that a call is for, by its token. @throws Refusal */
function worldFor(first: World, method: Method, raw: JsonObject, token: string): World {
  if (method.token === 'none') return first;
  const { app } = first;
  if (token === '') throw new Refusal('not_authed');
  const found = app.tokens.find(token);
  if (!found && token !== app.appToken) throw new Refusal('invalid_auth');
  if ((method.token === 'app') === (found !== null)) throw new Refusal('not_allowed_token_type');
  if (!found) return checkedWorld(first);
  const { grant, state } = found;
  if (state === 'expired') throw new Refusal('token_expired');
  if (state === 'revoked') throw new Refusal(app.tokens.isInstalled(grant.id) ? 'token_revoked' : 'account_inactive');
  const worlds = worldsOf(app, grant.id).filter(({ installedAs }) => installedAs === grant.id);
  const [only] = worlds;
  if (!only) throw new Refusal('account_inactive');
  return checkedWorld(grant.id.startsWith('E') ? worldOfOrganisation(worlds, method, raw) : only);
}

function checkedWorld(world: World): World {
  if (world.revoked !== null) throw new Refusal(world.revoked);
  return world;
}

/** An org-wide token acts in many workspaces: `team_id` tells which, else whatever the call names. */
function worldOfOrganisation(worlds: readonly World[], { needsTeam = false }: Method, raw: JsonObject): World {
  const [first] = worlds;
  const team = typeof raw.team_id === 'string' && raw.team_id !== '' ? raw.team_id : null;
  if (team === null && needsTeam) {
    const messages = ['[ERROR] missing required field: team_id [json-pointer:/]'];
    throw new Refusal('missing_argument', { messages });
  }
  const named = (world: World) => {
    const { users, channels, files, stacks } = world.workspace;
    const ids = [raw.channel, raw.channel_id, raw.user, raw.user_id, raw.file, raw.view_id, raw.users]
      .filter((id) => typeof id === 'string')
      .flatMap((id) => id.split(','));
    return (
      ids.some((id) => users.has(id) || channels.has(id) || files.has(id) || world.workspace.findChannel(id)) ||
      [...stacks.values()].flat().some((view) => ids.includes(view.id)) ||
      (typeof raw.trigger_id === 'string' && world.triggers.has(raw.trigger_id))
    );
  };
  const found =
    team === null ? (worlds.find(named) ?? first) : worlds.find((world) => world.workspace.team.id === team);
  if (!found) throw new Refusal('team_access_not_granted');
  return found;
}

function answerCall(first: World, name: string, raw: JsonObject, token: string): Answer {
  const method = METHODS.get(name);
  try {
    if (!method) throw new Refusal('unknown_method', { extra: { req_method: name } });
    const world = worldFor(first, method, raw, token);
    const channel = raw.channel ?? raw.channel_id;
    const wait = world.limits.takeCall(name, method.tier, typeof channel === 'string' ? channel : '', world.now());
    if (wait !== null) return rateLimited(wait);
    requireScope(world, method.scopes);
    const body = method.run({ world, args: new Args(raw), token });
    const scopes = {
      'x-oauth-scopes': [...world.scopes].join(','),
      'x-accepted-oauth-scopes': method.scopes.join(','),
    };
    return { status: 200, body: { ok: true, ...body }, headers: scopes };
  } catch (error) {
    if (error instanceof Refusal) return { status: 200, body: error.body };
    throw error;
  }
}

function faultAnswer(world: World, name: string, fault: CallFault): Answer | null {
  switch (fault.kind) {
    case 'ratelimited':
      world.limits.countRefusal(name);
      return rateLimited(fault.retryAfter ?? 1);
    case 'ok_false':
      return { status: 200, body: { ok: false, error: fault.error ?? 'internal_error' } };
    case 'http_500':
      return { status: 500, body: 'Internal Server Error' };
    case 'html':
      return { status: 200, body: '<!DOCTYPE html><html><body>Something went wrong</body></html>' };
    default:
      return null;
  }
}

function redact(raw: JsonObject): JsonObject {
  return 'token' in raw ? { ...raw, token: '[redacted]' } : raw;
}

/** One Web API call: token, fault, limit, scope, arguments, in that order; everything is logged. */
export async function serveWebApi(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const name = url.pathname.replace('/api/', '');
  const at = world.now();
  const started = performance.now();
  let body: Buffer;
  try {
    body = await readBody(request, BODY_MAX);
  } catch (error) {
    if (!(error instanceof BodyTooLarge)) throw error;
    response.writeHead(413, { 'content-type': 'text/plain', connection: 'close' }).end('too large');
    return;
  }
  const raw = await parseArguments(request, url, body);
  const logCall = (status: number, result: unknown, fault?: CallFault) => {
    const ms = Math.round(performance.now() - started);
    const effectAt = world.now();
    const call = { type: 'call' as const, at, method: name, args: redact(raw ?? {}), effectAt, bytes: body.length };
    const entry = { ...call, status, answer: result, ms };
    const logged = world.log.addEntry(fault ? { ...entry, fault: fault.kind } : entry, body.length + 2_000);
    world.onCall?.(logged);
  };
  const waitHalfLatency = async () => {
    if (world.latencyMs > 0) await new Promise<void>((done) => world.runAfter(world.latencyMs / 2, done));
  };
  const sendAnswer = async ({ status, body: result, headers }: Answer, fault?: CallFault) => {
    logCall(status, result, fault);
    await waitHalfLatency();
    if (response.destroyed) return;
    const json = typeof result !== 'string';
    response.writeHead(status, {
      'content-type': json ? 'application/json; charset=utf-8' : 'text/html; charset=utf-8',
      ...headers,
    });
    response.end(json ? JSON.stringify(result) : result);
  };
  const resetConnection = (result: unknown, fault: CallFault) => {
    logCall(0, result, fault);
    request.socket.destroy();
  };

  await waitHalfLatency();
  const fault = world.faults.takeFault(name);
  if (fault?.kind === 'reset_before') return resetConnection(null, fault);
  if (fault?.kind === 'delay') await new Promise<void>((done) => world.runAfter(fault.ms ?? 1000, done));
  const faulty = fault && faultAnswer(world, name, fault);
  if (faulty) return sendAnswer(faulty, fault);
  if (raw === null) return sendAnswer({ status: 200, body: { ok: false, error: 'invalid_json' } });

  const [scheme = '', given = ''] = (request.headers.authorization ?? '').split(' ');
  const token = /^bearer$/i.test(scheme) && given !== '' ? given : typeof raw.token === 'string' ? raw.token : '';
  if (/^basic$/i.test(scheme)) {
    const [client_id = '', client_secret = ''] = Buffer.from(given, 'base64').toString().split(':');
    Object.assign(raw, { client_id, client_secret });
  }
  const result = answerCall(world, name, raw, token);
  if (fault?.kind === 'reset_after') return resetConnection(result.body, fault);
  return sendAnswer(result, fault ?? undefined);
}
