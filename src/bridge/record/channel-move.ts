import {
  type ChannelId,
  compareTs,
  type MessageKey,
  makeMessageKey,
  makeThreadKey,
  parseMessageKey,
  parseThreadKey,
  type ThreadKey,
  type Token,
  type TurnId,
} from '../ids.ts';
import { newerAnswer } from './answer.ts';
import { endTurn } from './inbox.ts';
import { closeTail, offerAgain } from './offers.ts';
import { sentItems } from './steered.ts';
import type { InboxItem, ThreadRecord } from './thread-record.ts';

/** The key of the same thread in a channel whose id has changed. */
export function keyInChannel(key: ThreadKey, channel: ChannelId): ThreadKey {
  return makeThreadKey({ ...parseThreadKey(key), channel });
}

/**
 * The record under the channel's new id: all its keys name the new id, so that a message that Slack delivers again is
 * still known. Ids that Letta knows stay as they are.
 * @param there the record that the new id has already, when a message arrived before the news of the change
 */
export function recordInChannel(record: ThreadRecord, channel: ChannelId, there: ThreadRecord | null): ThreadRecord {
  const key = (old: MessageKey) => makeMessageKey({ ...parseMessageKey(old), channel });
  const items = (old: readonly InboxItem[]) => old.map((item) => ({ ...item, key: key(item.key) }));
  const { turn } = record;
  const moved: ThreadRecord = {
    ...record,
    key: keyInChannel(record.key, channel),
    address: { ...record.address, channel },
    inbox: items(record.inbox),
    context: items(record.context),
    seen: record.seen.map((seen) => ({ ...seen, key: key(seen.key) })),
    turn: turn && {
      ...turn,
      items: items(turn.items),
      context: items(turn.context),
      ...(turn.steered && {
        steered: turn.steered.map(({ changes, ...input }) => ({
          ...input,
          items: items(input.items),
          context: items(input.context),
          ...(changes && {
            changes: changes.map((each) => ({
              key: key(each.key),
              item: (each.item && items([each.item])[0]) ?? null,
            })),
          }),
        })),
      }),
    },
    offers: record.offers.map(({ about, ...offer }) => ({
      ...offer,
      items: items(offer.items),
      ...(about && { about: { ...about, message: key(about.message) } }),
    })),
  };
  return there ? mergeRecords(moved, there) : moved;
}

function mergeRecords(moved: ThreadRecord, other: ThreadRecord): ThreadRecord {
  const known = new Set(moved.seen.map((seen) => seen.key));
  const fresh = (items: readonly InboxItem[]) => items.filter((item) => !known.has(item.key));
  const inOrder = (items: InboxItem[]) => items.toSorted((a, b) => compareTs(a.ts, b.ts));
  const there = moved.turn ? endRivalTurn(other, moved.turn.id) : other;
  // Only one turn can be open: one that was only prepared under the new id is dissolved, and its messages wait again.
  const stepsBack = moved.turn && there.turn ? [...there.turn.items, ...sentItems(there.turn)] : [];
  // A submitted input can be found only in the conversation that it was sent to, so that one stays.
  const staysThere = !moved.turn && there.turn?.state === 'submitted';
  return {
    ...moved,
    rev: there.rev,
    runtime: staysThere ? there.runtime : (moved.runtime ?? there.runtime),
    participants: [...new Set([...moved.participants, ...there.participants])],
    inbox: inOrder([...moved.inbox, ...fresh(stepsBack), ...fresh(there.inbox)]),
    context: inOrder([...moved.context, ...fresh(there.context)]),
    seen: [...moved.seen, ...there.seen.filter((seen) => !known.has(seen.key))],
    turn: moved.turn ?? there.turn,
    approvals: mergeByToken(moved.approvals, there.approvals),
    offers: mergeByToken(moved.offers, there.offers),
    ...(there.late && { late: mergeLists(moved.late, there.late, ({ turn }) => turn) }),
    ...(there.details && { details: mergeLists(moved.details, there.details, ({ token }) => token) }),
    ...newerAnswer(moved, there),
    ...(there.handedOver && { handedOver: mergeLists(moved.handedOver, there.handedOver, ({ path }) => path) }),
  };
}

/**
 * Ends a turn under the new id while the old id's turn is open, because a thread follows one turn only. It is unknown
 * whether the agent got its messages, so an offer in the place of its Slack message lets their author send them again.
 */
function endRivalTurn(record: ThreadRecord, own: TurnId): ThreadRecord {
  const { turn } = record;
  if (!turn || turn.id === own || (turn.state === 'prepared' && turn.posts.length === 0)) return record;
  const certain = turn.state === 'prepared';
  const ended = endTurn(record, record.updatedAt);
  if (record.offers.some(({ tail }) => tail?.turn === turn.id)) return closeTail(ended, turn, null);
  const items = [...turn.items, ...sentItems(turn)];
  const { offers } = offerAgain(ended, 'send_again', items, certain, turn.stopToken, record.updatedAt);
  const placed = offers.map((offer) => (offer.token === turn.stopToken ? { ...offer, posts: turn.posts } : offer));
  return { ...ended, offers: placed };
}

/** After an interrupted move both lists may hold the same entry. */
function mergeLists<T>(ours: readonly T[] | undefined, theirs: readonly T[], keyOf: (each: T) => string): T[] {
  const known = new Set(ours?.map(keyOf));
  return [...(ours ?? []), ...theirs.filter((each) => !known.has(keyOf(each)))];
}

/** After an interrupted move both records may hold the same entry: the one that is settled counts. */
function mergeByToken<T extends { token: Token; state: { state: string } }>(
  ours: readonly T[],
  theirs: readonly T[],
): T[] {
  const others = new Map(theirs.map((each) => [each.token, each]));
  const joint = ours.map((each) => {
    const other = others.get(each.token);
    others.delete(each.token);
    return other && each.state.state === 'open' ? other : each;
  });
  return [...joint, ...others.values()];
}
