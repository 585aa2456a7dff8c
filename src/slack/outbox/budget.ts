import type { ChannelId } from '../../bridge/ids.ts';

/**
 * `must`: final text, approvals, our own lines: they may use the whole limit. `live`: an intermediate edit, which a
 * later one may replace; it leaves a reserve for `must`.
 */
export type Urgency = 'must' | 'live';

/** A call that somebody wants to make. */
export interface Ask {
  method: string;
  channel: ChannelId;
  urgency: Urgency;
}

/** A call that counts toward a 60 s window. `until`: when it stops counting; `null`: its answer has not come. */
interface Use {
  id: number;
  until: number | null;
}

/**
 * The calls of the last minute in one workspace. Times are of the monotonic clock, because a wall clock that is set
 * back would block all calls for as long. It is a value: every function returns a new one.
 */
export interface Budget {
  nextId: number;
  /** By method; oldest first, at most the limit's number of entries each. */
  windows: Readonly<Record<string, readonly Use[]>>;
  /** By method: until when Slack accepts no call, after a 429. */
  blocked: Readonly<Record<string, number>>;
  /** By channel: when it may get its next post; removed once past. */
  channels: ReadonlyMap<ChannelId, number>;
  /** When the next edit is due if edits are spread evenly (the virtual clock of GCRA). */
  editDue: number;
  /** Edits per minute: each 429 of an edit halves it, each live edit without one raises it a little. */
  pace: number;
}

const EDIT = 'chat.update';
const WINDOW_MS = 60_000;
/**
 * How many edits per 60 s live edits leave free for final text and cards. Each one slows live text down by a fiftieth.
 * Two are enough even when twenty threads end at random moments, because a final edit delays the live edits after it:
 * hardly a final one waits, and then about a second.
 */
const RESERVE = 2;
/** Edits per minute: at the start of the process, at most while Slack limits nothing, and at least. */
const PACE = { first: 40, most: 48, least: 5 };
/** How much one live edit without a 429 raises the pace: from half to full it takes a minute or two. */
const SPEED_UP = 0.25;
/** Calls in any 60 s, by the method's tier (docs/slack.md, Tiers); a little fewer where nothing is urgent. */
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
 * Slack allows about one post per second and channel (docs/slack.md, Limits: rules). A little more, because travel
 * times vary.
 */
const CHANNEL_GAP_MS = 1_050;
const PER_CHANNEL = new Set(['chat.postMessage', 'assistant.threads.setStatus']);
/** After a pause so many live edits may come early. More would use up the window at once, and silence would follow. */
const BURST = 2;

export const emptyBudget: Budget = {
  nextId: 1,
  windows: {},
  blocked: {},
  channels: new Map(),
  editDue: 0,
  pace: PACE.first,
};

/** The earliest time (ms, ≥ `now`) at which this call may be made, by what is known now. */
export function whenAllowed(budget: Budget, ask: Ask, now: number): number {
  const limit = limitOf(ask.method) - (isLiveEdit(ask) ? RESERVE : 0);
  let at = Math.max(now, budget.blocked[ask.method] ?? 0, windowFreesAt(budget, ask.method, limit, now));
  if (PER_CHANNEL.has(ask.method)) at = Math.max(at, budget.channels.get(channelKey(ask)) ?? 0);
  return isLiveEdit(ask) ? Math.max(at, budget.editDue - BURST * gapMs(budget)) : at;
}

/** Notes that the call is made now. Give `id` to {@link noteAnswered} when its answer comes. */
export function noteSent(budget: Budget, ask: Ask, now: number): { budget: Budget; id: number } {
  const id = budget.nextId;
  const windows = { ...budget.windows, [ask.method]: [...countingUses(budget, ask.method, now), { id, until: null }] };
  const channels = new Map(budget.channels);
  if (PER_CHANNEL.has(ask.method)) {
    for (const [channel, at] of channels) if (at <= now) channels.delete(channel);
    channels.set(channelKey(ask), now + CHANNEL_GAP_MS);
  }
  let { editDue, pace } = budget;
  // A final edit delays the live edits after it, so that the window is never used up.
  if (ask.method === EDIT) editDue = Math.max(editDue, now) + gapMs(budget);
  if (isLiveEdit(ask)) pace = Math.min(PACE.most, pace + SPEED_UP);
  return { budget: { ...budget, nextId: id + 1, windows, channels, editDue, pace }, id };
}

/**
 * Notes that call `id` was answered. It counts for 60 s from now, not from when it was sent, because Slack counted it
 * at some time in between, and our window must never hold fewer calls than Slack's.
 */
export function noteAnswered(budget: Budget, ask: Ask, id: number, now: number): Budget {
  const uses = budget.windows[ask.method];
  if (!uses?.some((use) => use.id === id)) return budget;
  const kept = [...uses.filter((use) => use.id !== id), { id, until: now + WINDOW_MS }].sort(
    (a, b) => (a.until ?? Number.POSITIVE_INFINITY) - (b.until ?? Number.POSITIVE_INFINITY),
  );
  return { ...budget, windows: { ...budget.windows, [ask.method]: kept } };
}

/** Notes a 429: no call of that method before `until`. */
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
  // A call without an answer counts as answered now, because it cannot stop counting sooner than that.
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
