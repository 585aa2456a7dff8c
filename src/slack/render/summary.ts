import { clip } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn } from './neutralize.ts';

/** For notifications: one line of foreign words, harmless. Slack reads a message's `text` as mrkdwn. */
export function summary(words: string): string {
  return neutralizeMrkdwn(clip(words.slice(0, 2_000).replace(/\s+/g, ' ').trim(), LIMITS.summary));
}
