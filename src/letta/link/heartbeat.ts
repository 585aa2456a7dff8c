import type { Clock, Timer } from '../../bridge/ports.ts';

export interface HeartbeatOptions {
  clock: Clock;
  everyMs: number;
  /** Dead when nothing at all came for this long. */
  deadAfterMs: number;
  ping(): void;
  /** Called once. */
  dead(): void;
}

export interface Heartbeat {
  /** Something came from the other side; whatever it was, it lives. */
  alive(): void;
  stop(): void;
}

export function startHeartbeat({ clock, everyMs, deadAfterMs, ping, dead }: HeartbeatOptions): Heartbeat {
  let lastSign = clock.monotonic();
  let pinging: Timer;
  let watching: Timer;
  const stop = () => {
    pinging.cancel();
    watching.cancel();
  };
  const tick = () => {
    pinging = clock.after(everyMs, tick);
    ping();
  };
  const watch = () => {
    const left = lastSign + deadAfterMs - clock.monotonic();
    if (left > 0) {
      watching = clock.after(left, watch);
      return;
    }
    stop();
    dead();
  };
  pinging = clock.after(everyMs, tick);
  watching = clock.after(deadAfterMs, watch);
  return {
    alive() {
      lastSign = clock.monotonic();
    },
    stop,
  };
}
