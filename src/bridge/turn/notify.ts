import type { UserId } from '../ids.ts';
import type { Ending, OpenTurn, ThreadRecord } from '../record/thread-record.ts';

/**
 * Who gets a new message when a turn is over, because an edit notifies no one (docs/slack.md, Editing): the requester, if
 * `afterMs` passed since the turn began, they last wrote or they last decided an approval here. Not when they stopped the
 * turn themselves, and not for a turn that Letta began.
 * @param afterMs 0: never
 */
function whomToTell(record: ThreadRecord, turn: OpenTurn, now: number, afterMs: number): UserId | null {
  const { requester } = turn;
  if (afterMs === 0 || turn.origin === 'agent' || turn.stoppedBy === requester) return null;
  const decided = record.approvals.flatMap(({ state }) => {
    return state.state === 'decided' && state.by === requester ? [state.at] : [];
  });
  const written = record.inbox.flatMap(({ user, receivedAt }) => (user === requester ? [receivedAt] : []));
  const seenAt = Math.max(turn.startedAt, ...decided, ...written);
  return now - seenAt >= afterMs ? requester : null;
}

/** The ending with whom to notify. An ending that is on disk already stays unchanged, so that no one is notified twice. */
export function addNotify(ending: Ending, record: ThreadRecord, now: number, afterMs: number): Ending {
  const { turn } = record;
  const who = turn && !turn.ended ? whomToTell(record, turn, now, afterMs) : null;
  return who === null ? ending : { ...ending, notify: who };
}
