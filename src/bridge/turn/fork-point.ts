import type { HistoryItem } from '../agent-event.ts';
import { clientMessageId, compareTs, makeMessageKey, parseThreadKey, type SlackTs, type ThreadKey } from '../ids.ts';
import type { ForkPoint } from '../record/thread-record.ts';

/**
 * The last item that a copy has which knows a thread up to one of its messages, with all that the agent did for it.
 * @param history oldest first
 * @returns `null`: that is the history's end. `missing`: the history does not have the message
 */
export function forkPointIn(
  history: readonly HistoryItem[],
  thread: ThreadKey,
  { ts, isAnswer }: ForkPoint,
): { id: string | null } | 'missing' {
  const at = Number(ts) * 1_000;
  // An answer is posted after Letta has its input; a person's message has its own id there, or goes with the one before.
  const begun = history.findLastIndex((item) => {
    if (item.kind !== 'user') return false;
    if (isAnswer) return item.at !== undefined && item.at !== null && item.at <= at;
    const own = tsOf(item.clientMessageId, thread);
    return own !== null && compareTs(own, ts) <= 0;
  });
  if (begun < 0) return 'missing';
  const next = history.findIndex((_, place) => place > begun && beginsTurn(history, place));
  return { id: next < 0 ? null : (history[next - 1]?.id ?? null) };
}

/** When the message was written whose input has this id; `null`: it is none of this channel's. */
function tsOf(id: string | null, thread: ThreadKey): SlackTs | null {
  const [, ts] = /-(\d+\.\d+)(?:-again\d+)?$/.exec(id ?? '') ?? [];
  if (ts === undefined) return null;
  const { team, channel } = parseThreadKey(thread);
  return id?.startsWith(clientMessageId(makeMessageKey({ team, channel, ts }))) ? ts : null;
}

/** An input right behind the result of a tool joined the turn that ran. */
function beginsTurn(history: readonly HistoryItem[], place: number): boolean {
  const before = history[place - 1];
  const isJoined = before?.kind === 'tool' && before.result === 'real';
  return history[place]?.kind === 'user' && !isJoined;
}
