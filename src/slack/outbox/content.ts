import type { AppendableText, Seams, SlackPost } from '../render/post.ts';
import type { Substance } from '../render/readable.ts';
import type { Letters } from './loop-turns.ts';

/** What a publication should show. It is rendered only when a call may be made, so that no rendering is wasted. */
export interface Content {
  /** Renders a part ahead while there are letters; false: more is left to do. Left out for short content. */
  prepare?(mayUseFiles: boolean, letters: Letters, seams: Seams): boolean;
  /**
   * @param mayUseFiles whether the rest of a long text may become a file, which is uploaded when the content is final
   * @param seams where the text goes on in a new message although there is room
   */
  render(mayUseFiles: boolean, seams: Seams): SlackPost[];
  /** What a native stream can show of it, once it was rendered; `null`, or left out: nothing. */
  appendable?(): AppendableText | null;
  /** Used when `render` throws and the content must arrive. */
  lastResort(): SlackPost[];
  /** Changes when a card appears or changes. Such content goes first, because people wait for cards. */
  cards: string;
  readonly hasText: boolean;
  /** Whether it lacks what was said before a restart: then messages that may show that text stay. */
  isTextUnknown: boolean;
  /** How much its newest message would show; `whole`: nothing more is waited for before it is posted. */
  readonly substance: Substance | 'whole';
  /** Whether it is the last content, which must arrive. */
  isFinal: boolean;
  /** Whether it ends with more than figures: then that is posted when the message with the text cannot be edited. */
  hasLastWords?: boolean;
  /** Set on the last content before the process ends: it goes ahead of live edits. */
  isParting?: true;
  /** For final content: since when it should have been shown, ms since 1970. Left out: since `showContent`. */
  owedSince?: number | undefined;
}
