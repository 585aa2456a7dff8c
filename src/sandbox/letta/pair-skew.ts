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
 * A paired device speaks on two sockets. What goes over its stream socket may arrive after what it said later on its
 * control socket, or before: every other `turn_finished` overtakes the last deltas, the rest come after the device
 * status that follows them (trace h07). Order within one socket is kept.
 */
export class PairSkew {
  readonly #route: (frame: Json) => void;
  readonly #paired: boolean;
  readonly #timers = new Set<NodeJS.Timeout>();
  #turns = 0;

  constructor(route: (frame: Json) => void, paired: boolean) {
    this.#route = route;
    this.#paired = paired;
  }

  deliver(frame: Json): void {
    if (!this.#paired) return this.#route(frame);
    if (STREAM.has(String(frame.type))) return this.#later(frame, LATE);
    if (frame.type === 'turn_finished') this.#turns += 1;
    const late = frame.type === 'turn_finished' && this.#turns % 2 === 1;
    if (late) this.#later(frame, LATE * 2);
    else this.#route(frame);
  }

  /** Timers of one length fire in the order they were set. */
  #later(frame: Json, ms: number): void {
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
