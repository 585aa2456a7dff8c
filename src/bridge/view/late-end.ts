import { makeToken } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { ApprovalRecord, LateEnd, OpenTurn } from '../record/thread-record.ts';
import { emptyTurn } from '../turn/fold.ts';
import { type TurnView, turnView } from './turn.ts';

/**
 * What is kept of a turn whose end Slack did not take; `null`: no message of it looks as if it ran on, or the thread is
 * gone for good.
 * @param reason why Slack did not take it
 */
export function lateEndOf(turn: OpenTurn | null, reason: string): LateEnd | null {
  if (!turn?.ended || reason === 'thread_gone' || !turn.posts.some(({ live, stream }) => live || stream)) return null;
  const { id, requester, startedAt, posts, said } = turn;
  // Its requester was told in a direct message.
  const { notify: _, ...ended } = turn.ended;
  return { turn: id, requester, startedAt, posts, ...(said && { said }), ended };
}

/** The last view of such a turn. */
export function lateView(late: LateEnd, address: ThreadAddress, approvals: readonly ApprovalRecord[]): TurnView {
  const { turn: id, requester, startedAt, posts, said = [], ended } = late;
  const parts = said.map((text) => ({ kind: 'text', ...text, earlier: true }) as const);
  const turn: OpenTurn = {
    ...{ id, requester, startedAt, posts, ended },
    ...{ origin: 'people', items: [], context: [], clientMessageId: null, state: 'submitted' },
    ...{ notPassedOn: [], stopToken: makeToken('over'), stoppedBy: ended.by },
  };
  return turnView(
    { ...emptyTurn, parts },
    {
      ...{ address, turn, hold: null, ending: ended, queued: 0, now: startedAt + ended.durationMs },
      approvals: approvals.filter((approval) => approval.turn === id),
      textUnknown: late.said === undefined,
      where: { workingDirectory: null, device: null },
    },
  );
}
