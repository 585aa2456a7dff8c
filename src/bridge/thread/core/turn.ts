import type { AgentEvent } from '../../agent-event.ts';
import { makeToken, makeTurnId } from '../../ids.ts';
import type { TurnIds } from '../../record/inbox.ts';
import type { OpenTurn } from '../../record/thread-record.ts';
import { emptyTurn, foldTurn } from '../../turn/fold.ts';
import { RESUMING } from '../../words/activity.ts';
import { watchSilence } from './stop.ts';
import { emit, log, set, setLive, settings, type Work } from './work.ts';

/* The begin of a turn, whoever began it, and what is heard of it. */

/** Ids for a turn that may begin. */
export function turnIds({ context }: Work): TurnIds {
  return { id: makeTurnId(context.id().slice(0, 12)), stopToken: makeToken(context.id()), now: context.now };
}

/**
 * Begins to follow a turn of the record, and shows it.
 * @param resumed it was open before this process started; of what the agent said the stored text is kept
 */
export function followTurn(work: Work, turn: OpenTurn, resumed = false): void {
  const interrupted = resumed && turn.state === 'submitted';
  const said = interrupted ? (turn.said ?? []) : [];
  const parts = said.map((text) => ({ kind: 'text', ...text, earlier: true }) as const);
  const thoughts = settings(work).showReasoning ? [] : null;
  const isPrepared = turn.state === 'prepared';
  // What is missing came before the input of a turn that is still to be sent.
  const wasCut = work.thread.wasCut && !isPrepared;
  set(work, {
    wasCut: work.thread.wasCut && isPrepared,
    live: {
      id: turn.id,
      phase: isPrepared ? 'prepared' : 'running',
      fold: { ...emptyTurn, input: turn.input ?? null, parts, thoughts },
      isViewOutdated: true,
      // Until Letta answers, we cannot say whether the agent still works.
      hold: interrupted ? { kind: 'waiting_for_letta', notice: RESUMING } : null,
      isTextUnknown: interrupted,
      isSaidKnown: !interrupted || turn.said !== undefined || turn.posts.length === 0,
      isResumed: interrupted,
      wasLinkLost: false,
      mayHaveMissed: wasCut,
      isAllHeard: !interrupted && !wasCut,
      frozen: new Set(),
      read: new Set(),
      tries: 0,
      look: { again: false, failures: 0, fresh: true },
      isEndDue: false,
      silence: { silentMs: 0, lookedAt: work.context.monotonic, asked: false, line: null },
      isAborting: false,
      lastView: null,
      isCopying: false,
      decisions: new Map(),
      taken: new Set(),
      offsets: new Map(),
      passed: [],
      moved: [],
      isChanging: false,
      isJoined: false,
      steerTries: 0,
      steering: null,
      isSteerHeld: false,
    },
  });
  emit(work, { do: 'open_turn', turn, resumed });
  log(work, 'info', { turn: turn.id, origin: turn.origin, messages: turn.items.length }, 'turn opened');
  watchSilence(work);
}

/** Adds what the agent said or did to what is known of the open turn. */
export function fold(work: Work, event: AgentEvent): void {
  const { live } = work.thread;
  const next = live && foldTurn(live.fold, event);
  if (next && next !== live.fold) setLive(work, { fold: next, isViewOutdated: true });
}
