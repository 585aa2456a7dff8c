import { envelope } from './frames.ts';
import type { Json, Runtime } from './types.ts';

export const runtimeKey = (runtime: Runtime): string => `${runtime.agent_id}/${runtime.conversation_id}`;

export interface OutletOptions {
  readonly deliver: (frame: Json) => void;
  /** Everything or only runtimes it has named: the device's socket to the router, or a client of the App Server. */
  readonly hearsEverything?: boolean;
  /**
   * Asked before an event is numbered: false loses it without a gap, as a device without a link does
   * (docs/letta-protocol.md, Envelope, order, duplicates).
   */
  readonly mayPass?: (type: string) => boolean;
}

/** One connection that frames go out on: numbers the events and remembers who listens to what. */
export class Outlet {
  readonly #options: OutletOptions;
  readonly #runtimes = new Set<string>();
  /** The last device status sent per runtime: an unchanged one is left out of a sync that does not force it. */
  readonly lastStatus = new Map<string, string>();
  readonly hearsEverything: boolean;
  #eventSeq = 0;
  /** Runtimes whose whole state went out here at least once. */
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
