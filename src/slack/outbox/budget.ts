import type { ChannelId } from '../../bridge/ids.ts';

/**
 * `must`: final text, approvals, our own lines: they may use the whole limit. `live`: an intermediate edit or append,
 * which a later one may replace; it keeps the pace and leaves a reserve for `must`. `first`: the first text of a turn in a
 * message that is there; it leaves the reserve too, but does not wait for the pace.
 */
export type Urgency = 'must' | 'first' | 'live';

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
  /** By method of {@link PACES}: when the next live call may be made at the earliest, by the pace. */
  due: Readonly<Record<string, number>>;
  /**
   * By method of {@link PACES}: until when each call stops counting that an earlier process may have made. Only live
   * calls leave them their places, because nobody knows whether they were made. Oldest first.
   */
  unknown: Readonly<Record<string, readonly number[]>>;
  /** By method of {@link PACES}: how slow live calls are since its last 429; left out: none is remembered. */
  slowed: Readonly<Record<string, Slowed>>;
}

/** Until `until` live calls have `share` of their pace, then ever more of it. */
interface Slowed {
  until: number;
  share: number;
}

const WINDOW_MS = 60_000;

/** How often live text may use a method. */
interface Pace {
  /**
   * How many calls per 60 s live ones leave free for final text and cards. Each one slows live text down by its share of
   * the limit.
   */
  reserve: number;
  /** The least time between the starts of two live calls. */
  leastGapMs: number;
  /** The share of the even gap while the window is empty, and how many calls are in the window when it is the whole gap. */
  share: number;
  full: number;
}

const PACES: Readonly<Record<string, Pace>> = {
  /**
   * Two are enough even when twenty threads end at random moments, because a final edit delays the live edits after it:
   * hardly a final one waits, and then about a second.
   */
  'chat.update': { reserve: 2, leastGapMs: 500, share: 0.4, full: 40 },
  /** Several streams share it, and each has a least gap of its own. */
  'chat.appendStream': { reserve: 5, leastGapMs: 100, share: 0.6, full: 95 },
};
/** What else is left free by calls that need not be made. */
const RESERVES: Readonly<Record<string, number>> = { 'chat.stopStream': 5 };
/** The least share of the pace after 429s. */
const SLOWEST = 0.1;
/** How long after a Retry-After the pace is whole again. */
const RECOVERY_MS = 60_000;
/** Calls in any 60 s, by the method's tier (docs/slack.md, Tiers); a little fewer where nothing is urgent. */
const LIMITS: Readonly<Record<string, number>> = {
  'chat.update': 50,
  'chat.delete': 45,
  'chat.postMessage': 240,
  'chat.startStream': 20,
  'chat.appendStream': 100,
  'chat.stopStream': 20,
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
const PER_CHANNEL = new Set(['chat.postMessage', 'chat.startStream', 'assistant.threads.setStatus']);

export const emptyBudget: Budget = {
  nextId: 1,
  windows: {},
  blocked: {},
  channels: new Map(),
  due: {},
  unknown: {},
  slowed: {},
};

/** The earliest time (ms, ≥ `now`) at which this call may be made, by what is known now. */
export function whenAllowed(budget: Budget, ask: Ask, now: number): number {
  const reserve = PACES[ask.method]?.reserve ?? RESERVES[ask.method] ?? 0;
  const limit = limitOf(ask.method) - (ask.urgency === 'must' ? 0 : reserve);
  let at = Math.max(now, budget.blocked[ask.method] ?? 0, windowFreesAt(budget, ask.method, limit, now));
  if (PER_CHANNEL.has(ask.method)) at = Math.max(at, budget.channels.get(channelKey(ask)) ?? 0);
  return ask.urgency === 'live' ? Math.max(at, budget.due[ask.method] ?? 0) : at;
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
  const sent = { ...budget, nextId: id + 1, windows, channels };
  const pace = PACES[ask.method];
  if (!pace) return { budget: sent, id };
  const still = (budget.unknown[ask.method] ?? []).filter((until) => until > now);
  const noted = { ...sent, unknown: { ...budget.unknown, [ask.method]: still } };
  // A final edit delays the live edits after it, so that the window is never used up.
  return { budget: { ...noted, due: { ...budget.due, [ask.method]: now + gapMs(noted, ask.method, pace, now) } }, id };
}

/** Notes that an earlier process may just have shown text as fast as it was allowed, so that the windows may be full. */
export function noteUnknownCalls(budget: Budget, now: number): Budget {
  let noted = budget;
  for (const [method, { reserve }] of Object.entries(PACES)) {
    const most = limitOf(method) - reserve;
    const until = Array.from({ length: most }, (_, index) => now + ((index + 1) * WINDOW_MS) / most);
    const due = Math.max(noted.due[method] ?? 0, now + WINDOW_MS / most);
    noted = { ...noted, unknown: { ...noted.unknown, [method]: until }, due: { ...noted.due, [method]: due } };
  }
  return noted;
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

/**
 * Notes a 429 of a call that was made at `madeAt`: no call of that method before `until`. Edits that were on their way
 * when Slack refused an earlier one tell nothing new, so the pace is halved once for all of them.
 */
export function noteLimited(budget: Budget, method: string, now: number, until: number, madeAt = now): Budget {
  const blocked = { ...budget.blocked, [method]: Math.max(until, budget.blocked[method] ?? 0) };
  if (!PACES[method]) return { ...budget, blocked };
  const before = budget.slowed[method];
  const isKnown = before !== undefined && madeAt <= before.until;
  const share = isKnown ? before.share : Math.max(SLOWEST, shareOfPace(budget, method, madeAt) / 2);
  const slowed = { ...budget.slowed, [method]: { share, until: Math.max(until, before?.until ?? 0) } };
  return { ...budget, blocked, slowed };
}

/** The share of its pace that live text has at that time after 429s of the method: it comes back by the clock. */
export function shareOfPace(budget: Budget, method: string, now: number): number {
  const slowed = budget.slowed[method];
  if (slowed === undefined) return 1;
  const back = Math.max(0, now - slowed.until) / RECOVERY_MS;
  return Math.min(1, slowed.share + (1 - slowed.share) * back);
}

/**
 * The time from a call to the next live one: a part of the even gap while the window is empty, and the more of it the
 * fuller the window is, so that a short answer is fresh and a long one never stands still.
 */
function gapMs(budget: Budget, method: string, pace: Pace, now: number): number {
  const used = countingUses(budget, method, now).length + (budget.unknown[method]?.length ?? 0);
  const share = Math.min(1, pace.share + (1 - pace.share) * (used / pace.full));
  const gap = Math.max(pace.leastGapMs, evenGapMs(budget, method, pace, now) * share);
  return gap / shareOfPace(budget, method, now);
}

/**
 * The least even gap between live calls at which each free place of the window, and each that comes back, is free when
 * it is needed: as many calls as are possible, none of which waits.
 */
function evenGapMs(budget: Budget, method: string, { reserve }: Pace, now: number): number {
  const most = limitOf(method) - reserve;
  const known = countingUses(budget, method, now).map(({ until }) => until ?? now + WINDOW_MS);
  const untils = [...known, ...(budget.unknown[method] ?? [])].sort((a, b) => a - b).slice(-most);
  const free = most - untils.length;
  return untils.reduce((gap, until, index) => Math.max(gap, (until - now) / (free + index + 1)), WINDOW_MS / most);
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
/** A stream's first text is a message, too. */
const channelKey = ({ method, channel }: Ask) =>
  `${method === 'chat.startStream' ? 'chat.postMessage' : method} ${channel}`;
