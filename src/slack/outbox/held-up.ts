import type { Clock, Timer } from '../../bridge/ports.ts';
import type { Closed } from './refusal.ts';

/** Slack's word for a refusal, and how far the refusal reaches. */
export interface Obstacle {
  word: string;
  scope: Closed;
}

export interface HeldUpOptions {
  clock: Clock;
  /** Whether something waits that people must see: the end of a turn, or a card. */
  isHeldUp(): boolean;
  /** Why Slack refuses it; `null`: it does not, as far as we know. */
  findObstacle(): Obstacle | null;
  onHeldUp(by: Obstacle): void;
}

/** Tells once that people wait for something that Slack refuses, if that lasts. */
export interface HeldUpWatch {
  /** Call it when something may be held up; after 20 s it is reported, if it still is. */
  start(): void;
  stop(): void;
}

/** A refusal that is over sooner is not reported. */
const HELD_UP_MS = 20_000;

export function watchHeldUp({ clock, isHeldUp, findObstacle, onHeldUp }: HeldUpOptions): HeldUpWatch {
  let timer: Timer | null = null;
  let hasTold = false;
  let isStopped = false;

  return {
    start() {
      if (hasTold || timer !== null || isStopped || !isHeldUp()) return;
      timer = clock.after(HELD_UP_MS, () => {
        timer = null;
        const by = findObstacle();
        if (isStopped || by === null || !isHeldUp()) return;
        // While Slack refuses our token, nobody can be told. So a later refusal of this thread must still be reported.
        hasTold = by.scope !== 'workspace';
        onHeldUp(by);
      });
    },
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}
