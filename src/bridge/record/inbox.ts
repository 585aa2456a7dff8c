import {
  clientMessageId,
  compareTs,
  type MessageKey,
  makeMessageKey,
  OTHER_CLIENT,
  parseThreadKey,
  type ThreadKey,
  type Token,
  type TurnId,
  type UserId,
} from '../ids.ts';
import type { InboundMessage, ThreadAddress } from '../inbound.ts';
import type { TurnSchedule } from '../schedules/schedule.ts';
import type { ApprovalRecord, ApprovalState, ClientAsk, InboxItem, OpenTurn, ThreadRecord } from './thread-record.ts';
import { forgetCalls } from './tool-calls.ts';

const CONTEXT_LIMIT = 30;
/** Messages that were handled are known for so long, the last of them. */
export const SEEN_FOR_MS = 24 * 60 * 60 * 1000;
export const SEEN_LIMIT = 2_000;
const PARTICIPANTS_LIMIT = 200;
/** Requests of turns that are over, the last of them. */
export const CLOSED_APPROVALS_KEPT = 50;

export function newRecord(key: ThreadKey, address: ThreadAddress, starter: UserId, now: number): ThreadRecord {
  return {
    key,
    rev: 0,
    address,
    starter,
    createdAt: now,
    updatedAt: now,
    runtime: null,
    participants: [],
    inbox: [],
    context: [],
    seen: [],
    turn: null,
    approvals: [],
    background: false,
    offers: [],
  };
}

export function toInboxItem(message: InboundMessage, now: number): InboxItem {
  const { key, ts, user, spans, files, bot, asked, now: isForNow } = message;
  const about = asked && { ts: asked.to, ...(asked.emoji !== undefined && { emoji: asked.emoji }) };
  const item: InboxItem = {
    key,
    ts,
    user,
    spans,
    files,
    receivedAt: now,
    ...(about && { about }),
    ...(isForNow && { now: true }),
  };
  return bot ? { ...item, bot: true, ...(bot.user !== null && { botUser: bot.user }) } : item;
}

export function hasSeen(record: ThreadRecord, key: MessageKey): boolean {
  return record.seen.some((seen) => seen.key === key);
}

/** Whether this input is made of messages of the thread. */
export function isInputHere({ seen }: ThreadRecord, input: string): boolean {
  return seen.some(({ key }) => input === clientMessageId(key) || input.startsWith(`${clientMessageId(key)}-`));
}

export function addSeen(record: ThreadRecord, key: MessageKey, now: number, as?: 'context'): ThreadRecord['seen'] {
  const recent = record.seen.filter((seen) => now - seen.at < SEEN_FOR_MS).slice(-(SEEN_LIMIT - 1));
  return [...recent, { key, at: now, ...(as && { as }) }];
}

export function sortByTs(items: readonly InboxItem[]): InboxItem[] {
  return items.toSorted((a, b) => compareTs(a.ts, b.ts));
}

/** Notes that `user` mentioned the agent: from now on their plain replies count, and a mute of their own ends. */
export function noteMention(record: ThreadRecord, user: UserId): ThreadRecord {
  const { muted, mutedBy, ...rest } = record;
  const stays = muted && mutedBy !== undefined && mutedBy !== user;
  return {
    ...rest,
    ...(stays && { muted, mutedBy }),
    participants: record.participants.includes(user)
      ? record.participants
      : [...record.participants, user].slice(-PARTICIPANTS_LIMIT),
  };
}

/** Adds a message to the queue, in Slack's order; a mention makes its author a participant. */
export function acceptMessage(record: ThreadRecord, item: InboxItem, isMention: boolean): ThreadRecord {
  return {
    ...(isMention ? noteMention(record, item.user) : record),
    botsInARow: item.bot ? (record.botsInARow ?? 0) + 1 : undefined,
    inbox: sortByTs([...record.inbox, item]),
    seen: addSeen(record, item.key, item.receivedAt),
  };
}

/** Keeps a reply that is not for the agent; the next turn carries it, marked as context. */
export function addContext(record: ThreadRecord, item: InboxItem): ThreadRecord {
  return {
    ...record,
    ...(!item.bot && { botsInARow: undefined }),
    context: sortByTs([...record.context, item]).slice(-CONTEXT_LIMIT),
    seen: addSeen(record, item.key, item.receivedAt, 'context'),
  };
}

/** As {@link addContext}, of a message that may have been handled before: it goes along all the same. */
export function addContextAgain(record: ThreadRecord, item: InboxItem): ThreadRecord {
  if (!hasSeen(record, item.key)) return addContext(record, item);
  const others = record.context.filter(({ key }) => key !== item.key).slice(1 - CONTEXT_LIMIT);
  return { ...record, context: sortByTs([...others, item]) };
}

