import type { Log, Surface } from '../ports.ts';
import type { Mailbox } from './mailbox.ts';
import type { ThreadState } from './state.ts';

export interface SayParts {
  state: ThreadState;
  surface: Surface;
  mailbox: Mailbox;
  log: Log;
}

/** Words of the bridge's own in the thread, of which nothing depends on whether they arrive. */
export function say({ state, surface, mailbox, log }: SayParts, text: string): void {
  mailbox.away(
    () => surface.say(state.address, text),
    () => undefined,
    (error) => log.warn({ err: error }, 'could not post a notice'),
  );
}
