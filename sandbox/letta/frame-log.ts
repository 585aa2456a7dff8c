import type { Json } from './types.ts';

const MAX_ENTRIES = 1000;

export interface LogEntry {
  readonly at: number;
  readonly dir: 'in' | 'out' | 'open' | 'close';
  readonly socket: number;
  readonly frame?: unknown;
}

/** The last frames over any socket. Of a device status only the type is kept, because statuses are long and alike. */
export class FrameLog {
  #entries: LogEntry[] = [];

  add(dir: LogEntry['dir'], socket: number, frame?: unknown): void {
    this.#entries.push({ at: Date.now(), dir, socket, ...(frame === undefined ? {} : { frame: brief(frame) }) });
    if (this.#entries.length > MAX_ENTRIES * 2) this.#entries = this.#entries.slice(-MAX_ENTRIES);
  }

  get entries(): readonly LogEntry[] {
    return this.#entries.slice(-MAX_ENTRIES);
  }

  clear(): void {
    this.#entries = [];
  }
}

function brief(frame: unknown): unknown {
  if (typeof frame !== 'object' || frame === null) return frame;
  const { type, runtime } = frame as Json;
  return type === 'update_device_status' ? { type, runtime } : frame;
}
