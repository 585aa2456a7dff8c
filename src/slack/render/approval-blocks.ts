import type { Button, KnownBlock } from '@slack/types';
import { shortId } from '../../bridge/approvals/short-id.ts';
import { countsOf, type ShownRequest } from '../../bridge/approvals/shown.ts';
import type { Token } from '../../bridge/ids.ts';
import type { ApprovalCard } from '../../bridge/view/turn.ts';
import { ACTION_IDS } from './action-ids.ts';
import { actions, button, clip, context, mention, mrkdwn, plain, preformatted, richText, section } from './blocks.ts';
import { decisionLine } from './decision-line.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn, neutralizePlain } from './neutralize.ts';

export interface RenderedCard {
  /** Empty after a restart, when the request's input is lost: the message in Slack shows more than we could. */
  blocks: KnownBlock[];
  /** Not neutralised: for notifications. */
  words: string;
  /** Mentions of the people whose click is needed; empty when none is. */
  mentions: string;
  /** The commands that decide it, for forms without buttons; only while it is open. */
  typed?: string;
}

const ASKS: Readonly<Record<string, string>> = {
  Bash: 'Run this command?',
  Write: 'Write this file?',
  Edit: 'Change this file?',
  MultiEdit: 'Change this file?',
  exec_command: 'Run this command?',
  write_stdin: 'Type this into a running command?',
  ApplyPatch: 'Change these files?',
  memory_apply_patch: 'Change the agent’s memory?',
  Read: 'Read this file?',
  LS: 'List this folder?',
  Glob: 'Look for these files?',
  Grep: 'Search in files?',
  WebFetch: 'Fetch this web page?',
  WebSearch: 'Search the web?',
  Task: 'Start a subagent?',
  Agent: 'Start a subagent?',
  Workflow: 'Start a workflow of agents?',
  SendAgentMessage: 'Start another agent?',
  SetWorkingDirectory: 'Move to another folder?',
  EnterWorktree: 'Move to a worktree?',
  ExitWorktree: 'Leave the worktree?',
};

/** A card that asks for a decision; once decided, one line. */
export function approvalCard(card: ApprovalCard): RenderedCard {
  const about = card.title === '' ? card.tool : `${card.tool}: ${card.title}`;
  const decided = decisionLine(card.state, about);
  if (decided) return { blocks: [decided.block], words: decided.words, mentions: '' };

  const asks = mentionsOf(card.asks);
  const { shown } = card;
  if (!shown) return { blocks: [], words: `Approval needed: ${about}`, mentions: asks };
  const head = section(clip(`${asks} ${question(card.tool)}`.trim(), LIMITS.text));
  const blocks: KnownBlock[] = [head, ...agentBlocks(card), ...inputBlocks(card, shown)];
  if (card.expiresAt !== null) blocks.push(context(mrkdwn(`Expires ${deadline(card.expiresAt)} (then denied)`)));
  blocks.push(actions(...decisionButtons(card, shown, about)), actions(...widerButtons(card, shown, about)));
  const typed = typedWords(card.token, shown.isPartlyShown || isForNobody(card) ? ['deny'] : ['approve', 'deny']);
  return { blocks, words: `Approval needed: ${about}`, mentions: asks, typed };
}

/** The commands that decide the request where there are no buttons. */
function typedWords(token: Token, verbs: readonly ('approve' | 'deny')[]): string {
  const ways = verbs.map((verb) => (verb === 'approve' ? `!approve ${shortId(token)}` : `!deny ${shortId(token)} why`));
  return `To decide, write here: ${ways.join(' or ')}`;
}

function isForNobody({ startsAgent }: ApprovalCard): boolean {
  return startsAgent?.by === 'nobody';
}

const RUNS_UNASKED =
  '⚠️ *The agent that this starts never asks for approval.* It can run any command and change any file that its machine allows, and Stop may not end it.';
const MAY_APPROVE = {
  approvers: '',
  admins: ' Only an admin can approve this.',
  nobody:
    ' No one can approve this here; you can deny it. To allow it, name `admins` or write `subagents: allow` in the policy file.',
} as const;

/** Says what it means to approve a request that starts another agent. */
function agentBlocks({ startsAgent }: ApprovalCard): KnownBlock[] {
  return startsAgent ? [section(`${RUNS_UNASKED}${MAY_APPROVE[startsAgent.by]}`)] : [];
}

/** Mentions everybody whose click is needed, people and user groups. */
export function mentionsOf(asks: readonly string[]): string {
  return asks.slice(0, LIMITS.asked).map(mention).join(' ');
}

