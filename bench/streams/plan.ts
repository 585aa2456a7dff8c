/** Turns one after another in one channel. */
export interface PlannedThread {
  channel: string;
  turns: PlannedTurn[];
}

export interface PlannedTurn {
  /** ms from the start, or for a later turn from when the one before was seen whole. */
  after: number;
  /** How long it writes, ms. */
  ms: number;
}

/** What is played against one app in one small Slack. */
export interface Plan {
  /** `bridge`, or a way to run the peer (`bench/peers/`). */
  app: string;
  /** ms of a Web API call there and back. */
  latencyMs: number;
  /** ms between two words. */
  wordGap: number;
  /** Words of a line; left out: all are in one. */
  line?: number;
  /** Whether the threads are those of direct messages, of three people in turn; each then begins with a short answer. */
  isDirect?: boolean;
  threads: PlannedThread[];
  /** ms from the start after which nothing new is begun. */
  until: number;
}

export const channelOf = (number: number) => `C9${String(number).padStart(3, '0')}`;

/** Numbers 0 ≤ n < 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Turns last from `shortest` to `longest` ms, every length as often as any other. */
export const TURNS = { shortest: 60_000, longest: 120_000 };

/**
 * The turns of a busy workspace: when one is over, the next begins after a moment. They begin within `spread`; the
 * first one is cut off at random, as if one had begun to look in the middle of it, so that from there on turns begin and
 * end at random moments, at any time as many as at another.
 */
export function randomThreads(count: number, spread: number, until: number, random: () => number): PlannedThread[] {
  const turnMs = () => TURNS.shortest + random() * (TURNS.longest - TURNS.shortest);
  return Array.from({ length: count }, (_, number) => {
    const turns: PlannedTurn[] = [{ after: random() * spread, ms: Math.max(1_000, random() * turnMs()) }];
    for (let at = 0; at < until; at += TURNS.shortest) turns.push({ after: 1_000 + random() * 2_000, ms: turnMs() });
    return { channel: channelOf(number), turns };
  });
}

/** Turns that begin at any time within `spread` and end together, within a second, at `end`. */
export function endingTogether(count: number, spread: number, end: number, random: () => number): PlannedThread[] {
  return Array.from({ length: count }, (_, number) => {
    const after = random() * spread;
    return { channel: channelOf(number), turns: [{ after, ms: end + random() * 900 - after }] };
  });
}
