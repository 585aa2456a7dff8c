import type { UserId } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { SlackError } from '../api/slack-api.ts';
import type { SlackPost } from '../render/post.ts';
import { slackCall } from './calls.ts';
import type { Scheduler } from './scheduler.ts';

export interface WhisperParts {
  scheduler: Scheduler;
  clock: Clock;
  log: Log;
}

export interface Whispers {
  /** Resolves when Slack has accepted the message, or it was given up. Never rejects. */
  send(address: ThreadAddress, user: UserId, posts: readonly SlackPost[]): Promise<void>;
  /** Drops what waits. */
  close(): void;
}

/** How long a message may wait, and be retried: often it is the only answer that a person gets. */
const WAIT_MS = 60_000;
const ATTEMPTS = 3;
const AGAIN_MS = 2_000;
/** Most messages per person and minute, so that one person cannot use up the budget of all. */
const PER_MINUTE = 10;
const MINUTE_MS = 60_000;
/** Most waiting messages of one person and of all. Beyond that, the latest of the person with most are dropped. */
const WAITING_EACH = 10;
const WAITING = 500;

interface Wish {
  address: ThreadAddress;
  user: UserId;
  /** The posts that are not sent yet. */
  posts: readonly SlackPost[];
  /** By the monotonic clock. */
  since: number;
  notBefore: number;
  attempts: number;
  onDone(): void;
}

interface Listener {
  wishes: Wish[];
  /** Whether a call for this person has no answer yet. Their messages go one at a time, to keep the order. */
  isBusy: boolean;
  /** When calls were made for this person in the last minute, by the monotonic clock, oldest first. */
  calls: number[];
}

/**
 * Sends messages that one person sees (`chat.postEphemeral`). People take turns, so that many messages for one person
 * do not delay those for others. If Slack's answer is lost, the message is sent again and may be seen twice, which does
 * no harm.
 */
export function createWhispers({ scheduler, clock, log }: WhisperParts): Whispers {
  /** In the order of their turns. */
  const listeners = new Map<UserId, Listener>();
  let timer: Timer | null = null;
  let isClosed = false;

  function finishWish(listener: Listener, wish: Wish): void {
    listener.wishes.splice(listener.wishes.indexOf(wish), 1);
    wish.onDone();
  }

  function dropWish(listener: Listener, wish: Wish): void {
    log.warn({ channel: wish.address.channel, user: wish.user }, 'dropped a private notice');
    finishWish(listener, wish);
  }

  function enqueueWish(wish: Wish): void {
    const listener = listeners.get(wish.user) ?? { wishes: [], isBusy: false, calls: [] };
    listeners.set(wish.user, listener);
    listener.wishes.push(wish);
    if (listener.wishes.length > WAITING_EACH) {
      dropWish(listener, wish);
      return;
    }
    const all = [...listeners.values()];
    if (all.reduce((sum, { wishes }) => sum + wishes.length, 0) <= WAITING) return;
    const droppableCount = ({ wishes, isBusy }: Listener) => wishes.length - (isBusy ? 1 : 0);
    const most = all.reduce((a, b) => (droppableCount(b) >= droppableCount(a) ? b : a));
    const latest = most.wishes.at(-1);
    if (latest && droppableCount(most) > 0) dropWish(most, latest);
  }

  function forgetIdleListeners(now: number): void {
    for (const [user, listener] of listeners) {
      listener.calls = listener.calls.filter((at) => now - at < MINUTE_MS);
      if (listener.wishes.length === 0 && listener.calls.length === 0 && !listener.isBusy) listeners.delete(user);
    }
  }

  /** Sends what may be sent now, and sets the timer for what may be sent next. */
  function sendReadyWishes(): void {
    timer?.cancel();
    timer = null;
    if (isClosed) return;
    const now = clock.monotonic();
    forgetIdleListeners(now);
    let soonest = Number.POSITIVE_INFINITY;
    for (const [user, listener] of [...listeners]) {
      if (listener.isBusy) continue;
      for (let wish = listener.wishes[0]; wish; wish = listener.wishes[0]) {
        const tenth = listener.calls.at(-PER_MINUTE);
        const ownTurnAt = tenth === undefined ? now : tenth + MINUTE_MS;
        const at = Math.max(ownTurnAt, wish.notBefore, scheduler.whenAllowed(askOf(wish)));
        if (at - wish.since > WAIT_MS) {
          dropWish(listener, wish);
          continue;
        }
        // `now` is too early to compare with: the scheduler read the clock after this loop began.
        if (at > clock.monotonic()) {
          soonest = Math.min(soonest, at);
        } else {
          // This person's next turn comes after those of all others.
          listeners.delete(user);
          listeners.set(user, listener);
          void sendWish(listener, wish, now);
        }
        break;
      }
    }
    if (soonest !== Number.POSITIVE_INFINITY)
      timer = clock.after(Math.max(0, soonest - clock.monotonic()), sendReadyWishes);
  }

  async function sendWish(listener: Listener, wish: Wish, now: number): Promise<void> {
    const { address, user, posts } = wish;
    const [post, ...rest] = posts;
    if (!post) return finishWish(listener, wish);
    listener.isBusy = true;
    listener.calls.push(now);
    try {
      await scheduler.call(askOf(wish), whisperCall(address, user, post), 'control');
      wish.posts = rest;
      wish.attempts = 0;
      if (rest.length === 0) finishWish(listener, wish);
    } catch (error) {
      wish.attempts += 1;
      const isLasting = !(error instanceof SlackError) || error.failure === 'refused';
      if (isLasting || wish.attempts >= ATTEMPTS) {
        const why = error instanceof SlackError ? { error: error.error } : { err: error };
        log.warn({ channel: address.channel, ...why }, 'could not show a private notice');
        finishWish(listener, wish);
      } else wish.notBefore = clock.monotonic() + AGAIN_MS * wish.attempts;
    }
    listener.isBusy = false;
    sendReadyWishes();
  }

  return {
    send(address, user, posts) {
      if (isClosed || posts.length === 0) return Promise.resolve();
      return new Promise<void>((done) => {
        const since = clock.monotonic();
        enqueueWish({ address, user, posts, since, notBefore: since, attempts: 0, onDone: done });
        sendReadyWishes();
      });
    },
    close() {
      isClosed = true;
      timer?.cancel();
      for (const { wishes } of listeners.values()) for (const wish of wishes) wish.onDone();
      listeners.clear();
    },
  };
}

function askOf({ address }: Wish) {
  return { method: 'chat.postEphemeral', channel: address.channel, urgency: 'must' } as const;
}

/** Without metadata, because a private message cannot be found or edited later (docs/slack.md, Editing). */
function whisperCall(address: ThreadAddress, user: string, post: SlackPost) {
  const { args } = slackCall(address, '', { kind: 'post', post });
  const { metadata: _metadata, unfurl_links: _links, unfurl_media: _media, mrkdwn: _mrkdwn, ...rest } = args;
  return { method: 'chat.postEphemeral', args: { ...rest, user } };
}
