import type { HistoryItem } from '../agent-event.ts';
import { isClientMessageId } from '../ids.ts';
import { completeMessage, isGoodStopReason, type TurnPart, type TurnState } from './fold.ts';

/** What the history says about a turn's input and what came of it. */
export type FoundTurn =
  | { arrived: false }
  | {
      arrived: true;
      texts: { messageId: string; text: string }[];
      /** Its tools, as far as the history names them. */
      callIds: string[];
      /** It certainly ends with the agent's words. */
      answered: boolean;
    };

/** What identifies a turn in the history. */
export interface TurnMarks {
  /** `null` for a turn that Letta began by itself. */
  clientMessageId: string | null;
  /** What was heard of it. */
  heard: TurnState;
  /** Inputs of its runs, as far as Letta said. */
  inputs: readonly string[];
  /** Inputs of runs that are certainly not this turn's. */
  others: readonly string[];
  /** Whether it was stopped: then inputs that Letta queued by itself belong to the next turn, not to this one. */
  stopped: boolean;
  /** Whether another turn runs now, which began with an input after all that was heard of this one. */
  another: boolean;
  /** Whether it had ended before, and `heard` has all that it said: then inputs behind that began later turns. */
  hasEnded: boolean;
}

/** @param history oldest first */
export function findTurn(history: readonly HistoryItem[], marks: TurnMarks): FoundTurn {
  const { clientMessageId, stopped, others, another, hasEnded, heard } = marks;
  const at =
    clientMessageId === null
      ? findAgentTurn(history, marks)
      : history.findLastIndex((item) => item.kind === 'user' && item.clientMessageId === clientMessageId);
  if (at < 0) return { arrived: false };
  const known = history.findLastIndex((item) => isHeard(item, heard));
  const newest = another ? history.findLastIndex((item, place) => place > Math.max(at, known) && isInput(item)) : -1;
  const next = history.findIndex((item, place) => {
    if (place <= at || !isInput(item)) return false;
    const isLater = stopped || (hasEnded && place > known) || place === newest;
    return isLater || others.includes(item.clientMessageId) || beginsTurn(history, place);
  });
  // When parts of the turn come before its input, the input joined a turn that ran already.
  const first = history.findIndex((item, place) => place === at || isHeard(item, heard));
  const end = next < 0 ? history.length : next;
  const mine = history.slice(first, end);
  const answer = history.slice(at + 1, end);
  // An input in between joined this turn, or began the next one after this died in a tool: the history does not say.
  const joined = answer.some(isInput);
  const texts = mine.flatMap((item) => (item.kind === 'assistant' ? [{ messageId: item.id, text: item.text }] : []));
  const callIds = mine.flatMap((item) => (item.kind === 'tool' && item.callId !== null ? [item.callId] : []));
  return {
    arrived: true,
    texts,
    callIds,
    answered: !joined && answer.findLast((item) => item.kind !== 'user')?.kind === 'assistant',
  };
}

/**
 * Finds the input of a turn that Letta began by itself: by its echo, else as the input before the first part that was
 * heard. When nothing was heard, after a restart, it is the newest input, unless that is ours.
 */
function findAgentTurn(history: readonly HistoryItem[], { heard, inputs }: TurnMarks): number {
  const { input } = heard;
  const echoes = new Set(input === null ? inputs : [input, ...inputs]);
  const echoed = history.findIndex((item) => item.kind === 'user' && echoes.has(item.clientMessageId ?? ''));
  if (echoed >= 0) return echoed;
  const said = history.findIndex((item) => isHeard(item, heard));
  const at = (said < 0 ? history : history.slice(0, said)).findLastIndex(isInput);
  const item = history[at];
  return item?.kind === 'user' && !isClientMessageId(item.clientMessageId ?? '') ? at : -1;
}

/** Whether the bridge heard this item as a part of the turn. */
function isHeard(item: HistoryItem, { parts, tools, approvals }: TurnState): boolean {
  if (item.kind === 'assistant') return parts.some((part) => part.kind === 'text' && part.messageId === item.id);
  return item.kind === 'tool' && item.callId !== null && [...tools, ...approvals].some((t) => t.callId === item.callId);
}

