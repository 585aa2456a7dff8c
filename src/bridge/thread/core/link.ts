import { lettaMode } from '../../access/policy.ts';
import type { AgentEvent, ConnectionEvent } from '../../agent-event.ts';
import { isClientMessageId, type UserId } from '../../ids.ts';
import type { ConnectOptions } from '../../ports.ts';
import { isInputHere } from '../../record/inbox.ts';
import type { OpenTurn, ThreadRecord } from '../../record/thread-record.ts';
import { titleOf } from '../../turn/title.ts';
import { agentReplacedText, settingsChangedText, THREAD, WAITS } from '../../words/thread.ts';
import { isOver, type Link } from './thread.ts';
import { emit, openTurn, say, set, setHold, setLink, settings, stopTimer, toolsOf, upLink, type Work } from './work.ts';

/* The link to Letta: what it was made with, what it tells of its loop and runs, and whose runs these are. */

/** The pause before something that failed for no lasting reason is tried again; without a pause it would spin. */
export const RETRY_MS = 2_000;

/** Whether Letta can take an input now: it is idle, and has answered what came before. */
export function canSubmit(work: Work): boolean {
  const { settled, loop, unanswered, isIdentifying, otherMode, missed } = work.thread.link;
  const isIdle = loop === 'idle' && unanswered === null && otherMode === null && missed === 'no';
  return upLink(work) !== null && settled && !isIdentifying && isIdle;
}

/** The connection as the channel's settings want it now. */
function wantedOptions(work: Work): ConnectOptions {
  const { permissions, binding } = settings(work);
  const { record } = work.thread;
  const hasWork = record?.turn?.state === 'submitted' || hasOtherWork(record);
  const shared = record?.isShared === true && { isShared: true, hasWork };
  const tools = toolsOf(work);
  const offered = tools.length > 0 && { tools };
  const runtime = record?.runtime ?? null;
  const asked =
    runtime === null && titleOf([...(record?.turn?.items ?? []), ...(record?.inbox ?? [])], work.context.botUser);
  const titled = asked && { title: asked };
  return { runtime, mode: lettaMode(permissions), binding, ...titled, ...offered, ...shared };
}

/** Whether the thread has something under way at Letta besides a turn. */
function hasOtherWork(record: ThreadRecord | null): boolean {
  if (record === null) return false;
  const { background, compaction, fork, run, schedules = [] } = record;
  return background || [compaction, fork, run].some((job) => job !== undefined) || schedules.length > 0;
}

/** Connects as the settings want it, if that is not so already. */
export function connect(work: Work): void {
  const options = wantedOptions(work);
  const isSubmitted = openTurn(work)?.state === 'submitted';
  // A submitted turn keeps the settings that it began with, so a link with old settings is replaced only without one.
  if (!isSubmitted && (differs(work.thread.link, options) || mustRestoreMode(work))) disconnect(work);
  if (work.thread.link.options === null) {
    setLink(work, { options });
    emit(work, { do: 'connect', dial: work.thread.link.dial, options });
  }
  // Guarded and strict are one mode to Letta, so a change between them needs no new link and applies at once.
  if (upLink(work) !== null && !isSubmitted) confirmSettings(work);
}

/** Whether another client changed the permission mode, and something of ours is about to run: a new link sets it again. */
function mustRestoreMode({ thread: { link, record } }: Work): boolean {
  return link.otherMode !== null && (record?.turn?.state === 'prepared' || (record?.schedules?.length ?? 0) > 0);
}

/**
 * Whether the connection was made with another permission mode, working directory or set of tools, or for a conversation given up
 * since.
 */
function differs({ options: made }: Link, { mode, binding, runtime, tools = [] }: ConnectOptions): boolean {
  if (!made) return false;
  if (runtime === null && made.runtime !== null) return true;
  const directory = (options: Pick<ConnectOptions, 'binding'>) => options.binding?.workingDirectory ?? null;
  const hasOthers = (made.tools ?? []).join() !== tools.join();
  return made.mode !== mode || hasOthers || directory(made) !== directory({ binding });
}

