import type { JsonObject } from './model.ts';

export interface CallEntry {
  type: 'call';
  /** ms since 1970 */
  at: number;
  method: string;
  args: JsonObject;
  /** HTTP status; 0 when the connection was reset instead. */
  status: number;
  answer: unknown;
  /** ms to make the answer, without the simulated latency. */
  ms: number;
  /** When it took effect: from then on its writes are visible. */
  effectAt: number;
  /** Of the request's body. */
  bytes: number;
  fault?: string;
}

export interface EnvelopeEntry {
  type: 'envelope';
  at: number;
  kind: 'events_api' | 'interactive' | 'slash_commands';
  envelope_id: string;
  transport: 'socket' | 'http';
  /** Which socket it went to; null when there was none. */
  connection: number | null;
  retry_attempt: number;
  retry_reason: string;
  payload: JsonObject;
  outcome: 'pending' | 'acked' | 'timeout' | 'connection_failed' | 'http_error';
  /** ms from sending to the ack, also of one that came too late; null while there is none. */
  ackMs: number | null;
  ackPayload: unknown;
  /** Slack will not send it again. */
  final: boolean;
}

/** Somebody fetched `url_private`. */
export interface DownloadEntry {
  type: 'download';
  at: number;
  /** Its id; empty when the path names none. */
  file: string;
  hasToken: boolean;
}

export type LogEntry = CallEntry | EnvelopeEntry | DownloadEntry;

const MAX_ENTRIES = 20_000;
const MAX_CHARS = 64_000_000;

/** Calls and envelopes, newest last; old entries are dropped by number and by size. */
export class Log {
  #entries: { entry: LogEntry; size: number }[] = [];
  #start = 0;
  #chars = 0;

  addEntry<E extends LogEntry>(entry: E, size: number): E {
    this.#entries.push({ entry, size });
    this.#chars += size;
    while (this.#entries.length - this.#start > MAX_ENTRIES || this.#chars > MAX_CHARS) {
      this.#chars -= this.#entries[this.#start]?.size ?? 0;
      this.#start += 1;
      if (this.#start >= this.#entries.length) break;
    }
    if (this.#start > MAX_ENTRIES) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
    return entry;
  }

  entries(): LogEntry[] {
    return this.#entries.slice(this.#start).map((item) => item.entry);
  }

  clear(): void {
    this.#entries = [];
    this.#start = 0;
    this.#chars = 0;
  }
}
