import type { RichTextElement } from '@slack/types';
import type { ShownRequest } from '../../bridge/approvals/shown.ts';
import { HEADS, USE_TOOL } from '../words/cards.ts';
import { clip, richWords } from './blocks.ts';

export interface CardHead {
  /** The question, in rich text. */
  elements: RichTextElement[];
  /** The same in one line, not neutralised: for notifications. */
  words: string;
  /** Whether it names the file that the request is about, so that nothing below has to. */
  namesFile: boolean;
}

/** The question that a card asks: what will happen, to which file if that is all it takes. */
export function cardHead(tool: string, shown: Pick<ShownRequest, 'file' | 'files' | 'diff'> | null): CardHead {
  const known = Object.hasOwn(HEADS, tool) ? HEADS[tool] : undefined;
  const counts = shown?.diff ? ` +${shown.diff.added} −${shown.diff.removed}` : '';
  if (!known) {
    const name = clip(tool, TOOL_NAME);
    const elements = [bold(USE_TOOL), text(' '), richWords(name, { code: true })];
    return { elements, words: `${USE_TOOL} ${name}`, namesFile: false };
  }
  const { file, files } = shown ?? { file: null, files: [] };
  if (known.file !== undefined && file !== null && files.length === 0) {
    const name = richWords(file, { bold: true, code: true });
    const elements = [bold(`${known.file} `), name, bold('?'), ...(counts === '' ? [] : [text(counts)])];
    return { elements, words: `${known.file} ${file}?`, namesFile: true };
  }
  return { elements: [bold(known.asks)], words: known.asks, namesFile: false };
}

/** The longest tool name that a card's head shows whole. */
const TOOL_NAME = 80;

const text = (words: string): RichTextElement => ({ type: 'text', text: words });
const bold = (words: string): RichTextElement => ({ type: 'text', text: words, style: { bold: true } });

/** Whether the tool runs a command, so that the command alone says what it does. */
export function isCommand(tool: string): boolean {
  return tool === 'Bash' || tool === 'exec_command';
}
