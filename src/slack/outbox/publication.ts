import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Delivery, Log, Random } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/thread-record.ts';
import { BridgeError } from '../../errors.ts';
import type { SlackPost } from '../post.ts';
import { SlackError } from '../slack-api.ts';
import type { Ask, Urgency } from './budget.ts';
import { lookCall, readLook, slackCall } from './calls.ts';
import { plainPosts, renamed } from './plain.ts';
import { confirmed, doubtful, type PlannedCall, plan } from './plan.ts';
import { refusalOf } from './refusal.ts';
import type { Job, Rank, Scheduler, Wish } from './scheduler.ts';

/** What the thread should show, told before it is rendered: rendering waits until a call may be made. */
export interface Content {
  render(): SlackPost[];
  /** Used where `render` throws on content that must arrive. */
  lastResort(): SlackPost[];
  /** Changes whenever a card appears or changes: people wait for that. */
  cards: string;
  hasText: boolean;
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
  /** Told once, when the first message exists. */
  posted(): void;
  /** ms since 1970 until which bare content is not posted. */
  hold: number;
  /** ms of failing until final content is given up. */
  giveUpAfterMs: number;
}

export interface PublicationParts {
  scheduler: Scheduler;
  clock: Clock;
  random: Random;
  log: Log;
  /** The same content in simpler posts, for a post that Slack refused. */
  fallback(post: SlackPost): SlackPost[];
}

/** One ordered list of messages on its way to what it should be. */
export interface Publication {
  /** Latest wins; nothing after final content. */
  want(content: Content): void;
  /** Bare content is posted from now on. */
  release(): void;
  /** Resolves when the final content is there or can not be; rejects (`slack_failed`, retry) when closed before that. */
  readonly done: Promise<Delivery>;
  /** Makes no further call; resolves when the one on its way was answered and stored. */
  close(): Promise<void>;
}

/** Live edits of one message, measured from the answer to the one before. */
export const EDIT_GAP_MS = 1_500;
const BACKOFF_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
const SAVE_ATTEMPTS = 5;
const LOOK_PAGES = 10;
const LOOK_BACK_MS = 24 * 3_600_000;
/** After so many vanished messages, live content stops; the final content is still posted. */
const LOSSES = 3;

interface Doubt {
  after: SlackTs;
  cursor: string | null;
  pages: number;
}

