import { can } from '../../access/can.ts';
import type { HistoryItem } from '../../agent-event.ts';
import type { MessageKey } from '../../ids.ts';
import { type ActionOutcome, type InboundAction, refused } from '../../inbound.ts';
import type { Person } from '../../person.ts';
import { noteSteeredFiles } from '../../record/handed-over.ts';
import { changeTurn } from '../../record/inbox.ts';
import { clientMessageIdOf, markSeen } from '../../record/offers.ts';
import {
  beginWith,
  contextFor,
  dropSteered,
  findSteered,
  forgetChanges,
  handable,
  handedOver,
  handOver,
  joinTurn,
  keepWaiting,
  steer as leaveInbox,
  sentInputs,
  separate,
  takeBack,
  whyNotNow,
} from '../../record/steered.ts';
import type { InboxItem, OpenTurn, SteeredInput } from '../../record/thread-record.ts';
import { oneLine } from '../../text/one-line.ts';
import { foldJoined, lastSaidMessageId } from '../../turn/fold.ts';
import { messageLine, noNames, spansText } from '../../turn/prompt.ts';
import { HEARD } from '../../words/messages.ts';
import { NOT_DECIDED } from '../../words/requests.ts';
import { STEERING } from '../../words/steering.ts';
import { discardedText } from '../../words/thread.ts';
import type { Answer } from './events.ts';
import { stepBack } from './input.ts';
import { inputsOfOthers, isQueued, knows, RETRY_MS, runsAnother } from './link.ts';
import { END_OVERDUE_MS, expectEnd } from './look.ts';
import { end, endingUnseen } from './over.ts';
import { abort } from './stop.ts';
import { isDirectThread, isOver, placeOf } from './thread.ts';
import { followTurn } from './turn.ts';
import {
  change,
  due,
  emit,
  log,
  openTurn,
  say,
  set,
  setLink,
  setLive,
  settings,
  startTimer,
  startTurnTimer,
  touch,
  upLink,
  type Work,
} from './work.ts';

/*
 * Messages that their author hands to the running turn. They are sent while a tool runs, because Letta takes them in right
 * after it; where none runs, they wait here, where they can be edited and survive a crash, and become the next turn. What
 * was sent is kept apart until Letta tells that it joined; what did not join becomes a turn of its own.
 */

// ---- people ------------------------------------------------------------------------------------

/** Handles a click on the button that hands the waiting messages to the running turn. */
export function clickSendNow(work: Work, { token }: InboundAction, person: Person): ActionOutcome {
  const turn = openTurn(work);
  if (turn?.stopToken !== token || turn.stoppedBy || isOver(work.thread))
    return refused('expired', NOT_DECIDED.turnEnded);
  const refusal = whyNot(work, turn, person);
  if (refusal) return refusal;
  const { record } = work.thread;
  const isHandedOver = record !== null && handedOver(record, turn).length + sentInputs(turn).length > 0;
  if (!handOverNow(work, person) && !isHandedOver) return refused('expired', STEERING.nothingWaits);
  return { result: 'decided' };
}

/** Handles the command for the same. @returns a line for the one who gave it */
export function sendNow(work: Work, person: Person, seen: MessageKey | undefined): string {
  if (seen !== undefined) change(work, (record) => markSeen(record, seen, work.context.now));
  const turn = openTurn(work);
  if (!turn || turn.stoppedBy || isOver(work.thread)) return STEERING.nothingRuns;
  const refusal = whyNot(work, turn, person);
  if (refusal) return refusal.notice;
  return handOverNow(work, person) ? STEERING.handedOver : STEERING.nothingWaits;
}

/** Why a person may not hand messages to the turn; `null`: they may. */
function whyNot(work: Work, turn: OpenTurn, person: Person) {
  const { policy, pausedNotice } = work.context;
  const verdict = can(policy, person, { do: 'speak' }, placeOf(work.thread));
  if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
  const notice = whyNotNow(turn, person.id);
  if (notice === STEERING.notOfPeople) return refused('expired', notice);
  if (notice !== null) return refused('not_allowed', notice, 'not_the_requester');
  return pausedNotice === null ? null : refused('paused', pausedNotice);
}

