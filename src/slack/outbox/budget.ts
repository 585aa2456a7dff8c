import type { ChannelId } from '../../bridge/ids.ts';

/**
 * `must`: final text, approvals, our own lines: they have the whole limit.
 * `live`: an intermediate edit, dropped in favour of a later one; it leaves a reserve to the others.
 */
export type Urgency = 'must' | 'live';

/** What somebody would like to send. */
export interface Ask {
  method: string;
  channel: ChannelId;
  urgency: Urgency;
}

/** One call in a window of 60 s. `until` is when it stops counting; `null` while its answer is awaited. */
interface Use {
  id: number;
  until: number | null;
}

/**
 * What was sent of late in one workspace, in times of the monotonic clock: one that steps back would close the budget
 * for as long. A value: every function gives back a new one.
 */
export interface Budget {
  nextId: number;
  /** By method; oldest first, at most the limit's number of entries each. */
  windows: Readonly<Record<string, readonly Use[]>>;
  /** Until when Slack wants no call of that method. */
  blocked: Readonly<Record<string, number>>;
  /** When a channel may get its next post, by channel; forgotten once past. */
  channels: ReadonlyMap<ChannelId, number>;
  /** When the next edit would be due if all of them were spread evenly (a virtual clock, GCRA). */
  editDue: number;
  /** Edits in a minute: halved by each 429 of an edit, slowly up while none comes. */
  pace: number;
}

const EDIT = 'chat.update';
const WINDOW_MS = 60_000;
/**
 * Edits that a live one leaves free in any 60 s, for finals and cards. Each of them slows all live text down by a
 * fiftieth. Finals take their time out of the live edits that follow, so two are enough for twenty threads that end at
 * random moments: hardly one of them waits for its last edit, and then a second.
 */
const RESERVE = 2;
/** Edits in a minute: what a process begins with, what it comes to while Slack limits nothing, and the least. */
const PACE = { first: 40, most: 48, least: 5 };
/** What one live edit without a 429 adds to the pace: a minute or two from half of it to the whole. */
const SPEED_UP = 0.25;
/** Calls in any 60 s: the tier's promise (docs/slack.md, Tiers), a little less where nothing is urgent. */
const LIMITS: Readonly<Record<string, number>> = {
  'chat.update': 50,
  'chat.delete': 45,
  'chat.postMessage': 240,
  'chat.postEphemeral': 90,
  'assistant.threads.setStatus': 90,
  'agents.sessions.setStatus': 45,
  'conversations.replies': 45,
  'conversations.history': 45,
};
const OTHER_LIMIT = 45;
/**
 * About one post a second and channel (docs/slack.md, Limits: rules), a little more apart because arrival times waver.
 */
const CHANNEL_GAP_MS = 1_050;
const PER_CHANNEL = new Set(['chat.postMessage', 'assistant.threads.setStatus']);
/**
 * So many live edits may come before their time after a pause; else they are spread: a window emptied at once is
 * followed by silence.
 */
const BURST = 2;

export const emptyBudget: Budget = {
  nextId: 1,
  windows: {},
  blocked: {},
  channels: new Map(),
  editDue: 0,
  pace: PACE.first,
};

/** The earliest time (ms, ≥ `now`) at which this may be sent, as far as is known now. */
export function whenAllowed(budget: Budget, ask: Ask, now: number): number {
  const limit = limitOf(ask.method) - (isLiveEdit(ask) ? RESERVE : 0);
  let at = Math.max(now, budget.blocked[ask.method] ?? 0, windowFreesAt(budget, ask.method, limit, now));
  if (PER_CHANNEL.has(ask.method)) at = Math.max(at, budget.channels.get(channelKey(ask)) ?? 0);
  return isLiveEdit(ask) ? Math.max(at, budget.editDue - BURST * gapMs(budget)) : at;
}

/** Notes that it is sent now. Give `id` to {@link noteAnswered} when the answer is there. */
export function noteSent(budget: Budget, ask: Ask, now: number): { budget: Budget; id: number } {
  const id = budget.nextId;
  const windows = { ...budget.windows, [ask.method]: [...countingUses(budget, ask.method, now), { id, until: null }] };
  const channels = new Map(budget.channels);
  if (PER_CHANNEL.has(ask.method)) {
    for (const [channel, at] of channels) if (at <= now) channels.delete(channel);
    channels.set(channelKey(ask), now + CHANNEL_GAP_MS);
  }
  let { editDue, pace } = budget;
  // A final edit takes its time out of the live ones that follow, so that the window never comes near its end.
  if (ask.method === EDIT) editDue = Math.max(editDue, now) + gapMs(budget);
  if (isLiveEdit(ask)) pace = Math.min(PACE.most, pace + SPEED_UP);
  return { budget: { ...budget, nextId: id + 1, windows, channels, editDue, pace }, id };
}

/**
 * Notes that call `id` was answered. It counts for 60 s from now, not from when it was sent: Slack counted it
 * somewhere in between, and a window of Slack's must not hold more than ours.
 */
export function noteAnswered(budget: Budget, ask: Ask, id: number, now: number): Budget {
  const uses = budget.windows[ask.method];
  if (!uses?.some((use) => use.id === id)) return budget;
  const kept = [...uses.filter((use) => use.id !== id), { id, until: now + WINDOW_MS }].sort(
    (a, b) => (a.until ?? Number.POSITIVE_INFINITY) - (b.until ?? Number.POSITIVE_INFINITY),
  );
  return { ...budget, windows: { ...budget.windows, [ask.method]: kept } };
}

/** Notes a 429: nothing of that method before `until`. */
export function noteLimited(budget: Budget, method: string, until: number): Budget {
  return {
    ...budget,
    blocked: { ...budget.blocked, [method]: Math.max(until, budget.blocked[method] ?? 0) },
    pace: method === EDIT ? Math.max(PACE.least, budget.pace / 2) : budget.pace,
  };
}

function windowFreesAt(budget: Budget, key: string, limit: number, now: number): number {
  const uses = countingUses(budget, key, now);
  const last = uses[uses.length - limit];
  // One that was not answered yet counts as answered now: it cannot end sooner.
  return last ? (last.until ?? now + WINDOW_MS) : now;
}

function countingUses(budget: Budget, key: string, now: number): readonly Use[] {
  const uses = budget.windows[key] ?? [];
  return uses[0]?.until != null && uses[0].until <= now
    ? uses.filter((use) => use.until === null || use.until > now)
    : uses;
}

const limitOf = (method: string) => LIMITS[method] ?? OTHER_LIMIT;
const channelKey = (ask: Ask) => `${ask.method} ${ask.channel}`;
const isLiveEdit = (ask: Ask) => ask.method === EDIT && ask.urgency === 'live';
const gapMs = (budget: Budget) => WINDOW_MS / budget.pace;
