import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Delivery, Log, Random } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/thread-record.ts';
import type { PostFile, SlackPost } from '../post.ts';
import { SlackError } from '../slack-api.ts';
import type { Uploader } from '../uploader.ts';
import type { Ask, Urgency } from './budget.ts';
import { lookCall, readLook, slackCall } from './calls.ts';
import { createForms, type Fallback } from './forms.ts';
import { createLedger } from './ledger.ts';
import { type PlannedCall, plan } from './plan.ts';
import { refusalOf } from './refusal.ts';
import type { Job, Rank, Scheduler, Wish } from './scheduler.ts';
import { createUploads, type UploadLatch } from './upload.ts';

/** What the thread should show, told before it is rendered: rendering waits until a call may be made. */
export interface Content {
  /** `files`: whether the rest of a long text may become a file, which is uploaded once the content is final. */
  render(files: boolean): SlackPost[];
  /** Used where `render` throws on content that must arrive. */
  lastResort(): SlackPost[];
  /** Changes whenever a card appears or changes: people wait for that. */
  cards: string;
  readonly hasText: boolean;
  /** What was said before a restart is not in it: messages that may show that stay. */
  textUnknown: boolean;
  /** Nothing but a sign of life: it may wait until `hold` is over. */
  bare: boolean;
  /** The last content: it must arrive. */
  final: boolean;
}

export interface PublicationOptions {
  /** The id under which its messages are found again in Slack: the turn. */
  owner: string;
  address: ThreadAddress;
  /** Messages that Slack has already. */
  posts: readonly PostRecord[];
  /** Whether Slack may have messages of this owner that `posts` does not know: then it looks before it posts. */
  resumed: boolean;
  /** Stores the ledger; awaited after each confirmed call. */
  save(posts: PostRecord[]): Promise<void>;
  /** Told when the first message exists. */
  posted(found: boolean): void;
  /** Until when, by the monotonic clock, bare content is not posted. */
  hold: number;
  /** ms of failing until final content is given up. */
  giveUpAfterMs: number;
  /** A card could not be shown, in whatever form. */
  cardRefused?(reason: string): void;
  /** What `done` becomes when closed before its time; `null` leaves it open: the next start goes on with it. */
  whenClosed: Delivery | null;
}

export interface PublicationParts {
  scheduler: Scheduler;
  clock: Clock;
  random: Random;
  log: Log;
  fallback: Fallback;
  /** `null` where files can not be uploaded. */
  send: Uploader | null;
  uploadLatch: UploadLatch;
}

/** One ordered list of messages on its way to what it should be: one call at a time. */
export interface Publication {
  /** Latest wins; nothing after final content. */
  want(content: Content): void;
  /** Bare content is posted from now on. */
  release(): void;
  /** Resolves when the final content is there or can not be. */
  readonly done: Promise<Delivery>;
  /** Makes no further call; resolves when the one on its way was answered and stored. */
  close(): Promise<void>;
}

/** Live edits of one message, measured from the answer to the one before. */
const EDIT_GAP_MS = 1_500;
const BACKOFF_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** Live content for a channel that refuses everything is tried again this late: the bot may have been invited back. */
const GONE_MS = 5 * 60_000;
const LOOK_PAGES = 10;
const LOOK_BACK_MS = 24 * 3_600_000;
/** After so many vanished messages, live edits stop; cards and the final content are still posted. */
const LOSSES = 3;

/** Slack may have messages of ours, newer than `after`, that the ledger does not know. */
interface Doubt {
  after: SlackTs;
  cursor: string | null;
  pages: number;
}

