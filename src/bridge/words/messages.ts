/** What the author of a message hears of it. */
export const HEARD = {
  points: 'I never take a message as an approval. To decide, use the buttons on the card above.',
  unreachable:
    'I can’t reach Letta right now, so your answer did not arrive and the question above stays open. Send it again in a moment.',
  asksSlack:
    'Slack can’t tell me right now whether you may use this agent. I’ll keep trying for a few minutes; you don’t need to send your message again.',
  unreadable:
    'I can’t read this message, because all its text is in attachments or blocks that I don’t get. I did not run it. Send it as plain text.',
  unmuted: 'You mentioned me, so I unmuted this thread: I answer replies here again. `!mute` mutes it again.',
  emptied: 'After your edit I can’t read anything in your message, so I won’t run it.',
  asBeforeEdit: 'I’ll use your message as it was before the edit.',
  deletedRuns: 'I’m still working on the message you deleted. Press *Stop* if I should not.',
  takenBackRuns:
    'I’m still working on what you asked with the reaction that you took back. Press *Stop* if I should not.',
  filesTooLate:
    'I had already passed your message on when you added files to it, so the agent does not have them. Send them in a new message.',
} as const;

/** Of a command that was written while the bridge was not running. */
export function missedCommandText(mayHaveRun: boolean): string {
  const done = mayHaveRun ? 'and I can’t tell whether it was carried out' : 'so I did not carry it out';
  return `I was not running when you wrote a command, ${done}. Write it again if it still matters.`;
}

const NOT_QUEUED = 'so I did not queue this one. Send it again later.';

/** @param where `here`: in this thread; else for the agent, in all threads @param most the limit */
export function tooManyText(where: 'here' | 'everywhere', most: number): string {
  const place = where === 'here' ? `here (${most})` : `for the agent (${most} in all threads)`;
  return `Too many messages are already waiting ${place}, ${NOT_QUEUED}`;
}

export function ignoresBotsText(most: number): string {
  const messages = most === 1 ? '1 bot message' : `${most} bot messages`;
  return `${messages} since a person last wrote: I’ll ignore bots here until a person writes.`;
}

const WHOSE = { user: 'You have', channel: 'This channel has', workspace: 'This workspace has' } as const;

/** @param rate how many turns in how long, in ms @param again as `moment()` says it */
export function rateReachedText(
  whose: keyof typeof WHOSE,
  { turns, perMs }: { turns: number; perMs: number },
  again: string,
): string {
  const most = `${turns} ${turns === 1 ? 'turn' : 'turns'} in ${lengthOf(perMs)}`;
  return `${WHOSE[whose]} reached the limit of ${most}, so I did not queue this message. Send it again after ${again}.`;
}

/** As {@link rateReachedText}, for all to read: a bot cannot be told in private. */
export function botsRateReachedText({ turns, perMs }: { turns: number; perMs: number }, again: string): string {
  const most = turns === 1 ? '1 message of a bot' : `${turns} messages of bots`;
  return `I worked on ${most} in this channel in ${lengthOf(perMs)}, so I’ll ignore bots here until ${again}.`;
}

export function atOnceReachedText(whose: keyof typeof WHOSE, most: number): string {
  const at = `${most} running ${most === 1 ? 'thread' : 'threads'}`;
  return `${WHOSE[whose]} reached the limit of ${at}, so I did not queue this message. Send it again when one finishes.`;
}

/** `90 s`, `15 min`, `24 h`. */
function lengthOf(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000} h`;
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${Math.round(ms / 1_000)} s`;
}
