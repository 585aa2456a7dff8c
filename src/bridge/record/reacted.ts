import { sentItems } from './steered.ts';
import type { InboxItem, ReactionMark, ThreadRecord } from './thread-record.ts';

/** How many reactions of a thread are remembered, the last of them. */
const KEPT = 300;

/** The reaction that a message of the inbox stands for; `null`: somebody wrote it. */
function markOf({ about, user }: Pick<InboxItem, 'about' | 'user'>): ReactionMark | null {
  return about?.emoji === undefined ? null : { to: about.ts, user, emoji: about.emoji };
}

const isSame = (one: ReactionMark) => (other: ReactionMark) =>
  one.to === other.to && one.user === other.user && one.emoji === other.emoji;

/** Whether this reaction has asked the agent before: taken back and added again, it does not ask again. */
export function hasAsked({ reacted = [] }: ThreadRecord, item: InboxItem): boolean {
  const mark = markOf(item);
  return mark !== null && reacted.some(isSame(mark));
}

/** The record, in which the message has been accepted, with the reaction that it stands for. */
export function noteReaction(record: ThreadRecord, item: InboxItem): ThreadRecord {
  const mark = markOf(item);
  return mark === null ? record : { ...record, reacted: [...(record.reacted ?? []), mark].slice(-KEPT) };
}

/** The record without the reaction, so that it may ask again: what it had asked never ran. */
export function forgetReaction(record: ThreadRecord, mark: ReactionMark): ThreadRecord {
  const others = record.reacted?.filter((other) => !isSame(mark)(other));
  return others?.length === record.reacted?.length ? record : { ...record, reacted: others };
}

/** The message of the inbox that a reaction became, wherever it is; `null`: it is done, or never was. */
export function findReaction(record: ThreadRecord, mark: ReactionMark): InboxItem | null {
  const held = record.offers.filter(({ state }) => state.state === 'open').flatMap(({ items }) => items);
  return (
    [...record.inbox, ...(record.turn?.items ?? []), ...sentItems(record.turn), ...held].find((item) => {
      const found = markOf(item);
      return found !== null && isSame(mark)(found);
    }) ?? null
  );
}
