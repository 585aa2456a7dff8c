import type { UserId } from '../ids.ts';
import { oneLine } from '../text/one-line.ts';
import type { When } from './when.ts';

/** What is to run, when, and whose it is; nothing is made before its owner has confirmed it. */
export interface ScheduleDraft {
  /** Its random id, which is also a part of its name at Letta: it is found again by that. */
  id: string;
  owner: UserId;
  /** What the agent is told: the owner's words, or the agent's own, which the owner has read. */
  prompt: string;
  /** The rule of five fields; `null`: it runs once. */
  cron: string | null;
  /** ms since 1970; `null`: it runs again and again. */
  once: number | null;
  /** The owner's time zone, which exists. */
  zone: string;
  /** Whether its answers also appear in the channel, not only in the thread. */
  inChannel?: true | undefined;
}

/** A schedule that its owner has confirmed. */
export interface Schedule extends ScheduleDraft {
  /** When its owner confirmed it, ms since 1970. */
  madeAt: number;
  /** What it is to be at Letta, which is made so whenever Letta can be reached. */
  wanted: 'active' | 'paused' | 'gone';
  /** What Letta has confirmed last; `null`: nothing yet, so Letta may have it or not. */
  confirmed: 'active' | 'paused' | null;
  /** Set when the bridge paused it because its owner may not use the agent here any more. */
  lostAccess?: true | undefined;
  /** When the last firing was that the thread has shown, ms since 1970; 0: none yet. */
  firedAt: number;
}

/** The schedule that a turn belongs to, as it was when the turn began. */
export interface TurnSchedule extends Pick<ScheduleDraft, 'id' | 'owner' | 'cron' | 'once' | 'zone' | 'inChannel'> {
  /** When Letta fired it, ms since 1970. */
  at: number;
  /** Set when it ran while the bridge did not listen: how many more ran before it that are not shown. */
  late?: { earlier: number } | undefined;
}

/** How many a thread may have. */
export const MOST_IN_THREAD = 10;
/** Letters of what the agent is told. */
export const LONGEST_PROMPT = 2_000;

export function whenOf({ cron, once }: Pick<ScheduleDraft, 'cron' | 'once'>): When {
  return cron === null ? { once: once ?? 0 } : { cron };
}

const NAMED = /\(slack-([A-Za-z0-9]{8})\)$/;

/** Its name at Letta: people read it there, the agent reads it at each firing, and the bridge knows it by its end. */
export function nameOf({ id, prompt }: Pick<ScheduleDraft, 'id' | 'prompt'>): string {
  return `${oneLine(prompt, 60)} (slack-${id})`;
}

/** The id in a name at Letta; `null`: it is no schedule of a bridge. */
export function idInName(name: string): string | null {
  return NAMED.exec(name)?.[1] ?? null;
}

/** What the agent is told at each firing, below Letta's own words, which say that no one is watching. */
export function promptAtLetta({ prompt, owner }: Pick<ScheduleDraft, 'prompt' | 'owner'>): string {
  return `${prompt}\n\n(Scheduled in Slack by <@${owner}>. What you write in this turn is posted in Slack, where people read it.)`;
}
