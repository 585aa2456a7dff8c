import type { Paused } from '../../access/kill-switch.ts';
import { type PlaceSettings, type Policy, settingsOf } from '../../access/policy.ts';
import type { ChannelId, UserId } from '../../ids.ts';
import type { ChangeContext } from '../../record/inbox-change.ts';
import type { ApprovalRecord, OpenTurn, ThreadRecord } from '../../record/thread-record.ts';
import { isToolName, type ToolName } from '../../tools/catalogue.ts';
import type { Activity } from '../../view/turn.ts';
import type { Effect } from './effects.ts';
import type { Timer, TurnTimer } from './events.ts';
import { type Change, type Config, type Link, type Live, placeOf, type Thread } from './thread.ts';

/* One step under way: the value so far, the changes of the record, the effects; and the verbs that add to them. */

/** What a step may know besides the thread and the event. */
export interface Context extends Config {
  /** ms since 1970 */
  readonly now: number;
  readonly monotonic: number;
  readonly policy: Policy;
  readonly paused: Paused | null;
  /** One line for people who write while the agent is paused. */
  readonly pausedNotice: string | null;
  /** Whether the process is about to end, so that no turn begins and messages wait on disk. */
  readonly isDraining: boolean;
  /** Whether the connection has reported a loss whose event is still to come. */
  readonly isLinkLost: boolean;
  /** In how many other threads the agent changes things in this place. */
  countAlongside(workplace: string): number;
  /** Whether one more message may wait. */
  admit: ChangeContext['admit'];
  /** How many schedules this person and this channel have, in all threads. */
  countSchedules(owner: UserId, channel: ChannelId): { user: number; channel: number; workspace: number };
  /** Whether any thread has this schedule. */
  isScheduled(id: string): boolean;
  /** The end is a message of its own if its requester was last seen this many ms before; 0: never. */
  notifyAfterMs(requester: UserId): number;
  /** At least 128 random bits, letters and digits only. */
  id(): string;
}

/** A thread, and what may be known besides. */
export type Known = Pick<Work, 'thread' | 'context'>;

/** One step under way: what it made of the thread so far, and what it wants done. */
export interface Work {
  thread: Thread;
  /** What makes the record on disk into that of `thread`, also when the disk turns out to have a newer one. */
  readonly changes: Change[];
  readonly effects: Effect[];
  readonly context: Context;
  /** Whether something may be due now; looked at when the event is handled. */
  isDue: boolean;
  /** What the one who asked is told. */
  answer: unknown;
}

/** The open turn; `null`: none. */
export const openTurn = ({ thread }: Work): OpenTurn | null => thread.record?.turn ?? null;

/** The channel's settings now; they may change while a turn runs. */
export const settings = ({ thread, context }: Known): PlaceSettings => settingsOf(context.policy, placeOf(thread));

/** The tools of the bridge that the agent has here now. */
export function toolsOf(work: Work): ToolName[] {
  const { tools } = settings(work);
  return work.context.tools.filter((name) => tools.includes(name));
}

export const hasTool = (work: Work, tool: string): tool is ToolName => isToolName(tool) && toolsOf(work).includes(tool);

export const approvals = ({ thread }: Work): readonly ApprovalRecord[] => thread.record?.approvals ?? [];

/** The link that the runtime can be reached through; `null`: it cannot. */
export const upLink = ({ thread, context }: Work): number | null => (context.isLinkLost ? null : thread.link.up);

// ---- changes -----------------------------------------------------------------------------------

export function set(work: Work, part: Partial<Thread>): void {
  work.thread = { ...work.thread, ...part };
}

export function setLink(work: Work, part: Partial<Link>): void {
  set(work, { link: { ...work.thread.link, ...part } });
}

/** Changes what is known of the open turn, if one is open. */
export function setLive(work: Work, part: Partial<Live>): void {
  const { live } = work.thread;
  if (live) set(work, { live: { ...live, ...part } });
}

/** What the turn waits for outside the agent changes; the view with it. */
export function setHold(work: Work, hold: Activity | null): void {
  setLive(work, { hold, isViewOutdated: true });
}

/** An input that is being prepared is not needed any more. */
export function cancelPreparing(work: Work): void {
  if (work.thread.live?.phase !== 'preparing') return;
  setLive(work, { phase: 'prepared' });
  emit(work, { do: 'cancel_prepare' });
}

/** Something may be due: it is looked at when the event is handled. */
export function due(work: Work): void {
  work.isDue = true;
}

/** Slack shows an outdated view of the open turn. */
export function touch(work: Work): void {
  setLive(work, { isViewOutdated: true });
}

/** Changes the record, if there is one. */
export function change(work: Work, to: (record: ThreadRecord) => ThreadRecord): void {
  write(work, (record) => record && to(record));
}

/** As {@link change}, also without a record. A change that returns `null` or the same record writes nothing. */
export function write(work: Work, to: Change): void {
  const { record } = work.thread;
  const next = to(record);
  if (next === null || next === record) return;
  work.changes.push(to);
  set(work, { record: next });
}

export function emit(work: Work, ...effects: Effect[]): void {
  work.effects.push(...effects);
}

export function log(work: Work, level: 'debug' | 'info' | 'warn', fields: object, message: string): void {
  emit(work, { do: 'log', level, fields, message });
}

/** Posts a notice of the bridge in the thread; nothing may depend on it. */
export function say(work: Work, text: string): void {
  emit(work, { do: 'say', text });
}

// ---- timers ------------------------------------------------------------------------------------

/** Sets a timer of the open turn; it replaces one of the same name. */
export function startTurnTimer(work: Work, timer: TurnTimer, ms: number, attempt?: number): void {
  const turn = work.thread.live?.id;
  if (turn !== undefined) emit(work, { do: 'timer', timer, ms, turn, ...(attempt !== undefined && { attempt }) });
}

/** Sets a timer of the thread; it replaces one of the same name. */
export function startTimer(work: Work, timer: Exclude<Timer, TurnTimer>, ms: number): void {
  emit(work, { do: 'timer', timer, ms });
}

export function stopTimer(work: Work, timer: Timer): void {
  emit(work, { do: 'timer', timer });
}