/** Whether an item is an input: reminders that the server adds have no client message id. */
function isInput(item: HistoryItem | undefined): item is HistoryItem & { kind: 'user'; clientMessageId: string } {
  return item?.kind === 'user' && item.clientMessageId !== null;
}

/**
 * Whether an item of the history is a turn's first input, as far as the history tells: what Letta queued by itself
 * joins a running turn right behind a tool (docs/letta-protocol.md, Queue and deduplication), also several at once.
 */
export function beginsTurn(history: readonly HistoryItem[], at: number): boolean {
  const item = history[at];
  if (!isInput(item)) return false;
  if (isClientMessageId(item.clientMessageId)) return true;
  const before = history.slice(0, at).findLast((each) => !isInput(each) || isClientMessageId(each.clientMessageId));
  return before?.kind !== 'tool';
}

/**
 * Adds to the folded state the texts that only the history has, each in its place. A longer streamed text stays, because
 * an abort leaves less in the history (docs/letta-protocol.md, Deltas). Streamed text that the history lacks is removed
 * when Letta must have retried its run while we were disconnected: when the history is complete there (the turn was
 * answered, or ended well and the history has later text of it), when the run failed and the history has more, or when it
 * was heard before a restart and the history has the call of a request below it, because a run that asks is stored whole.
 */
export function mergeHistory(state: TurnState, { texts, callIds, answered }: FoundTurn & { arrived: true }): TurnState {
  const told = new Set(texts.map(({ messageId }) => messageId));
  const isTold = (part: TurnPart) => part.kind === 'text' && told.has(part.messageId);
  const endedInFull = state.end !== null && isGoodStopReason(state.end.stopReason);
  const wholeUpTo = answered ? state.parts.length : endedInFull ? state.parts.findLastIndex(isTold) : -1;
  const heard = new Set(state.parts.flatMap((part) => (part.kind === 'text' ? [part.messageId] : [])));
  const wentOn = texts.some(({ messageId }) => !heard.has(messageId));
  const asked = state.parts.findLastIndex((part) => part.kind === 'approval' && isStored(state, part, callIds));
  const isVoid = (part: TurnPart, place: number) =>
    part.kind === 'text' &&
    !isTold(part) &&
    (place <= wholeUpTo || (part.failed === true && wentOn) || (part.earlier === true && place < asked));
  const parts = state.parts.filter((part, place) => !isVoid(part, place));
  // Text that was stored before a restart and that the history lacks was taken back or cut off, and text that nobody has
  // heard came after it; while a request is open, its run may only not be stored yet.
  const isOpen = parts.some(({ kind }) => kind === 'approval');
  const isLost = (part: TurnPart) => !isOpen && part.kind === 'text' && part.earlier === true && !isTold(part);
  const firstKept = parts.findIndex((part) => !isLost(part));
  let next = firstKept < 0 ? parts.length : firstKept;
  for (const { messageId, text } of texts) {
    const known = parts.findIndex((part) => part.kind === 'text' && part.earlier && part.messageId === messageId);
    if (known >= 0) {
      parts.splice(0, parts.length, ...completeMessage(parts, messageId, text));
      next = known + 1;
      continue;
    }
    const at = parts.findIndex((part) => part.kind === 'text' && part.messageId === messageId);
    const part = parts[at];
    if (part?.kind === 'text') {
      if (text.length > part.text.length) parts[at] = { ...part, text };
      next = at + 1;
    } else {
      parts.splice(next, 0, { kind: 'text', runId: 'history', messageId, text });
      next += 1;
    }
  }
  return { ...state, parts };
}

/** Whether the history has the call that a request is about. */
function isStored({ approvals }: TurnState, { requestId }: { requestId: string }, callIds: readonly string[]): boolean {
  const request = approvals.find((approval) => approval.requestId === requestId);
  return request?.callId != null && callIds.includes(request.callId);
}
