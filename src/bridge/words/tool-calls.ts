/* What an agent reads when a call of a tool of the bridge does not go its way, and what people read of it. */

/** Nothing was done, and the agent may go on. */
export type NotDone =
  | 'no_tool'
  | 'stopped'
  | 'turn_over'
  | 'not_your_turn'
  | 'too_many'
  | 'other_input'
  | 'cannot_check'
  | 'changed'
  | 'expired'
  | 'not_shown'
  | 'link_lost'
  | 'restarting'
  | 'no_time'
  | 'not_written';

const NOT_DONE: Record<NotDone, string> = {
  no_tool: 'You do not have this tool in this place.',
  stopped: 'The turn was stopped, so this was not done.',
  turn_over: 'The turn is over, so this was not done.',
  not_your_turn: 'This turn did not begin in the Slack thread, so nothing is done there for it.',
  too_many: 'Too many calls are open at once, so this one was not done.',
  other_input: 'A call with this id was made before with another input, so this one was not done.',
  cannot_check: 'Slack or the machine cannot be asked right now, so this was not done. Try again later.',
  changed: 'What this is about has changed since people approved it, so it was not done. Call the tool again.',
  expired: 'No one in Slack decided this in time, so it was not done.',
  not_shown: 'This could not be shown to anyone in Slack, so it was not done.',
  link_lost: 'The connection was lost before this was done.',
  restarting: 'The Slack bridge is being restarted, so this was not done. Call the tool again.',
  no_time: 'This took too long to begin, so it was not done.',
  not_written: 'The audit could not be written, so this was not done.',
};

export const notDone = (why: NotDone): string => NOT_DONE[why];

export const deniedBy = (name: string, reason: string | null): string =>
  `${name} denied this in Slack${reason === null ? '.' : `: ${reason}`}`;

export const wrongInput = (wrong: string): string => `${wrong} Nothing was done.`;

/** It may have happened, and nobody can tell. */
export const UNKNOWN =
  'It is not known whether this happened: the Slack bridge was interrupted in the middle of it. Do not repeat it before someone has looked.';

export const failedFor = (notice: string): string => `${notice} Nothing was done.`;

/** For people, when a tool may have acted and the bridge cannot tell. @param what the tool's label */
export const unknownForPeople = (what: string): string =>
  `I was interrupted in the middle of a step (${what}), and cannot tell whether it happened. Please check before it is done again.`;
