import type { Clock } from '../bridge/ports.ts';

/** A server or device starts so many runtimes at a time: more at once choke it, and all of them come late. */
const AT_ONCE = 3;
/** Those who wait are told of a new place at most this often. */
const TELLS_EVERY_MS = 3_000;

/** The starts of runtimes at one server or device, in the order in which they were asked for. */
export interface StartLine {
  /**
   * @param where the device; `null`: the one server
   * @param onPlace told the place among those who wait, from 1 on, and later how it changes
   */
  enter(where: string | null, onPlace: (place: number) => void): Place;
}

export interface Place {
  /** Resolves when it may start, and when it leaves. */
  readonly isNext: Promise<void>;
  readonly hadToWait: boolean;
  /** Call it when it has started or failed, or does not want to start any more. Twice is fine. */
  leave(): void;
}

interface Waiting {
  begin(): void;
  onPlace(place: number): void;
  toldAt: number;
}

export function createStartLine(clock: Pick<Clock, 'monotonic'>): StartLine {
  const lines = new Map<string, { inside: number; waiting: Waiting[] }>();

  return {
    enter(where, onPlace) {
      const key = where ?? '';
      const line = lines.get(key) ?? { inside: 0, waiting: [] };
      lines.set(key, line);
      const next = Promise.withResolvers<void>();
      let isOver = false;
      const hadToWait = line.inside >= AT_ONCE;
      const own: Waiting = { begin: next.resolve, onPlace, toldAt: clock.monotonic() };

      if (hadToWait) {
        line.waiting.push(own);
        onPlace(line.waiting.length);
      } else {
        line.inside += 1;
        next.resolve();
      }

      function tellPlaces(): void {
        line.waiting.forEach((other, index) => {
          if (clock.monotonic() - other.toldAt < TELLS_EVERY_MS) return;
          other.toldAt = clock.monotonic();
          other.onPlace(index + 1);
        });
      }

      return {
        isNext: next.promise,
        hadToWait,
        leave() {
          if (isOver) return;
          isOver = true;
          const at = line.waiting.indexOf(own);
          if (at >= 0) {
            line.waiting.splice(at, 1);
            next.resolve();
            return;
          }
          // The next one takes the place that is free now.
          const first = line.waiting.shift();
          if (first) first.begin();
          else line.inside -= 1;
          if (line.inside === 0) lines.delete(key);
          tellPlaces();
        },
      };
    },
  };
}
