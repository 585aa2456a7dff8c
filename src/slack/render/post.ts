import type { KnownBlock } from '@slack/types';
import type { TextPart } from './part.ts';

/** A Slack message that should exist. A turn is an ordered list of them. */
export interface SlackPost {
  /**
   * Which part of the turn it shows: `<item>.<n>`, the n-th message of the view's item with that number. Stable while
   * the turn lives: text that grows keeps its earlier parts. A card is `card-<letters of its token>`, so it is known
   * wherever it stands; text below a `+` is counted without what was said before a restart.
   */
  part: string;
  /** `note`: a line that must notify. A note or a card never takes over a message that showed something else. */
  kind: 'text' | 'card' | 'note';
  blocks: KnownBlock[];
  /** The source of its Markdown block, from which simpler forms are made. */
  source?: TextPart;
  /** The length of the item's text up to the end of what this message shows of it. */
  upTo?: number;
  /** Whether it is shown as a native stream that goes on: its only block is the text so far. */
  isStream?: true;
  /** A file that is uploaded below all posts, once they are there. */
  file?: PostFile;
  /** Of a card: do not edit its message, and if it has none, do not post one yet. */
  isFrozen?: true;
  /**
   * If it has no message, do not post one until the text above it is known: for decided cards and the status of an
   * ended turn.
   */
  waitsForTextAbove?: true;
  /**
   * Only edits a message that is there, and is never posted: the last message of a turn that is over, of which only the
   * offer changes, or what takes the place of a status that is not true any more.
   */
  isEditOnly?: true;
  /** Its message was posted for a turn and stays one of that turn's: an edit leaves its metadata. */
  isOfTurn?: true;
  /** Of an open card: the commands that decide it, for forms without buttons. Harmless. */
  typed?: string;
  /** For notifications and screen readers. */
  text: string;
  /** Whether it will change: then an edit may be dropped in favour of a later one. */
  live: boolean;
  /** Set on the post that says how the turn ended. */
  ends?: true;
}

/** What a native stream can show of the text that the agent may go on with (docs/slack.md, Native streaming). */
export interface AppendableText {
  /** Of the post that shows that text. */
  part: string;
  /** The post's text without what may still become something else. */
  markdown: string;
  /** The length of the item's text up to there. */
  upTo: number;
}

/** By item of the view: the lengths of its text at which messages end although there was room, ascending. */
export type Seams = ReadonlyMap<number, readonly number[]>;

/** A file that holds the rest of a long text. */
export interface PostFile {
  /** Which part of the turn it shows, as {@link SlackPost.part}. */
  part: string;
  name: string;
  title: string;
  /** Markdown as the agent wrote it, because Slack parses nothing in a file. */
  content: string;
}