export function createPublication(parts: PublicationParts, options: PublicationOptions): Publication {
  const { scheduler, clock, random, log, fallback } = parts;
  const { owner, address } = options;
  const outcome = Promise.withResolvers<Delivery>();
  // Nobody needs to listen; a rejection is told to those who do.
  outcome.promise.catch(() => {});

  let ledger: PostRecord[] = sorted(options.posts);
  let wanted: Content | null = null;
  let rendered: { content: Content; raw: SlackPost[]; posts: SlackPost[] } | null = null;
  /** Since when something of `wanted` waits unseen; `null`: nothing does. */
  let since: number | null = null;
  /** Since when something waits that came after what is being shown. */
  let newerSince: number | null = null;
  let hold = options.hold;
  let retryAt = 0;
  let blockedUntil = 0;
  let failures = 0;
  let failingSince: number | null = null;
  let doubt: Doubt | null = options.resumed ? lookFrom(clock.now() - LOOK_BACK_MS) : null;
  let shownCards = '';
  let textShown = false;
  /** How far a refused part had to be simplified: 1 fallback, 2 plain. By part; a turn has few. */
  const simplified = new Map<string, 1 | 2>();
  /** When each message was changed last, by ts: of messages in the ledger only. */
  const changed = new Map<SlackTs, { at: number; edit: boolean }>();
  let losses = 0;
  /** What is not tried any more before the final content: live edits, which do not work here, or everything. */
  let frozen: 'nothing' | 'edits' | 'everything' = 'nothing';
  let busy = false;
  let work: Promise<void> = Promise.resolve();
  let over = false;

  const job: Job = { wish, run };

  function rank(content: Content): Rank {
    if (content.final || content.cards !== shownCards) return 0;
    return content.hasText && !textShown ? 1 : 2;
  }

  function wish(): Wish | null {
    if (busy || over || since === null || wanted === null) return null;
    const now = rank(wanted);
    if (frozen === 'everything' && !wanted.final) return null;
    if (frozen === 'edits' && now > 0 && ledger.length > 0) return null;
    let notBefore = Math.max(retryAt, blockedUntil);
    if (wanted.bare && !wanted.final && ledger.length === 0) notBefore = Math.max(notBefore, hold);
    // What a live edit will need is known without rendering it.
    if (now > 0 && doubt === null) {
      const last = ledger.at(-1);
      const method = last ? 'chat.update' : 'chat.postMessage';
      notBefore = Math.max(notBefore, scheduler.whenAllowed(ask(method, 'live')), last ? quietUntil(last, now) : 0);
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
    const calls = plan(ledger, posts);
    const times = calls.map((call) => allowedAt(call, content));
    const call = calls.find((_, index) => (times[index] ?? 0) <= clock.now());
    if (call) start(perform(call, content));
    else if (calls.length > 0) blockedUntil = Math.min(...times);
    else settle();
  }

  /** False when there is nothing to go on with. */
  function render(content: Content): boolean {
    // What was refused half-written may be fine when whole.
    if (content.final) simplified.clear();
    newerSince = null;
    try {
      const raw = content.render();
      rendered = { content, raw, posts: expand(raw) };
      return true;
    } catch (error) {
      log.error({ turn: owner, err: error }, 'a view could not be rendered');
    }
    if (content.final) {
      const raw = content.lastResort();
      rendered = { content, raw, posts: raw };
      return true;
    }
    since = null;
    return false;
  }

  function expand(raw: readonly SlackPost[]): SlackPost[] {
    return raw.flatMap((post) => {
      const level = simplified.get(post.part);
      if (level === undefined) return [post];
      if (level === 1) {
        try {
          const simpler = renamed(post, fallback(post));
          if (simpler.length > 0) return simpler;
        } catch (error) {
          log.error({ turn: owner, err: error }, 'a simpler form of a post could not be made');
        }
      }
      return plainPosts(post);
    });
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

  function start(doing: Promise<void>): void {
    work = doing
      .catch((error: unknown) => log.error({ turn: owner, err: error }, 'the outbox has a bug'))
      .then(() => {
        busy = false;
        scheduler.wake();
      });
  }

  async function perform(call: PlannedCall, content: Content): Promise<void> {
    busy = true;
    const wants = askFor(call, content);
    let ts: SlackTs;
    try {
      const client = wants.urgency === 'must' ? 'control' : 'live';
      const answer = await scheduler.call(wants, slackCall(address, owner, call), client);
      ts = call.kind === 'post' ? tsOf(answer.ts) : call.record.ts;
    } catch (error) {
      return await failed(call, content, error);
    }
    if (call.kind === 'delete') changed.delete(ts);
    else changed.set(ts, { at: clock.now(), edit: call.kind === 'update' });
    await keep(confirmed(ledger, call, ts));
    failures = 0;
    failingSince = null;
    if (rendered?.content === content && plan(ledger, rendered.posts).length === 0) settle();
  }

  /** All that was rendered is shown. */
  function settle(): void {
    if (rendered === null) return;
    shownCards = rendered.content.cards;
    textShown ||= rendered.content.hasText;
    since = wanted === rendered.content ? null : (newerSince ?? clock.now());
    if (rendered.content.final) end({ delivered: true });
  }

  async function failed(call: PlannedCall, content: Content, error: unknown): Promise<void> {
    if (!(error instanceof SlackError)) throw error;
    const { method, failure, error: word, details } = error;
    const refusal = refusalOf(error);
    if (failure !== 'limited') log.warn({ turn: owner, method, failure, error: word, details }, 'slack call failed');
    switch (refusal) {
      case 'later':
        if (failure === 'unknown' && call.kind === 'post') doubt = lookFrom(clock.now() - LOOK_BACK_MS);
        if (failure === 'unknown' && call.kind === 'update')
          ledger = ledger.map((record) => (record.ts === call.record.ts ? doubtful(record) : record));
        if (call.kind === 'update') changed.set(call.record.ts, { at: clock.now(), edit: true });
        return tryLater(error);
      case 'gone':
        return undeliverable(content, word);
      case 'lost':
      case 'content':
        if (call.kind === 'delete') return await forget(call.record);
        if (call.kind === 'update' && refusal === 'lost') return await lost(call.record, content, word);
        return simplify(call.post, content, word);
      default:
        return refusal satisfies never;
    }
  }

  function tryLater(error: SlackError): void {
    const now = clock.now();
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

  /** Live content stops; final content that came meanwhile is tried once itself: things may have changed. */
  function undeliverable(content: Content, reason: string): void {
    if (content.final) end({ delivered: false, reason });
    else frozen = 'everything';
  }

  /** A message that can not be changed any more: its content is posted anew below. */
  async function lost(record: PostRecord, content: Content, word: string): Promise<void> {
    losses += 1;
    const live = !content.final && rank(content) > 0;
    if (live && (word !== 'message_not_found' || losses > LOSSES)) {
      frozen = 'edits';
      return;
    }
    await forget(record);
  }

  async function forget(record: PostRecord): Promise<void> {
    changed.delete(record.ts);
    await keep(ledger.filter(({ ts }) => ts !== record.ts));
  }

  function simplify(post: SlackPost, content: Content, word: string): void {
    const part = post.part.split('~')[0] ?? post.part;
    const level = simplified.get(part);
    if (level === 2 || rendered === null) {
      undeliverable(content, word);
      return;
    }
    simplified.set(part, level === 1 ? 2 : 1);
    rendered = { ...rendered, posts: expand(rendered.raw) };
  }

  async function keep(next: PostRecord[]): Promise<void> {
    const first = ledger.length === 0 && next.length > 0;
    ledger = next;
    if (first) options.posted();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await options.save([...ledger]);
      } catch (error) {
        log.error({ turn: owner, err: error, attempt }, 'the posts of a turn could not be stored');
        if (attempt >= SAVE_ATTEMPTS) return;
        await new Promise<void>((resolve) => void clock.after(BACKOFF_MS * attempt, resolve));
      }
    }
  }

  function lookFrom(earliest: number): Doubt {
    const bound = `${Math.floor(earliest / 1000)}.000000`;
    const known = ledger.at(-1)?.ts ?? address.threadTs ?? bound;
    return { after: compareTs(known, bound) > 0 ? known : bound, cursor: null, pages: 0 };
  }

  /** Looks for messages of ours that the ledger does not know, one page a call. */
  function look(asked: Doubt): void {
    const call = lookCall(address, asked.after, asked.cursor);
    const wants = ask(call.method, 'must');
    const at = scheduler.whenAllowed(wants);
    if (at > clock.now()) {
      blockedUntil = at;
      return;
    }
    start(lookNow());

    async function lookNow(): Promise<void> {
      busy = true;
      try {
        const { found, cursor } = readLook(await scheduler.call(wants, call, 'control'), owner);
        const unknown = found.filter((record) => !ledger.some(({ ts }) => ts === record.ts));
        doubt = cursor !== null && asked.pages + 1 < LOOK_PAGES ? { ...asked, cursor, pages: asked.pages + 1 } : null;
        if (unknown.length > 0) await keep(sorted([...ledger, ...unknown]));
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        if (error.failure !== 'refused') return tryLater(error);
        // A doubled message is bad, a lost one is worse.
        doubt = null;
        log.warn({ turn: owner, method: error.method, error: error.error }, 'can not look for own messages');
      }
    }
  }

  function end(delivery: Delivery): void {
    if (over) return;
    over = true;
    scheduler.remove(job);
    if (!delivery.delivered) log.warn({ turn: owner, reason: delivery.reason }, 'not deliverable');
    outcome.resolve(delivery);
  }

  function want(content: Content): void {
    if (over || wanted?.final) return;
    const before = wanted === null || since === null ? null : rank(wanted);
    const urgent = wanted === null || content.final || content.cards !== wanted.cards;
    const unheld = wanted?.bare === true && !content.bare;
    wanted = content;
    if (since === null) since = clock.now();
    else if (busy) newerSince ??= clock.now();
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
        outcome.reject(new BridgeError('slack_failed', 'the outbox was closed first', { certain: false, retry: true }));
      }
      await work;
    },
  };
}

function sorted(posts: readonly PostRecord[]): PostRecord[] {
  return [...posts].sort((a, b) => compareTs(a.ts, b.ts));
}

function tsOf(value: unknown): SlackTs {
  if (typeof value === 'string') return value;
  throw new SlackError('chat.postMessage', 'unknown', 'no_ts');
}
