import { compareTs, makeMessageKey } from '../ids.ts';
import { hasOthersWords } from './client-turn.ts';
import { sentInputs } from './steered.ts';
import type { InboxItem, OpenTurn, ThreadRecord } from './thread-record.ts';

/* A turn that was cut off by a crash or a lost link, and goes on by itself where the policy says so (`resume: auto`). */

/** The words that its author would write. */
const CONTINUE = 'continue';

/**
 * Whether the open turn may go on without anyone's click, as far as the record tells: one that a person or their schedule
 * began and that is theirs alone, that waits for no one, and that has not gone on by itself before.
 */
export function mayGoOn({ turn, inbox, approvals, calls = [] }: ThreadRecord): boolean {
  if (!turn || turn.ended || turn.stoppedBy || turn.ends || hasOthersWords(turn)) return false;
  const isOfPerson = turn.origin === 'people' ? turn.items.length > 0 : turn.schedule !== undefined;
  const isAgain = turn.items.some(({ bot, goesOn }) => bot || goesOn);
  // What people wrote meanwhile goes on with the conversation.
  const isNext = inbox.length > 0 || sentInputs(turn).length > 0;
  if (!isOfPerson || isAgain || isNext) return false;
  const isWaiting = approvals.some((each) => each.turn === turn.id && waitsOrDied(each));
  return !isWaiting && !calls.some((call) => call.turn === turn.id && call.state !== 'done');
}

function waitsOrDied({ state }: ThreadRecord['approvals'][number]): boolean {
  return state.state === 'open' || (state.state === 'closed' && state.why !== 'answered_elsewhere');
}

/** The turn has left the record: it goes on as the next one, unless something else came meanwhile. */
export function goOnAlone(record: ThreadRecord, left: OpenTurn, now: number): ThreadRecord {
  const item = itemOf(record, left, now);
  if (!item || record.turn || record.inbox.length > 0 || record.runtime === null || left.stoppedBy) return record;
  return { ...record, inbox: [item] };
}

/** Its key is that of the message that shows the end, as with a click on the button there; `null`: there is none. */
function itemOf({ address }: ThreadRecord, { requester, posts }: OpenTurn, now: number): InboxItem | null {
  const last = posts
    .map(({ ts }) => ts)
    .toSorted(compareTs)
    .at(-1);
  if (last === undefined) return null;
  const key = makeMessageKey({ team: address.team, channel: address.channel, ts: last });
  const spans = [{ kind: 'text' as const, text: CONTINUE }];
  return { key, ts: last, user: requester, spans, files: [], receivedAt: now, askedAt: now, goesOn: true };
}
