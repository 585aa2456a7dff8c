import type { CallEntry } from '../../sandbox/slack/log.ts';
import { type Trace, wholeAt } from './trace.ts';

/** An edit of any message, as Slack counts it. */
export interface Edit {
  at: number;
  channel: string;
}

/** Records both ends of the app: words as they are written, and calls as they take effect. */
export class Recorder {
  readonly traces: Trace[] = [];
  readonly edits: Edit[] = [];
  /** Refused with 429, by method. */
  readonly limited: Record<string, number> = {};
  /** How the text of each native stream ends, by channel and ts: a word may come in two calls. */
  readonly #ends = new Map<string, string>();
  /** The turn that each message belongs to, by channel and ts. */
  readonly #messages = new Map<string, Trace>();
  readonly #current = new Map<string, Trace>();
  readonly #waiting = new Map<Trace, () => void>();
  readonly #now: () => number;

  /** @param now ms of the clock by which everything is recorded */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A person asks for so many words in that channel; one turn at a time in each. */
  noteAsked(channel: string, length: number): Trace {
    const trace: Trace = {
      channel,
      asked: this.#now(),
      length,
      words: [],
      shown: [],
      firstSign: null,
      calls: 0,
      bytes: 0,
    };
    this.traces.push(trace);
    this.#current.set(channel, trace);
    return trace;
  }

  /** One more word was written. */
  noteWord(channel: string): void {
    this.#current.get(channel)?.words.push(this.#now());
  }

  /** Resolves when all words of the turn can be seen. */
  waitUntilWhole(trace: Trace): Promise<void> {
    return wholeAt(trace) === null
      ? new Promise((resolve) => void this.#waiting.set(trace, resolve))
      : Promise.resolve();
  }

  noteCall(entry: CallEntry): void {
    const { method, args, status, bytes } = entry;
    if (status === 429) this.limited[method] = (this.limited[method] ?? 0) + 1;
    const channel = args.channel ?? args.channel_id;
    if (typeof channel !== 'string' || !/^(chat|assistant)\./.test(method)) return;
    const at = this.#now();
    const answer = entry.answer as { ok?: boolean; ts?: string } | null;
    const ts = typeof args.ts === 'string' ? args.ts : answer?.ts;
    const key = `${channel} ${ts}`;
    const trace = (ts === undefined ? undefined : this.#messages.get(key)) ?? this.#current.get(channel);
    if (!trace) return;
    trace.calls += 1;
    trace.bytes += bytes;
    if (answer?.ok !== true) return;
    if (method === 'chat.update') this.edits.push({ at, channel });
    if (ts !== undefined) this.#messages.set(key, trace);
    trace.firstSign ??= at;
    const words = method.endsWith('Stream') ? this.#lastStreamed(key, args) : lastWord(args);
    if (words <= (trace.shown.at(-1)?.words ?? 0)) return;
    trace.shown.push({ at, words });
    if (words >= trace.length) {
      this.#waiting.get(trace)?.();
      this.#waiting.delete(trace);
    }
  }

  #lastStreamed(key: string, args: Record<string, unknown>): number {
    const said = (this.#ends.get(key) ?? '') + streamedText(args);
    this.#ends.set(key, said.slice(-LONGEST_WORD));
    return lastWord({ text: said });
  }
}

const LONGEST_WORD = 24;

/** What a call adds to the text of a native stream. */
function streamedText({ markdown_text: markdown, chunks }: Record<string, unknown>): string {
  if (typeof markdown === 'string') return markdown;
  const list: unknown = typeof chunks === 'string' ? JSON.parse(chunks) : chunks;
  return (Array.isArray(list) ? list : []).map(({ text }: { text?: string }) => text ?? '').join('');
}

/** Up to which word the arguments of a call say something: the scripted agent counts its words. */
function lastWord(args: Record<string, unknown>): number {
  let last = 0;
  for (const name of ['text', 'blocks', 'markdown_text', 'chunks']) {
    const value = args[name];
    if (value === undefined) continue;
    const said = typeof value === 'string' ? value : JSON.stringify(value);
    for (const [, number] of said.matchAll(/word(\d+)/g)) last = Math.max(last, Number(number));
  }
  return last;
}
