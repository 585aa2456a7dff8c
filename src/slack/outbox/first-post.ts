import type { Substance } from '../render/readable.ts';

/**
 * How people see that the agent works, as long as the message is held back. `status`: by Slack's line below the thread.
 * `asked`: Slack has not answered yet whether it shows one. `none`: not at all. `messages`: by messages of the same turn
 * that are there already, such as a decided card.
 */
export type SignOfLife = 'status' | 'asked' | 'none' | 'messages';

/** What decides when a live message may be posted. Times are ms of one clock. */
export interface HeldPost {
  sign: SignOfLife;
  substance: Substance;
  /** Since when the message is wanted: since the turn began, or since the card above it was decided. */
  since: number;
  /** Since when it has had text to show; `null`: it has none. */
  textSince: number | null;
}

/**
 * When the status below the thread is set, after the turn's begin (ms). A turn that shows its first message sooner than
 * `soonest` has no status: that saves a call, and nobody could have read it. Where the budget lets it be set only after
 * `latest`, it would be too late as a first sign, so there is none.
 */
export const STATUS_AFTER = { soonest: 400, latest: 700 };

/** How long a message without text is held back. Without any sign, people must see one within a second. */
const LONGEST_MS: Readonly<Record<SignOfLife, number>> = { status: 10_000, asked: 1_000, none: 500, messages: 2_000 };
/** What a turn waits for is news, unless the wait is short. */
const WAITING_MS = 2_000;
/** From its first words on, a text is not held back longer than this. */
const TEXT_MS = 1_500;

/**
 * When a live message may be posted (0: now). What a phone shows is a message's first state, because edits do not notify
 * (docs/slack.md, Editing): so a message waits until it has something to read, as long as people see otherwise that the
 * agent works. The first text in a message that only says so waits for no more than that either. Final content and
 * cards are never held back.
 */
export function firstPostAt({ sign, substance, since, textSince }: HeldPost): number {
  if (substance === 'readable') return 0;
  const bare = since + Math.min(LONGEST_MS[sign], substance === 'waiting' ? WAITING_MS : LONGEST_MS[sign]);
  if (substance !== 'words' || textSince === null) return bare;
  const withText = textSince + TEXT_MS;
  return sign === 'status' || sign === 'messages' ? withText : Math.min(withText, bare);
}
