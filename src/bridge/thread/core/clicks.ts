import { can } from '../../access/can.ts';
import {
  answerWithForm,
  answerWithOption,
  answerWithReply,
  approve,
  approveChanged,
  approveShown,
  approveWithRule,
  type Decided,
  deny,
  editableCommand,
  ruleOf,
} from '../../approvals/answers.ts';
import { grantFor } from '../../approvals/auto-approval/grants.ts';
import { shortId } from '../../approvals/short-id.ts';
import { fullText, shownRequest } from '../../approvals/shown.ts';
import { makeToken } from '../../ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundSubmission,
  type OfferAction,
  type Refused,
  refused,
  type SubmissionName,
  type SubmissionOutcome,
} from '../../inbound.ts';
import type { Person } from '../../person.ts';
import { decideOffer, findBackgroundOffer, markSeen, offerDenial } from '../../record/offers.ts';
import type { ApprovalRecord, DetailsRef, GrantKind, InboxItem } from '../../record/thread-record.ts';
import { noNames, spansText } from '../../turn/prompt.ts';
import { onlyTheyText } from '../../words/access.ts';
import { DECIDED_BY_COMMAND, GRANTED, NOT_DECIDED } from '../../words/requests.ts';
import {
  askEdited,
  decide,
  type Found,
  findRequest,
  mayDecide,
  mustAskAnother,
  nobodyElse,
  type Wish,
} from './decide.ts';
import { clickOffer, isOfferAction } from './offers.ts';
import { clickSendNow } from './steer.ts';
import { stop } from './stop.ts';
import { endTasks } from './tasks.ts';
import { isOver, placeOf } from './thread.ts';
import { openRequests } from './view.ts';
import { approvals, change, emit, openTurn, type Work } from './work.ts';

/* Clicks, dialogs and words by which people decide. */

/** The click's outcome, or the details that have to be read for it. */
export type ClickAnswer = ActionOutcome | { details: DetailsRef | null };

type ApprovalAction = Exclude<InboundAction['name'], OfferAction | 'stop' | 'send_now' | 'details'>;

/** Handles a click of somebody who may write here. */
export function click(work: Work, action: InboundAction, person: Person): ClickAnswer {
  const { name } = action;
  if (name === 'deny_with_this') return denyWithMessage(work, action, person);
  if (isOfferAction(name)) return clickOffer(work, { ...action, name }, person);
  if (name === 'details') return showDetails(work, action, person);
  if (name === 'stop') return clickStop(work, action, person);
  if (name === 'send_now') return clickSendNow(work, action, person);
  return clickCard(work, { ...action, name }, person);
}

function clickStop(work: Work, { token }: InboundAction, person: Person): ActionOutcome {
  const { record } = work.thread;
  const turn = openTurn(work);
  const isBackground = record !== null && findBackgroundOffer(record)?.token === token;
  if (turn?.stopToken !== token && !isBackground) return refused('expired', NOT_DECIDED.turnEnded);
  const verdict = can(work.context.policy, person, { do: 'stop' }, placeOf(work.thread));
  if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
  if (turn && !isOver(work.thread)) stop(work, person.id);
  endTasks(work, person.id, true);
  return { result: 'decided' };
}

function showDetails(work: Work, { token }: InboundAction, person: Person): ClickAnswer {
  const verdict = can(work.context.policy, person, { do: 'look' }, placeOf(work.thread));
  if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
  return { details: work.thread.record?.details?.find((ref) => ref.token === token) ?? null };
}

// ---- cards -------------------------------------------------------------------------------------

