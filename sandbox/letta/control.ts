import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Fault, readFault } from './faults.ts';
import { isJson, type Json } from './types.ts';

const MAX_BODY = 100_000;

interface ControlActs {
  readonly addFault: (fault: Fault) => void;
  readonly state: () => Json;
  readonly log: () => unknown;
  readonly reset: () => void;
}

export const isControl = (request: IncomingMessage): boolean => (request.url ?? '').startsWith('/_control/');

/**
 * The control API for tests. Any web page could call it, so it accepts only this machine, no foreign Host or Origin,
 * and only JSON.
 */
export async function handleControl(
  request: IncomingMessage,
  response: ServerResponse,
  acts: ControlActs,
): Promise<void> {
  const answer = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const refusal = problemOf(request);
  if (refusal) return answer(refusal[0], { error: refusal[1] });
  const route = `${request.method} ${request.url?.split('?')[0]}`;
  if (route === 'GET /_control/state') return answer(200, acts.state());
  if (route === 'GET /_control/log') return answer(200, acts.log());
  if (route !== 'POST /_control/faults' && route !== 'POST /_control/reset') return answer(404, { error: 'not found' });
  const body = await readJson(request);
  if (!body) return answer(400, { error: 'the body must be a JSON object' });
  if (route === 'POST /_control/reset') {
    acts.reset();
    return answer(200, { ok: true });
  }
  const fault = readFault(body);
  if (typeof fault === 'string') return answer(400, { error: fault });
  acts.addFault(fault);
  answer(200, { ok: true });
}

function problemOf(request: IncomingMessage): [number, string] | null {
  const from = request.socket.remoteAddress ?? '';
  if (!['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(from)) return [403, 'this machine only'];
  if (!isLocal(`http://${request.headers.host}`)) return [403, 'foreign Host'];
  const { origin } = request.headers;
  if (origin !== undefined && !isLocal(origin)) return [403, 'foreign Origin'];
  const type = request.headers['content-type'] ?? '';
  if (request.method === 'POST' && !/^application\/json\b/i.test(type)) return [415, 'the body must be JSON'];
  return null;
}

function isLocal(url: string): boolean {
  return URL.canParse(url) && ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname);
}

async function readJson(request: IncomingMessage): Promise<Json | null> {
  let raw = '';
  for await (const part of request) {
    raw += String(part);
    if (raw.length > MAX_BODY) return null;
  }
  try {
    const parsed: unknown = JSON.parse(raw === '' ? '{}' : raw);
    return isJson(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
