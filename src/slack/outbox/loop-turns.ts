import type { Clock } from '../../bridge/ports.ts';

/** How many letters of texts may still be rendered in this turn of the event loop. */
export interface Letters {
  left: number;
}

/** What all threads together may render before the loop gets its turn back. */
export interface LoopTurns {
  readonly letters: Letters;
  /** Resolves in the next turn, when there are letters again. */
  nextTurn(): Promise<void>;
}

/** About one message: rendering it costs a hostile text a few ms. */
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
