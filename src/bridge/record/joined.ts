import type { StoredRuntime } from '../agent-event.ts';
import { parseThreadKey, type SlackTs, type ThreadKey, type UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import { newRecord, noteMention } from './inbox.ts';
import type { ThreadRecord } from './thread-record.ts';

/** The conversation that a thread is to belong to. */
export interface Joining {
  address: ThreadAddress;
  runtime: StoredRuntime;
  /** Whose plain replies there are for the agent. */
  requester: UserId;
  /** Whether it is the thread's alone: a copy. */
  isCopy?: true | undefined;
}

/**
 * The record of a thread that belongs to the conversation of another one: its replies go on there. A thread that has a
 * conversation, or a turn, keeps it; then it is `null`.
 */
export function joinConversation(
  record: ThreadRecord | null,
  key: ThreadKey,
  { address, runtime, requester, isCopy }: Joining,
  now: number,
): ThreadRecord | null {
  const before = record ?? newRecord(key, address, requester, now);
  if (before.runtime !== null || before.turn !== null) return null;
  const participants = [...new Set([...before.participants, requester])];
  return { ...before, runtime, ...(!isCopy && { isShared: true as const }), participants };
}

/** A conversation that began elsewhere, and the thread that is to have it. */
export interface Attaching {
  address: ThreadAddress;
  runtime: StoredRuntime;
  by: UserId;
  /** Messages of the thread that the conversation knows. */
  told: readonly SlackTs[];
  /** Whether the bridge began the thread, so that nobody has written there. */
  isNew: boolean;
}

/**
 * The record of a thread that goes on with a conversation that began elsewhere. What is in the conversation already is not
 * looked at for turns to show. A thread that has a conversation, or a turn, keeps it; then it is `null`.
 */
export function attachConversation(
  record: ThreadRecord | null,
  key: ThreadKey,
  { address, runtime, by, told, isNew }: Attaching,
  now: number,
): ThreadRecord | null {
  const before = record ?? newRecord(key, address, by, now);
  if (before.runtime !== null || before.turn !== null) return null;
  const { root } = parseThreadKey(key);
  const known = { upTo: isNew ? root : null, also: [...told] };
  return { ...noteMention(before, by), runtime, known };
}

/** The record of a thread whose conversation another one joins; `null`: nothing changes. */
export function shareConversation(record: ThreadRecord | null): ThreadRecord | null {
  return record === null || record.isShared ? null : { ...record, isShared: true };
}
