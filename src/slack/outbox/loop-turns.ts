import type { Clock } from '../../bridge/ports.ts';

/** How many letters may still be rendered in this turn of the event loop. */
export interface Letters {
  left: number;
}

/** Limits what all threads together render in one turn of the event loop, so that other work gets its turn. */
export interface LoopTurns {
  readonly letters: Letters;
  /** Resolves in the next turn of the event loop, with letters again. */
  nextTurn(): Promise<void>;
}

/** About one message, which takes a few ms to render even for a hostile text. */
const EACH_TURN = 4_000;

export function createLoopTurns(clock: Clock): LoopTurns {
  const letters = { left: EACH_TURN };
  let renewal: Promise<void> | null = null;
  return {
    letters,
    nextTurn() {
      renewal ??= new Promise((resolve) => {
        clock.after(0, () => {
          renewal = null;
          letters.left = EACH_TURN;
          resolve();
        });
      });
      return renewal;
    },
  };
}
