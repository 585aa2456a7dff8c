import type { RichTextBlock, RichTextElement } from '@slack/types';
import type { ApprovalState } from '../../bridge/record/thread-record.ts';
import { PLAN_TOOL } from '../../bridge/turn/steps.ts';
import { CLOSED, DECIDED, PLAN } from '../words/cards.ts';
import { richMentions, richTextLine, richWords } from './blocks.ts';
import { isCommand } from './card-heads.ts';

/** What is decided: the tool, and its command, path or question in one line. */
export interface Decided {
  tool: string;
  title: string;
}

export interface DecisionLine {
  /**
   * Rich text, because the open card has rich text, which Slack lets us replace only by rich text (docs/slack.md,
   * Editing, `block_mismatch`).
   */
  block: RichTextBlock;
  /** Not neutralised. */
  words: string;
}

/** A decided card in one line: outcome, about what, the reason, who and when. `null` while it is open. */
export function decisionLine(state: ApprovalState, decided: Decided): DecisionLine | null {
  switch (state.state) {
    case 'open':
      return null;
    case 'decided': {
      const [sign, usual] = DECIDED[state.decision];
      const word =
        decided.tool === PLAN_TOOL && state.decision in PLAN ? PLAN[state.decision as keyof typeof PLAN] : usual;
      const elements = [text(`${sign} `), bold(word), ...about(decided), ...reason(state), text(' · '), ...who(state)];
      return { block: richTextLine(...elements, ...when(state.at)), words: `${word}: ${decided.title}` };
    }
    case 'closed': {
      const [sign, word] = CLOSED[state.why];
      const elements = [...(sign === '' ? [] : [text(`${sign} `)]), bold(word), ...about(decided)];
      return { block: richTextLine(...elements, ...when(state.at)), words: `${word}: ${decided.title}` };
    }
    default:
      return state satisfies never;
  }
}

const text = (words: string): RichTextElement => ({ type: 'text', text: words });
const bold = (words: string): RichTextElement => ({ type: 'text', text: words, style: { bold: true } });
const code = (words: string) => richWords(words.replace(/\s+/g, ' ').trim(), { code: true });

/** A command speaks for itself; of any other call the tool is named, too. */
function about({ tool, title }: Decided): RichTextElement[] {
  if (tool === PLAN_TOOL) return [];
  if (tool === 'AskUserQuestion') return title === '' ? [] : [text(' · '), richWords(title)];
  const name = isCommand(tool) && title !== '' ? [] : [richWords(tool), ...(title === '' ? [] : [text(' ')])];
  return [text(' · '), ...name, ...(title === '' ? [] : [code(title)])];
}

function reason({ decision, words, via }: ApprovalState & { state: 'decided' }): RichTextElement[] {
  if (words === null || words === '') return [];
  if (decision === 'approved_with_changes' || decision === 'edited') return [text(' → '), code(words)];
  const said = words.replace(/\s+/g, ' ').trim();
  // Of an approval these are words of ours: what else it allows.
  if (decision === 'approved') return [text(' · '), richWords(via === 'grant' ? `${said}, allowed earlier` : said)];
  return [text(' · “'), richWords(said), text('”')];
}

/** The name, as it was at the decision; of a record without it a mention, which an edit does not notify. */
function who({ by, name }: ApprovalState & { state: 'decided' }): RichTextElement[] {
  return name === undefined ? richMentions([by]).slice(0, 1) : [richWords(name)];
}

/** A time that Slack shows in each reader's own time zone. */
function when(at: number): RichTextElement[] {
  if (!Number.isFinite(at) || at < 0 || at > 8.64e15) return [];
  const fallback = new Date(at).toISOString();
  return [text(', '), { type: 'date', timestamp: Math.floor(at / 1000), format: '{time}', fallback }];
}
