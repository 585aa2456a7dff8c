import { createHash } from 'node:crypto';
import type { HomeView as SlackHomeView } from '@slack/types';
import { BoundedMap } from '../../bounded-map.ts';
import { Chains } from '../../bridge/chains.ts';
import type { UserId } from '../../bridge/ids.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';

export interface HomeTabParts {
  api: SlackApi;
  clock: Clock;
  log: Log;
  /** What this person sees now. @param why `changed`: they did not open the tab, it is only drawn again */
  draw(user: UserId, why: 'opened' | 'changed'): Promise<SlackHomeView>;
}

/** Home tabs, kept up to date for people who have opened theirs in the last hour. */
export interface HomeTabs {
  /** Draws the tab that somebody opens. Never rejects. */
  open(user: UserId): Promise<void>;
  /** Something may have changed in the tabs of these people; `null`: of everyone. */
  noteChange(users: readonly UserId[] | null): void;
  /** Draws no tab any more. */
  close(): void;
}

/** How many people's tabs are kept up to date; whoever opened theirs longest ago is left out first. */
const WATCHED = 200;
const WATCHED_FOR_MS = 60 * 60_000;
/** Changes come in bursts: they are drawn together, this long after the first. */
const DEBOUNCE_MS = 2_000;
/** Slack allows 100 calls a minute for the workspace (docs/slack.md, Tiers); the rest is for tabs that people open. */
const REDRAWN_PER_MINUTE = 60;
const MINUTE_MS = 60_000;

interface Watched {
  /** By the monotonic clock. */
  openedAt: number;
  /** Number of the last drawing, counted over all tabs. */
  drawing: number;
  /** Digest of what Slack shows; `null`: not known. */
  shown: string | null;
  isOutdated: boolean;
}

export function createHomeTabs({ api, clock, log, draw }: HomeTabParts): HomeTabs {
  const watched = new BoundedMap<UserId, Watched>(WATCHED);
  /** The calls for one person go one at a time, so that an older view never replaces a newer one. */
  const perPerson = new Chains<UserId>();
  /** When tabs were drawn again in the last minute, by the monotonic clock, oldest first. */
  let redrawn: number[] = [];
  let timer: Timer | null = null;
  let drawings = 0;
  let isRedrawing = false;
  let isClosed = false;

  /** @returns ms for which Slack takes no more; `null`: it does */
  async function publish(user: UserId, why: 'opened' | 'changed'): Promise<number | null> {
    const tab = watched.get(user);
    drawings += 1;
    if (tab) Object.assign(tab, { isOutdated: false, drawing: drawings });
    try {
      const view = await draw(user, why);
      const digest = createHash('sha256').update(JSON.stringify(view)).digest('base64');
      if (isClosed || (why === 'changed' && digest === tab?.shown)) return null;
      if (why === 'changed') redrawn.push(clock.monotonic());
      if (tab) tab.shown = null;
      await api.call('views.publish', { user_id: user, view }, { client: why === 'opened' ? 'control' : 'live' });
      if (tab) tab.shown = digest;
    } catch (error) {
      log.warn({ err: error, why }, 'could not draw the Home tab');
      if (why === 'opened' || !(error instanceof SlackError) || error.failure !== 'limited') return null;
      if (tab) tab.isOutdated = true;
      return error.retryAfterMs ?? MINUTE_MS;
    }
    return null;
  }

  function redrawLater(ms: number): void {
    if (isClosed || isRedrawing) return;
    timer ??= clock.after(ms, () => {
      timer = null;
      isRedrawing = true;
      void redraw().then((pauseMs) => {
        isRedrawing = false;
        if (listOutdated().length > 0) redrawLater(Math.max(DEBOUNCE_MS, pauseMs));
      });
    });
  }

  /** Whose tabs are to be drawn again, the one that waits longest first. */
  function listOutdated(): UserId[] {
    const now = clock.monotonic();
    for (const [user, { openedAt }] of watched) if (now - openedAt >= WATCHED_FOR_MS) watched.delete(user);
    const outdated = [...watched].filter(([, { isOutdated }]) => isOutdated);
    return outdated.toSorted(([, a], [, b]) => a.drawing - b.drawing).map(([user]) => user);
  }

  /** @returns ms until more may be drawn */
  async function redraw(): Promise<number> {
    for (const user of listOutdated()) {
      const now = clock.monotonic();
      redrawn = redrawn.filter((at) => now - at < MINUTE_MS);
      const [oldest = now] = redrawn;
      if (redrawn.length >= REDRAWN_PER_MINUTE) return oldest + MINUTE_MS - now;
      const pauseMs = await perPerson.run(user, () => publish(user, 'changed'));
      if (isClosed) return 0;
      if (pauseMs !== null) return pauseMs;
    }
    return 0;
  }

  return {
    async open(user) {
      watched.set(user, { openedAt: clock.monotonic(), drawing: drawings, shown: null, isOutdated: false });
      await perPerson.run(user, () => publish(user, 'opened'));
    },
    noteChange(users) {
      for (const user of users ?? watched.keys()) {
        const tab = watched.get(user);
        if (tab) tab.isOutdated = true;
      }
      if (listOutdated().length > 0) redrawLater(DEBOUNCE_MS);
    },
    close() {
      isClosed = true;
      timer?.cancel();
      watched.clear();
    },
  };
}
