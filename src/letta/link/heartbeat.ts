import type { Clock, Timer } from '../../bridge/ports.ts';

export interface HeartbeatOptions {
  clock: Clock;
  everyMs: number;
  /** The other side counts as dead when nothing came for this long. */
  deadAfterMs: number;
  sendPing(): void;
  /** Called once. */
  onDead(): void;
}

export interface Heartbeat {
  /** Call it whenever anything comes from the other side. */
  noteSignOfLife(): void;
  stop(): void;
}

export function startHeartbeat({ clock, everyMs, deadAfterMs, sendPing, onDead }: HeartbeatOptions): Heartbeat {
  let lastSign = clock.monotonic();
  let pinging: Timer;
  let watching: Timer;
  const stop = () => {
    pinging.cancel();
    watching.cancel();
  };
  const pingAndRepeat = () => {
    pinging = clock.after(everyMs, pingAndRepeat);
    sendPing();
  };
  const checkSilence = () => {
    const left = lastSign + deadAfterMs - clock.monotonic();
    if (left > 0) {
      watching = clock.after(left, checkSilence);
      return;
    }
    stop();
    onDead();
  };
  pinging = clock.after(everyMs, pingAndRepeat);
  watching = clock.after(deadAfterMs, checkSilence);
  return {
    noteSignOfLife() {
      lastSign = clock.monotonic();
    },
    stop,
  };
}
