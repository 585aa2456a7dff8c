import { asBridgeError } from '../../errors.ts';
import type { Door } from '../access/door.ts';
import { isDirect, parseThreadKey, type SlackTs, type ThreadKey, type UserId } from '../ids.ts';
import { type ActionOutcome, type InboundClick, refused, type ThreadAddress } from '../inbound.ts';
import type { Clock, Log, MessageReader, Surface, Threads } from '../ports.ts';
import type { Shareable } from '../record/answer.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { within } from '../within.ts';
import { notYoursText, SHARE, sharedBeforeText, sharedText } from '../words/share.ts';
import type { Notices } from './notices.ts';

export interface ShareDeskParts {
  threads: Pick<Threads, 'load'>;
  workers: Pick<ThreadWorkers, 'store'>;
  surface: Pick<Surface, 'broadcast'>;
  door: Door;
  notices: Notices;
  clock: Clock;
  log: Log;
  reader?: MessageReader | undefined;
}

/** Slack waits 3 s for our answer to a click (docs/slack.md, Interactivity). */
const SHARED_WITHIN_MS = 2_000;

/** The answer that somebody wants to share, and the message that is shown. */
type Wanted = Shareable & { ts: SlackTs };

/**
 * Shows a finished answer in the channel, too, for the person whose turn it was: the one with the menu that they clicked,
 * or with `!share` the thread's last one. Slack shows the same message once more, however often it is asked, so nothing is
 * posted twice; who shared it is said in the thread, once.
 */
export class ShareDesk {
  readonly #parts: ShareDeskParts;

  constructor(parts: ShareDeskParts) {
    this.#parts = parts;
  }

  async act(key: ThreadKey, { token, messageTs, actor }: InboundClick): Promise<ActionOutcome> {
    const ref = (await this.#parts.threads.load(key))?.details?.find((each) => each.token === token);
    if (!ref?.by) return refused('expired', SHARE.over);
    return this.#share(key, actor.user, { turn: ref.turn, by: ref.by, shared: ref.shared, ts: messageTs });
  }

  /** Shares the thread's last answer. @returns what its author is told; empty: the thread says it */
  async command(key: ThreadKey, user: UserId): Promise<string> {
    const record = await this.#parts.threads.load(key);
    // Its author may mean the answer that Slack shows already, not the one before it.
    if (record?.turn?.ended) return SHARE.notYet;
    const last = record?.answer;
    if (!last) return isDirect(parseThreadKey(key).channel) ? SHARE.noChannel : SHARE.none;
    const outcome = await this.#share(key, user, last);
    return outcome.result === 'refused' ? outcome.notice : '';
  }

  async #share(key: ThreadKey, user: UserId, wanted: Wanted): Promise<ActionOutcome> {
    const { surface, door, reader, notices, clock, log } = this.#parts;
    const { team, channel } = parseThreadKey(key);
    if (!surface.broadcast || !reader) return refused('expired', SHARE.over);
    if (isDirect(channel)) return refused('expired', SHARE.noChannel);
    // What a bot asked, admins decide about.
    const { verdict } = await door.judgeClick(key, user, { do: 'answer', requester: wanted.by });
    if (!verdict.allowed) {
      const isTheirs = verdict.reason !== 'not_the_requester';
      return refused('not_allowed', isTheirs ? verdict.notice : notYoursText(wanted.by), verdict.reason);
    }
    if (wanted.shared !== undefined) return refused('already_decided', sharedBeforeText(wanted.shared));
    const found = await reader.readMessage(channel, wanted.ts).catch((error: unknown) => {
      log.warn({ thread: key, error: asBridgeError(error).message }, 'cannot read the answer to share');
      return 'unknown' as const;
    });
    if (found === 'unknown') return refused('unreachable', SHARE.unread);
    const isAnswer = found?.own?.kind === 'answer' && found.own.turn === wanted.turn;
    if (!isAnswer || found.threadTs === null) return refused('expired', SHARE.over);
    const address: ThreadAddress = { team, channel, threadTs: found.threadTs };
    const done = this.#show(key, user, wanted, address);
    const shown = await within(clock, SHARED_WITHIN_MS, done);
    if (shown === 'late') {
      void done.then((isShown) => isShown || notices.whisper(address, user, SHARE.refused));
      return { result: 'decided' };
    }
    return shown ? { result: 'decided' } : refused('unreachable', SHARE.refused);
  }

  /** Never rejects. @returns whether Slack shows it */
  async #show(key: ThreadKey, user: UserId, { turn, ts }: Wanted, address: ThreadAddress): Promise<boolean> {
    const { surface, workers, notices, log } = this.#parts;
    try {
      const delivery = await surface.broadcast?.({ channel: address.channel, ts });
      if (!delivery?.delivered) {
        log.warn({ thread: key, reason: delivery?.reason }, 'Slack did not show an answer in the channel');
        return false;
      }
      const { isChanged } = await workers.store(key, { do: 'broadcast', turn, by: user });
      if (isChanged) notices.say(address, sharedText(user));
      return true;
    } catch (error) {
      log.warn({ thread: key, error: asBridgeError(error).message }, 'could not share an answer');
      return false;
    }
  }
}
