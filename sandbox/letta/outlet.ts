import { envelope } from './frames.ts';
import type { Json, Runtime } from './types.ts';

export const runtimeKey = (runtime: Runtime): string => `${runtime.agent_id}/${runtime.conversation_id}`;

export interface OutletOptions {
  readonly deliver: (frame: Json) => void;
  /** Everything or only runtimes it has named: the device's socket to the router, or a client of the App Server. */
  readonly everything?: boolean;
  /**
   * Asked before an event is numbered: false loses it without a gap, as a device without a link does
   * (docs/letta-protocol.md, Envelope, order, duplicates).
   */
  readonly admit?: (type: string) => boolean;
}

/** One connection that frames go out on: numbers the events and remembers who listens to what. */
export class Outlet {
  readonly #options: OutletOptions;
  readonly #runtimes = new Set<string>();
  /** The last device status sent per runtime: an unchanged one is left out of a sync that does not force it. */
  readonly shownStatus = new Map<string, string>();
  readonly everything: boolean;
  #eventSeq = 0;
  /** Runtimes whose whole state went out here at least once. */
  readonly replayed = new Set<string>();
  closed = false;

  constructor(options: OutletOptions) {
    this.#options = options;
    this.everything = options.everything === true;
  }

  subscribe(runtime: Runtime): void {
    this.#runtimes.add(runtimeKey(runtime));
  }

  hears(runtime: Runtime): boolean {
    return !this.closed && (this.everything || this.#runtimes.has(runtimeKey(runtime)));
  }

  emit(type: string, body: Json, runtime: Runtime): void {
    if (this.closed || this.#options.admit?.(type) === false) return;
    this.#eventSeq += 1;
    this.#options.deliver(envelope(type, body, runtime, this.#eventSeq));
  }

  reply(frame: Json): void {
    if (this.closed || this.#options.admit?.('reply') === false) return;
    this.#options.deliver(frame);
  }
}
