import type { Button, KnownBlock } from '@slack/types';
import { shortId } from '../../bridge/approvals/short-id.ts';
import { countsOf, type ShownRequest } from '../../bridge/approvals/shown.ts';
import type { Token } from '../../bridge/ids.ts';
import { PLAN_TOOL } from '../../bridge/turn/steps.ts';
import type { ApprovalCard } from '../../bridge/view/turn.ts';
import { noDiffText, ownWordsText } from '../../bridge/words/requests.ts';
import {
  BUTTONS,
  CARD,
  type CardButton,
  clippedText,
  editedByText,
  expiresText,
  MAY_START,
  restInDetailsText,
  typedText,
} from '../words/cards.ts';
import { ACTION_IDS, type MoreAction } from './action-ids.ts';
import {
  actionsIfAny,
  button,
  context,
  mention,
  mrkdwn,
  plain,
  preformatted,
  richMentions,
  richText,
  richTextLine,
  section,
} from './blocks.ts';
import { type CardHead, cardHead } from './card-heads.ts';
import { decisionLine } from './decision-line.ts';
import { LIMITS } from './limits.ts';
import { type MoreOption, moreMenu, stopOption } from './more-menu.ts';
import { neutralizePlain } from './neutralize.ts';
import { planBlock } from './plan-block.ts';

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

/** A card that asks for a decision; once decided, one line. */
export function approvalCard(card: ApprovalCard): RenderedCard {
  const { shown, tool, title } = card;
  const decided = decisionLine(card.state, card);
  if (decided) return { blocks: [decided.block, ...agreedPlan(card)], words: decided.words, mentions: '' };

  const asks = mentionsOf(card.asks);
  const head = cardHead(tool, shown);
  const words = [head.words, ...(head.namesFile || title === '' ? [] : [title])].join(' ');
  if (!shown) return { blocks: [], words, mentions: asks };
  const about = head.namesFile ? head.words : `${tool}: ${title}`;
  const blocks: KnownBlock[] = [
    richTextLine(...richMentions(card.asks.slice(0, LIMITS.asked)), ...head.elements),
    ...agentBlocks(card),
    ...inputBlocks(card, shown, head),
    ...deadlineBlocks(card.expiresAt, 'denied'),
    ...actionsIfAny([...decisionButtons(card, shown, about), ...moreMenu(moreOptions(card, shown, about))]),
  ];
  const typed = typedWords(card.token, shown.isPartlyShown || isForNobody(card) ? ['deny'] : ['approve', 'deny']);
  return { blocks, words, mentions: asks, typed };
}

/** A plan that people agreed to stays in the thread, as it was on the card. */
function agreedPlan({ state, shown }: ApprovalCard): KnownBlock[] {
  if (state.state !== 'decided' || state.decision !== 'approved' || !shown || shown.plan === null) return [];
  const { text, more } = clipSource(shown.plan, shown.isClipped ? LIMITS.cardInput : Number.POSITIVE_INFINITY);
  return [planBlock(text, more > 0), ...(more > 0 ? [context(plain(restInDetailsText(more)))] : [])];
}

/** The commands that decide the request where there are no buttons. */
function typedWords(token: Token, verbs: readonly ('approve' | 'deny')[]): string {
  const ways = verbs.map((verb) => (verb === 'approve' ? `!approve ${shortId(token)}` : `!deny ${shortId(token)} why`));
  return typedText(ways);
}

function isForNobody({ startsAgent }: ApprovalCard): boolean {
  return startsAgent?.by === 'nobody';
}

/** Says what it means to approve a request that starts another agent. */
function agentBlocks({ startsAgent }: ApprovalCard): KnownBlock[] {
  return startsAgent ? [section(`${CARD.neverAsks}${MAY_START[startsAgent.by]}`)] : [];
}

/** Mentions everybody whose click is needed, people and user groups. */
export function mentionsOf(asks: readonly string[]): string {
  return asks.slice(0, LIMITS.asked).map(mention).join(' ');
}

/** Until when it is open, in each reader's own time zone, and what happens then. @param at `null`: it is not near */
export function deadlineBlocks(at: number | null, then: string): KnownBlock[] {
  if (at === null) return [];
  const fallback = new Date(at).toISOString();
  const time = `<!date^${Math.floor(at / 1000)}^{date_short_pretty} {time}|${fallback}>`;
  return [context(mrkdwn(expiresText(time, then)))];
}

/**
 * What will happen, then where, then the rest. The model's own words come last and are marked, as they prove nothing.
 */
