import type { UserId } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { SlackPost } from '../post.ts';
import { SlackError } from '../slack-api.ts';
import { slackCall } from './calls.ts';
import type { Scheduler } from './scheduler.ts';

export interface WhisperParts {
  scheduler: Scheduler;
  clock: Clock;
  log: Log;
}

export interface Whispers {
  /** Resolves when Slack took it, or can not be told. Never rejects. */
  send(address: ThreadAddress, user: UserId, posts: readonly SlackPost[]): Promise<void>;
  /** What waits for its time is not sent any more. */
  close(): void;
}

/** A refusal is often told in private alone: a pause of Slack, or a lost answer, must not make silence of it. */
const WAIT_MS = 60_000;
const ATTEMPTS = 3;
const AGAIN_MS = 2_000;
/** More of them than that, and the latest are dropped: each holds a text. */
const WAITING = 50;

/** Words for one person's eyes (`chat.postEphemeral`). One whose answer was lost may be seen twice, which harms nobody. */
export function createWhispers({ scheduler, clock, log }: WhisperParts): Whispers {
  let waiting = 0;
  let closed = false;

  async function wait(ms: number): Promise<boolean> {
    if (closed || ms > WAIT_MS || waiting >= WAITING) return false;
    waiting += 1;
    await new Promise<void>((resolve) => void clock.after(ms, resolve));
    waiting -= 1;
    return !closed;
  }

  async function deliver(address: ThreadAddress, user: UserId, post: SlackPost): Promise<boolean> {
    const ask = { method: 'chat.postEphemeral', channel: address.channel, urgency: 'must' } as const;
    for (let attempt = 1; ; attempt += 1) {
      for (let at = scheduler.whenAllowed(ask); at > clock.monotonic(); at = scheduler.whenAllowed(ask)) {
        if (!(await wait(at - clock.monotonic()))) return false;
      }
      if (closed) return false;
      try {
        await scheduler.call(ask, whisperCall(address, user, post), 'control');
        return true;
      } catch (error) {
        if (!(error instanceof SlackError) || error.failure === 'refused' || attempt >= ATTEMPTS) throw error;
        if (!(await wait(AGAIN_MS * attempt))) throw error;
      }
    }
  }

  return {
    async send(address, user, posts) {
      try {
        for (const post of posts) {
          if (await deliver(address, user, post)) continue;
          log.warn({ channel: address.channel }, 'a whisper was dropped');
          return;
        }
      } catch (error) {
        const why = error instanceof SlackError ? { error: error.error } : { err: error };
        log.warn({ channel: address.channel, ...why }, 'a whisper was not delivered');
      }
    },
    close() {
      closed = true;
    },
  };
}

/** A message for one person: no metadata, and it can not be edited later (PLATFORM.md 2.3). */
function whisperCall(address: ThreadAddress, user: string, post: SlackPost) {
  const { args } = slackCall(address, '', { kind: 'post', post });
  const { metadata: _metadata, unfurl_links: _links, unfurl_media: _media, mrkdwn: _mrkdwn, ...rest } = args;
  return { method: 'chat.postEphemeral', args: { ...rest, user } };
}