function question(tool: string): string {
  const known = Object.hasOwn(ASKS, tool) ? ASKS[tool] : undefined;
  return known
    ? `*${known}* (${tool})`
    : `*Use this tool?* ${neutralizeMrkdwn(clip(neutralizePlain(clip(tool, 80)), 80).replace(/[*_~`]/g, ' '))}`;
}

/** A time that Slack shows in each reader's own time zone. */
export function deadline(at: number): string {
  const fallback = new Date(at).toISOString();
  return `<!date^${Math.floor(at / 1000)}^{date_short_pretty} {time}|${fallback}>`;
}

/**
 * What will happen, then where, then the rest. The model's own words come last and are marked, as they prove nothing.
 */
function inputBlocks(card: ApprovalCard, shown: ShownRequest): KnownBlock[] {
  const blocks: KnownBlock[] = [];
  let hidden = 0;
  // If all fits, nothing is cut; else each text is cut to a part from which it can be recognised.
  const box = (text: string, room: number) => {
    const { text: part, more } = clipShown(text, shown.isClipped ? room : Number.POSITIVE_INFINITY);
    hidden += more;
    if (part !== '') blocks.push(richText(preformatted(part)));
  };
  for (const note of shown.notes) blocks.push(context(plain(note, LIMITS.text)));
  box(shown.subject, LIMITS.cardInput);
  box(shown.files.join('\n'), LIMITS.cardInput);
  const where = [
    ...(card.workingDirectory === null ? [] : [`in ${card.workingDirectory}`]),
    ...(card.device === null ? [] : [`on ${card.device}`]),
  ];
  if (where.length > 0) blocks.push(context(plain(where.join(' '), LIMITS.text)));
  if (card.editedBy !== undefined) {
    blocks.push(context(mrkdwn(`✏️ ${mention(card.editedBy)} wrote this command; someone else must approve it`)));
  }
  if (card.widens) blocks.push(context(plain(`⚠️ ${card.widens}`, LIMITS.text)));
  box(shown.rest, LIMITS.cardInput / 2);
  if (shown.diff) {
    blocks.push(context(plain(countsOf(shown.diff), LIMITS.text)));
    box(shown.diff.lines, LIMITS.cardInput);
  }
  const [reasons, others] = [shown.noDiff.slice(0, NO_DIFF), shown.noDiff.length - NO_DIFF];
  for (const line of reasons) blocks.push(context(plain(`No diff for ${line}`)));
  if (others > 0) blocks.push(context(plain(`No diff for ${others} more files`)));
  const said = [shown.description, card.before].flatMap((words) => (words === null ? [] : [`“${clip(words, 400)}”`]));
  if (said.length > 0) blocks.push(context(plain(`In the model’s own words: ${said.join(' · ')}`, LIMITS.ownWords)));
  if (shown.isRedacted) blocks.push(context(plain('🔒 Secrets are hidden («redacted»).')));
  if (shown.isWithheld) {
    blocks.push(
      context(
        plain('🔒 Some of the hidden text may not be secret: “Review and approve” shows it to the person who decides.'),
      ),
    );
  }
  if (hidden > 0) {
    blocks.push(context(plain(`✂️ ${hidden} more characters: “Review and approve” shows all of it.`)));
  }
  return blocks;
}

/** For so many files a line says why there is no diff; the rest is counted. */
const NO_DIFF = 3;

function decisionButtons(card: ApprovalCard, { isPartlyShown }: ShownRequest, about: string): Button[] {
  const named = createButtonMaker(card, about);
  const approve = named(
    ACTION_IDS.approve,
    isPartlyShown ? 'Review and approve' : 'Approve',
    isPartlyShown ? 'Review all and approve' : 'Approve',
    'primary',
  );
  return [
    ...(isForNobody(card) ? [] : [approve]),
    named(ACTION_IDS.deny, 'Deny', 'Deny', 'danger'),
    named(ACTION_IDS.deny_with_reason, 'Deny with reason', 'Deny with a reason'),
    ...(card.offers.edit ? [named(ACTION_IDS.edit_command, 'Edit command', 'Change, then approve')] : []),
    ...(card.stop === null
      ? []
      : [button({ actionId: ACTION_IDS.stop, token: card.stop, label: 'Stop', says: 'Stop the agent' })]),
  ];
}

/** Buttons that decide more than this request, and the one that shows all of it. */
function widerButtons(card: ApprovalCard, { isPartlyShown }: ShownRequest, about: string): Button[] {
  const named = createButtonMaker(card, about);
  const { grant, rule } = card.offers;
  return [
    ...(grant === 'command' && !isPartlyShown
      ? [named(ACTION_IDS.allow_command, 'Approve this command for the turn', 'Approve until the turn ends')]
      : []),
    ...(grant === 'edits' && !isPartlyShown
      ? [named(ACTION_IDS.allow_edits, 'Approve edits for the turn', 'Approve all edits until the turn ends')]
      : []),
    ...(rule && !isPartlyShown
      ? [named(ACTION_IDS.save_rule, 'Always allow… (admins)', 'Always allow this, admins only')]
      : []),
    named(ACTION_IDS.view_full, 'View full', 'View all of it'),
  ];
}

function createButtonMaker({ token }: ApprovalCard, about: string) {
  return (actionId: string, label: string, says: string, style?: 'primary' | 'danger') =>
    button({ actionId, token, label, says: `${says}: ${about}`, ...(style ? { style } : {}) });
}

/** As much as fits, cut after a line if one is near; `more`: how many characters of the original were left out. */
function clipShown(text: string, max: number): { text: string; more: number } {
  // Codes for invisible characters make the text longer, so it may have to be cut again.
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
