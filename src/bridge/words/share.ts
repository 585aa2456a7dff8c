import type { UserId } from '../ids.ts';

export const SHARE = {
  over: 'This answer is gone or too old, so I can’t show it in the channel.',
  none: 'There is no finished answer here that I can show in the channel. Write `!share` in the thread of the answer.',
  notYet: 'The last answer is being finished. Write `!share` again in a moment.',
  noChannel: 'There is no channel here: this is a direct message.',
  unread: 'I couldn’t read this answer in Slack right now, so I shared nothing. Try again in a minute.',
  refused: 'Slack did not let me show this answer in the channel. Copy its link and share that.',
} as const;

/** Said in the thread. */
export function sharedText(user: UserId): string {
  return `<@${user}> shared this answer with the channel.`;
}

export function sharedBeforeText(user: UserId): string {
  return `<@${user}> has shared this answer with the channel already.`;
}

export function notYoursText(requester: UserId): string {
  return `Only <@${requester}> can share this answer with the channel (it’s the answer to their request).`;
}
