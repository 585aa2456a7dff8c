import { envelope } from './frames.ts';
import type { Json, Runtime } from './types.ts';

export const runtimeKey = (runtime: Runtime): string => `${runtime.agent_id}/${runtime.conversation_id}`;

export interface OutletOptions {
  readonly deliver: (frame: Json) => void;
  /**
   * True for a device's socket to the router, which hears everything; false for an App Server's client, which hears the
   * runtimes it named.
   */
  readonly hearsEverything?: boolean;
  /**
   * Asked before an event gets its number: false drops it without a gap in the numbers, as a device without a link does
   * (docs/letta-protocol.md, Envelope, order, duplicates).
   */
  readonly mayPass?: (type: string) => boolean;
}

/** One outgoing connection: numbers its events and knows which runtimes it listens to. */
export class Outlet {
  readonly #options: OutletOptions;
  readonly #runtimes = new Set<string>();
  /** The last device status sent per runtime; a sync that does not force it skips an unchanged one. */
  readonly lastStatus = new Map<string, string>();
  readonly hearsEverything: boolean;
  #eventSeq = 0;
  /** Runtimes whose state was replayed here at least once. */
  readonly replayedRuntimes = new Set<string>();
  isClosed = false;

  constructor(options: OutletOptions) {
    this.#options = options;
    this.hearsEverything = options.hearsEverything === true;
  }

  subscribe(runtime: Runtime): void {
    this.#runtimes.add(runtimeKey(runtime));
  }

  hears(runtime: Runtime): boolean {
    return !this.isClosed && (this.hearsEverything || this.#runtimes.has(runtimeKey(runtime)));
  }

  emitEvent(type: string, body: Json, runtime: Runtime): void {
    if (this.isClosed || this.#options.mayPass?.(type) === false) return;
    this.#eventSeq += 1;
    this.#options.deliver(envelope(type, body, runtime, this.#eventSeq));
  }

  sendReply(frame: Json): void {
    if (this.isClosed || this.#options.mayPass?.('reply') === false) return;
    this.#options.deliver(frame);
  }
}
