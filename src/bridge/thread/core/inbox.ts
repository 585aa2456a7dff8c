import { makeToken, type Token } from '../../ids.ts';
import { type ChangeContext, changeInbox, type InboxChange, type Placement } from '../../record/inbox-change.ts';
import type { ThreadRecord } from '../../record/thread-record.ts';
import { touch, type Work, write } from './work.ts';

/* What intake changes: messages that come, are edited or taken back. */

/** What became of a change that intake wanted. */
export interface Stored {
  /** As it is now. */
  record: ThreadRecord | null;
  isChanged: boolean;
  /** Whether it ended that the thread is muted. */
  wasUnmuted: boolean;
  /** Of a message that was to be placed. */
  placed?: Placement | undefined;
}

/** Changes which messages wait. */
export function storeChange(work: Work, change: InboxChange): Stored {
  const { key, record: before } = work.thread;
  const { now, policy, admit } = work.context;
  let made: Token | null = null;
  const token = () => {
    made ??= makeToken(work.context.id());
    return made;
  };
  const known: ChangeContext = { key, now, botsInARow: policy.bots.inARow, token, admit };
  const stored: Stored = { record: before, isChanged: false, wasUnmuted: false };
  write(work, (record) => {
    const { record: next, placed } = changeInbox(record, change, known);
    // Should the disk turn out to have a newer record, this runs on that one, and what comes of it then counts.
    const isChanged = next !== null && next !== record;
    const wasUnmuted = isChanged && record?.muted === true && next.muted !== true;
    Object.assign(stored, { isChanged, wasUnmuted, placed });
    return next;
  });
  stored.record = work.thread.record;
  if (stored.record?.inbox.length !== (before?.inbox.length ?? 0)) touch(work);
  return stored;
}
