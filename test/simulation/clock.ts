import type { Clock, Timer } from '../../src/bridge/ports.ts';

interface Entry {
  at: number;
  order: number;
  run: (() => void) | null;
}

/** A clock for one process: after `cutOff` none of its timers fires. */
export interface ScopedClock extends Clock {
  cutOff(): void;
  /** Timers that still wait. */
  waitingTimers(): number;
}

/**
 * Time that jumps from one event to the next. Events of the same ms run in the order in which they were set; after each
 * event all settled promises continue before the next one.
 */
export class VirtualClock implements Clock {
  readonly start = Date.UTC(2026, 0, 5, 9, 0, 0);
  #now = this.start;
  #order = 0;
  #events = 0;
  /** A binary heap. */
  readonly #heap: Entry[] = [];

  get events(): number {
    return this.#events;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.start;
  }

  after(ms: number, run: () => void): Timer {
    const entry: Entry = { at: this.#now + Math.max(1, Math.ceil(ms)), order: this.#order, run };
    this.#order += 1;
    this.#pushEntry(entry);
    return {
      cancel() {
        entry.run = null;
      },
    };
  }

  scopedClock(): ScopedClock {
    let open = true;
    let waiting = 0;
    return {
      now: () => this.#now,
      monotonic: () => this.monotonic(),
      after: (ms, run) => {
        let done = false;
        const countDown = () => {
          if (!done) waiting -= 1;
          done = true;
        };
        waiting += 1;
        const timer = this.after(ms, () => {
          countDown();
          if (open) run();
        });
        return {
          cancel() {
            countDown();
            timer.cancel();
          },
        };
      },
      cutOff() {
        open = false;
      },
      waitingTimers: () => waiting,
    };
  }

  /** Lets everything happen that is due until `until` (ms since 1970). */
  async runUntil(until: number): Promise<void> {
    await settlePromises();
    for (let next = this.#heap[0]; next && next.at <= until; next = this.#heap[0]) {
      this.#popEntry();
      if (!next.run) continue;
      this.#now = Math.max(this.#now, next.at);
      this.#events += 1;
      next.run();
      await settlePromises();
    }
    this.#now = Math.max(this.#now, until);
  }

  #pushEntry(entry: Entry): void {
    const heap = this.#heap;
    heap.push(entry);
    for (let at = heap.length - 1; at > 0; ) {
      const up = (at - 1) >> 1;
      if (!swapIf(heap, up, at)) break;
      at = up;
    }
  }

  #popEntry(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      const next = right < heap.length && isBefore(heap[right], heap[left]) ? right : left;
      if (next >= heap.length || !swapIf(heap, at, next)) break;
      at = next;
    }
  }
}

function isBefore(a: Entry | undefined, b: Entry | undefined): boolean {
  if (!a || !b) return false;
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}

/** Puts the earlier one up. */
function swapIf(heap: Entry[], up: number, down: number): boolean {
  const [a, b] = [heap[up], heap[down]];
  if (!a || !b || !isBefore(b, a)) return false;
  heap[up] = b;
  heap[down] = a;
  return true;
}

/** Waits one turn of the event loop, so that every settled promise has continued. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