function handOverNow(work: Work, person: Person): boolean {
  const { record } = work.thread;
  const items = record ? handable(record, person.id) : [];
  if (items.length === 0) return false;
  change(work, (now) =>
    handOver(
      now,
      person.id,
      items.map(({ key }) => key),
    ),
  );
  log(work, 'info', { turn: openTurn(work)?.id, messages: items.length }, 'messages handed to the running turn');
  touch(work);
  return true;
}

// ---- sending -----------------------------------------------------------------------------------

/** Prepares what was handed over if Letta can take it in now, and takes back what must not join. After every step. */
export function steer(work: Work): void {
  withdrawUnwanted(work);
  const { record, live } = work.thread;
  const turn = openTurn(work);
  if (!turn || !live || !record || record.inbox.length === 0 || live.steering !== null || live.isSteerHeld) return;
  const items = handedOver(record, turn);
  if (items.length === 0 || !isWorking(work, turn) || !isAtTool(work)) return;
  const attempt = live.steerTries + 1;
  setLive(work, { steering: attempt, steerTries: attempt });
  const context = contextFor(record, items);
  const { steered: _, past, joinsLate: __, missingFiles: ___, ...rest } = turn;
  const known = sentInputs(turn).findLast((input) => input.past)?.past?.known ?? past?.known ?? record.known;
  emit(work, {
    do: 'prepare_steer',
    turn: { ...rest, items, context, notPassedOn: [] },
    known,
    attempt,
    version: versionOf(items, context),
    isDirect: isDirectThread(work.thread),
    context: settings(work).context,
  });
}

/** Whether Letta works on the turn of a person and can be reached, so that more input is the turn's. */
function isWorking(work: Work, turn: OpenTurn): boolean {
  const { live, link } = work.thread;
  const { isDraining, paused } = work.context;
  const isOfPeople = turn.origin === 'people' && !turn.ends && turn.clientMessageId !== null;
  if (!isOfPeople || turn.state !== 'submitted' || turn.stoppedBy || isDraining || paused) return false;
  if (live?.phase !== 'running' || upLink(work) === null || link.loop === 'idle' || link.unanswered !== null)
    return false;
  return knows(link, turn.clientMessageId ?? '') && !runsAnother(link, turn);
}

/** Whether a tool runs or is about to, so that the turn certainly goes on behind it. */
function isAtTool(work: Work): boolean {
  const { live, link } = work.thread;
  if (link.isUsingTool || link.loop === 'waiting_on_approval') return true;
  const isCalled = live?.fold.tools.some(({ status }) => status === 'called' || status === 'running') ?? false;
  return isCalled && live?.fold.phase === 'working';
}

/**
 * Whether what was prepared while a tool ran may still be sent: the agent has said nothing since, so its turn does not end
 * right now. At that moment Letta would begin a turn that it does not track (docs/letta-protocol.md, Queue and
 * deduplication).
 */
function isBehindTool(work: Work): boolean {
  const phase = work.thread.live?.fold.phase;
  return isAtTool(work) || phase === 'working' || phase === 'thinking';
}

