import type { StoredRuntime } from '../agent-event.ts';
import type { ThreadKey, UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import { newRecord } from './inbox.ts';
import type { ThreadRecord } from './thread-record.ts';

/** The conversation that a thread is to belong to. */
export interface Joining {
  address: ThreadAddress;
  runtime: StoredRuntime;
  /** Whose plain replies there are for the agent. */
  requester: UserId;
}

/**
 * The record of a thread that belongs to the conversation of another one: its replies go on there. A thread that has a
 * conversation, or a turn, keeps it; then it is `null`.
 */
export function joinConversation(
  record: ThreadRecord | null,
  key: ThreadKey,
  { address, runtime, requester }: Joining,
  now: number,
): ThreadRecord | null {
  const before = record ?? newRecord(key, address, requester, now);
  if (before.runtime !== null || before.turn !== null) return null;
  const participants = [...new Set([...before.participants, requester])];
  return { ...before, runtime, isShared: true, participants };
}

/** The record of a thread whose conversation another one joins; `null`: nothing changes. */
export function shareConversation(record: ThreadRecord | null): ThreadRecord | null {
  return record === null || record.isShared ? null : { ...record, isShared: true };
}
