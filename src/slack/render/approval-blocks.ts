import type { KnownBlock } from '@slack/types';
import type { FileDiff } from '../../bridge/agent-event.ts';
import type { ApprovalCard } from '../../bridge/turn-view.ts';
import { ACTION_IDS } from '../action-ids.ts';
import { actions, button, clip, context, mention, plain, preformatted, richLine, richText, section } from './blocks.ts';
import { decisionLine } from './decision-line.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn, neutralizePlain } from './neutralize.ts';

export interface RenderedCard {
  blocks: KnownBlock[];
  /** Not neutralised: for notifications. */
  words: string;
}

const DOES: Readonly<Record<string, string>> = {
  Bash: 'run a command',
  Write: 'write a file',
  Edit: 'change a file',
  MultiEdit: 'change a file',
  ApplyPatch: 'change files',
  Read: 'read a file',
  WebFetch: 'fetch a web page',
  WebSearch: 'search the web',
  Task: 'start a subagent',
};

/** Fields that a diff shows better than JSON. */
const IN_DIFF = new Set(['content', 'new_string', 'old_string', 'edits', 'patch', 'input']);

/** A card that asks for a decision, or the one line that is left of it afterwards. */
export function approvalCard(card: ApprovalCard): RenderedCard {
  const about = card.title === '' ? card.tool : `${card.tool}: ${card.title}`;
  const decided = decisionLine(card.state, about);
  if (decided) return { blocks: [decided.block], words: decided.words };

  const shown = shownInput(card);
  const diff = diffText(card.diffs);
  const input = bounded(shown, diff ? LIMITS.cardInput / 2 : LIMITS.cardInput);
  const changes = diff && bounded(diff.lines, LIMITS.cardDiff);
  const hidden = input.more + (changes?.more ?? 0);
  const blocks: KnownBlock[] = [
    section(
      clip(
        `${card.asks.slice(0, 20).map(mention).join(' ')} *Approval needed:* the agent wants to ${does(card.tool)}`.trim(),
        LIMITS.text,
      ),
    ),
    richText(richLine(clip(neutralizePlain(clip(card.title || card.tool, LIMITS.line)), LIMITS.line), { code: true })),
  ];
  if (card.workingDirectory !== null) blocks.push(context(plain(`in ${card.workingDirectory}`)));
  if (input.text !== '') blocks.push(richText(preformatted(input.text)));
  if (diff && changes) {
    blocks.push(context(plain(diff.head)));
    if (changes.text !== '') blocks.push(richText(preformatted(changes.text)));
  }
  const full = card.diffs.find((file) => file.kind === 'unavailable');
  if (full) blocks.push(context(plain(`No diff of ${full.fileName}: ${full.reason}`)));
  if (hidden > 0) blocks.push(context(plain(`… ${hidden} more characters are not shown here: see “View full”.`)));
  blocks.push(buttons(card, about, hidden > 0 || diff !== null));
  return { blocks, words: `Approval needed: ${about}` };
}

function does(tool: string): string {
  const known = Object.hasOwn(DOES, tool) ? DOES[tool] : undefined;
  return known
    ? `${known} (${tool})`
    : `use the tool ${neutralizeMrkdwn(clip(neutralizePlain(clip(tool, 80)), 80)).replace(/[*_~`]/g, ' ')}`;
}

function buttons({ token }: ApprovalCard, about: string, viewFull: boolean): KnownBlock {
  const named = (actionId: string, label: string, style?: 'primary' | 'danger') =>
    button({ actionId, token, label, says: `${label}: ${about}`, ...(style ? { style } : {}) });
  return actions(
    named(ACTION_IDS.approve, 'Approve', 'primary'),
    named(ACTION_IDS.deny, 'Deny', 'danger'),
    named(ACTION_IDS.deny_with_reason, 'Deny with reason'),
    ...(viewFull ? [named(ACTION_IDS.view_full, 'View full')] : []),
  );
}

/** The whole input for people: the command as such, everything else as JSON; what a diff shows is left to the diff. */
function shownInput({ input, diffs }: ApprovalCard): string {
  if (input === null) return '';
  const { command, ...rest } = input;
  const inDiff = diffs.some((file) => file.kind === 'hunks' && file.hunks.some((hunk) => hunk.lines.length > 0));
  const others = Object.entries(rest).filter(([name]) => !(inDiff && IN_DIFF.has(name)));
  const json = others.length === 0 ? [] : [JSON.stringify(Object.fromEntries(others), null, 2)];
  if (command === undefined) return json.join('');
  return [typeof command === 'string' ? command : JSON.stringify(command, null, 2), ...json].join('\n\n');
}

const SIGN = { add: '+', remove: '-', context: ' ' } as const;

function diffText(diffs: readonly FileDiff[]): { head: string; lines: string } | null {
  const lines: string[] = [];
  const names: string[] = [];
  let [added, removed] = [0, 0];
  for (const file of diffs) {
    if (file.kind !== 'hunks') continue;
    names.push(file.fileName);
    for (const hunk of file.hunks) {
      lines.push(`@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@ ${file.fileName}`);
      for (const line of hunk.lines) {
        if (line.type === 'add') added += 1;
        else if (line.type === 'remove') removed += 1;
        lines.push(SIGN[line.type] + line.content);
      }
    }
  }
  return names.length === 0 ? null : { head: `+${added} −${removed} · ${names.join(', ')}`, lines: lines.join('\n') };
}

/** As much as fits, cut behind a line where one is near; `more` counts what was left out, as it was. */
function bounded(text: string, max: number): { text: string; more: number } {
  // Showing what is invisible makes it longer, so there is a second cut.
  let taken = clipAt(text, max);
  let visible = neutralizePlain(text.slice(0, taken));
  while (visible.length > max && taken > 0) {
    taken = clipAt(text, Math.floor((taken * max) / visible.length) - 1);
    visible = neutralizePlain(text.slice(0, taken));
  }
  return { text: taken < text.length && visible !== '' ? `${visible}\n…` : visible, more: text.length - taken };
}

function clipAt(text: string, max: number): number {
  if (text.length <= max) return text.length;
  const at = Math.max(0, max);
  const newline = text.lastIndexOf('\n', at - 1);
  if (newline > at * 0.8) return newline;
  const last = text.charCodeAt(at - 1);
  return last >= 0xd800 && last <= 0xdbff ? at - 1 : at;
}
