import type { SlackTs } from '../../bridge/ids.ts';
import type { Clock, Timer } from '../../bridge/ports.ts';
import type { SlackAnswer } from '../api/slack-api.ts';

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
