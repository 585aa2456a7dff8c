import type { Log, Surface } from '../ports.ts';
import type { Mailbox } from './mailbox.ts';
import type { ThreadState } from './state.ts';

export interface SayParts {
  state: ThreadState;
  surface: Surface;
  mailbox: Mailbox;
  log: Log;
}

/** Posts a notice of the bridge in the thread; if Slack refuses it, that is only logged: nothing may depend on it. */
export function say({ state, surface, mailbox, log }: SayParts, text: string): void {
  mailbox.away(
    () => surface.say(state.address, text),
    () => undefined,
    (error) => log.warn({ err: error }, 'could not post a notice'),
  );
}
