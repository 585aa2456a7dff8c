import type { Json } from './types.ts';

const STREAM = new Set([
  'stream_delta',
  'update_device_status',
  'update_loop_status',
  'update_queue',
  'update_subagent_state',
]);
const LATE = 4;

/**
 * A paired device sends on two sockets, which are not ordered against each other. Here every other `turn_finished`
 * comes late, after the device status that follows it (trace h07); the others overtake the last deltas. Order within
 * the stream socket is kept.
 */
export class PairSkew {
  readonly #route: (frame: Json) => void;
  readonly #isPaired: boolean;
  readonly #timers = new Set<NodeJS.Timeout>();
  #turns = 0;

  constructor(route: (frame: Json) => void, paired: boolean) {
    this.#route = route;
    this.#isPaired = paired;
  }

  deliverFrame(frame: Json): void {
    const wait = this.#delayOf(String(frame.type));
    if (wait === 0) this.#route(frame);
    else this.#routeLater(frame, wait);
  }

  #delayOf(type: string): number {
    if (!this.#isPaired) return 0;
    if (STREAM.has(type)) return LATE;
    if (type !== 'turn_finished') return 0;
    this.#turns += 1;
    return this.#turns % 2 === 1 ? LATE * 2 : 0;
  }

  /** Timers of one length fire in the order they were set. */
  #routeLater(frame: Json, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#route(frame);
    }, ms);
    this.#timers.add(timer);
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
