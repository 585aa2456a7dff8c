import type { Envelope } from './transport.ts';

export type ParsedBody =
  | { kind: 'envelope'; envelope: Pick<Envelope, 'kind' | 'body'> }
  /** Slack checks the request URL; it wants the challenge back. */
  | { kind: 'challenge'; challenge: string }
  | { kind: 'ssl_check' }
  | { kind: 'malformed' };

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function parseForm(text: string): ParsedBody {
  const form = new URLSearchParams(text);
  if (form.get('ssl_check') === '1') return { kind: 'ssl_check' };
  const payload = form.get('payload');
  if (payload !== null) {
    const body = parseJson(payload);
    return body ? { kind: 'envelope', envelope: { kind: 'interactive', body } } : { kind: 'malformed' };
  }
  if (!form.has('command')) return { kind: 'malformed' };
  return { kind: 'envelope', envelope: { kind: 'slash_commands', body: Object.fromEntries(form) } };
}

/**
 * Parses a request of Slack by its content type, ignoring parameters that a proxy may have added (docs/slack.md,
 * Hazards: Content type).
 */
export function parseBody(contentType: string | undefined, text: string): ParsedBody {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/x-www-form-urlencoded') return parseForm(text);
  if (type !== 'application/json') return { kind: 'malformed' };
  const body = parseJson(text);
  if (!body) return { kind: 'malformed' };
  if (body.type !== 'url_verification') return { kind: 'envelope', envelope: { kind: 'events_api', body } };
  return typeof body.challenge === 'string' ? { kind: 'challenge', challenge: body.challenge } : { kind: 'malformed' };
}
