import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackAnswer, SlackError } from '../api/slack-api.ts';
import { type BegunStream, type Call, lookCall, readLook } from './calls.ts';
import { isCard, type Ledger } from './ledger.ts';
import { closedBy } from './refusal.ts';

export interface LookupOptions {
  /** The id in the metadata of the messages that are looked for. */
  owner: string;
  /** Where to look. It may change: a direct message is a person until Slack tells its channel. */
  address(): ThreadAddress;
  ledger: Ledger;
  /** Our bot's user id, by which a native stream is known; left out: none is looked for. */
  bot?: string | undefined;
  /** Whether an earlier process may have posted messages that the ledger lacks. */
  mayHaveUnknownPosts: boolean;
  clock: Clock;
  log: Log;
}

/**
 * Looks in Slack for messages of ours that the ledger does not know, page by page, before anything else is posted: else
 * their content would be posted twice.
 */
export interface Lookup {
  /** Whether the next call must be a look. */
  readonly isDue: boolean;
  /** A post had no answer, so Slack may have it: look before the next post. */
  request(): void;
  /** Slack has no history for a person, only for a channel: the look waits for {@link resume}. */
  postpone(): void;
  /** Slack has told the channel of a direct message: makes the look that was postponed due. */
  resume(): void;
  /** The call for the next page. */
  nextCall(): Call;
  /** Takes the messages on the page into the ledger. */
  savePage(answer: SlackAnswer): Promise<void>;
  /**
   * Notes that Slack refused the call. `blocked`: the look stays due, because Slack refuses everything there for now;
   * `noted`: the look goes on elsewhere or is given up.
   */
  noteRefusal(error: SlackError): 'blocked' | 'noted';
}

const LOOK_PAGES = 10;
const LOOK_BACK_MS = 24 * 3_600_000;
/** If Slack refuses a look for one of these reasons, the app goes on without it. */
const MAY_NOT_LOOK = new Set(['missing_scope', 'no_permission', 'not_allowed', 'not_allowed_token_type']);

/** Slack may have messages of ours, newer than `after`, that the ledger does not know. */
interface Doubt {
  after: SlackTs;
  cursor: string | null;
  pages: number;
  /** Cards of the ledger in that range that no page has shown yet. Those that none shows were deleted by somebody. */
  cards: readonly PostRecord[];
  /** The thread has lost its root, so our messages for it may stand at the top of the channel: look there. */
  isAstray?: true;
}

export function createLookup(options: LookupOptions): Lookup {
  const { owner, ledger, clock, log } = options;
  let doubt: Doubt | null = options.mayHaveUnknownPosts ? makeDoubt(true) : null;
  let isPostponed = false;

  /** @param includesCards whether somebody may have deleted cards, too: then the look begins before the first card */
  function makeDoubt(includesCards = false): Doubt {
    const bound = doubtEverything().after;
    const cards = includesCards
      ? ledger.posts.filter((record) => isCard(record) && compareTs(record.ts, bound) > 0)
      : [];
    const newest = ledger.posts.at(-1)?.ts;
    const known = (cards[0] ? justBefore(cards[0].ts) : newest) ?? options.address().threadTs ?? bound;
    return { after: compareTs(known, bound) > 0 ? known : bound, cursor: null, pages: 0, cards };
  }

  /** Doubts all that may have been posted in the last day; older messages are not looked for. */
  function doubtEverything(): Doubt {
    const after = `${Math.floor((clock.now() - LOOK_BACK_MS) / 1000)}.000000`;
    return { after, cursor: null, pages: 0, cards: [] };
  }

  function needDoubt(): Doubt {
    if (doubt === null) throw new TypeError('no look is due');
    return doubt;
  }

  return {
    get isDue() {
      return doubt !== null;
    },
    request() {
      doubt = makeDoubt();
    },
    postpone() {
      isPostponed = true;
      doubt = null;
    },
    resume() {
      if (isPostponed) doubt = doubtEverything();
    },
    nextCall() {
      const { after, cursor, isAstray } = needDoubt();
      const address = options.address();
      return lookCall(isAstray ? { ...address, threadTs: null } : address, after, cursor);
    },
    async savePage(answer) {
      const asked = needDoubt();
      const { found, all, cursor } = readLook(answer, owner, begunBy(ledger, options.bot));
      const hasMore = cursor !== null && asked.pages + 1 < LOOK_PAGES;
      const cards = asked.cards.filter(({ ts }) => !all.includes(ts));
      doubt = hasMore ? { ...asked, cursor, pages: asked.pages + 1, cards } : null;
      if (cursor === null) for (const record of cards) await ledger.forgetPost(record);
      if (asked.isAstray) for (const { part, ts } of found) await ledger.saveStray(part, ts);
      else await ledger.adoptPosts(found);
      if (!hasMore) ledger.dropBegun();
    },
    noteRefusal(error) {
      const asked = needDoubt();
      const closed = MAY_NOT_LOOK.has(error.error) ? null : closedBy(error);
      if (closed === 'thread' && !asked.isAstray) {
        doubt = { ...asked, cursor: null, pages: 0, isAstray: true };
        return 'noted';
      }
      if (closed !== null && closed !== 'thread') return 'blocked';
      // Without the look a message may be posted twice. That is better than not to post it.
      doubt = null;
      log.warn({ method: error.method, error: error.error }, 'could not search for the bot’s own messages');
      return 'noted';
    },
  };
}

/** The native stream to look for. */
export function begunBy({ begun }: Ledger, bot: string | undefined): (BegunStream & { bot: string }) | null {
  return begun && bot !== undefined ? { ...begun, bot } : null;
}

function justBefore(ts: SlackTs): SlackTs {
  const [seconds = '0', micros = '0'] = ts.split('.');
  const before = Number(micros) - 1;
  return before >= 0 ? `${seconds}.${String(before).padStart(6, '0')}` : `${Number(seconds) - 1}.999999`;
}