function inputBlocks(card: ApprovalCard, shown: ShownRequest, { namesFile }: CardHead): KnownBlock[] {
  const blocks: KnownBlock[] = [];
  let hidden = 0;
  // If all fits, nothing is cut; else each text is cut to a part from which it can be recognised.
  const box = (text: string, room: number) => {
    const { text: part, more } = clipShown(text, shown.isClipped ? room : Number.POSITIVE_INFINITY);
    hidden += more;
    if (part !== '') blocks.push(richText(preformatted(part)));
  };
  for (const note of shown.notes) blocks.push(context(plain(note, LIMITS.text)));
  if (!namesFile) box(shown.subject, LIMITS.cardInput);
  if (shown.plan !== null) {
    const { text, more } = clipSource(shown.plan, shown.isClipped ? LIMITS.cardInput : Number.POSITIVE_INFINITY);
    hidden += more;
    blocks.push(planBlock(text, more > 0));
  }
  box(shown.files.join('\n'), LIMITS.cardInput);
  const where = [card.workingDirectory, card.device].flatMap((place) => (place === null ? [] : [place]));
  if (where.length > 0) blocks.push(context(plain(where.join(' · '), LIMITS.text)));
  if (card.editedBy !== undefined) {
    blocks.push(context(mrkdwn(editedByText(mention(card.editedBy)))));
  }
  if (card.widens) blocks.push(context(plain(`⚠️ ${card.widens}`, LIMITS.text)));
  box(shown.rest, LIMITS.cardInput / 2);
  if (shown.diff) {
    if (!namesFile || shown.diff.files.length > 0) blocks.push(context(plain(countsOf(shown.diff), LIMITS.text)));
    box(shown.diff.lines, LIMITS.cardInput);
  }
  const [reasons, others] = [shown.noDiff.slice(0, NO_DIFF), shown.noDiff.length - NO_DIFF];
  for (const line of reasons) blocks.push(context(plain(noDiffText(line))));
  if (others > 0) blocks.push(context(plain(noDiffText(`${others} more files`))));
  const { description } = shown;
  if (description !== null) blocks.push(context(plain(ownWordsText(description), LIMITS.ownWords)));
  if (shown.isRedacted) blocks.push(context(plain(CARD.secretsHidden)));
  if (shown.isWithheld) {
    blocks.push(context(plain(CARD.mayNotBeSecret)));
  }
  if (hidden > 0) {
    blocks.push(context(plain(clippedText(hidden))));
  }
  return blocks;
}

/** For so many files a line says why there is no diff; the rest is counted. */
const NO_DIFF = 3;

function decisionButtons(card: ApprovalCard, { isPartlyShown }: ShownRequest, about: string): Button[] {
  const { token, offers } = card;
  const named = (actionId: string, { label, says }: CardButton, style?: 'primary' | 'danger') =>
    button({ actionId, token, label, says: `${says}: ${about}`, ...(style ? { style } : {}) });
  const grant = isPartlyShown ? null : offers.grant;
  const isPlan = card.tool === PLAN_TOOL;
  const whole = isPlan ? BUTTONS.approvePlan : BUTTONS.approve;
  const approve = named(ACTION_IDS.approve, isPartlyShown ? BUTTONS.review : whole, 'primary');
  return [
    ...(isForNobody(card) ? [] : [approve]),
    isPlan
      ? named(ACTION_IDS.deny_with_reason, BUTTONS.changePlan)
      : named(ACTION_IDS.deny_with_reason, BUTTONS.deny, 'danger'),
    ...(grant === 'command' ? [named(ACTION_IDS.allow_command, BUTTONS.forTurn)] : []),
    ...(grant === 'edits' ? [named(ACTION_IDS.allow_edits, BUTTONS.editsForTurn)] : []),
  ];
}

/** What is needed less often, each behind its own check when it is chosen. */
function moreOptions(card: ApprovalCard, { isPartlyShown }: ShownRequest, about: string): MoreOption[] {
  const { token, offers } = card;
  const option = (action: MoreAction, { label, says }: CardButton) => ({
    action,
    token,
    label,
    says: `${says}: ${about}`,
  });
  return [
    ...(offers.edit ? [option('edit_command', BUTTONS.edit)] : []),
    ...(isPartlyShown ? [option('view_full', BUTTONS.viewFull)] : []),
    ...(offers.rule && !isPartlyShown ? [option('save_rule', BUTTONS.saveRule)] : []),
    ...stopOption(card.stop),
  ];
}

/** As {@link clipShown}, of text that is rendered afterwards. */
function clipSource(text: string, max: number): { text: string; more: number } {
  const taken = clipAt(text, max);
  return { text: taken < text.length ? `${text.slice(0, taken).trimEnd()}\n\n…` : text, more: text.length - taken };
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