/** The prompt is written and its author judged: sends it, at most once. */
export function onSteerPrepared(work: Work, answer: Answer & { type: 'steer_prepared' }) {
  const { attempt, version, written, files, unreadable, content, verdict } = answer;
  const turn = openTurn(work);
  const { live, record } = work.thread;
  if (!turn || !record || live?.steering !== attempt) return;
  setLive(work, { steering: null });
  if (verdict === 'unknown') return holdSteering(work);
  // Both are told when the messages begin a turn of their own.
  if (!verdict.allowed || unreadable !== null) {
    change(work, (now) => keepWaiting(now, turn.requester));
    return touch(work);
  }
  const items = handedOver(record, turn);
  const [first] = items;
  // The messages may have been edited or deleted meanwhile, or the tool may have ended; then they are prepared again.
  if (!first || version !== versionOf(items, contextFor(record, items))) return;
  if (!isWorking(work, turn) || !isBehindTool(work)) return;
  const clientMessageId = clientMessageIdOf(first);
  const { context, notPassedOn, past } = written;
  const input = { clientMessageId, items, context, ...(past && { past }) };
  // On disk before it leaves, so that a restart never sends it twice.
  change(work, (now) => noteSteeredFiles(leaveInbox(now, input), files, notPassedOn));
  log(work, 'info', { turn: turn.id, messages: items.length }, 'sending messages to the running turn');
  touch(work);
  emit(work, { do: 'steer', turn: turn.id, clientMessageId, content });
}

/** The prompt could not be written. */
export function onSteerUnprepared(work: Work, attempt: number): void {
  if (work.thread.live?.steering !== attempt) return;
  setLive(work, { steering: null });
  holdSteering(work);
}

function holdSteering(work: Work): void {
  setLive(work, { isSteerHeld: true });
  startTurnTimer(work, 'steer', RETRY_MS);
}

export function onSteerAgain(work: Work): void {
  setLive(work, { isSteerHeld: false });
}

/** Letta has the input in its queue, or did not confirm it. */
export function onSteerSent(work: Work, { clientMessageId: id, error }: Answer & { type: 'steer_sent' }) {
  const turn = openTurn(work);
  const isOwnTurn = turn?.clientMessageId === id && !isOver(work.thread);
  if (!error) {
    // It came too late to join, and nothing is heard of the turn that it begins.
    if (isOwnTurn && work.thread.link.loop === 'idle') expectEnd(work, END_OVERDUE_MS);
    return;
  }
  const { certain, retry } = error;
  log(work, 'warn', { turn: turn?.id, err: error, certain }, 'Letta did not confirm input for the running turn');
  // It may have joined: the echo, the next link or the history tells.
  if (!certain) return;
  if (isOwnTurn) {
    stepBack(work, turn.id);
    return due(work);
  }
  if (findSteered(turn, id)?.state !== 'sent') return;
  change(work, (record) => takeBack(record, id, { isLetta: false, now: retry }));
  touch(work);
  if (retry) holdSteering(work);
}

// ---- what became of it -------------------------------------------------------------------------

/**
 * Letta echoes the input: it took it into the turn.
 * @param after the agent's message before it, where that is known otherwise; `null`: there is none
 */
function noteJoined(work: Work, clientMessageId: string, after?: string | null): void {
  const turn = openTurn(work);
  const { live } = work.thread;
  const input = findSteered(turn, clientMessageId);
  if (!turn || !live || input?.state !== 'sent') return;
  const last = after === undefined ? lastSaidMessageId(live.fold, !live.isTextUnknown) : after;
  const isPlaceKnown = after !== undefined || last !== null || !live.isTextUnknown;
  const joined = { at: work.context.now, ...(isPlaceKnown && { after: last }) };
  change(work, (record) => joinTurn(record, clientMessageId, joined));
  setLive(work, { fold: foldJoined(live.fold, clientMessageId), isViewOutdated: true });
  log(work, 'info', { turn: turn.id, messages: input.items.length }, 'messages joined the running turn');
  tellTooLate(work, input);
}

/**
 * Letta echoes input that was handed over: it joined the open turn, or begins one of its own. Only a turn of which Letta has
 * named a run can be joined, because a tool has run in it.
 */
export function noteEcho(work: Work, clientMessageId: string): void {
  if (!startFrom(work, clientMessageId)) noteJoined(work, clientMessageId);
}

/**
 * Makes the open turn that of another input handed over, which Letta begins first: it never got the turn's own, or got it
 * later.
 * @returns whether it did
 */
