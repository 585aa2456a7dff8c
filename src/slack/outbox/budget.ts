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

/** What was sent of late in one workspace. A value: every function gives back a new one. */
export interface Budget {
  nextId: number;
  /** By method, and by `<method> live`; oldest first, at most the limit's number of entries each. */
  windows: Readonly<Record<string, readonly Use[]>>;
  /** ms since 1970 before which Slack wants no call of that method. */
  blocked: Readonly<Record<string, number>>;
  /** When a channel may get its next post, by channel; forgotten once past. */
  channels: ReadonlyMap<ChannelId, number>;
  /** When the next live edit would be due if all of them were spread evenly (a virtual clock, GCRA). */
  livePace: number;
  /** 1 at full speed; doubled by each 429 of an edit, slowly back. */
  slowness: number;
}

const WINDOW_MS = 60_000;
/** Live edits in any 60 s over all threads (PLATFORM.md 1.4). */
const LIVE_UPDATES = 40;
/** Calls in any 60 s: the tier's promise (PLATFORM.md 1.2), a little less where nothing is urgent. */
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
/** About one post a second and channel (PLATFORM.md 1.1), a little more apart because arrival times waver. */
const CHANNEL_GAP_MS = 1_050;
const PER_CHANNEL = new Set(['chat.postMessage', 'assistant.threads.setStatus']);
/** Live edits are spread over the minute: a window emptied at once would be followed by silence. */
const LIVE_GAP_MS = WINDOW_MS / LIVE_UPDATES;
/** So many may come before their time after a pause. */
const LIVE_BURST = 3;
const MAX_SLOWNESS = 8;
const RECOVERY = 0.97;

export const emptyBudget: Budget = {
  nextId: 1,
  windows: {},
  blocked: {},
  channels: new Map(),
  livePace: 0,
  slowness: 1,
};

/** The earliest time (ms, ≥ `now`) at which this may be sent, as far as is known now. */
export function whenAllowed(budget: Budget, ask: Ask, now: number): number {
  let at = Math.max(now, budget.blocked[ask.method] ?? 0, windowAt(budget, ask.method, limitOf(ask.method), now));
  if (PER_CHANNEL.has(ask.method)) at = Math.max(at, budget.channels.get(channelKey(ask)) ?? 0);
  if (isLiveEdit(ask)) {
    at = Math.max(at, windowAt(budget, liveKey(ask.method), LIVE_UPDATES, now));
    at = Math.max(at, budget.livePace - LIVE_BURST * LIVE_GAP_MS);
  }
  return at;
}

/** Notes that it is sent now. Give `id` to {@link answered} when the answer is there. */
export function sent(budget: Budget, ask: Ask, now: number): { budget: Budget; id: number } {
  const id = budget.nextId;
  const windows = { ...budget.windows, [ask.method]: [...fresh(budget, ask.method, now), { id, until: null }] };
  const channels = new Map(budget.channels);
  if (PER_CHANNEL.has(ask.method)) {
    for (const [channel, at] of channels) if (at <= now) channels.delete(channel);
    channels.set(channelKey(ask), now + CHANNEL_GAP_MS);
  }
  let { livePace, slowness } = budget;
  if (isLiveEdit(ask)) {
    windows[liveKey(ask.method)] = [...fresh(budget, liveKey(ask.method), now), { id, until: null }];
    livePace = Math.max(livePace, now) + LIVE_GAP_MS * slowness;
    slowness = Math.max(1, slowness * RECOVERY);
  }
  return { budget: { ...budget, nextId: id + 1, windows, channels, livePace, slowness }, id };
}

/**
 * Notes that call `id` was answered. It counts for 60 s from now, not from when it was sent: Slack counted it
 * somewhere in between, and a window of Slack's must not hold more than ours.
 */
export function answered(budget: Budget, ask: Ask, id: number, now: number): Budget {
  const windows = { ...budget.windows };
  for (const key of [ask.method, liveKey(ask.method)]) {
    const uses = windows[key];
    if (!uses?.some((use) => use.id === id)) continue;
    windows[key] = [...uses.filter((use) => use.id !== id), { id, until: now + WINDOW_MS }].sort(
      (a, b) => (a.until ?? Number.POSITIVE_INFINITY) - (b.until ?? Number.POSITIVE_INFINITY),
    );
  }
  return { ...budget, windows };
}

/** Notes a 429: nothing of that method before `until`. */
export function limited(budget: Budget, method: string, until: number): Budget {
  return {
    ...budget,
    blocked: { ...budget.blocked, [method]: Math.max(until, budget.blocked[method] ?? 0) },
    slowness: method === 'chat.update' ? Math.min(MAX_SLOWNESS, budget.slowness * 2) : budget.slowness,
  };
}

function windowAt(budget: Budget, key: string, limit: number, now: number): number {
  const uses = fresh(budget, key, now);
  const last = uses[uses.length - limit];
  // One that was not answered yet counts as answered now: it can not end sooner.
  return last ? (last.until ?? now + WINDOW_MS) : now;
}

function fresh(budget: Budget, key: string, now: number): readonly Use[] {
  const uses = budget.windows[key] ?? [];
  return uses[0]?.until != null && uses[0].until <= now
    ? uses.filter((use) => use.until === null || use.until > now)
    : uses;
}

const limitOf = (method: string) => LIMITS[method] ?? OTHER_LIMIT;
const liveKey = (method: string) => `${method} live`;
const channelKey = (ask: Ask) => `${ask.method} ${ask.channel}`;
const isLiveEdit = (ask: Ask) => ask.method === 'chat.update' && ask.urgency === 'live';
