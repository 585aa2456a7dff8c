import type { Place } from '../../access/can.ts';
import { hasChanged } from '../../approvals/effects.ts';
import type { ThreadKey, UserId } from '../../ids.ts';
import { isHeadsUpDue } from '../../record/inbox.ts';
import { findBackgroundOffer } from '../../record/offers.ts';
import { handable, handedOver, sentItems } from '../../record/steered.ts';
import { tasksOf } from '../../record/tasks.ts';
import type { ApprovalRecord, Ending, OpenTurn, ThreadRecord } from '../../record/thread-record.ts';
import type { TurnState } from '../../turn/fold.ts';
import { type HomeThread, questionOf } from '../../view/home.ts';
import { headsUp } from '../../view/memory-notice.ts';
import { tailOfferView } from '../../view/offer.ts';
import { statusText } from '../../view/status.ts';
import { type Steering, type TurnView, turnView } from '../../view/turn.ts';
import { contextPercent, useOf } from './context.ts';
import { isOver, placeOf, type Thread } from './thread.ts';
import { type Known, settings } from './work.ts';

/* What people are shown of a thread: views, lists and the status. */

export interface ThreadOverview extends Omit<HomeThread, 'models'> {
  key: ThreadKey;
  place: Place;
  /** Who may choose the model besides admins; `null`: nobody. */
  modelsOf: UserId | null;
  requester: UserId;
  /** Requests that wait for people. */
  asks: readonly ApprovalRecord[];
}

/**
 * What the open turn waits for: `working` the agent, `ending` the last view on its way to Slack, `held_up` Slack, which
 * refuses that view for now.
 */
export type Progress =
  | 'none'
  | 'prepared'
  | 'working'
  | 'waiting_for_people'
  | 'waiting_for_letta'
  | 'ending'
  | 'held_up';

/** @param link the link that the runtime can be reached through */
export function progressOf({ record, live }: Thread, link: number | null): Progress {
  const turn = record?.turn;
  if (!turn) return 'none';
  if (live?.phase === 'ending' || live?.phase === 'held_up') return live.phase;
  if (turn.state === 'prepared') return 'prepared';
  if (link === null) return 'waiting_for_letta';
  return openRequests(record).length > 0 ? 'waiting_for_people' : 'working';
}

export function openRequests(record: ThreadRecord | null): ApprovalRecord[] {
  return (record?.approvals ?? []).filter(({ state }) => state.state === 'open');
}

/** The open turn, or else what runs in the background, for a list of all threads; `null` when there is neither. */
export function overviewOf(thread: Thread, link: number | null, botUser: UserId): ThreadOverview | null {
  const { record } = thread;
  const turn = record?.turn;
  const [task] = tasksOf(record);
  if (!record || (!turn && !task)) return null;
  const { address, inbox, runtime, starter } = record;
  // The conversation `default` has the agent's own model, which all others use.
  const modelsOf = runtime === null || runtime.conversationId === 'default' ? null : starter;
  const shared = {
    key: thread.key,
    modelsOf,
    address,
    place: placeOf(thread),
    page: thread.link.page,
    model: thread.link.model?.handle ?? null,
    queued: inbox.length,
  };
  if (!turn) {
    if (!task) return null;
    const { for: requester, since, what: question } = task;
    const stop = findBackgroundOffer(record)?.token ?? null;
    return { ...shared, requester, question, stop, doing: 'background', since, asks: [] };
  }
  const progress = progressOf(thread, link);
  const isAtEnd = progress === 'none' || progress === 'held_up';
  const doing = isAtEnd ? 'ending' : progress === 'prepared' ? 'waiting_for_letta' : progress;
  const { requester, startedAt: since } = turn;
  const stop = isAtEnd ? null : turn.stopToken;
  return { ...shared, requester, question: questionOf(turn, botUser), stop, doing, since, asks: openRequests(record) };
}

/** Whose turn or background tasks run, and whose messages wait; of a turn held up by Slack only the tasks count. */
export function wantedBy({ record, live }: Thread): UserId[] {
  const tasks = tasksOf(record).map((task) => task.for);
  if (live?.phase === 'held_up') return tasks;
  const turn = record?.turn ? [record.turn.requester] : [];
  return [...new Set([...turn, ...(record?.inbox ?? []).map(({ user }) => user), ...tasks])];
}

