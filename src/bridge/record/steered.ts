import type { MessageKey, UserId } from '../ids.ts';
import { notYourTurnText, STEERING } from '../words/steering.ts';
import { joinContext, sortByTs, type TurnIds } from './inbox.ts';
import type { InboxItem, OpenTurn, SteeredInput, ThreadRecord } from './thread-record.ts';

/*
 * Messages that their author handed to the turn that runs. Until they are sent they wait in the inbox like others; once
 * they may have left, the turn keeps them apart until Letta tells that they joined it, or began a turn of their own.
 */

/** Hands the waiting messages of this person to the running turn. @param keys only these; left out: all */
export function handOver(record: ThreadRecord, user: UserId, keys?: readonly MessageKey[]): ThreadRecord {
  const isMeant = (item: InboxItem) => isHandable(item, user) && (keys === undefined || keys.includes(item.key));
  if (!record.inbox.some(isMeant)) return record;
  return { ...record, inbox: record.inbox.map((item) => (isMeant(item) ? { ...item, now: true as const } : item)) };
}

/** The messages that this person may still hand to the running turn. */
export function handable({ inbox }: Pick<ThreadRecord, 'inbox'>, user: UserId): InboxItem[] {
  return inbox.filter((item) => isHandable(item, user));
}

function isHandable({ user: author, bot, now }: InboxItem, user: UserId): boolean {
  return author === user && !bot && !now;
}

/** The waiting messages that are to join the open turn: its requester's own, because a turn has one requester. */
export function handedOver({ inbox }: Pick<ThreadRecord, 'inbox'>, { requester }: OpenTurn): InboxItem[] {
  return inbox.filter(({ user, bot, now }) => now === true && !bot && user === requester);
}

/** What this person handed over waits for a turn of its own again, like others. */
export function keepWaiting(record: ThreadRecord, person: UserId): ThreadRecord {
  return { ...record, inbox: record.inbox.map((item) => (item.user === person ? unmarked(item) : item)) };
}

function unmarked({ now: _, ...item }: InboxItem): InboxItem {
  return item;
}

/** Replies of others that go along with these messages. */
export function contextFor({ context }: ThreadRecord, items: readonly InboxItem[]): InboxItem[] {
  const last = items.at(-1)?.ts;
  return last === undefined ? [] : context.filter(({ ts }) => Number(ts) < Number(last));
}

/** The messages leave the inbox as one input of the open turn, which may leave the bridge from now on. */
export function steer(
  record: ThreadRecord,
  input: Pick<SteeredInput, 'clientMessageId' | 'items' | 'context' | 'past'>,
): ThreadRecord {
  const { turn } = record;
  if (!turn) return record;
  const taken = new Set([...input.items, ...contextFor(record, input.items)].map(({ key }) => key));
  const left = (items: readonly InboxItem[]) => items.filter(({ key }) => !taken.has(key));
  const sent: SteeredInput = { ...input, items: input.items.map(unmarked), state: 'sent' };
  return {
    ...record,
    inbox: left(record.inbox),
    context: left(record.context),
    turn: { ...turn, steered: [...(turn.steered ?? []), sent] },
  };
}

/** Letta took the input into the open turn, which carries its messages from now on. */
export function joinTurn(record: ThreadRecord, clientMessageId: string, how: SteeredInput['joined']): ThreadRecord {
  const { turn } = record;
  const input = findSteered(turn, clientMessageId);
  if (!turn || input?.state !== 'sent') return record;
  const { known } = input.past ?? {};
  const joined: SteeredInput = { ...input, state: 'joined', joined: how };
  return {
    ...record,
    turn: {
      ...turn,
      items: [...turn.items, ...input.items],
      context: [...turn.context, ...input.context],
      steered: replace(turn, input, [joined]),
      ...(turn.past && known && { past: { ...turn.past, known } }),
    },
  };
}

/** Letta answers in a turn of its own an input that seemed to have joined the open turn. */
export function separate(record: ThreadRecord, clientMessageId: string): ThreadRecord {
  const { turn } = record;
  const input = findSteered(turn, clientMessageId);
  if (!turn || input?.state !== 'joined') return record;
  const theirs = new Set([...input.items, ...input.context].map(({ key }) => key));
  const left = (items: readonly InboxItem[]) => items.filter(({ key }) => !theirs.has(key));
  const { joined: _, ...rest } = input;
  const steered = replace(turn, input, [{ ...rest, state: 'sent' }]);
  return { ...record, turn: { ...turn, items: left(turn.items), context: left(turn.context), steered } };
}

/**
 * The input certainly did not reach the agent: its messages wait again, as their author changed them since.
 * @param isLetta whether Letta knew the input's id: it ignores the id from then on, so they go under another one
 */
export function takeBack(
  record: ThreadRecord,
  clientMessageId: string,
  { isLetta, now = true }: { isLetta: boolean; now?: boolean },
): ThreadRecord {
  const { turn } = record;
  const input = findSteered(turn, clientMessageId);
  if (!turn || input?.state !== 'sent') return record;
  const items = changedItems(input).map((item): InboxItem => {
    const renamed = isLetta ? underNewId(item) : item;
    return now ? { ...renamed, now: true } : renamed;
  });
  return {
    ...record,
    inbox: sortByTs([...items, ...record.inbox]),
    context: joinContext(input.context, record.context),
    turn: { ...turn, steered: replace(turn, input, []) },
  };
}