function clickCard(work: Work, action: InboundAction & { name: ApprovalAction }, person: Person): ActionOutcome {
  const { name } = action;
  const found = findRequest(work, action.token, person, wishOf(name));
  if ('result' in found) return found;
  const { record, request } = found;
  const { token, tool } = record;
  if (request.questions && APPROVES.has(name)) return refused('expired', NOT_DECIDED.aQuestion);
  const clicked = (decided: Decided) => decide(work, found, decided, person, { via: 'click' });
  switch (name) {
    case 'view_full':
    case 'view_page':
      return fullView(work, found, person, action.page ?? 0);
    case 'approve':
      // A card that cuts text off opens all of it first, because nobody may approve what they could not read.
      if (shownRequest(request).isPartlyShown) return fullView(work, found, person, 0);
      return clicked(approveShown(request, record));
    case 'deny':
      return clicked(deny(person.name, null));
    case 'deny_with_reason':
      return { result: 'modal', modal: { kind: 'deny_with_reason', token, tool } };
    case 'edit_command': {
      const command = editableCommand(request);
      if (command === null) return refused('expired', NOT_DECIDED.notEditable);
      const alone = nobodyElse(work, record, person);
      if (alone !== null) return refused('not_allowed', alone);
      return { result: 'modal', modal: { kind: 'edit_command', token, command, asksAnother: mustAskAnother(work) } };
    }
    case 'allow_command':
      return allowForTurn(work, found, 'command', person);
    case 'allow_edits':
      return allowForTurn(work, found, 'edits', person);
    case 'save_rule': {
      const rule = ruleOf(request);
      if (!rule || shownRequest(request).isPartlyShown) return refused('expired', NOT_DECIDED.noRule);
      const { workingDirectory: directory, device } = work.thread.link;
      return { result: 'modal', modal: { kind: 'save_rule', token, rule: rule.text, directory, device } };
    }
    case 'answer_in_words':
      if (!request.questions?.length) return refused('expired', NOT_DECIDED.notAQuestion);
      return { result: 'modal', modal: { kind: 'answer_in_words', token, questions: request.questions } };
    case 'answer': {
      const decided = answerWithOption(request, action.choice);
      return decided ? clicked(decided) : refused('expired', NOT_DECIDED.optionGone);
    }
    default:
      return name satisfies never;
  }
}

function allowForTurn(work: Work, found: Found, grant: GrantKind, person: Person): ActionOutcome {
  const { request, record } = found;
  if (record.edit || grantFor(request) !== grant || shownRequest(request).isPartlyShown) {
    return refused('expired', NOT_DECIDED.notForTheTurn);
  }
  return decide(work, found, { ...approve(), words: GRANTED[grant] }, person, { via: 'click', grant });
}

/** Opens the whole request; if its card cut text off, with a button to approve for those who may. */
function fullView(work: Work, { record, request }: Found, person: Person, page: number): ActionOutcome {
  const { token, tool: title } = record;
  const folder = work.thread.link.workingDirectory;
  const may = mayDecide(work, record, person).allowed;
  const { isPartlyShown, isWithheld } = shownRequest(request, folder);
  const eyes = may ? 'own' : 'all';
  const { isRedacted: redacted } = shownRequest(request, folder, eyes);
  const text = fullText(request, folder, eyes);
  const view = { kind: 'view_full', token, title, text, page, approves: isPartlyShown && may, redacted } as const;
  return { result: 'modal', modal: { ...view, ...(isWithheld && may && { own: true }) } };
}

/** Handles a submitted modal. */
export function submit(work: Work, submission: InboundSubmission, person: Person): SubmissionOutcome {
  const { name, texts } = submission;
  const found = findRequest(work, submission.token, person, wishOf(name));
  if ('result' in found) return found;
  const { request } = found;
  if (request.questions && APPROVES.has(name)) return refused('expired', NOT_DECIDED.aQuestion);
  const typed = (texts[0] ?? '').trim();
  const submitted = (decided: Decided) => decide(work, found, decided, person, { via: 'modal' });
  switch (name) {
    case 'approve':
      if (shownRequest(request).refusal !== null) return refused('expired', NOT_DECIDED.cannotShow);
      return submitted(approveShown(request, found.record));
    case 'deny_with_reason':
      return submitted(deny(person.name, typed || null));
    case 'edit_command':
      return editCommand(work, found, texts[0] ?? '', person);
    case 'save_rule': {
      const decided = approveWithRule(request);
      return decided ? submitted(decided) : refused('expired', NOT_DECIDED.noRule);
    }
    case 'answer_in_words': {
      if (!request.questions?.length) return refused('expired', NOT_DECIDED.notAQuestion);
      const answer = answerWithForm(request, { choices: submission.choices ?? [], texts });
      return 'wrong' in answer ? { result: 'invalid', errors: answer.wrong } : submitted(answer);
    }
    default:
      return name satisfies never;
  }
}

