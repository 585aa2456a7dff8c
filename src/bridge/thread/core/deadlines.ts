import { type AuditEntry, entryOf } from '../../approvals/audit-entry.ts';
import { nearSince } from '../../approvals/deadline.ts';
import { dueReminder, reminderText, reminderTime } from '../../approvals/reminders.ts';
import { shortId } from '../../approvals/short-id.ts';
import type { Token, UserId } from '../../ids.ts';
import type { ApprovalRecord } from '../../record/thread-record.ts';
import { denyUndecided } from './decide.ts';
import { addressOf, isDirectThread } from './thread.ts';
import {
  approvals,
  change,
  emit,
  log,
  openTurn,
  say,
  set,
  setLive,
  startTimer,
  startTurnTimer,
  stopTimer,
  touch,
  upLink,
  type Work,
} from './work.ts';

/* Reminders and deadlines of open requests, and the audit of those that are over. */

const AGAIN_MS = 60_000;
const AUDIT_AGAIN_MS = 5_000;

/** Sets the deadlines and writes the audit as the record wants it. After every step that changed the record. */
export function resume(work: Work): void {
  arm(work);
  settleAudit(work);
}

// ---- deadlines ---------------------------------------------------------------------------------

/** Sets the one timer to the next reminder or deadline of an open request, or to when its card has to name that. */
function arm(work: Work): void {
  const { live } = work.thread;
  const open = openRequestsOfTurn(work);
  if (!live || (open.length === 0 && live.offsets.size === 0)) return;
  // Setting the wall clock moves no deadline: from when this process first saw a request, the monotonic clock counts.
  const fresh = work.context.monotonic - work.context.now;
  const offsets = new Map(open.map((record) => [keyOf(record), live.offsets.get(keyOf(record)) ?? fresh]));
  setLive(work, { offsets });
  const nears = open.map((record) => msUntil(work, record, nearSince(record))).filter((ms) => ms > 0);
  const next = Math.min(...nears, ...open.map((record) => msUntil(work, record, nextOf(record))));
  if (Number.isFinite(next)) startTurnTimer(work, 'deadlines', Math.max(0, next));
  else stopTimer(work, 'deadlines');
}

/** Reminds people of open requests in direct messages, and denies requests that they did not decide in time. */
export function onDeadline(work: Work) {
  if (openRequestsOfTurn(work).some((record) => msUntil(work, record, nearSince(record)) <= 0)) touch(work);
  const due = openRequestsOfTurn(work).filter((record) => msUntil(work, record, nextOf(record)) <= 0);
  // While Letta cannot be reached nobody can decide, so nothing is denied or reminded of until it can.
  if (due.length > 0 && upLink(work) === null) return startTurnTimer(work, 'deadlines', AGAIN_MS);
  for (const record of due) {
    const isExpired = msUntil(work, record, record.expiresAt ?? Number.POSITIVE_INFINITY) <= 0;
    if (isExpired) denyUndecided(work, record, 'expired');
    else remind(work, record);
  }
  arm(work);
}

/** Stored before it is sent, so that a crash loses a reminder rather than repeating it. */
function remind(work: Work, request: ApprovalRecord) {
  const reminder = dueReminder(request);
  if (!reminder) return;
  changeApproval(work, request.token, (each) => ({ ...each, remindedAt: reminder.at }));
  // Somebody may have deleted a card, and a reminder must not point to one that is gone.
  emit(work, { do: 'recheck_cards' });
  const address = addressOf(work.thread);
  const there = reminderText(request, address.channel, true);
  // In a direct message the thread itself is where the person reads.
  if (isDirectThread(work.thread)) return say(work, `<@${request.requester}> ${there}`);
  const card = openTurn(work)?.posts.findLast(({ part }) => part === `card-${shortId(request.token)}`);
  const ts = card?.ts ?? address.threadTs;
  const open = ts === null ? undefined : { ...address, ts };
  const text = reminderText(request, address.channel, false);
  emit(work, { do: 'remind', whom: reminder.whom, text, there, open });
}

/** These people get no direct messages, so they are reminded in the thread. */
export function onUnreminded(work: Work, users: readonly UserId[], text: string): void {
  log(work, 'warn', { users }, 'could not remind people in a direct message; reminding them in the thread');
  say(work, `${users.map((user) => `<@${user}>`).join(' ')} ${text}`);
}

function openRequestsOfTurn(work: Work): ApprovalRecord[] {
  const turn = openTurn(work)?.id;
  return approvals(work).filter((each) => each.turn === turn && each.state.state === 'open');
}

/** @param at ms since 1970, as stored in the record */
function msUntil({ thread: { live }, context }: Work, record: ApprovalRecord, at: number): number {
  const offset = live?.offsets.get(keyOf(record)) ?? context.monotonic - context.now;
  return at + offset - context.monotonic;
}

const keyOf = ({ token, askedAt }: ApprovalRecord) => `${token} ${askedAt}`;

function nextOf(record: ApprovalRecord): number {
  return Math.min(reminderTime(record), record.expiresAt ?? Number.POSITIVE_INFINITY);
}

// ---- audit -------------------------------------------------------------------------------------

/** Writes every request that is over and whose entry is due. The record marks an entry as due until it is written. */
export function settleAudit(work: Work): void {
  for (const record of approvals(work)) {
    const { token, audit } = record;
    const entry = audit === 'due' && !work.thread.auditing.has(token) ? entryOf(work.thread.key, record) : null;
    if (!entry) continue;
    set(work, { auditing: new Set([...work.thread.auditing, token]) });
    emit(work, { do: 'audit', entry, token });
  }
}

export function onAudited(work: Work, entry: AuditEntry, token: Token, ok: boolean) {
  set(work, { auditing: new Set([...work.thread.auditing].filter((each) => each !== token)) });
  if (!ok) return startTimer(work, 'audit', AUDIT_AGAIN_MS);
  const { key } = work.thread;
  changeApproval(work, token, (each) => {
    const now = entryOf(key, each);
    // If the request was reopened or decided otherwise meanwhile, that needs another entry.
    return now?.at === entry.at && now.outcome === entry.outcome ? { ...each, audit: 'done', input: undefined } : each;
  });
}

function changeApproval(work: Work, token: Token, to: (record: ApprovalRecord) => ApprovalRecord): void {
  change(work, (record) => ({
    ...record,
    approvals: record.approvals.map((each) => (each.token === token ? to(each) : each)),
  }));
}
