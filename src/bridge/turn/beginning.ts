import type { HistoryItem } from '../agent-event.ts';
import { isClientMessageId } from '../ids.ts';
import { type FoundFiring, lastFiring, readFiring } from '../schedules/firing.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { beginsTurn } from './after-reconnect.ts';

/** What the history says about the beginning of a turn that was not heard. */
export type Beginning = Begun & {
  /** Whether the history has something of the turn above what was heard of it. */
  hasEarlier: boolean;
};

type Begun =
  | { by: 'schedule'; firing: FoundFiring }
  /** Another client asked this. `input`: its id in the history. */
  | { by: 'client'; input: string; asked: string }
  /** Letta itself, because a background task reported; or an input that this bridge sent goes on. */
  | { by: 'letta' };

export interface KnownBeginnings {
  schedules: readonly Pick<Schedule, 'id' | 'firedAt'>[];
  /** Inputs of other clients to which Letta has tied its runs; empty: it has named none. */
  tied: readonly string[];
  /** Inputs of other clients that the thread has shown. */
  shown: readonly string[];
  /** Messages of the agent, and tool calls, that were heard of it; empty: only something else was. */
  heard: readonly string[];
}

/**
 * What began the turn that Letta works on now.
 * @param history oldest first
 * @param isLast whether the history has had time to store the input
 * @returns `null`: the history does not have its input, or not yet
 */
export function beginningOf(all: readonly HistoryItem[], known: KnownBeginnings, isLast: boolean): Beginning | null {
  const isHeard = (item: HistoryItem) => known.heard.includes((item.kind === 'tool' ? item.callId : item.id) ?? '');
  // What is heard late may be of a turn that others followed.
  const first = all.findIndex(isHeard);
  const history = first < 0 ? all : all.slice(0, first + 1);
  const found = findInput(history, known, isLast);
  if (!found) return null;
  const behind = history.slice(history.indexOf(found.item) + 1);
  return { ...found.begun, hasEarlier: behind.some((item) => item.kind !== 'user' && !isHeard(item)) };
}

function findInput(
  history: readonly HistoryItem[],
  { schedules, tied, shown, heard }: KnownBeginnings,
  isLast: boolean,
): { item: HistoryItem; begun: Begun } | null {
  const named = history.findLast((item) => isInput(item) && tied.includes(item.clientMessageId));
  if (isInput(named)) return { item: named, begun: clientBegun(named) };
  const firing = tied.length > 0 ? null : lastFiring(history, schedules);
  const fired = firing && history.findLast((item) => item.kind === 'user' && item.clientMessageId === firing.input);
  if (fired) return { item: fired, begun: { by: 'schedule', firing } };
  const at = history.findLastIndex(isInput);
  const item = history[at];
  if (!isInput(item)) return null;
  if (isOfClient(item)) {
    return shown.includes(item.clientMessageId) ? null : { item, begun: clientBegun(item) };
  }
  if (tied.length > 0) return null;
  // An input that has an answer may be that of the turn before; one of ours certainly is, because nothing of ours runs.
  const said = history.slice(at).filter(({ kind }) => kind === 'assistant');
  const isOver = said.length > 0 && !said.some(({ id }) => heard.includes(id));
  if (isOver && !(isLast && !isClientMessageId(item.clientMessageId))) return null;
  return { item, begun: { by: 'letta' } };
}

const clientBegun = ({ clientMessageId, text }: Input): Begun => ({
  by: 'client',
  input: clientMessageId,
  asked: text,
});

/** An input of another client. */
export interface ClientInput {
  /** Its id in the history. */
  input: string;
  asked: string;
}

/**
 * Inputs of other clients that began turns which the thread has not shown, oldest first.
 * @param history oldest first
 */
export function missedInputs(
  history: readonly HistoryItem[],
  { shown, from }: { shown: readonly string[]; from: string | null },
): ClientInput[] {
  const first = 1 + history.findLastIndex(({ id }) => id === from);
  return history.flatMap((item, at): ClientInput[] => {
    // One behind a tool's result joined a turn that is shown (docs/letta-protocol.md, Queue and deduplication).
    if (at < first || !isInput(item) || !isOfClient(item) || !beginsTurn(history, at)) return [];
    const next = history.findIndex((_, place) => place > at && beginsTurn(history, place));
    const said = history.slice(at, next < 0 ? history.length : next).filter(({ kind }) => kind === 'assistant');
    const isShown = [item.clientMessageId, ...said.map(({ id }) => id)].some((id) => shown.includes(id));
    return isShown ? [] : [{ input: item.clientMessageId, asked: item.text }];
  });
}

type Input = HistoryItem & { kind: 'user'; clientMessageId: string };

/** Reminders that the server adds have no client message id. */
function isInput(item: HistoryItem | undefined): item is Input {
  return item?.kind === 'user' && item.clientMessageId !== null;
}

/** Whether neither a bridge sent the input nor Letta queued or added it by itself. */
function isOfClient({ clientMessageId, text }: Input): boolean {
  if (isClientMessageId(clientMessageId) || readFiring(text) !== null) return false;
  return !/^\s*<(?:task-notification|skill_content)\b/.test(text);
}