/**
 * An edited command counts as the editor's own, so where people may not approve their own, another person is asked.
 */
function editCommand(work: Work, found: Found, text: string, person: Person): SubmissionOutcome {
  const { record, request } = found;
  const decided = approveChanged(request, text);
  if (!decided) return invalid(NOT_DECIDED.noCommand);
  const { send } = decided;
  const command = send.behavior === 'allow' ? send.updatedInput?.command : undefined;
  if (typeof command !== 'string') {
    // The text is unchanged, so this is an approval of what the card shows, by somebody who may approve that.
    const again = findRequest(work, record.token, person, 'decide');
    if ('result' in again) return again;
    return decide(work, again, approveShown(request, record), person, { via: 'modal' });
  }
  if (!mustAskAnother(work)) return decide(work, found, decided, person, { via: 'modal' });
  const alone = nobodyElse(work, record, person);
  return alone === null ? askEdited(work, found, command, person) : invalid(alone);
}

/** Actions refused for questions, because a bare allow would leave them open (docs/letta-protocol.md, Approvals). */
const APPROVES: ReadonlySet<string> = new Set(['approve', 'edit_command', 'allow_command', 'allow_edits', 'save_rule']);

function wishOf(name: ApprovalAction | SubmissionName): Wish {
  if (name === 'view_full' || name === 'view_page') return 'look';
  if (name === 'deny' || name === 'deny_with_reason') return 'deny';
  if (name === 'edit_command') return 'edit';
  return name === 'save_rule' ? 'save' : 'decide';
}

function invalid(text: string): SubmissionOutcome {
  return { result: 'invalid', errors: [{ input: 0, text }] };
}

// ---- in words ----------------------------------------------------------------------------------

/**
 * Handles `!approve id` and `!deny id reason`, which decide cards that Slack does not show; `id` is the first letters
 * of the card's token. @returns a line for the one who asked
 */
export function decideByCommand(work: Work, verb: 'approve' | 'deny', args: string, person: Person): string {
  const [id = '', ...words] = args.trim().split(/\s+/);
  const { record: stored, key: thread } = work.thread;
  const open = openRequests(stored);
  const record = open.find(({ token }) => id.length >= shortId(token).length && token.startsWith(id));
  if (!record || !stored) return open.length === 0 ? NOT_DECIDED.nothingWaits : NOT_DECIDED.unknownId;
  const found = findRequest(work, record.token, person, verb === 'deny' ? 'deny' : 'decide');
  if ('result' in found) {
    const { why, reason = why } = found;
    const refusedClick = { thread, token: record.token, user: person.id, reason, via: 'command' } as const;
    if (why === 'not_allowed') emit(work, { do: 'note_refused', click: refusedClick, record: stored });
    return found.notice;
  }
  const { request } = found;
  if (verb === 'approve' && request.questions) return NOT_DECIDED.aQuestion;
  if (verb === 'approve' && shownRequest(request).isPartlyShown) {
    return NOT_DECIDED.onlyDeny;
  }
  const yes = approveShown(request, found.record);
  decide(work, found, verb === 'approve' ? yes : deny(person.name, words.join(' ') || null), person, {
    via: 'command',
  });
  return DECIDED_BY_COMMAND[verb];
}

/**
 * What a message means for a request that waits for its author.
 * - `answers`: it answered the open question, and counts as handled.
 * - `points`: it says yes, which approves nothing, so its author is pointed to the card.
 * - `unreachable`: it would answer the open question, but Letta cannot be reached.
 * - `waits`: a request waits for its author, who is asked what the message means once it is queued.
 * - `nothing`: no request waits for its author, or the message cannot answer it.
 */
