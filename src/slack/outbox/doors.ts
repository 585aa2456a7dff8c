import { backoffMs } from '../../backoff.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { ChannelId } from '../../bridge/ids.ts';
import type { SlackError } from '../api/slack-api.ts';
import { type Closed, closedBy } from './refusal.ts';

/** A kind of call that Slack may allow or refuse: a method in a channel. */
export interface Way {
  method: string;
  channel: ChannelId;
}

/**
 * Remembers where Slack refuses all our writes for now. While a way is closed, only one call at a time tries it, after
 * longer and longer waits, so a hundred waiting answers for an archived channel cost no more calls than one.
 */
export interface Doors {
  /** When this call may be tried (≥ `now`, by the monotonic clock). */
  opensAt(way: Way, now: number): number;
  /** Notes that a call is made: until its answer comes, no other call tries the same closed way. */
  noteTry(way: Way, now: number): void;
  /** Notes the answer. True when a closed way is open again. */
  noteAnswer(way: Way, error: SlackError | null, now: number): boolean;
  /** Slack's word for why this way is closed, and for what scope; `null`: it is open, as far as we know. */
  whyClosed(way: Way): { word: string; scope: Closed } | null;
  /** Something happened that may have opened closed ways in this channel (`null`: in all), so they are tried soon. */
  retrySoon(channel: ChannelId | null, now: number): void;
}

interface Door {
  word: string;
  scope: Closed;
  until: number;
  failures: number;
  closedAt: number;
  /** Until when a call without an answer keeps other calls back. */
  tryingUntil: number;
}

const FIRST_MS = 1_000;
/**
 * By scope. Short for the workspace, because one call tries for everybody; long for channels, of which there may be
 * hundreds.
 */
const LONGEST_MS: Readonly<Record<Closed, number>> = { workspace: 60_000, channel: 600_000, thread: 0 };
/** At most one early try in this time, because a busy channel asks for one with every message. */
const KNOCK_GAP_MS = 5_000;
/** How soon the other calls ask again while one tries. */
const TRYING_MS = 500;
/** A call that is never answered keeps the others back no longer than this. */
const TRYING_MAX_MS = 60_000;
/** If there are more, the first closed is forgotten: the next call finds it closed again. */
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
      // Slack did not decide about the call, so the way stays as it was.
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
