import type { RichTextElement } from '@slack/types';
import type { ShownRequest } from '../../bridge/approvals/shown.ts';
import { clip, richWords } from './blocks.ts';

/** What each known tool asks, in words; with a name of a file where the head may have one. */
const HEADS: Readonly<Record<string, { asks: string; file?: string }>> = {
  Bash: { asks: 'Run this command?' },
  exec_command: { asks: 'Run this command?' },
  write_stdin: { asks: 'Type this into a running command?' },
  Write: { asks: 'Write this file?', file: 'Write' },
  Edit: { asks: 'Change this file?', file: 'Change' },
  MultiEdit: { asks: 'Change this file?', file: 'Change' },
  ApplyPatch: { asks: 'Change these files?' },
  memory_apply_patch: { asks: 'Change the agent’s memory?' },
  Read: { asks: 'Read this file?', file: 'Read' },
  LS: { asks: 'List this folder?' },
  Glob: { asks: 'Look for these files?' },
  Grep: { asks: 'Search in files?' },
  WebFetch: { asks: 'Fetch this web page?' },
  WebSearch: { asks: 'Search the web?' },
  Task: { asks: 'Start a subagent?' },
  Agent: { asks: 'Start a subagent?' },
  Workflow: { asks: 'Start a workflow of agents?' },
  SendAgentMessage: { asks: 'Start another agent?' },
  SetWorkingDirectory: { asks: 'Move to another folder?' },
  EnterWorktree: { asks: 'Move to a worktree?' },
  ExitWorktree: { asks: 'Leave the worktree?' },
  ExitPlanMode: { asks: 'Go on with this plan?' },
};

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
    const elements = [bold('Use this tool?'), text(' '), richWords(name, { code: true })];
    return { elements, words: `Use this tool? ${name}`, namesFile: false };
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

/** The tool by which the agent asks for consent to its plan. */
export const PLAN_TOOL = 'ExitPlanMode';

/** Whether the tool runs a command, so that the command alone says what it does. */
export function isCommand(tool: string): boolean {
  return tool === 'Bash' || tool === 'exec_command';
}
