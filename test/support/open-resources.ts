import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** Closing takes a few turns of the event loop, on a busy machine many. */
const CLOSES_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 10;

/** Every timer that was set and neither fired nor was cleared, with the stack of who set it. */
const timers = new Map<unknown, string>();

// Node counts only timers that keep the process alive; those of the bridge's clock do not. So the functions that set and
// clear them are watched, once in each process.
globalThis.setTimeout = new Proxy(globalThis.setTimeout, {
  apply(set, self, [run, ms, ...rest]: [(...given: unknown[]) => unknown, ...unknown[]]) {
    const fire = (...given: unknown[]) => {
      timers.delete(timer);
      return run(...given);
    };
    const timer: unknown = Reflect.apply(set, self, [fire, ms, ...rest]);
    timers.set(timer, stackOf(`a timeout of ${ms} ms`));
    return timer;
  },
});
globalThis.setInterval = new Proxy(globalThis.setInterval, {
  apply(set, self, [run, ms, ...rest]: unknown[]) {
    const timer: unknown = Reflect.apply(set, self, [run, ms, ...rest]);
    timers.set(timer, stackOf(`an interval of ${ms} ms`));
    return timer;
  },
});
const forget: ProxyHandler<typeof clearTimeout> = {
  apply(clear, self, [timer]: unknown[]) {
    timers.delete(timer);
    Reflect.apply(clear, self, [timer]);
  },
};
globalThis.clearTimeout = new Proxy(globalThis.clearTimeout, forget);
globalThis.clearInterval = new Proxy(globalThis.clearInterval, forget);

function stackOf(what: string): string {
  const callers = new Error(what).stack?.split('\n').filter((line) => !line.includes(import.meta.filename)) ?? [];
  return callers
    .slice(0, 6)
    .join('\n')
    .replace(/^Error: /, '');
}

/**
 * Timers are told of by who set them; what runs at the end of this turn is over soon. Pipes belong to a child, which
 * counts itself, or to this process: Node opens them when its output is first used.
 */
const NOT_COUNTED: ReadonlySet<string> = new Set(['Timeout', 'Immediate', 'PipeWrap']);

/** How many servers, sockets, processes and the like keep this process alive, by kind. */
function countResources(): Map<string, number> {
  const counted = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (!NOT_COUNTED.has(kind)) counted.set(kind, (counted.get(kind) ?? 0) + 1);
  }
  return counted;
}

/** From now on: what is opened and not closed again. */
export function watchResources(): { leftOpen(within?: number): Promise<string[]> } {
  const before = countResources();
  const timersBefore = new Set(timers.keys());
  const look = () => {
    const left = [...timers].flatMap(([timer, stack]) => (timersBefore.has(timer) ? [] : [stack]));
    for (const [kind, count] of countResources()) {
      const more = count - (before.get(kind) ?? 0);
      if (more > 0) left.push(`${more} × ${kind}`);
    }
    return left;
  };
  return {
    async leftOpen(within = CLOSES_WITHIN_MS) {
      const until = performance.now() + within;
      // What was asked for in this turn of the event loop, such as a server's port, is there in the next one.
      await nextTurn();
      let left = look();
      while (left.length > 0 && performance.now() < until) {
        await sleep(LOOK_EVERY_MS);
        left = look();
      }
      return left;
    },
  };
}
