import type { MessageKey } from '../ids.ts';
import { hasSeen } from './inbox.ts';
import { changeHeldMessage } from './offers.ts';
import { changeSteered, sentItems } from './steered.ts';
import type { InboxItem, ThreadRecord } from './thread-record.ts';

/**
 * The state of a message in its thread.
 * - `queued`: it waits for its turn, or its turn was not sent yet.
 * - `held`: an offer asks its author whether to run it.
 * - `context`: it goes along with the next turn, which is not its own.
 * - `running`: the running turn carries it.
 * - `steered`: its author handed it to the running turn, which may have it.
 * - `overheard`: a turn carried it as context.
 * - `done`: it was handled.
 * - `unknown`: the bridge never handled it, or more than 24 hours ago.
 */
export type MessageState = 'queued' | 'held' | 'context' | 'running' | 'steered' | 'overheard' | 'done' | 'unknown';

export function stateOfMessage(record: ThreadRecord, key: MessageKey): MessageState {
  const has = (items: readonly InboxItem[]) => items.some((item) => item.key === key);
  const { turn, inbox, context, offers } = record;
  if (has(inbox)) return 'queued';
  if (turn && has(turn.items)) return turn.state === 'prepared' && !turn.stoppedBy ? 'queued' : 'running';
  if (has(sentItems(turn))) return 'steered';
  if (has(context) || (turn?.state === 'prepared' && has(turn.context))) return 'context';
  if (offers.some((offer) => offer.state.state === 'open' && has(offer.items))) return 'held';
  if (record.seen.some((seen) => seen.key === key && seen.as === 'context')) return 'overheard';
  return hasSeen(record, key) ? 'done' : 'unknown';
}

/** The record with the edited text of a message that was not sent to the agent yet; else the same record. */
export function editMessage(record: ThreadRecord, edited: InboxItem, now: number): ThreadRecord {
  const { key, spans, files, now: isForNow } = edited;
  const anew = { spans, files, editedAt: now, ...(isForNow && { now: isForNow }) };
  return changeUnsent(record, key, (item) => ({ ...item, ...anew }), now);
}

/** The record without a message that was not sent to the agent yet; else the same record. */
export function withdrawMessage(record: ThreadRecord, key: MessageKey, now: number): ThreadRecord {
  return changeUnsent(record, key, () => null, now);
}

/** Whether the message is not for the agent, only context for another one's turn. */
export function isContextOnly(where: MessageState): where is 'context' | 'overheard' {
  return where === 'context' || where === 'overheard';
}

/** The record without a message that was only context, so that it can be accepted as one for the agent; else the same. */
export function forgetContextOnly(record: ThreadRecord, key: MessageKey): ThreadRecord {
  if (!isContextOnly(stateOfMessage(record, key))) return record;
  const others = (other: { key: MessageKey }) => other.key !== key;
  const { turn } = record;
  return {
    ...record,
    context: record.context.filter(others),
    seen: record.seen.filter(others),
    turn: turn?.state === 'prepared' ? { ...turn, context: turn.context.filter(others) } : turn,
  };
}

function changeUnsent(
  record: ThreadRecord,
  key: MessageKey,
  change: (item: InboxItem) => InboxItem | null,
  now: number,
): ThreadRecord {
  const where = stateOfMessage(record, key);
  if (where === 'held') return changeHeldMessage(record, key, change, now);
  if (where === 'steered') return changeSteered(record, key, change);
  if (where !== 'queued' && where !== 'context') return record;
  const changed = (items: readonly InboxItem[]) =>
    items.flatMap((item) => {
      const next = item.key === key ? change(item) : item;
      return next ? [next] : [];
    });
  const { turn } = record;
  const open = turn?.state === 'prepared' ? turn : null;
  const items = open ? changed(open.items) : [];
  const withdrawn = open !== null && items.length === 0 && open.items.length > 0;
  return {
    ...record,
    inbox: changed(record.inbox),
    context: changed(record.context),
    turn: open ? { ...open, items, context: changed(open.context), ...(withdrawn && { withdrawn }) } : turn,
  };
}
