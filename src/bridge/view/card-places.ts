import type { ApprovalRecord, OpenTurn, SteeredInput, ThreadRecord } from '../record/thread-record.ts';
import type { TurnState } from '../turn/fold.ts';

/**
 * The part at which each approval was asked, as far as this process heard it. When several approvals share a request id
 * (docs/letta-protocol.md, Approvals), the heard ones are the last of them.
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
 * After how many of the folded parts each card comes. A card from before a restart comes after the message that preceded
 * it; when that is not known either, after the last one that certainly did, or right after the card before it.
 */
export function cardPlaces(state: TurnState, approvals: readonly ApprovalRecord[]): number[] {
  const heard = heardAt(state, approvals);
  let latest = 0;
  const behind = (message: string | null | undefined) =>
    1 + state.parts.findLastIndex((part) => part.kind === 'text' && part.messageId === message);
  return approvals.map(({ after, below }, index) => {
    const said = behind(after);
    latest = Math.max(latest, said > 0 || after === null ? said : (heard[index] ?? behind(below)));
    return latest;
  });
}

/** After how many of the folded parts each input joined the turn, as {@link cardPlaces}; those that joined, in order. */
export function joinedPlaces(
  { parts }: TurnState,
  { steered = [] }: OpenTurn,
  cards: readonly { place: number; askedAt: number }[],
): { place: number; at: number; input: SteeredInput }[] {
  // What joined before a restart, at a place that is not known, comes below the text and the cards of before.
  const restored = parts.findLastIndex((part) => part.kind === 'text' && part.earlier === true) + 1;
  let latest = 0;
  return steered.flatMap((input) => {
    if (!input.joined) return [];
    const { at, after } = input.joined;
    const said = parts.findLastIndex((part) => part.kind === 'text' && part.messageId === after);
    const heard = parts.findIndex((part) => part.kind === 'joined' && part.clientMessageId === input.clientMessageId);
    const below = cards.flatMap(({ place, askedAt }) => (askedAt <= at ? [place] : []));
    const isKnown = said >= 0 || after === null;
    latest = Math.max(latest, isKnown ? said + 1 : heard >= 0 ? heard : Math.max(restored, ...below));
    return [{ place: latest, at, input }];
  });
}

/**
 * Stores which message preceded each card, where that became known only after the card was asked: else the card would
 * lose its place at the next restart.
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
