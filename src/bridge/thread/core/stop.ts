import { type Backoff, backoffMs } from '../../../backoff.ts';
import type { AgentEvent } from '../../agent-event.ts';
import type { UserId } from '../../ids.ts';
import { changeTurn } from '../../record/inbox.ts';
import type { InboxItem } from '../../record/thread-record.ts';
import { asCode } from '../../text/as-code.ts';
import { oneLine } from '../../text/one-line.ts';
import { noNames, spansText } from '../../turn/prompt.ts';
import { sayCause } from '../../words/causes.ts';
import { discardedText, silentText } from '../../words/thread.ts';
import { disconnect } from './link.ts';
import { END_OVERDUE_MS, expectEnd } from './look.ts';
import { giveUpLetta } from './offers.ts';
import { fail, leftover } from './over.ts';
import { isOver } from './thread.ts';
import { progressOf } from './view.ts';
import {
  change,
  due,
  emit,
  log,
  openTurn,
  say,
  setHold,
  setLive,
  startTurnTimer,
  touch,
  upLink,
  type Work,
} from './work.ts';

/* Stop, repeated until the turn ends; and turns that have gone silent. */

/** After an abort, Letta may take this long to end the turn when the model is slow (docs/letta-protocol.md, Errors). */
export const STOP_OVERDUE_MS = 20_000;
const AGAIN: Backoff = { firstMs: 2 * STOP_OVERDUE_MS, longestMs: 5 * 60_000 };

/** Stops the open turn and discards the messages queued behind it. Stopping twice is fine. */
export function stop(work: Work, by: UserId): void {
  const turn = openTurn(work);
  if (!turn) return;
  const dropped = turn.stoppedBy ? [] : (work.thread.record?.inbox ?? []);
  const line = (item: InboxItem) => oneLine(spansText(item.spans, noNames, work.context.botUser), 80);
  if (!turn.stoppedBy) {
    change(work, (record) => {
      // Also stored with the turn, because the notice below is lost if the process dies.
      const told = record.inbox.map((item) => `discarded by Stop: ${line(item) || 'files'}`);
      const notPassedOn = [...(record.turn?.notPassedOn ?? []), ...told];
      return { ...changeTurn(record, { stoppedBy: by, notPassedOn }), inbox: [] };
    });
    log(work, 'info', { turn: turn.id, by, dropped: dropped.length }, 'stopping a turn');
  }
  if (!work.thread.live?.isAborting) {
    touch(work);
    if (turn.state === 'prepared') due(work);
    else abort(work);
  }
  if (dropped.length === 0) return;
  const texts = dropped.map((item) => `- <@${item.user}>: ${asCode(line(item)) || 'files'}`);
  say(work, discardedText(texts));
}

/** Asks Letta to end the turn, again until the turn's end comes, because an answer to an abort does not prove it. */
export function abort(work: Work, attempt = 0): void {
  const turn = work.thread.live?.id;
  const link = upLink(work);
  if (link === null || turn === undefined) return;
  setLive(work, { isAborting: true });
  startTurnTimer(work, 'stop', backoffMs(AGAIN, attempt + 1), attempt);
  emit(work, { do: 'abort', turn, link });
}

/** @param aborted `false`: there was nothing to abort; `null`: nobody knows */
export function onAborted(work: Work, aborted: boolean | null): void {
  // If Letta had nothing to abort, the turn is just ending or never began; its end or the history says which.
  expectEnd(work, aborted === false ? END_OVERDUE_MS : STOP_OVERDUE_MS);
}

/** The abort may have failed, or the frames of the turn's end were lost: a `sync`, then another abort. */
export function abortLater(work: Work, attempt: number): void {
  const turn = openTurn(work);
  const link = upLink(work);
  setLive(work, { isAborting: false });
  if (turn?.stoppedBy && link !== null && !isOver(work.thread))
    emit(work, { do: 'settle_stop', turn: turn.id, link, attempt });
}