export type Typed = 'answers' | 'points' | 'unreachable' | 'waits' | 'nothing';

const YES =
  /^(?:y|yes|yep|yeah|yup|ok|okay|k|sure|approved?|allow(?:ed)?|accept(?:ed)?|go(?: ahead)?|do it|proceed|lgtm|ja|oui|si|\+1|👍|✅|:\+1:|:thumbsup:|:white_check_mark:)(?:[ ,]*please)?[.! ]*$/iu;

/**
 * Handles a message before it is stored: it must not approve by accident, nor wait unnoticed. One that answers a question
 * is stored as handled together with the answer.
 */
export function typed(work: Work, item: Pick<InboxItem, 'key' | 'ts' | 'spans'>, person: Person): Typed {
  const waiting = findWaiting(work, item, person);
  if (!waiting) return 'nothing';
  const text = textOf(work, item);
  if (waiting.tool !== 'AskUserQuestion') {
    return YES.test(text) ? 'points' : 'waits';
  }
  const found = findRequest(work, waiting.token, person, 'decide');
  if ('result' in found) return found.why === 'unreachable' ? 'unreachable' : 'nothing';
  const decided = answerWithReply(found.request, text);
  if (!decided) return 'nothing';
  const { now } = work.context;
  decide(work, found, decided, person, { via: 'reply', also: (record) => markSeen(record, item.key, now) });
  return 'answers';
}

/** After the message is stored: offers its author to deny the request with it as the reason. */
export function askAbout(work: Work, item: Pick<InboxItem, 'key' | 'ts'>, person: Person): void {
  const waiting = findWaiting(work, item, person);
  if (!waiting || waiting.tool === 'AskUserQuestion') return;
  const token = makeToken(work.context.id());
  const about = { approval: waiting.token, message: item.key };
  change(work, (record) => {
    const isQueued = record.inbox.some(({ key }) => key === item.key);
    return isQueued ? offerDenial(record, about, person.id, token, work.context.now) : record;
  });
}

/** Handles "Deny with this as the reason": the message leaves the queue, and the agent reads it as the reason. */
function denyWithMessage(work: Work, { token, messageTs: ts }: InboundAction, person: Person): ActionOutcome | Refused {
  const { record } = work.thread;
  const offer = record?.offers.find((each) => each.token === token);
  if (!offer?.about) return refused('expired', NOT_DECIDED.over);
  if (offer.for !== person.id) return refused('not_allowed', onlyTheyText(`<@${offer.for}>`), 'not_the_author');
  const { approval, message } = offer.about;
  const item = record?.inbox.find(({ key }) => key === message);
  if (offer.state.state !== 'open' || !item) return refused('expired', NOT_DECIDED.noLongerQueued);
  const found = findRequest(work, approval, person, 'deny');
  if ('result' in found) return found;
  const offerClick = { action: 'deny_with_this', key: message, ts, now: work.context.now } as const;
  return decide(work, found, deny(person.name, textOf(work, item) || 'no'), person, {
    via: 'reply',
    also: (now) => ({
      ...decideOffer(now, token, offerClick),
      inbox: now.inbox.filter(({ key }) => key !== message),
    }),
  });
}

/** The newest open request that this person may at least deny, and that was asked before they wrote. */
function findWaiting(work: Work, { ts }: Pick<InboxItem, 'ts'>, person: Person): ApprovalRecord | undefined {
  const turn = openTurn(work)?.id;
  const isOpen = (record: ApprovalRecord) => record.turn === turn && record.state.state === 'open';
  const isAsked = (record: ApprovalRecord) => record.askedAt <= Number(ts) * 1000;
  return approvals(work).findLast(
    (record) => isOpen(record) && isAsked(record) && mayDecide(work, record, person, 'deny').allowed,
  );
}

function textOf({ context }: Work, { spans }: Pick<InboxItem, 'spans'>): string {
  return spansText(spans, noNames, context.botUser).trim();
}