export function disconnect(work: Work): void {
  if (work.thread.link.options !== null) emit(work, { do: 'disconnect' });
  const dial = work.thread.link.dial + 1;
  setLink(work, {
    dial,
    isWanted: false,
    options: null,
    up: null,
    model: null,
    toolsets: null,
    contextTokens: null,
    used: null,
    settled: false,
    loop: 'idle',
    isUsingTool: false,
    runs: {},
    active: [],
    queued: [],
    paused: [],
    isResuming: false,
    isForking: false,
    promptedAt: null,
  });
}

/** Whether other clients may have used the thread's conversation since it was known last. */
function mayHaveMissedClients({ thread: { record } }: Work, event: ConnectionEvent & { type: 'ready' }): boolean {
  // Threads of one conversation cannot tell which of them has shown what.
  if (!record?.runtime || record.isShared) return false;
  if (record.runtime.conversationId !== event.runtime.conversationId) return false;
  return event.newestItem === undefined || event.newestItem !== record.clients?.newest;
}

export function opened(work: Work, event: ConnectionEvent & { type: 'ready' }): void {
  const { link } = work.thread;
  // The replay stands for a `sync` that failed over the last link: asked now, it would settle a turn that runs by then.
  stopTimer(work, 'settle');
  set(work, { withdrawing: new Map() });
  setLink(work, {
    up: link.ups + 1,
    ups: link.ups + 1,
    settled: true,
    unanswered: null,
    device: event.deviceName,
    workingDirectory: event.workingDirectory,
    otherMode: null,
    mayChangeMode: false,
    agentName: event.agentName ?? link.agentName,
    model: event.model ?? null,
    toolsets: event.toolsets ?? null,
    // Skills are told only at the end of a turn, so those of the link before stay known.
    offers: event.offers ?? link.offers,
    page: event.page ?? null,
    loop: event.loop,
    isUsingTool: event.isUsingTool ?? false,
    runs: event.clientMessageIdsByRun,
    active: event.activeRunIds,
    queued: event.queued ?? [],
    paused: event.paused ?? [],
    isResuming: false,
    begun: link.begun || event.loop !== 'idle',
    toldTasks: false,
    isReconciled: false,
    aligning: 'no',
    alignTries: 0,
    suspected: [],
    unheard: [],
    isWanted: false,
    isUnclaimed: event.isUnclaimed ?? false,
    isAsked: false,
    missed: mayHaveMissedClients(work, event) ? 'due' : 'no',
    newestItem: event.newestItem ?? null,
    isIdentifying: false,
    isForking: false,
    promptedAt: null,
    isGivenUp: false,
  });
}

export function looped(
  work: Work,
  { status, isUsingTool, activeRunIds, clientMessageIdsByRun }: AgentEvent & { type: 'loop' },
): void {
  const begun = work.thread.link.begun || status !== 'idle';
  setLink(work, {
    loop: status,
    isUsingTool: isUsingTool ?? false,
    runs: clientMessageIdsByRun,
    active: activeRunIds,
    begun,
  });
}

/** The input did not reach Letta after all. */
export function unsubmitted(work: Work): void {
  if (work.thread.link.up !== null) setLink(work, { settled: true });
}

/** Asks Letta for the `sync` after a turn's end. */
export function settle(work: Work): void {
  const link = upLink(work);
  if (link === null) return;
  // Also after a turn of Letta's own, which no input of ours has unsettled.
  setLink(work, { settled: false });
  emit(work, { do: 'settle', link });
}

/**
 * Tells whoever changed the settings that they apply, if the link was made with them: it is ready only once Letta has
 * taken the mode (docs/letta-protocol.md, Other frames of the client).
 */
export function confirmSettings(work: Work): void {
  const { toConfirm: by, link } = work.thread;
  if (by === null || differs(link, wantedOptions(work))) return;
  set(work, { toConfirm: null });
  say(work, settingsChangedText(by, settings(work).permissions, link.workingDirectory));
}

/** Whoever changed the channel's settings is told once Letta has confirmed them. @returns a line for them */
export function settingsChanged(work: Work, by: UserId): string {
  if (!work.thread.record?.runtime) return THREAD.settingsAtStart;
  set(work, { toConfirm: by });
  return openTurn(work) ? THREAD.settingsAfterTurn : THREAD.settingsSoon;
}