export function abortAgain(work: Work, attempt: number): void {
  if (openTurn(work)?.stoppedBy && !isOver(work.thread)) abort(work, attempt + 1);
}

// ---- silence -----------------------------------------------------------------------------------

/** What to do about a turn that has been silent for `silentMs`; `asked`: whether Letta was asked about it already. */
export function silenceStep(silentMs: number, limitMs: number, asked: boolean): 'wait' | 'ask' | 'abort' {
  if (!asked) return silentMs >= limitMs ? 'ask' : 'wait';
  return silentMs >= 2 * limitMs ? 'abort' : 'wait';
}

/** Events that come only from work on the turn; Letta also sends states when we ask for them, so those do not count. */
const SIGNS_OF_WORK: ReadonlySet<string> = new Set<AgentEvent['type']>([
  'text',
  'reasoning',
  'tool-called',
  'tool-started',
  'tool-output',
  'tool-ended',
  'tool-returned',
  'run-ended',
  'retrying',
  'error',
  'notice',
  'approval-asked',
  'user-message',
  'turn-ended',
]);

const LOOKS_MS = 60_000;
const LOOKS_PER_LIMIT = 30;
const everyMs = (limitMs: number) => Math.max(1, Math.min(LOOKS_MS, limitMs / LOOKS_PER_LIMIT));

/** Looks at the open turn's silence after a while. */
export function watchSilence(work: Work): void {
  startTurnTimer(work, 'silence', everyMs(work.context.silenceMs));
}

/** A sign of work ends the silence, and what people were told of it. */
export function hear(work: Work, type: string): void {
  const silence = work.thread.live?.silence;
  if (!silence || !SIGNS_OF_WORK.has(type)) return;
  const asked = silence.asked && silence.line !== null;
  setLive(work, { silence: { ...silence, silentMs: 0, lookedAt: work.context.monotonic, asked } });
  if (silence.asked && !asked && upLink(work) !== null) setHold(work, null);
}

/** Asks Letta about a turn that says nothing, and stops it when nothing came for as long again. */
export function lookAtSilence(work: Work): void {
  const { monotonic, silenceMs: limitMs } = work.context;
  const silence = work.thread.live?.silence;
  if (!silence || isOver(work.thread)) return;
  const works = progressOf(work.thread, upLink(work)) === 'working';
  // At most one interval per look: a process that was frozen longer could not have heard anything.
  const passed = works ? Math.min(monotonic - silence.lookedAt, everyMs(limitMs)) : 0;
  const silentMs = silence.silentMs + passed;
  const next = silenceStep(silentMs, limitMs, silence.asked);
  // What another client asked is for it to end, unless people's messages wait behind it.
  const isLeft = openTurn(work)?.client !== undefined && (work.thread.record?.inbox.length ?? 0) === 0;
  const isGivenUp = next === 'abort' && silence.line === null && !isLeft;
  const line = isGivenUp ? sayCause({ name: 'silent', detail: limitWords(2 * limitMs) }) : silence.line;
  setLive(work, { silence: { silentMs, lookedAt: monotonic, asked: silence.asked || next === 'ask', line } });
  const fields = { turn: work.thread.live?.id };
  if (next === 'ask' && works) {
    setHold(work, { kind: 'waiting_for_letta', notice: silentText(limitWords(limitMs)) });
    log(work, 'warn', fields, 'a turn is silent');
    emit(work, { do: 'settle_silent' });
  }
  if (isGivenUp) {
    log(work, 'warn', fields, 'stopping a silent turn');
    abort(work);
    startTurnTimer(work, 'silence_over', STOP_OVERDUE_MS + END_OVERDUE_MS);
  }
  watchSilence(work);
}

/** Letta did not react to the abort either, so only a new link can tell what the runtime does. */
export function endSilent(work: Work): void {
  const line = work.thread.live?.silence.line;
  if (isOver(work.thread) || line == null) return;
  const left = leftover(work);
  disconnect(work);
  giveUpLetta(work);
  fail(work, line, left);
}

function limitWords(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 360_000) / 10} h`;
}