/** The device and directory in which the agent changes something now; `null` while it does not, or only reads. */
export function workplaceOf(thread: Thread, link: number | null): string | null {
  const { record, live } = thread;
  const { workingDirectory } = thread.link;
  const isWorking = progressOf(thread, link) === 'working';
  if (workingDirectory === null || !isWorking || !live || !hasChanged(live.fold)) return null;
  return `${record?.runtime?.deviceId ?? ''} ${workingDirectory}`;
}

/** What people should see of the open turn; `null`: none is open. @param ending how it ended, in its last view */
export function viewOf(work: Known, ending: Ending | null): TurnView | null {
  const { record, live, link } = work.thread;
  if (!record?.turn || !live) return null;
  // As long as the history is asked who began it, nothing is said about that.
  const turn = link.isIdentifying ? withoutClient(record.turn) : record.turn;
  const { permissions, autoApprove, verbosity } = settings(work);
  const reach = { hasReads: permissions === 'guarded', hasRules: autoApprove.length > 0 };
  return turnView(live.fold, {
    address: record.address,
    turn,
    approvals: record.approvals.filter((approval) => approval.turn === turn.id),
    textUnknown: isSeenUnknown(live),
    frozenCards: live.frozen,
    where: { workingDirectory: link.workingDirectory, device: link.device, reach },
    now: work.context.now,
    queued: record.inbox.length,
    steering: steeringOf(record, turn),
    offer: tailOfferView(record.offers.find(({ tail }) => tail?.turn === turn.id)),
    ...(isHeadsUpDue(record) && { headsUp: headsUp(work.context.policy, record.address.channel) }),
    hold: live.hold ?? (turn.state === 'prepared' ? { kind: 'starting' } : null),
    ending,
    verbosity,
  });
}

/** Whether the view of the open turn differs only by the words of its last text. */
export function onlySaysMore(before: Thread, after: Thread): boolean {
  const [was, is] = [before.live, after.live];
  if (was === null || is === null) return false;
  if (!isSame(before, after, ['live'])) return false;
  if (!isSame(was, is, ['fold', 'silence', 'isViewOutdated'])) return false;
  if (was.silence.asked !== is.silence.asked || was.silence.line !== is.silence.line) return false;
  return isSame(was.fold, is.fold, ['parts']) && onlyLastGrew(was.fold.parts, is.fold.parts);
}

function onlyLastGrew(before: TurnState['parts'], after: TurnState['parts']): boolean {
  const last = after.length - 1;
  const [was, is] = [before[last], after[last]];
  if (before.length !== after.length || was?.kind !== 'text' || is?.kind !== 'text') return false;
  return was.messageId === is.messageId && after.every((part, place) => place === last || part === before[place]);
}

/** Whether the fields have the same values, apart from those named. */
function isSame<T extends object>(before: T, after: T, apart: readonly (keyof T)[]): boolean {
  for (const name in after) if (before[name] !== after[name] && !apart.includes(name)) return false;
  return true;
}

const withoutClient = ({ client: _, ...turn }: OpenTurn): OpenTurn => turn;

/** What the requester of a turn of people can hand to it, or has handed to it; `undefined`: nothing. */
function steeringOf(record: ThreadRecord, turn: OpenTurn): Steering | undefined {
  if (turn.origin === 'agent' || turn.ends) return undefined;
  const isOffered = handable(record, turn.requester).length > 0;
  const waiting = handedOver(record, turn).length;
  const sent = sentItems(turn).length;
  return isOffered || waiting + sent > 0 ? { isOffered, handedOver: waiting, sent } : undefined;
}

/** Whether people may have seen text of the turn that the bridge does not know. */
export function isSeenUnknown({ isTextUnknown, isSaidKnown }: NonNullable<Thread['live']>): boolean {
  return isTextUnknown && !isSaidKnown;
}

/** Says what the thread is doing, in Markdown for people. */
export function statusOf(work: Known): string {
  const { agentName, model, toolsets, device, workingDirectory, otherMode } = work.thread.link;
  const { permissions, autoApprove } = settings(work);
  const live = viewOf(work, null)?.live ?? null;
  const context = contextPercent(work.thread.link);
  const running = work.thread.live && useOf(work, work.thread.live);
  const used = running ?? work.thread.link.used;
  const tokens = used && { used, isRunning: running !== null && !isOver(work.thread) };
  const where = { agentName, model, toolsets, context, tokens, device, workingDirectory, otherMode };
  return statusText(work.thread.record, live, { ...where, permissions, hasRules: autoApprove.length > 0 });
}
