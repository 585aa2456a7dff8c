import { clip } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn } from './neutralize.ts';

/** One line of foreign words for notifications, made harmless because Slack reads a message's `text` as mrkdwn. */
export function summary(words: string): string {
  return neutralizeMrkdwn(clip(words.slice(0, 2_000).replace(/\s+/g, ' ').trim(), LIMITS.summary));
}
