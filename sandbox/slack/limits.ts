import { BoundedMap } from '../bounded-map.ts';

const WINDOW_MS = 60_000;
const MAX_WINDOWS = 5_000;

export type Tier = 'T1' | 'T2' | 'T3' | 'T4' | 'post' | 'status' | 'hundreds';

const PER_MINUTE: Record<Tier, number> = {
  T1: 1,
  T2: 20,
  T3: 50,
  T4: 100,
  post: 60,
  status: 60,
  hundreds: 300,
};

/** "Several hundred messages per minute" for the whole workspace (docs/slack.md, Limits: rules). */
const POSTS_PER_WORKSPACE = 300;

/** One window: a method, or a method in a channel (`chat.postMessage C01GEN`). */
export interface Gauge {
  key: string;
  used: number;
  limit: number;
}

/**
 * Sliding 60 s windows without burst, per method and workspace; posts and statuses per channel too (docs/slack.md,
 * Tiers).
 */
export class Limits {
  readonly #windows = new BoundedMap<string, { calls: number[]; limit: number }>(MAX_WINDOWS);
  readonly refused = new Map<string, number>();
  enabled: boolean;

  constructor(isEnabled: boolean) {
    this.enabled = isEnabled;
  }

  /** Counts one call; returns the seconds to wait when the window is full. */
  takeCall(method: string, tier: Tier, channel: string, now: number): number | null {
    if (!this.enabled) return null;
    const rules: [string, number][] = [];
    if (tier === 'post' || tier === 'status') rules.push([`${method} ${channel}`, PER_MINUTE[tier]]);
    else rules.push([method, PER_MINUTE[tier]]);
    if (tier === 'post') rules.push([method, POSTS_PER_WORKSPACE]);
    let wait = 0;
    for (const [key, limit] of rules) {
      const calls = this.#recentCalls(key, limit, now);
      const first = calls[calls.length - limit];
      if (first !== undefined) wait = Math.max(wait, first + WINDOW_MS - now);
    }
    if (wait > 0) {
      this.countRefusal(method);
      return Math.max(1, Math.ceil(wait / 1000));
    }
    for (const [key, limit] of rules) this.#recentCalls(key, limit, now).push(now);
    return null;
  }

  /** How full the windows are, fullest first. */
  listGauges(now: number): Gauge[] {
    const gauges: Gauge[] = [];
    for (const [key, { calls, limit }] of this.#windows) {
      const used = calls.filter((at) => at > now - WINDOW_MS).length;
      if (used > 0) gauges.push({ key, used, limit });
    }
    return gauges.sort((a, b) => b.used / b.limit - a.used / a.limit);
  }

  countRefusal(method: string): void {
    this.refused.set(method, (this.refused.get(method) ?? 0) + 1);
  }

  resetWindows(): void {
    this.#windows.clear();
    this.refused.clear();
  }

  #recentCalls(key: string, limit: number, now: number): number[] {
    const calls = (this.#windows.get(key)?.calls ?? []).filter((at) => at > now - WINDOW_MS);
    this.#windows.delete(key);
    this.#windows.set(key, { calls, limit });
    return calls;
  }
}
