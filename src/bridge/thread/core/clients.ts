import type { AgentEvent } from '../../agent-event.ts';
import { isClientMessageId } from '../../ids.ts';
import { clientAsk, hasOthersWords, noteJoined, noteShown } from '../../record/client-turn.ts';
import type { OpenTurn } from '../../record/thread-record.ts';
import { modeChangedText } from '../../words/clients.ts';
import { isForeign, knows, runsAnother } from './link.ts';
import { isOver, type Link } from './thread.ts';
import { change, due, emit, log, openTurn, say, setLink, touch, type Work } from './work.ts';

/* Other clients of the conversation: which runs are theirs, and what nobody in Slack asked for. */

/** Inputs of other clients to which Letta ties what it runs now, or this run; empty: to none, or to one of a bridge, too. */
export function clientInputsOf({ runs, active }: Link, runId?: string): string[] {
  const ids = (runId === undefined ? active : [runId]).flatMap((run) => runs[run] ?? []);
  return ids.some(isClientMessageId) ? [] : ids;
}

/**
 * Whether what Letta works on now was asked for by no one in Slack: the open turn is another client's, or our input waits
 * behind one.
 */
export function isOfOtherClient({ thread }: Work): boolean {
  const turn = thread.record?.turn;
  if (!turn) return false;
  // No input of any client begins the turn of a command.
  const mayBeOther = turn.command !== undefined || runsAnother(thread.link, turn);
  return turn.client !== undefined || (mayBeOther && clientInputsOf(thread.link).length > 0);
}

/** Whether others than the requester may have asked for what the open turn does: then nothing passes unasked. */
export function isMixed(work: Work): boolean {
  const turn = openTurn(work);
  return turn !== null && (hasOthersWords(turn) || isOfOtherClient(work));
}

/**
 * A run of the open turn answers another client, too, whoever began it: what the agent does is for both from then on. Inputs
 * of Letta's own are not among those that it names (docs/letta-protocol.md, Schedules).
 */
export function noteSharedRun(work: Work): void {
  const turn = openTurn(work);
  const own = turn?.clientMessageId ?? null;
  if (!turn || own === null || hasOthersWords(turn) || isOver(work.thread)) return;
  const isShared = (ids: readonly string[]) => ids.includes(own) && !ids.every(isClientMessageId);
  if (!Object.values(work.thread.link.runs).some(isShared)) return;
  change(work, (record) => noteJoined(record, clientAsk(null)));
  touch(work);
}

/**
 * Whether an event that came while the turn is open is certainly of something else that Letta runs: another input of ours,
 * or another client's turn that ours waits behind.
 */
export function isOfOther({ thread: { link } }: Work, turn: OpenTurn, event: AgentEvent): boolean {
  // Its handler decides whose turn it ends.
  if (event.type === 'turn-ended') return false;
  if ('runId' in event && event.runId !== null) return isForeign(link, turn, event.runId);
  const isStep = event.type === 'tool-started' || event.type === 'tool-output' || event.type === 'tool-ended';
  return (isStep || event.type === 'tool-returned') && runsAnother(link, turn) && clientInputsOf(link).length > 0;
}

/** An input that another client queued joined the open turn: people are told, because its answer is for both. */
export function onJoined(work: Work, { clientMessageId: input, asked }: AgentEvent & { type: 'user-message' }): void {
  const turn = openTurn(work);
  if (!turn || asked === undefined) return;
  // Where ours has not begun, it may be of a turn before it, which is looked for then.
  const hasBegun = turn.clientMessageId === null || knows(work.thread.link, turn.clientMessageId);
  if (input !== null && hasBegun) change(work, (record) => noteShown(record, input));
  // The echo of its own input.
  if (turn.client && turn.input === input) return;
  log(work, 'info', { turn: turn.id }, 'an input of another client joined the turn');
  change(work, (record) => noteJoined(record, clientAsk(asked)));
  touch(work);
}

/**
 * Letta reports the permission mode. It belongs to the conversation, so one that another client set would hold for our
 * turns, too: it is set back at once while a turn of ours runs, else before the next one.
 */
export function onMode(work: Work, mode: string) {
  const { link } = work.thread;
  const wanted = link.options?.mode;
  if (wanted === undefined || mode === wanted) return setLink(work, { otherMode: null });
  if (link.mayChangeMode) return setLink(work, { mayChangeMode: false });
  if (mode === link.otherMode) return;
  log(work, 'warn', { mode, wanted }, 'another client changed the permission mode');
  setLink(work, { otherMode: mode });
  const turn = openTurn(work);
  if (turn?.state === 'submitted' && !turn.client && !isOver(work.thread)) {
    emit(work, { do: 'restore_mode' });
    say(work, modeChangedText(mode, wanted));
  }
  due(work);
}
