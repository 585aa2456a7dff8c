import type { ApprovalRecord, OpenTurn, ThreadRecord } from '../record/thread-record.ts';
import type { TurnState } from '../turn/fold.ts';

/**
 * Where each was asked, as far as it was heard: where several share a request id (docs/letta-protocol.md, Approvals),
 * it is the last ones.
 */
function heardAt({ parts }: TurnState, approvals: readonly ApprovalRecord[]): (number | undefined)[] {
  const indexes = approvals.map((_, index) => index);
  return approvals.map(({ requestId }, index) => {
    const same = indexes.filter((each) => approvals[each]?.requestId === requestId);
    const asked = parts.flatMap((part, at) => (part.kind === 'approval' && part.requestId === requestId ? [at] : []));
    return asked[same.indexOf(index) - Math.max(0, same.length - asked.length)];
  });
}

/**
 * Behind how many of the folded parts each card stands: where it was asked. Those of before a restart are found by what
 * was said before them; others stand right behind the card before them.
 */
export function cardPlaces(state: TurnState, approvals: readonly ApprovalRecord[]): number[] {
  const heard = heardAt(state, approvals);
  let latest = 0;
  return approvals.map(({ after }, index) => {
    const said = state.parts.findLastIndex((part) => part.kind === 'text' && part.messageId === after);
    latest = Math.max(latest, said >= 0 || after === null ? said + 1 : (heard[index] ?? 0));
    return latest;
  });
}

/**
 * With what was said before each card that was asked while nobody knew that, now that it is known: else its place would
 * be lost with the next restart.
 */
export function storeCardPlaces(record: ThreadRecord, turn: OpenTurn, state: TurnState): ThreadRecord {
  const mine = record.approvals.filter((approval) => approval.turn === turn.id);
  const heard = heardAt(state, mine);
  const approvals = record.approvals.map((approval) => {
    const at = heard[mine.indexOf(approval)];
    if (approval.after !== undefined || at === undefined) return approval;
    const before = state.parts.slice(0, at).findLast((part) => part.kind === 'text' && part.text !== '');
    return { ...approval, after: before?.kind === 'text' ? before.messageId : null };
  });
  return approvals.some((approval, index) => approval !== record.approvals[index]) ? { ...record, approvals } : record;
}