/** The default agent no longer exists and another was chosen, so people are told that they talk to another one. */
export function tellReplaced(work: Work, gone: string, agentId: string): void {
  say(work, agentReplacedText(gone, agentId));
}

/** The open turn waits for Letta, and says so. */
export function waitForLetta(work: Work, notice: string, device?: string): void {
  if (!openTurn(work) || isOver(work.thread)) return;
  setHold(work, { kind: 'waiting_for_letta', notice, ...(device !== undefined && { device }) });
}

/** We know now whether Letta got the input, so the notice of doubt goes. */
export function endDoubt(work: Work): void {
  const waiting = work.thread.live?.hold;
  if (waiting?.kind !== 'waiting_for_letta') return;
  if (waiting.notice === WAITS.inDoubt || waiting.notice === WAITS.queued) setHold(work, null);
}

// ---- whose runs these are ----------------------------------------------------------------------

/**
 * Whether a run is certainly this turn's: runs are tied to inputs by the loop status alone (docs/letta-protocol.md,
 * Loop states). Runs of what Letta queued by itself are tied to no input.
 */
export function claims({ runs }: Link, turn: OpenTurn, runId: string): boolean {
  return turn.clientMessageId !== null && (runs[runId]?.includes(turn.clientMessageId) ?? false);
}

/**
 * Whether a run certainly answers other inputs than this turn's, so that events of it are not this turn's. A turn of
 * Letta's own or of another client has no input of ours.
 */
export function isForeign({ runs }: Link, { clientMessageId }: OpenTurn, runId: string): boolean {
  const ids = runs[runId] ?? [];
  return clientMessageId === null ? ids.some(isClientMessageId) : ids.length > 0 && !ids.includes(clientMessageId);
}

/** Whether what Letta runs was asked in another thread of the conversation. @param runId left out: what it runs now */
export function isOfOtherThread({ thread: { record, link } }: Work, runId?: string): boolean {
  // With other work under way it would get the link again at once.
  if (!record?.isShared || link.isUnclaimed || hasOtherWork(record)) return false;
  const runs = runId === undefined ? link.active : [runId];
  const inputs = runs.flatMap((run) => link.runs[run] ?? []).filter(isClientMessageId);
  return inputs.length > 0 && !inputs.some((input) => isInputHere(record, input));
}

/** Whether the turn's input waits in Letta's queue, as far as Letta told. */
export function isQueued({ queued }: Link, { clientMessageId }: OpenTurn): boolean {
  return clientMessageId !== null && queued.includes(clientMessageId);
}

/** Whether Letta runs something now that is certainly not this turn. */
export function runsAnother(link: Link, turn: OpenTurn): boolean {
  if (turn.clientMessageId === null) return false;
  return link.active.length > 0 && !link.active.some((runId) => claims(link, turn, runId));
}

/** Inputs of runs that do not carry this turn's input; none for a turn of Letta's own, which has no input of ours. */
export function inputsOfOthers({ runs }: Link, { clientMessageId: id }: OpenTurn): string[] {
  if (id === null) return [];
  return Object.values(runs).flatMap((ids) => (ids.includes(id) ? [] : ids));
}

/** Whether this input of ours joined a turn of another client: runs are tied first to the input that began their turn. */
export function joinedOther({ runs }: Link, clientMessageId: string): boolean {
  return Object.values(runs).some(
    ([first = '', ...joined]) => !isClientMessageId(first) && joined.includes(clientMessageId),
  );
}

/** Runs of the turn that another one followed, so they are over: Letta names them in the order in which they began. */
export function followedRuns(link: Link, turn: OpenTurn): string[] {
  return Object.keys(link.runs)
    .filter((runId) => claims(link, turn, runId))
    .slice(0, -1);
}

/** Whether Letta began a run with this input. */
export function knows({ runs }: Link, clientMessageId: string): boolean {
  return Object.values(runs).some((ids) => ids.includes(clientMessageId));
}
