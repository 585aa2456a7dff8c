import type { RichTextBlock, RichTextElement } from '@slack/types';
import type { UserId } from '../../bridge/ids.ts';
import type { ApprovalState } from '../../bridge/record/thread-record.ts';
import { clip, richText } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { neutralizePlain } from './neutralize.ts';

const DECIDED = {
  approved: ['✅', 'Approved'],
  approved_with_changes: ['✏️', 'Approved with changes'],
  edited: ['✏️', 'Edited'],
  denied: ['⛔', 'Denied'],
  answered: ['💬', 'Answered'],
} as const;
const CLOSED = {
  answered_elsewhere: 'Answered elsewhere',
  turn_over: 'No longer needed: the turn has ended',
  link_lost: 'Lost with the connection to Letta: nothing ran',
  expired: 'Denied: no one decided in time',
  not_shown: 'Denied: it could not be shown here',
} as const;

export interface DecisionLine {
  /**
   * Rich text, because the open card has rich text, which Slack lets us replace only by rich text (docs/slack.md,
   * Editing, `block_mismatch`).
   */
  block: RichTextBlock;
  /** Not neutralised. */
  words: string;
}

/** A decided card in one line: outcome, who, when, about what, reason. `null` while it is open. */
export function decisionLine(state: ApprovalState, title: string): DecisionLine | null {
  switch (state.state) {
    case 'open':
      return null;
    case 'decided': {
      const [sign, word] = DECIDED[state.decision];
      const said = state.words === null || state.words === '' ? [] : [text(` · “${foreign(state.words)}”`)];
      return {
        block: line(
          text(`${sign} `),
          bold(word),
          text(state.via === 'grant' ? ', as allowed earlier by ' : ' by '),
          user(state.by),
          ...when(state.at),
          about(title),
          ...said,
        ),
        words: `${word}: ${title}`,
      };
    }
    case 'closed': {
      const word = CLOSED[state.why];
      return { block: line(text('◽ '), bold(word), ...when(state.at), about(title)), words: `${word}: ${title}` };
    }
    default:
      return state satisfies never;
  }
}

function line(...elements: RichTextElement[]): RichTextBlock {
  return richText({ type: 'rich_text_section', elements });
}

const text = (words: string): RichTextElement => ({ type: 'text', text: words });
const bold = (words: string): RichTextElement => ({ type: 'text', text: words, style: { bold: true } });
const about = (title: string) => text(` · ${foreign(title)}`);

/** A mention; an invalid id gives a word. */
function user(id: UserId): RichTextElement {
  return /^[A-Z0-9]{1,32}$/.test(id) ? { type: 'user', user_id: id } : text('someone');
}

/** A time that Slack shows in each reader's own time zone. */
function when(at: number): RichTextElement[] {
  if (!Number.isFinite(at) || at < 0 || at > 8.64e15) return [];
  const fallback = new Date(at).toISOString();
  return [text(' '), { type: 'date', timestamp: Math.floor(at / 1000), format: '{time}', fallback }];
}

const foreign = (words: string) =>
  clip(neutralizePlain(clip(words.slice(0, 2_000).replace(/\s+/g, ' ').trim(), LIMITS.line)), LIMITS.line);
