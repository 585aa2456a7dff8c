import type { LogEntry as Frame } from '../letta/frame-log.ts';
import type { CallEntry, EnvelopeEntry } from '../slack/log.ts';
import { isObject } from '../slack/model.ts';
import type { TrafficLine } from './wire.ts';

type Line = Omit<TrafficLine, 'id'>;

const DETAIL = 6_000;
const ABOUT = 90;

/** Values for people: pretty, and never more than a screen or two. */
function detailOf(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? '';
  return text.length <= DETAIL ? text : `${text.slice(0, DETAIL)}\n… ${text.length - DETAIL} more characters`;
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= ABOUT ? line : `${line.slice(0, ABOUT - 1)}…`;
}

const words = (value: unknown) => (typeof value === 'string' ? value : '');

/** Arguments as given; forms carry blocks and views as JSON text. */
function parseArguments(args: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const read = (value: unknown): unknown => {
    if (typeof value !== 'string' || !/^[[{]/.test(value)) return value;
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  };
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, read(value)]));
}

/** A Web API call of the bridge. */
export function callLine({ at, method, args, status, answer, ms, fault }: CallEntry): Line {
  const given = parseArguments(args);
  const refused = isObject(answer) && answer.ok === false ? words(answer.error) : '';
  const result = status === 0 ? 'connection reset' : `${refused === '' ? status : `${status} ${refused}`} · ${ms} ms`;
  return {
    at,
    kind: 'call',
    dir: 'out',
    title: method,
    about: short(words(given.text) || words(given.status) || words(given.name) || words(given.channel)),
    result: fault === undefined ? result : `${result} (fault: ${fault})`,
    tone: status !== 200 || refused !== '' ? 'bad' : 'good',
    detail: detailOf({ args: given, answer }),
  };
}

function envelopeAbout({ kind, payload }: EnvelopeEntry): { title: string; about: string } {
  if (kind === 'events_api' && isObject(payload.event)) {
    const { type, subtype, text, tab } = payload.event;
    return { title: [type, subtype].filter(Boolean).map(String).join(' '), about: words(text) || words(tab) };
  }
  if (kind === 'slash_commands')
    return { title: 'slash command', about: `${words(payload.command)} ${words(payload.text)}` };
  const [action] = Array.isArray(payload.actions) ? payload.actions : [];
  const label = isObject(action) && isObject(action.text) ? words(action.text.text) : '';
  const view = isObject(payload.view) ? words(payload.view.callback_id) : '';
  return { title: words(payload.type), about: label || view };
}

/** An envelope of Slack; the same one again once it is acked or given up. */
export function envelopeLine(entry: EnvelopeEntry): Line {
  const { title, about } = envelopeAbout(entry);
  const acked = entry.outcome === 'acked';
  const again = entry.retry_attempt > 0 ? ` (retry ${entry.retry_attempt}: ${entry.retry_reason})` : '';
  const outcome = acked ? `acked · ${Math.round(entry.ackMs ?? 0)} ms` : entry.outcome.replace('_', ' ');
  return {
    at: entry.at,
    kind: 'envelope',
    dir: 'in',
    title,
    about: short(about),
    result: outcome + again,
    tone: acked ? 'good' : entry.outcome === 'pending' ? 'waits' : 'bad',
    detail: detailOf({
      envelope_id: entry.envelope_id,
      transport: entry.transport,
      payload: entry.payload,
      ack: entry.ackPayload,
    }),
  };
}

/** A frame on one of Letta's sockets, which are numbered. */
export function frameLine({ at, dir, socket, frame }: Frame): Line {
  const base = { at, kind: 'frame', dir: dir === 'in' ? 'out' : 'in', result: `socket ${socket}` } as const;
  if (dir === 'open' || dir === 'close') {
    const title = dir === 'open' ? 'connected' : 'disconnected';
    return { ...base, title, about: '', tone: dir === 'open' ? 'good' : 'bad', detail: '' };
  }
  if (!isObject(frame)) return { ...base, title: '(no frame)', about: '', tone: 'bad', detail: detailOf(frame) };
  const delta = isObject(frame.delta) ? frame.delta : {};
  const payload = isObject(frame.payload) ? frame.payload : {};
  const kind = words(delta.message_type) || words(payload.kind) || words(frame.event) || words(frame.status);
  return {
    ...base,
    title: words(frame.type) || '(untyped)',
    about: short([kind, words(delta.content)].filter(Boolean).join(': ')),
    tone: 'plain',
    detail: detailOf(frame),
  };
}