/**
 * How many messages wait to be sent. Those of a prepared turn count: each turn that Letta begins by itself puts them back
 * into the queue, so the queue would else grow by a whole one each time.
 */
export function countWaiting({ inbox, turn }: ThreadRecord): number {
  return inbox.length + (turn?.state === 'prepared' ? turn.items.length : 0);
}

/** The messages of the next turn: all that the first message's author wrote in a row. Other authors get their own turn. */
function nextItems(inbox: readonly InboxItem[]): InboxItem[] {
  const requester = inbox[0]?.user;
  const end = inbox.findIndex((item) => item.user !== requester);
  return inbox.slice(0, end < 0 ? inbox.length : end);
}

/** In whose name a turn works. */
export function authorOf({ items, requester }: OpenTurn): Pick<InboxItem, 'user' | 'bot' | 'botUser'> {
  return items[0] ?? { user: requester };
}

export interface TurnIds {
  id: TurnId;
  stopToken: Token;
  now: number;
}

export function beginTurn(
  record: ThreadRecord,
  ids: TurnIds,
  clientMessageId: (item: InboxItem) => string,
): ThreadRecord {
  const items = nextItems(record.inbox).map(({ now: _, ...item }): InboxItem => item);
  const first = items[0];
  if (!first || record.turn) return record;
  const last = items.at(-1) ?? first;
  const context = record.context.filter((item) => compareTs(item.ts, last.ts) < 0);
  // When the agent joins a thread that others began, it does not know the messages above the mention.
  const joinsLate = record.runtime === null && !agentKnowsRoot(record, first);
  const turn: OpenTurn = {
    id: ids.id,
    requester: first.user,
    origin: 'people',
    items,
    context,
    clientMessageId: clientMessageId(first),
    state: 'prepared',
    notPassedOn: joinsLate ? [EARLIER] : [],
    startedAt: ids.now,
    stopToken: ids.stopToken,
    stoppedBy: null,
    posts: [],
    ...(joinsLate && { joinsLate }),
  };
  return {
    ...record,
    turn,
    inbox: record.inbox.slice(items.length),
    context: record.context.filter((item) => !context.includes(item)),
  };
}

/** Whether the thread begins with this message, or with one that only asked for help. */
function agentKnowsRoot(record: ThreadRecord, first: InboxItem): boolean {
  const { threadTs } = record.address;
  if (threadTs === null || threadTs === first.ts) return true;
  return hasSeen(record, makeMessageKey({ ...parseThreadKey(record.key), ts: threadTs }));
}

/** The record without its conversation: the next message begins a new one, which knows nothing. */
export function forgetConversation({
  known: _,
  failure: __,
  isShared: ___,
  contextTold: ____,
  clients: ________,
  compaction: _____,
  fork: ______,
  run: _______,
  turn,
  ...record
}: ThreadRecord): ThreadRecord {
  const { past, ...open } = turn ?? {};
  const next = turn?.state === 'prepared' && past ? (open as OpenTurn) : turn;
  return { ...record, turn: next, runtime: null, background: false };
}

/** What is known of the beginning of a turn that no message of the thread began. */
export interface AgentBeginning {
  /** Id of its input in the history. */
  input?: string | null;
  schedule?: TurnSchedule | null;
  client?: ClientAsk | null;
  /** A command of the agent's machine that `by` ran. */
  command?: { by: UserId; line: string } | null;
}

/**
 * Opens a turn that Letta began by itself, or another client. A turn of ours that was not sent yet goes back into the queue, and its message
 * in Slack shows the new turn.
 */
export function beginAgentTurn(
  record: ThreadRecord,
  ids: TurnIds,
  { input, schedule, client, command }: AgentBeginning = {},
): ThreadRecord {
  const mine = record.turn;
  const turn: OpenTurn = {
    id: mine?.id ?? ids.id,
    requester: requesterOf(record, { schedule, client, command }),
    origin: 'agent',
    items: [],
    context: [],
    clientMessageId: null,
    ...(input != null && { input }),
    ...(schedule && { schedule }),
    ...(client && { client }),
    ...(command && { command: command.line }),
    state: 'submitted',
    notPassedOn: [],
    startedAt: ids.now,
    stopToken: mine?.stopToken ?? ids.stopToken,
    stoppedBy: null,
    posts: mine?.posts ?? [],
    ...(mine?.steered && { steered: mine.steered }),
  };
  return {
    ...record,
    turn,
    // When the turn that was put back was to end background tasks, it is begun again later.
    ...(mine?.ends && record.endTasks && { endTasks: { ...record.endTasks, step: 'wanted' as const } }),
    inbox: mine ? sortByTs([...mine.items, ...record.inbox]) : record.inbox,
    context: mine ? joinContext(mine.context, record.context) : record.context,
  };
}

