import { createHash } from 'node:crypto';
import type { ThreadKey } from '../bridge/ids.ts';
import { CLOSED_APPROVALS_KEPT, SEEN_FOR_MS, SEEN_LIMIT } from '../bridge/record/inbox.ts';
import type { InboxItem, OpenTurn, SteeredInput, ThreadRecord } from '../bridge/record/thread-record.ts';
import type { Marker, StoredItem, StoredRecord } from './records.ts';

/** Bytes of a message's JSON; a larger message is stored under its own key. */
const ITEM_INSIDE = 16 * 1024;

/** What a record owns in other rows: keys of big messages, tokens of buttons. */
export interface SideRows {
  items: Set<string>;
  tokens: Set<string>;
}

/** Splits a record into the row to write and the big messages that it refers to. */
export function splitRecord(record: ThreadRecord): { stored: StoredRecord; items: Map<string, InboxItem> } {
  const items = new Map<string, InboxItem>();
  const moveOut = (item: InboxItem): StoredItem => {
    const json = JSON.stringify(item);
    if (Buffer.byteLength(json) <= ITEM_INSIDE) return item;
    const ref = itemKey(record.key, item, json);
    items.set(ref, item);
    return { ref };
  };
  const { turn } = record;
  const stored: StoredRecord = {
    ...record,
    inbox: record.inbox.map(moveOut),
    context: record.context.map(moveOut),
    turn: turn && {
      ...turn,
      items: turn.items.map(moveOut),
      context: turn.context.map(moveOut),
      ...(turn.steered && { steered: turn.steered.map((input) => moveSteered(input, moveOut)) }),
    },
    offers: record.offers.map((offer) => ({ ...offer, items: offer.items.map(moveOut) })),
  };
  return { stored, items };
}

/** Puts a record together with its big messages again. @param find reads one message by its key. */
export async function joinRecord(
  stored: StoredRecord,
  find: (ref: string) => Promise<InboxItem>,
): Promise<ThreadRecord> {
  const moveIn = (item: StoredItem) => ('ref' in item ? find(item.ref) : item);
  const moveAllIn = (items: StoredItem[]) => Promise.all(items.map(moveIn));
  const { turn } = stored;
  const moveSteeredIn = async ({ items, context, changes, ...input }: StoredSteered): Promise<SteeredInput> => ({
    ...input,
    items: await moveAllIn(items),
    context: await moveAllIn(context),
    ...(changes && {
      changes: await Promise.all(changes.map(async ({ key, item }) => ({ key, item: item && (await moveIn(item)) }))),
    }),
  });
  const moveTurnIn = async ({ items, context, steered, ...own }: StoredTurn): Promise<OpenTurn> => ({
    ...own,
    items: await moveAllIn(items),
    context: await moveAllIn(context),
    ...(steered && { steered: await Promise.all(steered.map(moveSteeredIn)) }),
  });
  return {
    ...stored,
    inbox: await moveAllIn(stored.inbox),
    context: await moveAllIn(stored.context),
    turn: turn && (await moveTurnIn(turn)),
    offers: await Promise.all(stored.offers.map(async (offer) => ({ ...offer, items: await moveAllIn(offer.items) }))),
  };
}

type StoredTurn = NonNullable<StoredRecord['turn']>;
type StoredSteered = NonNullable<StoredTurn['steered']>[number];

function moveSteered(
  { items, context, changes, ...input }: SteeredInput,
  move: (item: InboxItem) => StoredItem,
): StoredSteered {
  return {
    ...input,
    items: items.map(move),
    context: context.map(move),
    ...(changes && { changes: changes.map(({ key, item }) => ({ key, item: item && move(item) })) }),
  };
}

/** The key contains a hash of the message, so a row that a record refers to is never rewritten. */
function itemKey(thread: ThreadKey, item: InboxItem, json: string): string {
  return `${thread}/${item.key}/${createHash('sha256').update(json).digest('hex').slice(0, 32)}`;
}

export function sideRowsOf(stored: StoredRecord | null): SideRows {
  const items = new Set<string>();
  const tokens = new Set<string>();
  if (stored === null) return { items, tokens };
  const { inbox, context, turn, approvals, offers } = stored;
  const offered = offers.flatMap((offer) => offer.items);
  const steered = (turn?.steered ?? []).flatMap((input) => [
    ...input.items,
    ...input.context,
    ...(input.changes ?? []).flatMap((changed) => changed.item ?? []),
  ]);
  for (const item of [...inbox, ...context, ...(turn?.items ?? []), ...(turn?.context ?? []), ...steered, ...offered]) {
    if ('ref' in item) items.add(item.ref);
  }
  for (const approval of approvals) tokens.add(approval.token);
  for (const offer of offers) tokens.add(offer.token);
  for (const { token } of stored.details ?? []) tokens.add(token);
  if (turn) tokens.add(turn.stopToken);
  return { items, tokens };
}

export function subtractRows(from: SideRows | Marker, those: SideRows): SideRows {
  const items = new Set([...from.items].filter((key) => !those.items.has(key)));
  const tokens = new Set([...from.tokens].filter((token) => !those.tokens.has(token)));
  return { items, tokens };
}

export function isEmpty(rows: SideRows): boolean {
  return rows.items.size === 0 && rows.tokens.size === 0;
}

/**
 * The record without entries that are too old. All approvals of the open turn stay, because its posts are counted by
 * them.
 */
export function pruneRecord(record: ThreadRecord, now: number): ThreadRecord {
  const seen = record.seen.filter(({ at }) => now - at < SEEN_FOR_MS).slice(-SEEN_LIMIT);
  const past = record.approvals.filter(({ state, turn }) => state.state !== 'open' && turn !== record.turn?.id);
  const forgotten = new Set(past.slice(0, Math.max(0, past.length - CLOSED_APPROVALS_KEPT)));
  return { ...record, seen, approvals: record.approvals.filter((approval) => !forgotten.has(approval)) };
}
