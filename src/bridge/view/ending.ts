import { type Effects, effectsOf, isHarmless } from '../approvals/effects.ts';
import type { Leftover } from '../record/offers.ts';
import type { ApprovalRecord, Ending, OpenTurn } from '../record/thread-record.ts';
import { isGoodStopReason, type TurnState } from '../turn/fold.ts';
import { CAUSES, type Cause, type CauseName, causeOfFailure, sayCause } from '../words/causes.ts';
import { AGAIN, effectsText } from '../words/effects.ts';

/** What the bridge knows of a turn besides its events. */
export interface Heard {
  /** Of the thread. */
  approvals: readonly ApprovalRecord[];
  /** Whether it heard all that the turn did: not after a lost link or a restart. */
  isAllHeard: boolean;
}

/** What an open turn may have changed. A turn that was not sent has changed nothing. */
export function effectsOfTurn(turn: OpenTurn, state: TurnState, { approvals, isAllHeard }: Heard): Effects {
  const own = approvals.filter((approval) => approval.turn === turn.id);
  return effectsOf(state, own, isAllHeard || turn.state === 'prepared');
}

/** The cause of a turn's bad end; `null`: it ended well, or was stopped. */
function causeOfEnd(turn: OpenTurn, { end, error }: TurnState): Cause | null {
  const stopReason = end?.stopReason ?? 'end_turn';
  const isWell = turn.stoppedBy !== null || stopReason === 'cancelled' || isGoodStopReason(stopReason);
  return isWell ? null : causeOfFailure(stopReason, error);
}

/** How a turn ended, from what Letta said and who pressed Stop. */
export function endingOf(turn: OpenTurn, state: TurnState, now: number, heard: Heard): Ending {
  const thoughts = state.thoughts?.length ?? 0;
  const base = {
    by: turn.stoppedBy,
    tools: state.tools.length,
    ...(thoughts > 0 && { thoughts }),
    durationMs: Math.max(0, now - turn.startedAt),
  };
  const cause = causeOfEnd(turn, state);
  const effects = effectsOfTurn(turn, state, heard);
  if (cause) {
    return { ...base, outcome: 'failed', line: failureLine(sayCause(cause), effects, wayOnOf(turn, cause, effects)) };
  }
  if (turn.stoppedBy || state.end?.stopReason === 'cancelled') {
    return { ...base, outcome: 'stopped', line: effectsText(effects) };
  }
  return { ...base, outcome: 'done', line: null };
}

/**
 * What went wrong, what was changed, and what a click may do twice: never more than is certain.
 * @param says what went wrong, a sentence
 */
export function failureLine(says: string, effects: Effects, leftover: Leftover | null): string {
  const isRepeat = leftover?.offer === 'send_again' || leftover?.offer === 'start_new';
  if (!isRepeat) return `${says} ${effectsText(effects)}`;
  if ('reached' in leftover) {
    const twice = isHarmless(effects) ? '' : ` ${AGAIN.twice}`;
    return `${says} ${effectsText(effects)}${twice}`;
  }
  return `${says} ${leftover.certain ? AGAIN.notReached : AGAIN.inDoubt}`;
}

/**
 * What its requester may do about a turn that the agent got and that failed: the same message again only if it changed
 * nothing, for certain; else the agent goes on with what it did.
 */
export function wayOnOf(turn: OpenTurn, { name }: Cause, effects: Effects): Leftover | null {
  // A turn that was to end background tasks leaves no offer; a bot cannot click, nor can another client.
  if (turn.ends || turn.client || turn.items[0]?.bot) return null;
  const wayOn: (typeof CAUSES)[CauseName]['wayOn'] = CAUSES[name].wayOn;
  if (wayOn === 'none') return null;
  const hasMessages = turn.items.length > 0;
  if (wayOn === 'new') return hasMessages ? { offer: 'start_new', certain: false, reached: true } : null;
  if (wayOn === 'again' && hasMessages && isHarmless(effects))
    return { offer: 'send_again', certain: false, reached: true };
  return { offer: 'continue' };
}

/** What its requester may do about a turn that ended as Letta said; `null`: nothing is left to decide. */
export function wayOnAtEnd(turn: OpenTurn, state: TurnState, heard: Heard): Leftover | null {
  const cause = causeOfEnd(turn, state);
  return cause && wayOnOf(turn, cause, effectsOfTurn(turn, state, heard));
}
