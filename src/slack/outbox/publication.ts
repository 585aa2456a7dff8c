import { type Backoff, backoffMs } from '../../backoff.ts';
import type { SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Delivery, HeldUp, Log, Metrics, Random } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import { SlackError } from '../api/slack-api.ts';
import type { Uploader } from '../api/uploader.ts';
import type { PostFile, SlackPost } from '../render/post.ts';
import type { Ask, Urgency } from './budget.ts';
import { slackCall } from './calls.ts';
import type { Content } from './content.ts';
import { createForms, type Fallback } from './forms.ts';
import { type Obstacle, watchHeldUp } from './held-up.ts';
import { createLedger, isCard } from './ledger.ts';
import { createLookup } from './lookup.ts';
import type { LoopTurns } from './loop-turns.ts';
import { deletionsOfUneditable, type PlannedCall, planCalls } from './plan.ts';
import { type Closed, closedBy, refusalOf } from './refusal.ts';
import type { Job, Rank, Scheduler, Wish } from './scheduler.ts';
import { createUploads, type UploadLatch } from './upload.ts';

export interface PublicationOptions {
  /** The id under which its messages are found again in Slack: the turn. */
  owner: string;
  address: ThreadAddress;
  /** Messages that Slack has already. */
  posts: readonly PostRecord[];
  /** Whether Slack may have messages of this owner that `posts` does not know: then it looks before it posts. */
  mayHaveUnknownPosts: boolean;
  /** Stores the ledger; awaited after each confirmed call. */
  savePosts(posts: PostRecord[]): Promise<void>;
  /** Told when the first message exists. */
  onFirstPost(found: boolean): void;
  /** Until when, by the monotonic clock, bare content is not posted. */
  holdUntil: number;
  /** ms of failing until final content, or a card, is given up. */
  giveUpAfterMs: number;
  /** Called before text is shown that may still change; its promise is awaited. */
  beforeText?(): Promise<void> | undefined;
  /** Cards could not be shown, in whatever form, for `giveUpAfterMs`; or there is no thread any more. */
  onCardRefused?(reason: string, parts: readonly string[]): void;
  /** The end, or a card, waits until Slack lets us write there again. Told once for what concerns the channel. */
  onHeldUp?(held: HeldUp, scope: Closed): void;
  /** What `done` becomes when closed before its time; `null` leaves it open: the next start goes on with it. */
  whenClosed: Delivery | null;
}

export interface PublicationParts {
  scheduler: Scheduler;
  clock: Clock;
  random: Random;
  log: Log;
  metrics?: Metrics | undefined;
  fallback: Fallback;
  /** Of all publications: what they render in one turn of the event loop together. */
  loopTurns: LoopTurns;
  /** `null` where files cannot be uploaded. */
  uploadFile: Uploader | null;
  uploadLatch: UploadLatch;
}

/** One ordered list of messages on its way to what it should be: one call at a time. */
export interface Publication {
  /** Latest wins; nothing after final content. */
  showContent(content: Content): void;
  /** Wants it; resolves when it is shown, was refused, or there is no message to show it in. */
  showParting(content: Content): Promise<void>;
  /** Bare content is posted from now on. */
  releaseHold(): void;
  /** Something happened in the channel: what Slack refused may go well now. */
  retrySoon(): void;
  /** Somebody deleted a message: if it is one of ours, what it showed is shown again. */
  noteDeleted(ts: SlackTs): void;
  /** Makes sure that the cards that are shown are still there: one that is not is shown again. */
  recheckCards(): void;
  /** Resolves when the final content is there or cannot be. */
  readonly done: Promise<Delivery>;
  /** Makes no further call; resolves when the one on its way was answered and stored. */
  close(): Promise<void>;
}

