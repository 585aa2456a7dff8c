import type { SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { type SlackAnswer, SlackError } from '../api/slack-api.ts';
import { lookCall, readLook } from './calls.ts';
import type { Ledger } from './ledger.ts';
import { begunBy } from './lookup.ts';
import type { Scheduler } from './scheduler.ts';

export interface AwaitedPost {
  clock: Clock;
  /** The answer to the post. */
  answer: Promise<SlackAnswer>;
  /** Looks whether Slack has the message; `null`: not yet, or nobody can tell. Never rejects. */
  look(): Promise<SlackTs | null>;
}

/** Slack answers a post sooner, unless the answer was lost. */
const LOOK_AFTER_MS = 1_500;

/**
 * The answer to a post, or the message itself when Slack has it and the answer does not come: it may have been lost, and
 * the request ends only after ten seconds or more, in which people would see no new text. As long as nobody finds the
 * message the request goes on, because a second post might double it.
 */
export async function awaitPost({ clock, answer, look }: AwaitedPost): Promise<SlackAnswer> {
  const outcome = Promise.withResolvers<SlackAnswer>();
  let timer: Timer | null = null;
  let isOver = false;

  function lookAfter(ms: number): void {
    timer = clock.after(ms, () => {
      timer = null;
      void look().then((ts) => {
        if (ts !== null) outcome.resolve({ ok: true, ts });
        else if (!isOver) lookAfter(ms * 2);
      });
    });
  }

  lookAfter(LOOK_AFTER_MS);
  answer.then(outcome.resolve, outcome.reject);
  try {
    return await outcome.promise;
  } finally {
    isOver = true;
    (timer as Timer | null)?.cancel();
  }
}

export interface PostFinder {
  scheduler: Scheduler;
  clock: Clock;
  log: Log;
  /** The id in the metadata of the message: the turn's. */
  owner: string;
  /** The messages that are known. */
  ledger: Ledger;
  /** Our bot's user id, by which a native stream is known; left out: none is looked for. */
  bot?: string | undefined;
}

/** Looks in the thread for a message that is being posted; `null`: it is not there, or nobody can tell now. */
export async function findPost(finder: PostFinder, address: ThreadAddress, part: string): Promise<SlackTs | null> {
  const { scheduler, clock, log, owner, ledger, bot } = finder;
  const after = ledger.posts.at(-1)?.ts ?? address.threadTs;
  // A person's id is no channel that has a history.
  if (after === null || /^[UW]/.test(address.channel)) return null;
  const look = lookCall(address, after, null);
  const ask = { method: look.method, channel: address.channel, urgency: 'must' } as const;
  if (scheduler.whenAllowed(ask) > clock.monotonic()) return null;
  try {
    const { found } = readLook(await scheduler.call(ask, look, 'live'), owner, begunBy(ledger, bot));
    const isKnown = (ts: SlackTs) => ledger.posts.some((post) => post.ts === ts);
    return found.find((post) => post.part === part && !isKnown(post.ts))?.ts ?? null;
  } catch (error) {
    if (!(error instanceof SlackError)) log.error({ err: error }, 'could not look for a post');
    return null;
  }
}
