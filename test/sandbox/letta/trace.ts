import { readFileSync } from 'node:fs';

export interface TraceLine {
  readonly t: number;
  readonly dir: string;
  readonly sock?: string;
  readonly frame?: Record<string, unknown>;
  readonly raw?: string;
  readonly text?: string;
  readonly url?: string;
  readonly code?: number;
  readonly request?: string;
  readonly headers?: Record<string, string>;
  readonly auth?: boolean;
  readonly body?: unknown;
  readonly response?: unknown;
  readonly status?: number;
  readonly message?: string;
}

export type Frame = Record<string, unknown>;

export function readTrace(name: string): TraceLine[] {
  const path = new URL(`../../fixtures/letta/${name}.jsonl`, import.meta.url);
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as TraceLine);
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const DATE = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

/** What the real server tells the model about its surroundings; the double only says that it would. */
const REMINDER = /<system-reminder>(\\n)? ?(This is an automated|MCP servers).*?<\/system-reminder>/g;

/** Renames generated ids by the order in which a reader first meets them. */
function createRenamer(): (text: string) => string {
  const kinds = new Map<string, Map<string, string>>();
  const rename = (kind: string, id: string): string => {
    const known = kinds.get(kind) ?? new Map<string, string>();
    kinds.set(kind, known);
    if (!known.has(id)) known.set(id, `${kind}#${known.size + 1}`);
    return known.get(id) ?? id;
  };
  return (text) =>
    text
      .replace(DATE, 'DATE')
      .replace(/local-run-\d+/g, (id) => rename('run', id))
      .replace(/ui-msg-\d+/g, (id) => rename('item', id))
      .replace(/letta-msg-\d+/g, (id) => rename('delta', id))
      .replace(/(bash|task)_\d+/g, (id) => rename('task', id))
      .replace(/subagent-\d+-1/g, (id) => rename('subagent', id))
      .replace(REMINDER, '<system-reminder>…</system-reminder>')
      .replace(/duration_ms: \d+/g, 'duration_ms: *')
      .replace(UUID, 'UUID');
}

/** Text deltas of one message in a row are one; the numbering inside is checked apart. */
function mergeText(frames: readonly Frame[]): Frame[] {
  const merged: Frame[] = [];
  for (const frame of frames) {
    const delta = frame.delta as Frame | undefined;
    const kind = delta?.message_type;
    const isText = kind === 'assistant_message' || kind === 'reasoning_message';
    const before = merged.at(-1)?.delta as Frame | undefined;
    if (delta && isText && before && before.message_type === kind && before.id === delta.id) {
      if (kind === 'reasoning_message') before.reasoning = `${before.reasoning}${delta.reasoning}`;
      else before.content = [{ type: 'text', text: textOf(before) + textOf(delta) }];
      continue;
    }
    merged.push(structuredClone(frame));
  }
  return merged;
}

export function textOf(delta: Frame): string {
  const content = delta.content as { text: string }[];
  return content.map((part) => part.text).join('');
}

const LISTS = ['available_toolsets', 'current_available_skills', 'experiments'];
const TIMES = new Set(['started_at_ms', 'start_time', 'duration_ms', 'total_tokens', 'connectedAt', 'cwd_revision']);

/** Leaves out what differs from run to run and from machine to machine; every key stays. */
function neutral(key: string, value: unknown): unknown {
  if (TIMES.has(key) || LISTS.includes(key)) return '*';
  if (key === 'event_seq' || key === 'idempotency_key' || key === 'seq' || key === 'seq_id') return '*';
  if (key === 'current_connection_id' || key === 'connection_name' || key === 'memory_directory') return '*';
  if (key === 'current_toolset' || key === 'current_loaded_tools' || key === 'background_processes') return '*';
  // The list of models is an installation's own.
  if (key === 'entries' || key === 'byok_provider_aliases') return '*';
  // A fresh agent has these empty until its first turn; nothing a client does depends on them.
  if (key === 'last_run_completion' || key === 'llm_config' || key === 'model_settings' || key === 'tags') return '*';
  return value;
}

export interface NormaliseOptions {
  /** For slow answers that something happens in the middle of: how many words came before it depends on the clock. */
  readonly hideWords?: boolean;
  /** For several things that go on at once: each is compared by itself, in its own order. */
  readonly apart?: (frame: Frame) => string;
  /** Null leaves the frame out. */
  readonly edit?: (frame: Frame) => Frame | null;
  /** For what was delivered again: the first delivery counts. */
  readonly once?: boolean;
}

const isStatus = (type: unknown) =>
  type === 'update_loop_status' || type === 'update_device_status' || type === 'update_queue';

/** What was said on one socket, as one line per step: two recordings of the same story give the same lines. */
export function normalise(frames: readonly Frame[], options: NormaliseOptions = {}): string[] {
  const { apart, once } = options;
  const counted = once
    ? [...new Map(frames.toReversed().map((frame) => [frame.seq, frame])).values()].reverse()
    : frames;
  if (!apart) return normaliseOne(counted, options);
  const strands = Object.entries(Object.groupBy(counted, apart)).sort(([a], [b]) => (a < b ? -1 : 1));
  return strands.flatMap(([name, strand = []]) => [name, ...normaliseOne(strand, options)]);
}

function normaliseOne(frames: readonly Frame[], options: NormaliseOptions): string[] {
  const rename = createRenamer();
  const lines: string[] = [];
  let last: { type: unknown; line: string } | undefined;
  for (const frame of mergeText(frames)) {
    const edited = options.edit ? options.edit(frame) : frame;
    if (edited === null) continue;
    const named = rename(JSON.stringify(edited, (key, value) => neutral(key, value)));
    const shown = options.hideWords ? named.replace(/"(?: ?word\d+)+"/g, '"words"') : named;
    const line = JSON.stringify(sorted(JSON.parse(shown)));
    const isRepeat = isStatus(frame.type) && last?.type === frame.type && last.line === line;
    const grows =
      frame.type === 'update_queue' &&
      last?.type === 'update_queue' &&
      last.line.includes('"removed":[]') &&
      line.includes('"removed":[]') &&
      !line.includes('"queue":[]');
    if (grows) lines.pop();
    if (!isRepeat) lines.push(line);
    last = { type: frame.type, line };
  }
  return lines;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}
