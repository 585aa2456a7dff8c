import { backoffMs } from '../../backoff.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { ChannelId } from '../../bridge/ids.ts';
import type { SlackError } from '../api/slack-api.ts';
import { type Closed, closedBy } from './refusal.ts';

/** One call, as far as it matters whether the way is open. */
export interface Way {
  method: string;
  channel: ChannelId;
}

/**
 * Where Slack lets us write nothing for now. While a way is closed one call at a time tries it, after longer and longer
 * waits: a hundred answers for an archived channel cost as much as one.
 */
export interface Doors {
  /** From when, ≥ `now`, by the monotonic clock, this call may be tried. */
  opensAt(way: Way, now: number): number;
  /** A call is on its way: until it is answered no other tries a closed way. */
  noteTry(way: Way, now: number): void;
  /** It was answered. True when a closed way is open again. */
  noteAnswer(way: Way, error: SlackError | null, now: number): boolean;
  /** Slack's word for why this way is closed, and how far it is; `null`: it is open, as far as is known. */
  whyClosed(way: Way): { word: string; scope: Closed } | null;
  /** Something happened that may have opened ways: each closed one may be tried soon. `null`: in every channel. */
  retrySoon(channel: ChannelId | null, now: number): void;
}

interface Door {
  word: string;
  scope: Closed;
  until: number;
  failures: number;
  closedAt: number;
  /** Until when a call that is on its way keeps the others out. */
  tryingUntil: number;
}

const FIRST_MS = 1_000;
/** By scope: a token is tried by one call for all; of channels there may be hundreds. */
const LONGEST_MS: Readonly<Record<Closed, number>> = { workspace: 60_000, channel: 600_000, thread: 0 };
/** A busy channel knocks all the time. */
const KNOCK_GAP_MS = 5_000;
/** How soon others look again while one tries. */
const TRYING_MS = 500;
/** A call that is never answered keeps nobody out for longer. */
const TRYING_MAX_MS = 60_000;
/** Ways that are forgotten first are those closed first: they are found closed again. */
const MOST = 1_000;

export function createDoors(): Doors {
  const doors = new BoundedMap<string, Door>(MOST);

  const keysOf = ({ method, channel }: Way) => [method, `${method} ${channel}`];

  return {
    opensAt(way, now) {
      let at = now;
      for (const key of keysOf(way)) {
        const door = doors.get(key);
        if (!door) continue;
        const free = door.tryingUntil > now ? Math.min(door.tryingUntil, now + TRYING_MS) : now;
        at = Math.max(at, door.until, free);
      }
      return at;
    },
    noteTry(way, now) {
      for (const key of keysOf(way)) {
        const door = doors.get(key);
        if (door) door.tryingUntil = now + TRYING_MAX_MS;
      }
    },
    noteAnswer(way, error, now) {
      const [everywhere = '', here = ''] = keysOf(way);
      const scope = error && closedBy(error);
      const word = error?.error ?? '';
      let hasOpened = false;
      const close = (key: string, by: 'workspace' | 'channel') => {
        const failures = (doors.get(key)?.failures ?? 0) + 1;
        const until = now + backoffMs({ firstMs: FIRST_MS, longestMs: LONGEST_MS[by] }, failures);
        doors.set(key, { word, scope: by, until, failures, closedAt: now, tryingUntil: 0 });
      };
      const open = (key: string) => {
        hasOpened = doors.delete(key) || hasOpened;
      };
      // Without an answer of Slack's nothing is known.
      if (error && error.failure !== 'refused') {
        for (const key of [everywhere, here]) {
          const door = doors.get(key);
          if (door) door.tryingUntil = 0;
        }
      } else if (scope === 'workspace') close(everywhere, scope);
      else {
        open(everywhere);
        if (scope === 'channel') close(here, scope);
        else if (scope === null) open(here);
      }
      return hasOpened;
    },
    whyClosed(way) {
      for (const key of keysOf(way)) {
        const door = doors.get(key);
        if (door) return { word: door.word, scope: door.scope };
      }
      return null;
    },
    retrySoon(channel, now) {
      for (const [key, door] of doors) {
        const isHere = channel === null || door.scope === 'workspace' || key.endsWith(` ${channel}`);
        if (isHere) door.until = Math.min(door.until, Math.max(now, door.closedAt + KNOCK_GAP_MS));
      }
    },
  };
}