/** The input was taken out of Letta's queue because somebody stopped the turn: its messages do not run. */
export function dropSteered(record: ThreadRecord, clientMessageId: string): ThreadRecord {
  const { turn } = record;
  const input = findSteered(turn, clientMessageId);
  return turn && input ? { ...record, turn: { ...turn, steered: replace(turn, input, []) } } : record;
}

/** An author changed a message that may have left: it is taken out of Letta's queue if it still lies there. */
export function changeSteered(
  record: ThreadRecord,
  key: MessageKey,
  change: (item: InboxItem) => InboxItem | null,
): ThreadRecord {
  const { turn } = record;
  const input = sentInputs(turn).find(({ items }) => items.some((item) => item.key === key));
  const item = input && changedItems(input).find((each) => each.key === key);
  if (!turn || !input || !item) return record;
  const others = (input.changes ?? []).filter((other) => other.key !== key);
  const changed = { ...input, changes: [...others, { key, item: change(item) }] };
  return { ...record, turn: { ...turn, steered: replace(turn, input, [changed]) } };
}

/** What its author changed came too late: the agent has the message as it was. */
export function forgetChanges(record: ThreadRecord, clientMessageId: string): ThreadRecord {
  const { turn } = record;
  const input = findSteered(turn, clientMessageId);
  if (!turn || !input?.changes) return record;
  const { changes: _, ...asSent } = input;
  return { ...record, turn: { ...turn, steered: replace(turn, input, [asSent]) } };
}

/**
 * Opens the turn of what was handed to a turn that has left the record and did not join it: Letta begins it by itself, or
 * never got it, which that turn finds out.
 * @param left the turn as it was
 */
export function goOnWith(record: ThreadRecord, left: OpenTurn, { id, stopToken, now }: TurnIds): ThreadRecord {
  const [first, ...others] = sentInputs(left);
  if (!first || record.turn) return record;
  const turn: OpenTurn = {
    id,
    requester: left.requester,
    origin: 'people',
    items: first.items,
    context: first.context,
    clientMessageId: first.clientMessageId,
    state: 'submitted',
    notPassedOn: [],
    startedAt: now,
    stopToken,
    // Whoever stopped that turn meant all that was to be done.
    stoppedBy: left.stoppedBy,
    posts: [],
    wasSteered: true,
    ...(first.past && { past: first.past }),
    ...(others.length > 0 && { steered: others }),
  };
  return { ...record, turn };
}

/**
 * Letta begins another input that was handed over before the turn's own: the turn becomes that one's, and its own input is
 * kept apart as the other was. Only for a turn of which Letta has begun nothing.
 */
export function beginWith(record: ThreadRecord, clientMessageId: string): ThreadRecord {
  const { turn } = record;
  const input = findSteered(turn, clientMessageId);
  if (!turn?.wasSteered || turn.clientMessageId === null || input?.state !== 'sent') return record;
  const { past, items, context, ...rest } = turn;
  const own: SteeredInput = {
    clientMessageId: turn.clientMessageId,
    items,
    context,
    state: 'sent',
    ...(past && { past }),
  };
  const begun: OpenTurn = {
    ...rest,
    items: input.items,
    context: input.context,
    clientMessageId,
    ...(input.past && { past: input.past }),
    steered: [own, ...replace(turn, input, [])],
  };
  return { ...record, turn: begun };
}

/** The turn's input certainly did not reach the agent. One that was handed to a turn goes under another id then. */
export function unsubmit(turn: OpenTurn, clientMessageId: (item: InboxItem) => string): Partial<OpenTurn> {
  const [first, ...others] = turn.items;
  if (!turn.wasSteered || !first) return { state: 'prepared' };
  const renamed = underNewId(first);
  return { state: 'prepared', items: [renamed, ...others], clientMessageId: clientMessageId(renamed) };
}

function underNewId(item: InboxItem): InboxItem {
  return { ...item, again: (item.again ?? 0) + 1 };
}

// ---- questions ---------------------------------------------------------------------------------

export function findSteered(turn: OpenTurn | null, clientMessageId: string): SteeredInput | undefined {
  return turn?.steered?.find((input) => input.clientMessageId === clientMessageId);
}

/** What may have left, and of which Letta has not told whether it joined. */
export function sentInputs(turn: OpenTurn | null): SteeredInput[] {
  return turn?.steered?.filter(({ state }) => state === 'sent') ?? [];
}

/** Ids of the inputs that joined the turn. */
export function joinedIds(turn: OpenTurn): string[] {
  return turn.steered?.flatMap(({ state, clientMessageId }) => (state === 'joined' ? [clientMessageId] : [])) ?? [];
}

/** Messages of the turn that may have left and are not among its own. */
export function sentItems(turn: OpenTurn | null): InboxItem[] {
  return sentInputs(turn).flatMap(({ items }) => items);
}

/** The messages of the input as their author changed them since it was sent. */
function changedItems({ items, changes = [] }: SteeredInput): InboxItem[] {
  return items.flatMap((item) => {
    const change = changes.find(({ key }) => key === item.key);
    return change ? (change.item ?? []) : item;
  });
}

function replace({ steered = [] }: OpenTurn, input: SteeredInput, by: readonly SteeredInput[]): SteeredInput[] {
  return steered.flatMap((each) => (each === input ? by : each));
}

/** Why a person's message cannot join this turn; `null`: it can. */
export function whyNotNow(
  { origin, ends, requester }: Pick<OpenTurn, 'origin' | 'ends' | 'requester'>,
  user: UserId,
): string | null {
  if (origin === 'agent' || ends) return STEERING.notOfPeople;
  return requester === user ? null : notYourTurnText(`<@${requester}>`);
}
