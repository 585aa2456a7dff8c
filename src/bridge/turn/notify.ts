import type { UserId } from '../ids.ts';
import type { Ending, OpenTurn, ThreadRecord } from '../record/thread-record.ts';

/**
 * Who is told by a message of its own that a turn is over, as edits notify nobody (docs/slack.md, Editing): the
 * requester, when the turn ran for `afterMs` since they were last seen here. Somebody who has just decided an approval,
 * or has written again, is there; who stopped the turn knows; and nobody waits for a turn that nobody asked for.
 * @param afterMs 0: nobody is ever told
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

/** The ending with whom to tell. One that is on disk already stays as it is: nobody is told late, or twice. */
export function addNotify(ending: Ending, record: ThreadRecord, now: number, afterMs: number): Ending {
  const { turn } = record;
  const who = turn && !turn.ended ? whomToTell(record, turn, now, afterMs) : null;
  return who === null ? ending : { ...ending, notify: who };
}
