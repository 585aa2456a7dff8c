import type { HistoryItem } from '../agent-event.ts';
import { isClientMessageId } from '../ids.ts';
import { completeMessage, isGoodStopReason, type TurnPart, type TurnState } from './fold.ts';

/** What the history says about a turn's input and what came of it. */
export type FoundTurn =
  /** `mayBeSummarised`: the history has a summary in place of what may have been the input. */
  | { arrived: false; mayBeSummarised?: true }
  | {
      arrived: true;
      /** `isBelow`: it stands below an input that came while the turn ran. */
      texts: { messageId: string; text: string; isBelow?: true }[];
      /** Its tools, as far as the history names them. */
      callIds: string[];
      /** Calls that have a result of their own there. */
      resultsOf?: readonly string[];
      /** Whether a call has none there. */
      hasOpenCalls?: boolean;
      /** It certainly ends with the agent's words. */
      answered: boolean;
      /** Its input, and perhaps more of it, is in a summary. */
      isCut?: boolean;
      /** Messages of other turns. */
      elsewhere?: readonly string[];
      /** Its inputs that words of the agent follow. */
      inputs: readonly HistoryItem[];
      /** Id of the input right behind it. */
      next?: string;
    };

/** What identifies a turn in the history. */
export interface TurnMarks {
  /** `null` for a turn that Letta began by itself. */
  clientMessageId: string | null;
  /** Inputs of people that joined it; left out: none. */
  joined?: readonly string[] | undefined;
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

/** @param all oldest first */
export function findTurn(all: readonly HistoryItem[], marks: TurnMarks): FoundTurn {
  const { clientMessageId, joined = [], stopped, others, another, hasEnded, heard } = marks;
  const history = all.filter(({ kind }) => kind !== 'summary');
  const listed =
    clientMessageId === null
      ? findAgentTurn(history, marks)
      : history.findLastIndex((item) => item.kind === 'user' && item.clientMessageId === clientMessageId);
  const hasSummary = history.length < all.length;
  const heardFirst = history.findIndex((item) => isHeard(item, heard));
  const isCut = listed < 0 && hasSummary && heardFirst >= 0;
  // Also with older inputs behind the summary: what came while Letta wrote it may be gone, too.
  if (listed < 0 && !isCut) return { arrived: false, ...(hasSummary && { mayBeSummarised: true }) };
  const at = isCut && history.slice(0, heardFirst).some(isInput) ? heardFirst - 1 : listed;
  const known = history.findLastIndex((item) => isHeard(item, heard));
  const newest = another ? history.findLastIndex((item, place) => place > Math.max(at, known) && isInput(item)) : -1;
  const next = history.findIndex((item, place) => {
    // What was heard after the end of one turn of Letta's own belongs to it here: their inputs have no names.
    if (place <= at || !isInput(item) || (clientMessageId === null && place < known)) return false;
    if (joined.includes(item.clientMessageId)) return false;
    const isLater = stopped || (hasEnded && place > known) || place === newest;
    return isLater || others.includes(item.clientMessageId) || beginsTurn(history, place);
  });
  // When parts of the turn come before its input, the input joined a turn that ran already.
  const first = isCut ? at + 1 : history.findIndex((item, place) => place === at || isHeard(item, heard));
  const end = next < 0 ? history.length : next;
  const unheard = listUnheardAbove(history, first, at, heard);
  const mine = history.slice(first, end).filter((item) => !unheard.has(item));
  const behind = history[next];
  const answer = history.slice(at + 1, end);
  // An input in between joined this turn, or began the next one after this died behind a tool: the history does not say.
  const hasOthers = answer.some((item) => isInput(item) && !joined.includes(item.clientMessageId));
  const firstJoined = history.findIndex((item, place) => place > at && isInput(item));
  const below = new Set(firstJoined < 0 ? [] : history.slice(firstJoined));
  const texts = mine.flatMap((item) => {
    if (item.kind !== 'assistant') return [];
    return [{ messageId: item.id, text: item.text, ...(below.has(item) && { isBelow: true as const }) }];
  });
  const callIds = mine.flatMap((item) => (item.kind === 'tool' && item.callId !== null ? [item.callId] : []));
  const tools = mine.filter((item) => item.kind === 'tool');
  const resultsOf = tools.flatMap(({ callId, result }) => (callId !== null && result === 'real' ? [callId] : []));
  const isElsewhere = (item: HistoryItem, place: number) =>
    item.kind === 'assistant' && (place < first || place >= end);
  return {
    arrived: true,
    texts,
    callIds,
    resultsOf,
    hasOpenCalls: tools.some(({ callId }) => callId === null || !resultsOf.includes(callId)),
    elsewhere: history.filter(isElsewhere).map(({ id }) => id),
    inputs: mine.slice(0, mine.findLastIndex(({ kind }) => kind === 'assistant') + 1).filter(isInput),
    answered: !hasOthers && answer.findLast((item) => item.kind !== 'user')?.kind === 'assistant',
    ...(isCut && { isCut }),
    ...(isInput(behind) && { next: behind.clientMessageId }),
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

/**
 * The items between the first part that was heard and the turn's own input that are of turns of which nothing was heard:
 * other threads of the conversation show those.
 */
function listUnheardAbove(
  history: readonly HistoryItem[],
  first: number,
  at: number,
  heard: TurnState,
): ReadonlySet<HistoryItem> {
  const unheard: HistoryItem[] = [];
  let turn: HistoryItem[] = [];
  for (const [place, item] of history.entries()) {
    if (place < first || place >= at) continue;
    turn = beginsTurn(history, place) ? [item] : [...turn, item];
    const ends = place + 1 === at || beginsTurn(history, place + 1);
    if (ends && !turn.some((part) => isHeard(part, heard))) unheard.push(...turn);
  }
  return new Set(unheard);
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
 * joins a running turn right behind a tool's result (docs/letta-protocol.md, Queue and deduplication), also several at
 * once. Behind a call without one the turn died.
 */
export function beginsTurn(history: readonly HistoryItem[], at: number): boolean {
  const item = history[at];
  if (!isInput(item)) return false;
  if (isClientMessageId(item.clientMessageId)) return true;
  const before = history
    .slice(0, at)
    .findLast((each) => each.kind !== 'summary' && (!isInput(each) || isClientMessageId(each.clientMessageId)));
  return before?.kind !== 'tool' || before.result !== 'real';
}

/**
 * Adds to the folded state the texts that only the history has, each in its place. A longer streamed text stays, because
 * an abort leaves less in the history (docs/letta-protocol.md, Deltas). Streamed text that the history lacks is removed
 * when Letta must have retried its run while we were disconnected: when the history is complete there (the turn was
 * answered, or ended well and the history has later text of it), when another run followed its run, when the run failed
 * and the history has more, or when it was heard before a restart and the history has the call of a request below it,
 * because a run that asks is stored whole.
 * What was heard before the first message that the history has stays when a summary may have taken its place there.
 */
export function mergeHistory(
  state: TurnState,
  {
    texts,
    callIds,
    answered,
    elsewhere = [],
    isCut = false,
    followed = [],
  }: Omit<FoundTurn & { arrived: true }, 'inputs'> & {
    /** Runs of the turn that are over, as Letta told. */
    followed?: readonly string[];
  },
): TurnState {
  const told = new Set(texts.map(({ messageId }) => messageId));
  const isTold = (part: TurnPart) => part.kind === 'text' && told.has(part.messageId);
  const lastTold = state.parts.findLastIndex(isTold);
  const endedInFull = state.end !== null && isGoodStopReason(state.end.stopReason);
  const wholeUpTo = answered ? state.parts.length : endedInFull ? lastTold : -1;
  const heard = new Set(state.parts.flatMap((part) => (part.kind === 'text' ? [part.messageId] : [])));
  const saysMore = texts.some(({ messageId }) => !heard.has(messageId));
  const wentOn = (place: number) => saysMore || place < lastTold;
  const asked = state.parts.findLastIndex((part) => part.kind === 'approval' && isStored(state, part, callIds));
  const firstTold = state.parts.findIndex(isTold);
  const isSummarised = (place: number) => isCut && (firstTold < 0 || place < firstTold);
  const isVoid = (part: TurnPart, place: number) =>
    part.kind === 'text' &&
    !isTold(part) &&
    !elsewhere.includes(part.messageId) &&
    !isSummarised(place) &&
    (place <= wholeUpTo ||
      (part.failed === true && wentOn(place)) ||
      followed.includes(part.runId) ||
      (part.earlier === true && place < asked));
  const parts = state.parts.filter((part, place) => !isVoid(part, place));
  // Text that was stored before a restart and that the history lacks was taken back or cut off, and text that nobody has
  // heard came after it; while a request is open, its run may only not be stored yet.
  const isOpen = parts.some(({ kind }) => kind === 'approval');
  const isLost = (part: TurnPart) => !isOpen && part.kind === 'text' && part.earlier === true && !isTold(part);
  const firstKept = parts.findIndex((part) => (isCut ? isTold(part) : !isLost(part)));
  let next = firstKept < 0 ? parts.length : firstKept;
  for (const [nth, { messageId, text, isBelow }] of texts.entries()) {
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
      // Text that the history lacks was cut off before somebody asked for more.
      if (isBelow) next = Math.max(next, placeBefore(parts, texts.slice(nth + 1)));
      parts.splice(next, 0, { kind: 'text', runId: 'history', messageId, text });
      next += 1;
    }
  }
  return { ...state, parts };
}

/** The place of the first of these texts; the end when none is there. */
function placeBefore(parts: readonly TurnPart[], texts: readonly { messageId: string }[]): number {
  const place = parts.findIndex(
    (part) => part.kind === 'text' && texts.some((text) => text.messageId === part.messageId),
  );
  return place < 0 ? parts.length : place;
}

/** Whether the history has the call that a request is about. */
function isStored({ approvals }: TurnState, { requestId }: { requestId: string }, callIds: readonly string[]): boolean {
  const request = approvals.find((approval) => approval.requestId === requestId);
  return request?.callId != null && callIds.includes(request.callId);
}
