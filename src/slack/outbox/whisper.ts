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
  /** Resolves when Slack took it, or cannot be told. Never rejects. */
  send(address: ThreadAddress, user: UserId, posts: readonly SlackPost[]): Promise<void>;
  /** What waits for its time is not sent any more. */
  close(): void;
}

/** A refusal is often told in private alone: a pause of Slack, or a lost answer, must not make silence of it. */
const WAIT_MS = 60_000;
const ATTEMPTS = 3;
const AGAIN_MS = 2_000;
/** Whoever makes us answer more than this has no share in what is left for others. */
const PER_MINUTE = 10;
const MINUTE_MS = 60_000;
/** More that wait, of one person or of all, and the latest of whoever has most are dropped: each holds a text. */
const WAITING_EACH = 10;
const WAITING = 500;

interface Wish {
  address: ThreadAddress;
  user: UserId;
  /** What is still to be sent. */
  posts: readonly SlackPost[];
  /** By the monotonic clock. */
  since: number;
  notBefore: number;
  attempts: number;
  onDone(): void;
}

interface Listener {
  wishes: Wish[];
  /** A call for this person is on its way: theirs come in order. */
  isBusy: boolean;
  /** When calls were made for this person, by the monotonic clock; of the last minute, oldest first. */
  calls: number[];
}

/**
 * Words for one person's eyes (`chat.postEphemeral`). Slack's budget for them is shared fairly: people have their turn
 * one after another, so nobody's many refusals keep another's answer away. One whose answer was lost may be seen twice,
 * which harms nobody.
 */
export function createWhispers({ scheduler, clock, log }: WhisperParts): Whispers {
  /** In the order of whose turn it is. */
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

  /** Sends whatever may be sent now, and looks again when the next may be. */
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
        // The scheduler looked at the clock a little later than this loop began.
        if (at > clock.monotonic()) {
          soonest = Math.min(soonest, at);
        } else {
          // Behind all others.
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

/** A message for one person: no metadata, and it cannot be edited later (docs/slack.md, Editing). */
function whisperCall(address: ThreadAddress, user: string, post: SlackPost) {
  const { args } = slackCall(address, '', { kind: 'post', post });
  const { metadata: _metadata, unfurl_links: _links, unfurl_media: _media, mrkdwn: _mrkdwn, ...rest } = args;
  return { method: 'chat.postEphemeral', args: { ...rest, user } };
}