function startFrom(work: Work, clientMessageId: string): boolean {
  const turn = openTurn(work);
  const input = findSteered(turn, clientMessageId);
  if (!turn?.wasSteered || turn.state !== 'submitted' || turn.clientMessageId === null) return false;
  if (input?.state !== 'sent' || knows(work.thread.link, turn.clientMessageId) || isOver(work.thread)) return false;
  log(work, 'info', { turn: turn.id }, 'Letta begins other messages of the turn first');
  change(work, (record) => beginWith(record, clientMessageId));
  tellTooLate(work, input);
  touch(work);
  return true;
}

/** Compares what was sent with the runs that Letta names: each run of a turn names all inputs that joined it. */
export function noteRuns(work: Work): void {
  const first = sentInputs(openTurn(work)).find(({ clientMessageId }) => knows(work.thread.link, clientMessageId));
  if (first) startFrom(work, first.clientMessageId);
  const turn = openTurn(work);
  const { clientMessageId: own } = turn ?? {};
  if (!turn?.steered || own == null || isOver(work.thread)) return;
  const runs = Object.values(work.thread.link.runs);
  for (const { clientMessageId: id, state } of turn.steered) {
    const mine = runs.filter((inputs) => inputs.includes(id));
    const isJoint = mine.some((inputs) => inputs.includes(own));
    if (state === 'sent' && isJoint) noteJoined(work, id);
    // Its echo came, and word of this turn's end did not.
    if (state === 'joined' && mine.length > 0 && !isJoint) {
      change(work, (record) => separate(record, id));
      touch(work);
    }
  }
}

/**
 * Looks for what was sent in the history: what joined a turn stands right behind a tool's result. Behind a call without one
 * the turn died, and so it did where Letta names a run for the input and not for the turn.
 */
export function findJoined(work: Work, history: readonly HistoryItem[]): void {
  const turn = openTurn(work);
  // A stopped turn may have died in its tool, and what stands behind it then began another one.
  if (!turn || turn.stoppedBy) return;
  const place = (id: string | null) =>
    history.findLastIndex((item) => item.kind === 'user' && item.clientMessageId === id);
  const begin = Math.max(0, place(turn.clientMessageId));
  const { link } = work.thread;
  for (const { clientMessageId: id } of sentInputs(turn)) {
    const at = place(id);
    const before = history.slice(begin, Math.max(begin, at));
    const last = before.findLast(({ kind }) => kind !== 'user' && kind !== 'summary');
    if (last?.kind !== 'tool' || last.result !== 'real') continue;
    if (inputsOfOthers(link, turn).includes(id)) continue;
    noteJoined(work, id, before.findLast(({ kind }) => kind === 'assistant')?.id ?? null);
  }
}

/** Whether something was handed to the open turn that has not joined it. */
export function hasSteered(work: Work): boolean {
  return sentInputs(openTurn(work)).length > 0;
}

/** The turn has left the record: what was handed to it and did not join goes on as the next turn. */
export function goOn(work: Work): void {
  const turn = openTurn(work);
  if (!turn || work.thread.live) return;
  followTurn(work, turn);
  if (turn.stoppedBy) abort(work);
  // Letta begins it right behind the one before; if nothing is heard of it, it is looked up.
  if (upLink(work) !== null && work.thread.link.loop === 'idle') expectEnd(work, END_OVERDUE_MS);
}

// ---- taking it back ----------------------------------------------------------------------------

/**
 * Asks Letta to take out of its queue what must not join: it was stopped, edited or deleted. After a Stop the rest of the
 * queue would go to the model with the next input (docs/letta-protocol.md, Queue and deduplication).
 */
function withdrawUnwanted(work: Work): void {
  const { withdrawing } = work.thread;
  const link = upLink(work);
  if (link === null) return;
  const wanted = unwantedInputs(work).filter((id) => !withdrawing.has(id));
  if (wanted.length === 0) return;
  set(work, { withdrawing: new Map([...withdrawing, ...wanted.map((id) => [id, 'asking'] as const)]) });
  for (const clientMessageId of wanted) emit(work, { do: 'withdraw', link, clientMessageId });
}

