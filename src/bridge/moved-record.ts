import {
  type ChannelId,
  compareTs,
  type MessageKey,
  makeMessageKey,
  makeThreadKey,
  parseMessageKey,
  parseThreadKey,
  type ThreadKey,
} from './ids.ts';
import type { InboxItem, ThreadRecord } from './thread-record.ts';

/** The key of the same thread in a channel whose id has changed. */
export function movedKey(key: ThreadKey, channel: ChannelId): ThreadKey {
  return makeThreadKey({ ...parseThreadKey(key), channel });
}

/**
 * The record as it stands in the channel's new id: every key of it names the new one, so that what Slack delivers again
 * is still known. Ids that Letta knows stay as they are.
 * @param there what the new id has already, when a message was quicker than the word of the change.
 */
export function movedRecord(record: ThreadRecord, channel: ChannelId, there: ThreadRecord | null): ThreadRecord {
  const key = (old: MessageKey) => makeMessageKey({ ...parseMessageKey(old), channel });
  const items = (old: readonly InboxItem[]) => old.map((item) => ({ ...item, key: key(item.key) }));
  const { turn } = record;
  const moved: ThreadRecord = {
    ...record,
    key: movedKey(record.key, channel),
    address: { ...record.address, channel },
    inbox: items(record.inbox),
    context: items(record.context),
    seen: record.seen.map((seen) => ({ ...seen, key: key(seen.key) })),
    turn: turn && { ...turn, items: items(turn.items), context: items(turn.context) },
  };
  return there ? joined(moved, there) : moved;
}

function joined(moved: ThreadRecord, there: ThreadRecord): ThreadRecord {
  const known = new Set(moved.seen.map((seen) => seen.key));
  const fresh = (items: readonly InboxItem[]) => items.filter((item) => !known.has(item.key));
  const inOrder = (items: InboxItem[]) => items.toSorted((a, b) => compareTs(a.ts, b.ts));
  // Two turns can not both be open: the one that began in the new place was only just prepared, its messages wait again.
  const stepsBack = moved.turn && there.turn ? there.turn.items : [];
  return {
    ...moved,
    rev: there.rev,
    participants: [...new Set([...moved.participants, ...there.participants])],
    inbox: inOrder([...moved.inbox, ...fresh(stepsBack), ...fresh(there.inbox)]),
    context: inOrder([...moved.context, ...fresh(there.context)]),
    seen: [...moved.seen, ...there.seen.filter((seen) => !known.has(seen.key))],
    turn: moved.turn ?? there.turn,
    approvals: [...moved.approvals, ...there.approvals],
    ...(there.details && { details: [...(moved.details ?? []), ...there.details] }),
  };
}
