import type { KnownBlock } from '@slack/types';
import type { TextPart } from './split.ts';

/** A Slack message that ought to exist. A thread's turn is an ordered list of them. */
export interface SlackPost {
  /**
   * Which part of the turn it shows: `<item>.<n>`, the n-th message of the view's item with that number. Stable while
   * the turn lives: text that grows keeps its earlier parts. A card is `card-<letters of its token>`, so it is known
   * wherever it stands; text below a `+` is counted without what was said before a restart.
   */
  part: string;
  /** `note`: a line that must be seen as new. Neither it nor a card ever takes over a message that showed something else. */
  kind: 'text' | 'card' | 'note';
  blocks: KnownBlock[];
  /** What its Markdown block was made of, for other forms of it. */
  source?: TextPart;
  /** Goes into the thread below all posts, once they are there. */
  file?: PostFile;
  /** Of a card: the message that has it stays as it is; where there is none, there will be none yet. */
  isFrozen?: true;
  /** Where it has no message, there will be none before all above it is known: a card on which nothing is to be decided, the status of a turn that had ended. */
  waitsForTextAbove?: true;
  /** Of a card that waits for a decision: what can be typed where Slack takes no buttons. Harmless. */
  typed?: string;
  /** What notifications and screen readers say. */
  text: string;
  /** Whether it still waits for more: an edit of it may be dropped in favour of a later one. */
  live: boolean;
  /** It says how the turn ended. */
  ends?: true;
}

/** A file that holds the rest of a long text. */
export interface PostFile {
  /** Which part of the turn it shows, as {@link SlackPost.part}. */
  part: string;
  name: string;
  title: string;
  /** Markdown, untouched: Slack parses nothing in a file. */
  content: string;
}