/** Live edits of one message, measured from the answer to the one before. */
const EDIT_GAP_MS = 1_500;
/** A call that Slack did not answer. */
const RETRY: Backoff = { firstMs: 1_000, longestMs: 60_000, spread: [0.75, 1.25] };
/** A call that Slack refused for reasons that somebody must change. */
const RETRY_REFUSED: Backoff = { firstMs: 1_000, longestMs: 10 * 60_000 };
/** Events in the channel bring that forward, this far apart at most. */
const KNOCK_GAP_MS = 5_000;
/** Why nothing can be shown in a thread whose root was deleted before it had a reply (docs/slack.md, Learned since). */
const THREAD_GONE = 'thread_gone';
/** About one post a second and channel (docs/slack.md, Limits: rules). */
const CHANNEL_GAP_MS = 1_000;
/** After so many vanished messages, live edits stop; cards and the final content are still posted. */
const LOSSES = 3;
/** After so many deletions by people a turn's messages are not shown again by themselves. */
const DELETIONS = 5;

export function createPublication(parts: PublicationParts, options: PublicationOptions): Publication {
  const { scheduler, clock, random, loopTurns } = parts;
  const { owner } = options;
  let { address } = options;
  const log = parts.log.child({ turn: owner });
  const ledger = createLedger({ ...options, clock, log });
  const forms = createForms(parts.fallback, log, parts.metrics);
  const uploads = createUploads({ ...parts, latch: parts.uploadLatch, log, ledger, address });
  const lookup = createLookup({ ...options, address: () => address, ledger, clock, log });
  const outcome = Promise.withResolvers<Delivery>();

  let wanted: Content | null = null;
  let rendered: { content: Content; raw: SlackPost[]; posts: SlackPost[] } | null = null;
  /** Since when something of `wanted` waits unseen; `null`: nothing does. */
  let waitingSince: number | null = null;
  /** Since when something waits that came after what is being shown. */
  let newerSince: number | null = null;
  let holdUntil = options.holdUntil;
  /** Back-off after a failure; for content that is not final; for what was rendered last, by the budget. */
  let retryAt = 0;
  let blockedUntil = 0;
  let failures = 0;
  let failingSince: number | null = null;
  let shownCards = '';
  let isTextShown = false;
  let isTextWanted = false;
  /** When each message was changed last, by ts: of messages in the ledger only. */
  const lastChanges = new Map<SlackTs, { at: number; edit: boolean }>();
  let vanishedCount = 0;
  let hasStoppedEditing = false;
  let deletionCount = 0;
  /** Slack's last word against what must be shown, as long as nothing has gone well since. */
  let lastRefusal: (Obstacle & { at: number }) | null = null;
  let refusalCount = 0;
  let cardsFailingSince: number | null = null;
  let seenOpenings = scheduler.openings;
  let isBusy = false;
  let currentWork: Promise<void> = Promise.resolve();
  const partingShown = Promise.withResolvers<void>();
  let isOver = false;

  const job: Job = { wish, run };
  const heldUp =
    options.onHeldUp &&
    watchHeldUp({
      clock,
      isHeldUp: () => wanted !== null && (wanted.isFinal || unseenCards().length > 0),
      findObstacle,
      onHeldUp: ({ word, scope }) =>
        options.onHeldUp?.({ what: wanted?.isFinal ? 'end' : 'card', reason: word }, scope),
    });

  function rankOf(content: Content): Rank {
    if (content.isFinal || content.cards !== shownCards) return 0;
    if (content.isParting) return 1;
    // To look into a text costs as much as it is long, and a text that has begun goes on.
    if (!isTextShown) isTextWanted ||= content.hasText;
    return !isTextShown && isTextWanted ? 1 : 2;
  }

  function wish(): Wish | null {
    if (isBusy || isOver || waitingSince === null || wanted === null) return null;
    if (seenOpenings !== scheduler.openings) blockedUntil = 0;
    seenOpenings = scheduler.openings;
    const last = ledger.posts.at(-1);
    const now = rankOf(wanted);
    if (hasStoppedEditing && now > 0 && last) return null;
    let notBefore = Math.max(retryAt, blockedUntil);
    if (!wanted.isFinal) notBefore = Math.max(notBefore, wanted.isBare && !last ? holdUntil : 0);
    // What a live edit will need is known without rendering it.
    if (now > 0 && !lookup.isDue && !wanted.isParting) {
      const wants = makeAsk(last ? 'chat.update' : 'chat.postMessage', 'live');
      notBefore = Math.max(notBefore, scheduler.whenAllowed(wants), last ? quietUntil(last, now) : 0);
    }
    return { rank: now, since: waitingSince, notBefore };
  }

  function run(): void {
    if (isBusy || isOver || wanted === null) return;
    if (lookup.isDue && isPerson(address.channel)) lookup.postpone();
    if (lookup.isDue) lookForPosts();
    else if (rendered?.content === wanted) makeNextCall();
    else if (!prepareContent(wanted)) startWork(() => loopTurns.nextTurn());
    else if (renderContent(wanted)) makeNextCall();
  }

  /** The first of the planned calls that is allowed now. */
  function makeNextCall(): void {
    if (rendered === null) return;
    const { content, posts } = rendered;
    const { isThreadGone } = ledger;
    const calls = isThreadGone
      ? deletionsOfUneditable(ledger.posts)
      : planCalls(ledger.posts, posts, content.isTextUnknown);
    const times = calls.map((call) => allowedAt(call, content));
    const call = calls.find((_, index) => (times[index] ?? 0) <= clock.monotonic());
    if (call) startWork(() => performCall(call, content));
    else if (calls.length > 0) blockedUntil = Math.min(...times);
    else if (isThreadGone) endGoneThread(content);
    else {
      const file = content.isFinal ? uploads.nextFile(posts) : null;
      if (file) uploadFile(file);
      else noteAllShown();
    }
  }

  /** False when the loop must get its turn back first: what came meanwhile is then rendered instead. */
  function prepareContent(content: Content): boolean {
    const before = loopTurns.letters.left;
    try {
      return content.prepare?.(uploads.isPossible, loopTurns.letters) ?? true;
    } catch {
      // It is thrown again, and said, when it is rendered.
      return true;
    } finally {
      if (loopTurns.letters.left < before) void loopTurns.nextTurn();
    }
  }

  /** False when there is nothing to go on with. */
  function renderContent(content: Content): boolean {
    // What was refused half-written may be fine when whole.
    if (content.isFinal) forms.resetLive();
    newerSince = null;
    try {
      const raw = content.render(uploads.isPossible);
      rendered = { content, raw, posts: forms.applyForms(raw) };
      return true;
    } catch (error) {
      log.error({ err: error }, 'could not render a view');
    }
    if (content.isFinal) {
      const raw = content.lastResort();
      rendered = { content, raw, posts: raw };
      return true;
    }
    waitingSince = null;
    return false;
  }

  function makeAsk(method: string, urgency: Urgency): Ask {
    return { method, channel: address.channel, urgency };
  }

  function askFor(call: PlannedCall, content: Content): Ask {
    if (call.kind === 'delete') return makeAsk('chat.delete', 'must');
    const must = content.isFinal || content.isParting || call.post.kind === 'card' || !call.post.live;
    return makeAsk(call.kind === 'post' ? 'chat.postMessage' : 'chat.update', must ? 'must' : 'live');
  }

  function allowedAt(call: PlannedCall, content: Content): number {
    const wants = askFor(call, content);
    const at = scheduler.whenAllowed(wants);
    if (call.kind !== 'update' || wants.urgency === 'must') return at;
    return Math.max(at, quietUntil(call.record, rankOf(content)));
  }

  /** Until when a message gets no live edit. The first text replaces a bare sign of life at once. */
  function quietUntil(record: PostRecord, rank: Rank): number {
    const last = lastChanges.get(record.ts);
    return last && (last.edit || rank === 2) ? last.at + EDIT_GAP_MS : 0;
  }

  function startWork(doing: () => Promise<void>): void {
    isBusy = true;
    currentWork = doing()
      .catch((error: unknown) => {
        log.error({ err: error }, 'the outbox has a bug');
        retryAt = clock.monotonic() + RETRY.longestMs;
      })
      .then(() => {
        isBusy = false;
        scheduler.wake();
      });
  }

  async function performCall(call: PlannedCall, content: Content): Promise<void> {
    const wants = askFor(call, content);
    if (call.kind !== 'delete' && call.post.kind === 'text' && !content.isFinal) {
      const storing = options.beforeText?.();
      if (storing) {
        await storing;
        // The disk took its time: the slot may be somebody else's by now.
        if (isOver || scheduler.whenAllowed(wants) > clock.monotonic()) return;
      }
    }
    let ts: SlackTs;
    let isAstray = false;
    let answerChannel: unknown;
    try {
      const client = wants.urgency === 'must' ? 'control' : 'live';
      const answer = await scheduler.call(wants, slackCall(address, owner, call), client);
      ts = call.kind === 'post' ? tsOf(answer.ts) : call.record.ts;
      answerChannel = answer.channel;
      isAstray = call.kind === 'post' && address.threadTs !== null && isTopLevel(answer.message);
    } catch (error) {
      await handleFailure(call, content, error);
      return;
    }
    clearFailures();
    if (isAstray && call.kind === 'post') {
      log.warn(
        { channel: address.channel },
        'the thread’s first message was deleted; withdrawing what the bot posted after that',
      );
      await ledger.saveStray(call.post.part, ts);
      return;
    }
    if (call.kind === 'delete') lastChanges.delete(ts);
    else lastChanges.set(ts, { at: clock.monotonic(), edit: call.kind === 'update' });
    await ledger.saveCall(call, ts);
    if (call.kind === 'post') learnChannel(answerChannel);
    if (rendered?.content !== content) return;
    if (!lookup.isDue && planCalls(ledger.posts, rendered.posts, content.isTextUnknown).length === 0) noteAllShown();
  }

  /**
   * Slack tells the channel of a direct message only when a post to its person is answered. What was posted there
   * before that, and nobody knows of, is looked for then: the rest is not posted twice.
   */
  function learnChannel(channel: unknown): void {
    if (!isPerson(address.channel) || typeof channel !== 'string' || isPerson(channel)) return;
    address = { ...address, channel };
    // The budget does not know yet that the two are one channel.
    retryAt = clock.monotonic() + CHANNEL_GAP_MS;
    lookup.resume();
  }

  /** All that was rendered is shown. */
  function noteAllShown(): void {
    if (rendered === null) return;
    forms.settled();
    shownCards = rendered.content.cards;
    isTextShown ||= rendered.content.hasText;
    if (rendered.content.isFinal && uploads.nextFile(rendered.posts)) return;
    waitingSince = wanted === rendered.content ? null : (newerSince ?? clock.monotonic());
    if (rendered.content.isParting) partingShown.resolve();
    if (rendered.content.isFinal) endPublication({ delivered: true });
  }

  function clearFailures(): void {
    failures = 0;
    refusalCount = 0;
    failingSince = null;
    cardsFailingSince = null;
    lastRefusal = null;
  }

  async function handleFailure(call: PlannedCall, content: Content, error: unknown): Promise<void> {
    if (content.isParting) partingShown.resolve();
    if (!(error instanceof SlackError)) throw error;
    const { method, failure, error: word, details } = error;
    if (failure !== 'limited') log.warn({ method, failure, error: word, details }, 'a Slack call failed');
    const refusal = refusalOf(error);
    if (refusal === 'later') {
      if (call.kind === 'update') lastChanges.set(call.record.ts, { at: clock.monotonic(), edit: true });
      if (failure === 'unknown' && call.kind === 'update') ledger.markDoubtful(call.record);
      if (failure === 'unknown' && call.kind === 'post') lookup.request();
      tryLater(error);
    } else if (refusal === 'closed') handleRefusal(word, closedBy(error) ?? 'thread');
    else if (call.kind === 'delete') await noteUndeletable(call.record, word);
    else if (call.kind === 'update' && refusal === 'lost') await replaceLost(call.record, content, word);
    else if (rendered === null || !forms.simplify(call.post)) {
      handleRefusal(word, 'thread');
      forms.resetAll();
      rendered = null;
    } else rendered = { ...rendered, posts: forms.applyForms(rendered.raw) };
  }

  /**
   * Slack does not let us write there for now. What must arrive stays wanted and is tried again: when somebody knocks,
   * and after longer and longer waits, which the scheduler keeps where they concern more than this thread.
   */
  function handleRefusal(word: string, scope: Closed): void {
    const now = clock.monotonic();
    lastRefusal = { word, scope, at: now };
    if (scope === 'thread') {
      refusalCount += 1;
      retryAt = now + backoffMs(RETRY_REFUSED, refusalCount);
    }
    if (wanted?.isFinal) {
      failingSince ??= now - owedFor(wanted);
      if (now - failingSince >= options.giveUpAfterMs) {
        endPublication({ delivered: false, reason: word });
        return;
      }
    } else {
      const cards = unseenCards();
      if (cards.length === 0) cardsFailingSince = null;
      else cardsFailingSince ??= now;
      const isTooLate = cardsFailingSince !== null && now - cardsFailingSince >= options.giveUpAfterMs;
      if (isTooLate) options.onCardRefused?.(word, cards);
    }
    heldUp?.start();
  }

  /** For how long, in ms, it was owed before this process began to try. */
  function owedFor(content: Content | null): number {
    return content?.owedSince === undefined ? 0 : Math.max(0, clock.now() - content.owedSince);
  }

  /** Parts of cards that ought to be seen and have no message: one whose edit is refused can still be decided. */
  function unseenCards(): string[] {
    const cards = (rendered?.posts ?? []).filter(({ kind, isFrozen }) => kind === 'card' && !isFrozen);
    return cards
      .map(({ part }) => part)
      .filter((part) => !ledger.posts.some((record) => isCard(record) && record.part === part));
  }

  function findObstacle(): Obstacle | null {
    const { channel } = address;
    return (
      scheduler.whyClosed('chat.postMessage', channel) ?? scheduler.whyClosed('chat.update', channel) ?? lastRefusal
    );
  }

  /** No root, no thread: nothing can be shown there, ever. */
  function endGoneThread(content: Content): void {
    const cards = unseenCards();
    if (content.isFinal) endPublication({ delivered: false, reason: THREAD_GONE });
    else if (cards.length > 0 && content.cards !== shownCards) options.onCardRefused?.(THREAD_GONE, cards);
    shownCards = content.cards;
    waitingSince = null;
  }

  /** Where it can be edited, it is: as what is wanted, or marked as replaced. */
  function noteUndeletable(record: PostRecord, word: string): Promise<void> {
    return word === 'message_not_found' ? ledger.forgetPost(record) : ledger.saveRefusal(record, 'delete');
  }

  /** A file that cannot be uploaded is rendered as posts instead. */
  function uploadFile(file: PostFile): void {
    const at = uploads.allowedAt(file);
    if (at > clock.monotonic()) {
      blockedUntil = at;
      return;
    }
    startWork(async () => {
      try {
        await uploads.uploadNextStep(file);
        clearFailures();
        if (!uploads.isPossible) rendered = null;
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        tryLater(error);
      }
    });
  }

  function tryLater(error: SlackError): void {
    const now = clock.monotonic();
    failingSince ??= now - owedFor(wanted);
    if (wanted?.isFinal && now - failingSince >= options.giveUpAfterMs) {
      endPublication({ delivered: false, reason: error.error });
      return;
    }
    // A 429 is kept by the budget, for all who use that method.
    if (error.failure === 'limited') return;
    failures += 1;
    retryAt = now + backoffMs(RETRY, failures, random.next());
  }

  /** A message that cannot be changed any more: its content is posted anew below, and it is deleted. */
  async function replaceLost(record: PostRecord, content: Content, word: string): Promise<void> {
    vanishedCount += 1;
    if (rankOf(content) > 0 && (word !== 'message_not_found' || vanishedCount > LOSSES)) {
      hasStoppedEditing = true;
      return;
    }
    lastChanges.delete(record.ts);
    // It may hold all that is left of what was said.
    if (content.isTextUnknown && word !== 'message_not_found' && !isCard(record)) return ledger.keepAsIs(record);
    if (record.refuses === 'delete') {
      log.warn({ error: word }, 'Slack lets the bot neither edit nor delete a message');
      return ledger.forgetPost(record);
    }
    await ledger.saveRefusal(record, 'edit');
  }

  /** Asks for one page of the thread. */
  function lookForPosts(): void {
    const call = lookup.nextCall();
    const wants = makeAsk(call.method, 'must');
    const at = scheduler.whenAllowed(wants);
    if (at > clock.monotonic()) {
      blockedUntil = at;
      return;
    }
    startWork(async () => {
      try {
        await lookup.savePage(await scheduler.call(wants, call, 'control'));
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        if (error.failure !== 'refused') tryLater(error);
        else if (lookup.noteRefusal(error) === 'blocked') handleRefusal(error.error, 'thread');
      }
    });
  }

  function endPublication(delivery: Delivery): void {
    if (isOver) return;
    isOver = true;
    heldUp?.stop();
    scheduler.remove(job);
    partingShown.resolve();
    if (!delivery.delivered) log.warn({ reason: delivery.reason }, 'Slack does not let the bot deliver a post');
    outcome.resolve(delivery);
  }

  function showContent(content: Content): void {
    if (isOver || wanted?.isFinal || (wanted?.isParting && !content.isFinal)) return;
    const before = wanted === null || waitingSince === null ? null : rankOf(wanted);
    const urgent = wanted === null || content.isFinal || content.cards !== wanted.cards;
    const unheld = wanted?.isBare === true && !content.isBare;
    wanted = content;
    if (waitingSince === null) waitingSince = clock.monotonic();
    else if (isBusy) newerSince ??= clock.monotonic();
    if (content.isFinal) failingSince = null;
    if (lastRefusal !== null || findObstacle() !== null) heldUp?.start();
    const better = before === null || urgent || rankOf(content) < before;
    if (better) blockedUntil = 0;
    if (better || unheld) scheduler.wake();
  }

  async function showParting(content: Content): Promise<void> {
    // The first message of all may be on its way.
    if (isBusy && ledger.posts.length === 0) await currentWork;
    if (isOver || wanted?.isFinal) return;
    // Where nothing stands that is not true any more, nothing is begun.
    if (ledger.posts.length === 0) waitingSince = null;
    else {
      showContent(content);
      await partingShown.promise;
    }
  }

  function noteDeleted(ts: SlackTs): void {
    const record = ledger.posts.find((known) => known.ts === ts);
    if (!record || record.refuses !== undefined || isOver) return;
    // Perhaps it is our own deletion that is on its way.
    if (isBusy) return void currentWork.then(() => noteDeleted(ts));
    deletionCount += 1;
    lastChanges.delete(ts);
    startWork(() => ledger.forgetPost(record));
    if (deletionCount > DELETIONS) return;
    if (isCard(record)) shownCards = '';
    waitingSince ??= clock.monotonic();
  }

  scheduler.add(job);
  return {
    showContent,
    showParting,
    releaseHold() {
      holdUntil = 0;
      scheduler.wake();
    },
    retrySoon() {
      if (lastRefusal === null) return;
      retryAt = Math.min(retryAt, Math.max(clock.monotonic(), lastRefusal.at + KNOCK_GAP_MS));
      scheduler.wake();
    },
    noteDeleted: (ts) => noteDeleted(ts),
    recheckCards() {
      const cards = ledger.posts.filter(isCard);
      if (cards.length === 0 || isOver) return;
      for (const record of cards) ledger.markDoubtful(record);
      shownCards = '';
      waitingSince ??= clock.monotonic();
      scheduler.wake();
    },
    done: outcome.promise,
    async close() {
      heldUp?.stop();
      partingShown.resolve();
      if (!isOver) {
        isOver = true;
        scheduler.remove(job);
        if (options.whenClosed) outcome.resolve(options.whenClosed);
      }
      await currentWork;
    },
  };
}

/** Slack puts a message whose thread has no root any more at the top of the channel, and says so only here. */
function isTopLevel(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false;
  return typeof (message as { thread_ts?: unknown }).thread_ts !== 'string';
}

/** A direct message is addressed by its person where nobody knows its channel. */
const isPerson = (channel: string) => /^[UW]/.test(channel);

function tsOf(value: unknown): SlackTs {
  if (typeof value === 'string') return value;
  throw new SlackError('chat.postMessage', 'unknown', 'no_ts');
}
