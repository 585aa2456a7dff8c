/** The messages that an offer is about. @param count how many */
export function offeredMessages(count: number): { what: string; it: string; messages: string } {
  return count === 1
    ? { what: 'this message', it: 'it', messages: 'the message' }
    : { what: `these ${count} messages`, it: 'them', messages: `the ${count} messages` };
}

/** What became of an offer that a person decided. @param who mentioned @param reached whether the agent got the messages */
export function offerChoices(who: string, messages: string, reached: boolean) {
  return {
    run: `${who} ran ${messages} from earlier.`,
    dropped: `${who} discarded ${messages} from earlier.`,
    sent: reached ? `${who} tried again.` : `${who} sent ${messages} again.`,
    started: `${who} started a new conversation with ${messages}.`,
    continued: `${who} let the agent continue.`,
    asked: `${who} let the agent ask again.`,
    denied: `${who} denied the request, with a message as the reason.`,
    kept: `${who} kept the message for later.`,
  } as const;
}

/** @param clockAheadMs left out: the messages are late; else by how much the machine's clock is wrong */
export function lateText(who: string, count: number, clockAheadMs?: number): string {
  const { what, it } = offeredMessages(count);
  if (clockAheadMs === undefined) return `${who}, I could not run ${what} in time. Run ${it} now?`;
  const late = count === 1 ? 'looks late' : 'look late';
  const by =
    clockAheadMs < 120_000 ? `${Math.round(clockAheadMs / 1_000)} s` : `${Math.round(clockAheadMs / 60_000)} min`;
  return `${who}, ${what} ${late}, but my machine’s clock is wrong: it is ${by} ahead of Slack’s. Someone should correct it. Run ${it} now?`;
}

/** How far messages came that are offered again: the agent had them, certainly did not, or no one knows. */
export type Reached = 'yes' | 'no' | 'unknown';

export function sendAgainText(who: string, count: number, reached: Reached): string {
  const { what, it } = offeredMessages(count);
  if (reached === 'yes') return `${who}, the turn with ${what} failed:`;
  if (reached === 'no') return `${who}, ${what} did not reach the agent:`;
  return `${who}, I can’t tell whether the agent got ${what}. Sending ${it} again may run ${it} twice:`;
}

export function startNewText(who: string, count: number, reached: Reached): string {
  const { what, it } = offeredMessages(count);
  if (reached === 'yes') return `${who}, ${what} can run in a new conversation:`;
  const lead =
    reached === 'no'
      ? `${who}, ${what} did not run, because this thread’s conversation no longer exists at Letta.`
      : `${who}, this thread’s conversation no longer exists at Letta, and I can’t tell whether ${what} ran. Sending ${it} again may run ${it} twice.`;
  return `${lead} A new conversation won’t know what was said here before:`;
}

export function askAgainText(who: string): string {
  return `${who}, the agent’s request was lost with the connection, and nothing of it ran.`;
}

export function denyOrKeepText(who: string): string {
  return `${who}, should I deny the request above with your message as the reason? If not, your message waits until the agent is done.`;
}

export function continueText(who: string): string {
  return `${who}, the agent was cut off. It can continue from here.`;
}

export const BACKGROUND = { runs: 'Still running in the background:', ended: 'Ended in the background:' } as const;

/** Offers that no one needs to decide any longer. */
export const LAPSED = {
  continued: 'The conversation has continued.',
  cutOff: 'The agent was cut off here.',
  denyOrKeep: 'A message was waiting here for your choice, which is no longer needed.',
} as const;

export function tooLateText(
  verb: 'run' | 'send again' | 'start a new conversation with',
  messages: string,
  user: string,
) {
  return `It is too late to ${verb} ${messages} from <@${user}>. Please write again.`;
}
