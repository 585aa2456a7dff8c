import type { UserId } from '../ids.ts';

export const SHARE = {
  over: 'This answer is too old, so I can no longer show it in the channel.',
  noChannel: 'There is no channel here: this is a direct message.',
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