export function createPublication(parts: PublicationParts, options: PublicationOptions): Publication {
  const { scheduler, clock, random } = parts;
  const { owner, address } = options;
  const log = parts.log.child({ turn: owner });
  const ledger = createLedger({ ...options, clock, log });
  const forms = createForms(parts.fallback, log);
  const uploads = createUploads({ ...parts, latch: parts.uploadLatch, log, ledger, address });
  const outcome = Promise.withResolvers<Delivery>();

  let wanted: Content | null = null;
  let rendered: { content: Content; raw: SlackPost[]; posts: SlackPost[] } | null = null;
  /** Since when something of `wanted` waits unseen; `null`: nothing does. */
  let since: number | null = null;
  /** Since when something waits that came after what is being shown. */
  let newerSince: number | null = null;
  let hold = options.hold;
  /** Back-off after a failure; for content that is not final; for what was rendered last, by the budget. */
  let retryAt = 0;
  let liveAt = 0;
  let blockedUntil = 0;
  let failures = 0;
  let failingSince: number | null = null;
  let doubt: Doubt | null = options.resumed ? doubtNow() : null;
  let shownCards = '';
  let textShown = false;
  let textWanted = false;
  /** When each message was changed last, by ts: of messages in the ledger only. */
  const changed = new Map<SlackTs, { at: number; edit: boolean }>();
  let losses = 0;
  let editsFail = false;
  let busy = false;
  let work: Promise<void> = Promise.resolve();
  let over = false;

  const job: Job = { wish, run };

  function rank(content: Content): Rank {
    if (content.final || content.cards !== shownCards) return 0;
    // To look into a text costs as much as it is long, and a text that has begun goes on.
    if (!textShown) textWanted ||= content.hasText;
    return !textShown && textWanted ? 1 : 2;
  }

  function wish(): Wish | null {
    if (busy || over || since === null || wanted === null) return null;
    const last = ledger.posts.at(-1);
    const now = rank(wanted);
    if (editsFail && now > 0 && last) return null;
    let notBefore = Math.max(retryAt, blockedUntil);
    if (!wanted.final) notBefore = Math.max(notBefore, liveAt, wanted.bare && !last ? hold : 0);
    // What a live edit will need is known without rendering it.
    if (now > 0 && doubt === null) {
      const wants = ask(last ? 'chat.update' : 'chat.postMessage', 'live');
      notBefore = Math.max(notBefore, scheduler.whenAllowed(wants), last ? quietUntil(last, now) : 0);
    }
    return { rank: now, since, notBefore };
  }

  function run(): void {
    if (busy || over || wanted === null) return;
    if (doubt !== null) look(doubt);
    else if (rendered?.content === wanted || render(wanted)) next();
  }

  /** The first of the planned calls that is allowed now. */
  function next(): void {
    if (rendered === null) return;
    const { content, posts } = rendered;
    const calls = plan(ledger.posts, posts, content.textUnknown);
    const times = calls.map((call) => allowedAt(call, content));
    const call = calls.find((_, index) => (times[index] ?? 0) <= clock.monotonic());
    if (call) start(() => perform(call, content));
    else if (calls.length > 0) blockedUntil = Math.min(...times);
    else {
      const file = content.final ? uploads.wanted(posts) : null;
      if (file) upload(file);
      else settle();
    }
  }

  /** False when there is nothing to go on with. */
  function render(content: Content): boolean {
    // What was refused half-written may be fine when whole.
    if (content.final) forms.reset();
    newerSince = null;
    try {
      const raw = content.render(uploads.possible);
      rendered = { content, raw, posts: forms.apply(raw) };
      return true;
    } catch (error) {
      log.error({ err: error }, 'a view could not be rendered');
    }
    if (content.final) {
      const raw = content.lastResort();
      rendered = { content, raw, posts: raw };
      return true;
    }
    since = null;
    return false;
  }

  function ask(method: string, urgency: Urgency): Ask {
    return { method, channel: address.channel, urgency };
  }

  function askFor(call: PlannedCall, content: Content): Ask {
    if (call.kind === 'delete') return ask('chat.delete', 'must');
    const must = content.final || call.post.kind === 'card' || !call.post.live;
    return ask(call.kind === 'post' ? 'chat.postMessage' : 'chat.update', must ? 'must' : 'live');
  }

  function allowedAt(call: PlannedCall, content: Content): number {
    const wants = askFor(call, content);
    const at = scheduler.whenAllowed(wants);
    if (call.kind !== 'update' || wants.urgency === 'must') return at;
    return Math.max(at, quietUntil(call.record, rank(content)));
  }

  /** Until when a message gets no live edit. The first text replaces a bare sign of life at once. */
  function quietUntil(record: PostRecord, rank: Rank): number {
    const last = changed.get(record.ts);
    return last && (last.edit || rank === 2) ? last.at + EDIT_GAP_MS : 0;
  }

  function start(doing: () => Promise<void>): void {
    busy = true;
    work = doing()
      .catch((error: unknown) => {
        log.error({ err: error }, 'the outbox has a bug');
        retryAt = clock.monotonic() + BACKOFF_MAX_MS;
      })
      .then(() => {
        busy = false;
        scheduler.wake();
      });
  }

  async function perform(call: PlannedCall, content: Content): Promise<void> {
    const wants = askFor(call, content);
    let ts: SlackTs;
    try {
      const client = wants.urgency === 'must' ? 'control' : 'live';
      const answer = await scheduler.call(wants, slackCall(address, owner, call), client);
      ts = call.kind === 'post' ? tsOf(answer.ts) : call.record.ts;
    } catch (error) {
      await failed(call, content, error);
      return;
    }
    if (call.kind === 'delete') changed.delete(ts);
    else changed.set(ts, { at: clock.monotonic(), edit: call.kind === 'update' });
    await ledger.confirm(call, ts);
    failures = 0;
    failingSince = null;
    if (rendered?.content !== content) return;
    if (plan(ledger.posts, rendered.posts, content.textUnknown).length === 0) settle();
  }

  /** All that was rendered is shown. */
  function settle(): void {
    if (rendered === null) return;
    shownCards = rendered.content.cards;
    textShown ||= rendered.content.hasText;
    if (rendered.content.final && uploads.wanted(rendered.posts)) return;
    since = wanted === rendered.content ? null : (newerSince ?? clock.monotonic());
    if (rendered.content.final) end({ delivered: true });
  }

  async function failed(call: PlannedCall, content: Content, error: unknown): Promise<void> {
    if (!(error instanceof SlackError)) throw error;
    const { method, failure, error: word, details } = error;
    if (failure !== 'limited') log.warn({ method, failure, error: word, details }, 'slack call failed');
    const refusal = refusalOf(error);
    if (refusal === 'later') {
      if (call.kind === 'update') changed.set(call.record.ts, { at: clock.monotonic(), edit: true });
      if (failure === 'unknown' && call.kind === 'update') ledger.doubt(call.record);
      if (failure === 'unknown' && call.kind === 'post') doubt = doubtNow();
      tryLater(error);
    } else if (refusal === 'gone') undeliverable(content, word, content.cards !== '');
    else if (call.kind === 'delete') await ledger.forget(call.record);
    else if (call.kind === 'update' && refusal === 'lost') await lost(call.record, content, word);
    else if (rendered === null || !forms.simplify(call.post)) {
      undeliverable(content, word, call.kind === 'post' && call.post.kind === 'card');
    } else rendered = { ...rendered, posts: forms.apply(rendered.raw) };
  }

  /** A file that can not be uploaded is rendered as posts instead. */
  function upload(file: PostFile): void {
    const at = uploads.allowedAt(file);
    if (at > clock.monotonic()) {
      blockedUntil = at;
      return;
    }
    start(async () => {
      try {
        await uploads.step(file);
        failures = 0;
        failingSince = null;
        if (!uploads.possible) rendered = null;
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        tryLater(error);
      }
    });
  }

  function tryLater(error: SlackError): void {
    const now = clock.monotonic();
    failingSince ??= now;
    if (wanted?.final && now - failingSince >= options.giveUpAfterMs) {
      end({ delivered: false, reason: error.error });
      return;
    }
    // A 429 is kept by the budget, for all who use that method.
    if (error.failure === 'limited') return;
    const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** Math.min(failures, 10));
    retryAt = now + backoff * (0.75 + random.next() / 2);
    failures += 1;
  }

  /** Final content that came while live content was refused is tried once itself: things may have changed. */
  function undeliverable(content: Content, reason: string, card: boolean): void {
    if (card) options.cardRefused?.(reason);
    if (content.final) end({ delivered: false, reason });
    else liveAt = clock.monotonic() + GONE_MS;
  }

  /** A message that can not be changed any more: its content is posted anew below. */
  async function lost(record: PostRecord, content: Content, word: string): Promise<void> {
    losses += 1;
    if (rank(content) > 0 && (word !== 'message_not_found' || losses > LOSSES)) {
      editsFail = true;
      return;
    }
    changed.delete(record.ts);
    await ledger.forget(record);
  }

  function doubtNow(): Doubt {
    const bound = `${Math.floor((clock.now() - LOOK_BACK_MS) / 1000)}.000000`;
    const known = ledger.posts.at(-1)?.ts ?? address.threadTs ?? bound;
    return { after: compareTs(known, bound) > 0 ? known : bound, cursor: null, pages: 0 };
  }

  /** Asks for one page of the thread. */
  function look(asked: Doubt): void {
    const call = lookCall(address, asked.after, asked.cursor);
    const wants = ask(call.method, 'must');
    const at = scheduler.whenAllowed(wants);
    if (at > clock.monotonic()) {
      blockedUntil = at;
      return;
    }
    start(async () => {
      try {
        const { found, cursor } = readLook(await scheduler.call(wants, call, 'control'), owner);
        const more = cursor !== null && asked.pages + 1 < LOOK_PAGES;
        doubt = more ? { ...asked, cursor, pages: asked.pages + 1 } : null;
        await ledger.adopt(found);
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        if (error.failure === 'refused') {
          // A doubled message is bad, a lost one is worse.
          doubt = null;
          log.warn({ method: error.method, error: error.error }, 'can not look for own messages');
        } else tryLater(error);
      }
    });
  }

  function end(delivery: Delivery): void {
    if (over) return;
    over = true;
    scheduler.remove(job);
    if (!delivery.delivered) log.warn({ reason: delivery.reason }, 'not deliverable');
    outcome.resolve(delivery);
  }

  function want(content: Content): void {
    if (over || wanted?.final) return;
    const before = wanted === null || since === null ? null : rank(wanted);
    const urgent = wanted === null || content.final || content.cards !== wanted.cards;
    const unheld = wanted?.bare === true && !content.bare;
    wanted = content;
    if (since === null) since = clock.monotonic();
    else if (busy) newerSince ??= clock.monotonic();
    if (content.final) failingSince = null;
    const better = before === null || urgent || rank(content) < before;
    if (better) blockedUntil = 0;
    if (better || unheld) scheduler.wake();
  }

  scheduler.add(job);
  return {
    want,
    release() {
      hold = 0;
      scheduler.wake();
    },
    done: outcome.promise,
    async close() {
      if (!over) {
        over = true;
        scheduler.remove(job);
        if (options.whenClosed) outcome.resolve(options.whenClosed);
      }
      await work;
    },
  };
}

function tsOf(value: unknown): SlackTs {
  if (typeof value === 'string') return value;
  throw new SlackError('chat.postMessage', 'unknown', 'no_ts');
}