/** What is in Letta's queue, or was sent there, and must not run. */
export function unwantedInputs(work: Work): string[] {
  const turn = openTurn(work);
  if (!turn) return [];
  const isUnwanted = ({ changes }: SteeredInput) => turn.stoppedBy !== null || changes !== undefined;
  const ids = sentInputs(turn)
    .filter(isUnwanted)
    .map(({ clientMessageId }) => clientMessageId);
  const isStuck = turn.stoppedBy !== null && isQueued(work.thread.link, turn);
  return isStuck && turn.clientMessageId !== null ? [...ids, turn.clientMessageId] : ids;
}

/** @param removed `null`: nobody knows */
export function onWithdrawn(work: Work, { clientMessageId: id, removed }: Answer & { type: 'withdrawn' }) {
  const others = new Map(work.thread.withdrawing);
  others.delete(id);
  if (removed === null) {
    startTimer(work, 'withdraw', RETRY_MS);
    return;
  }
  // Letta's queue may only not have been told yet.
  set(work, { withdrawing: removed ? others : new Map([...others, [id, 'absent'] as const]) });
  const turn = openTurn(work);
  if (!turn || !removed) return;
  const { queued, paused } = work.thread.link;
  // Word of the queue may come later.
  setLink(work, { queued: queued.filter((each) => each !== id), paused: paused.filter((each) => each !== id) });
  if (turn.clientMessageId === id) return end(work, endingUnseen(work, false));
  const input = findSteered(turn, id);
  if (input?.state !== 'sent') return;
  if (turn.stoppedBy) discard(work, input);
  else change(work, (record) => takeBack(record, id, { isLetta: true }));
  touch(work);
}

/** Letta was not heard about what it was asked to take out of its queue: it is asked again. */
export function onWithdrawAgain(work: Work): void {
  const { withdrawing } = work.thread;
  set(work, { withdrawing: new Map([...withdrawing].filter(([, state]) => state !== 'asking')) });
}

/** What lies in Letta's queue can be taken out. */
export function noteQueued(work: Work, queued: readonly string[]): void {
  const { withdrawing } = work.thread;
  const isThere = ([id, state]: [string, string]) => state === 'absent' && queued.includes(id);
  if ([...withdrawing].some(isThere)) {
    set(work, { withdrawing: new Map([...withdrawing].filter((entry) => !isThere(entry))) });
  }
}

/** Somebody stopped the turn before the messages joined it: they do not run, and the thread is told. */
function discard(work: Work, { clientMessageId, items }: SteeredInput): void {
  const line = ({ spans }: InboxItem) => oneLine(spansText(spans, noNames, work.context.botUser), 80) || 'files';
  change(work, (record) => {
    const dropped = dropSteered(record, clientMessageId);
    const told = items.map((item) => `discarded by Stop: ${line(item)}`);
    return changeTurn(dropped, { notPassedOn: [...(dropped.turn?.notPassedOn ?? []), ...told] });
  });
  say(work, discardedText(items.map(({ user, spans }) => `- <@${user}>: ${messageLine(spans, work.context.botUser)}`)));
}

/** The author changed a message that the agent has by now as it was. */
function tellTooLate(work: Work, { clientMessageId, changes = [], items }: SteeredInput): void {
  const turn = openTurn(work);
  if (!turn || changes.length === 0) return;
  change(work, (record) => forgetChanges(record, clientMessageId));
  for (const { key, item } of changes) {
    const user = items.find((each) => each.key === key)?.user ?? turn.requester;
    const isDeleted = item === null;
    const text = isDeleted ? HEARD.deletedRuns : STEERING.editedTooLate;
    emit(work, { do: 'whisper', user, text, ...(isDeleted && { stop: turn.stopToken }) });
  }
}

/** The messages as they are now: none edited or deleted. */
function versionOf(items: readonly InboxItem[], context: readonly InboxItem[]): string {
  return [...items, ...context].map((item) => `${item.key} ${item.editedAt}`).join();
}