/** The open turn, of which nobody knew who began it, with what is known now. */
export function nameAgentTurn(record: ThreadRecord, { input, schedule, client }: AgentBeginning): ThreadRecord {
  const { turn } = record;
  if (!turn) return record;
  const { client: _, ...rest } = turn;
  const named: OpenTurn = {
    ...rest,
    requester: requesterOf(record, { schedule, client }),
    ...(input != null && { input }),
    ...(schedule && { schedule }),
    ...(client && { client }),
  };
  return { ...record, turn: named };
}

function requesterOf({ starter }: ThreadRecord, { schedule, client, command }: AgentBeginning): UserId {
  return client ? OTHER_CLIENT : (command?.by ?? schedule?.owner ?? starter);
}

/** Messages that wait as context again, each once: what was read from the history may have been delivered meanwhile. */
export function joinContext(again: readonly InboxItem[], waiting: readonly InboxItem[]): InboxItem[] {
  const known = new Set(waiting.map(({ key }) => key));
  return sortByTs([...again.filter(({ key, own }) => !known.has(key) && own === undefined), ...waiting]).slice(
    -CONTEXT_LIMIT,
  );
}

export function changeTurn(record: ThreadRecord, change: Partial<OpenTurn>): ThreadRecord {
  return record.turn ? { ...record, turn: { ...record.turn, ...change } } : record;
}

/** Whether the end of the open turn says what the agent remembers: it is the first answer of a direct message. */
export function isHeadsUpDue({ headsUp, turn }: ThreadRecord): boolean {
  return headsUp === true && turn?.origin === 'people' && turn.state === 'submitted';
}

/**
 * Removes the turn once its answer is in Slack, and closes its open approvals.
 * @param wasTold whether the agent got its input
 */
export function endTurn(record: ThreadRecord, now: number, wasTold = true): ThreadRecord {
  const turn = record.turn;
  if (!turn) return record;
  // Without a conversation there is none that was told: a new one begins.
  const known = wasTold && turn.state === 'submitted' && record.runtime !== null ? turn.past?.known : undefined;
  const closed = closeApprovals(forgetCalls(record, turn.id), turn.id, 'turn_over', now);
  const open = closed.approvals.filter((approval) => approval.state.state === 'open');
  const kept = closed.approvals.filter((approval) => approval.state.state !== 'open').slice(-CLOSED_APPROVALS_KEPT);
  const headsUp = isHeadsUpDue(record) ? undefined : record.headsUp;
  return { ...closed, turn: null, approvals: [...kept, ...open], headsUp, ...(known && { known }) };
}

export function closeApprovals(
  record: ThreadRecord,
  turn: TurnId,
  why: (ApprovalState & { state: 'closed' })['why'],
  now: number,
): ThreadRecord {
  const approvals = record.approvals.map((approval): ApprovalRecord => {
    const mine = approval.turn === turn && approval.state.state === 'open';
    return mine ? { ...approval, state: { state: 'closed', why, at: now }, audit: 'due' } : approval;
  });
  return { ...record, approvals };
}

/** Sets the state of an approval, whatever it was. A state other than open is then due for the audit. */
export function setApproval(record: ThreadRecord, token: Token, state: ApprovalState, input?: string): ThreadRecord {
  const audit = state.state === 'open' ? undefined : ('due' as const);
  const change = { state, audit, ...(input !== undefined && { input }) };
  const approvals = record.approvals.map((approval) =>
    approval.token === token ? { ...approval, ...change } : approval,
  );
  return { ...record, approvals };
}

/** Opens an approval again: people are reminded again and get the full time. @param expiresAt ms since 1970 */
export function reopenApproval(record: ThreadRecord, token: Token, expiresAt: number | undefined): ThreadRecord {
  const open = setApproval(record, token, { state: 'open' });
  const anew = ({ remindedAt: _, expiresAt: __, ...approval }: ApprovalRecord): ApprovalRecord => ({
    ...approval,
    ...(expiresAt !== undefined && { expiresAt }),
  });
  return { ...open, approvals: open.approvals.map((each) => (each.token === token ? anew(each) : each)) };
}

/**
 * Decides an open approval; returns the same record when it is not open any more, because the first decision counts.
 * @param input what the one who decided was shown, for the audit
 */
export function settleApproval(record: ThreadRecord, token: Token, state: ApprovalState, input?: string): ThreadRecord {
  const open = record.approvals.some((approval) => approval.token === token && approval.state.state === 'open');
  return open ? setApproval(record, token, state, input) : record;
}

/** What is missing of a thread that the agent joins late, in words for people. */
export const EARLIER = 'earlier messages of this thread';
