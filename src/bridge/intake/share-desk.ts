import { asBridgeError } from '../../errors.ts';
import type { Door } from '../access/door.ts';
import { isDirect, parseThreadKey, type ThreadKey } from '../ids.ts';
import { type ActionOutcome, type InboundClick, refused } from '../inbound.ts';
import type { Clock, Log, MessageReader, Surface, Threads } from '../ports.ts';
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

/**
 * Shows a finished answer in the channel, too, for the person whose turn it was. Slack shows the same message once more,
 * however often it is asked, so nothing is posted twice; who shared it is said in the thread, once.
 */
export class ShareDesk {
  readonly #parts: ShareDeskParts;

  constructor(parts: ShareDeskParts) {
    this.#parts = parts;
  }

  async act(key: ThreadKey, action: InboundClick): Promise<ActionOutcome> {
    const { threads, surface, door, reader } = this.#parts;
    const { user } = action.actor;
    const { channel } = parseThreadKey(key);
    const ref = (await threads.load(key))?.details?.find(({ token }) => token === action.token);
    if (!ref?.by || !surface.broadcast || !reader) return refused('expired', SHARE.over);
    if (isDirect(channel)) return refused('expired', SHARE.noChannel);
    // What a bot asked, admins decide about.
    const { verdict } = await door.judgeClick(key, user, { do: 'answer', requester: ref.by });
    if (!verdict.allowed) {
      const isTheirs = verdict.reason !== 'not_the_requester';
      return refused('not_allowed', isTheirs ? verdict.notice : notYoursText(ref.by), verdict.reason);
    }
    if (ref.shared !== undefined) return refused('already_decided', sharedBeforeText(ref.shared));
    const found = await reader.readMessage(channel, action.messageTs);
    const isAnswer = found?.own?.kind === 'answer' && found.own.turn === ref.turn && found.threadTs !== null;
    if (!isAnswer) return refused('expired', SHARE.over);
    const done = this.#share(key, action, { channel, ts: action.messageTs, threadTs: found.threadTs });
    const shared = await within(this.#parts.clock, SHARED_WITHIN_MS, done);
    return shared === 'late' || shared ? { result: 'decided' } : refused('unreachable', SHARE.refused);
  }

  /** Never rejects. @returns whether Slack shows it */
  async #share(
    key: ThreadKey,
    { token, actor, team }: InboundClick,
    at: { channel: string; ts: string; threadTs: string | null },
  ): Promise<boolean> {
    const { surface, workers, notices, log } = this.#parts;
    try {
      const delivery = await surface.broadcast?.(at);
      if (!delivery?.delivered) {
        log.warn({ thread: key, reason: delivery?.reason }, 'Slack did not show an answer in the channel');
        return false;
      }
      const { isChanged } = await workers.store(key, { do: 'broadcast', token, by: actor.user });
      if (isChanged) notices.say({ team, channel: at.channel, threadTs: at.threadTs }, sharedText(actor.user));
      return true;
    } catch (error) {
      log.warn({ thread: key, error: asBridgeError(error).message }, 'could not share an answer');
      return false;
    }
  }
}
