import type { KnownBlock } from '@slack/types';

/** A Slack message that ought to exist. A thread's turn is an ordered list of them. */
export interface SlackPost {
  /**
   * Which part of the turn it shows: `<item>.<n>`, the n-th message of the view's item with that number. Stable while
   * the turn lives: text that grows keeps its earlier parts, a card keeps its own.
   */
  part: string;
  kind: 'text' | 'card';
  blocks: KnownBlock[];
  /** What notifications and screen readers say. */
  text: string;
  /** Whether it still waits for more: an edit of it may be dropped in favour of a later one. */
  live: boolean;
}
