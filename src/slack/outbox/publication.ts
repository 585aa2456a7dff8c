import { type Backoff, backoffMs } from '../../backoff.ts';
import type { SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Delivery, HeldUp, Log, Metrics, Random } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import { SlackError } from '../api/slack-api.ts';
import type { Uploader } from '../api/uploader.ts';
import type { AppendableText, PostFile, Seams, SlackPost } from '../render/post.ts';
import type { Ask, Urgency } from './budget.ts';
import { APPEND_STREAM, begunStream, STOP_STREAM, slackCall } from './calls.ts';
import type { Content } from './content.ts';
import { firstPostAt, type SignOfLife } from './first-post.ts';
import { createForms, type Fallback, type PlanLatch } from './forms.ts';
import { type Obstacle, watchHeldUp } from './held-up.ts';
import { createLastWords, type LastWordsStep } from './last-words.ts';
import { createLedger, isCard } from './ledger.ts';
import { createLookup } from './lookup.ts';
import type { LoopTurns } from './loop-turns.ts';
import { awaitPost, findPost } from './lost-answer.ts';
import { createNativeStream, type StreamLatch, type StreamStep } from './native-stream.ts';
import { contentHash, deletionsOfUneditable, type PlannedCall, planCalls } from './plan.ts';
import { type Closed, closedBy, refusalOf } from './refusal.ts';
import type { Job, Place, Rank, Scheduler, Wish } from './scheduler.ts';
import { createUploads, type UploadLatch } from './upload.ts';

export interface PublicationOptions {
  /** The id in the metadata of its messages, by which a look finds them again: the turn's. */
  owner: string;
  address: ThreadAddress;
  /** Whether the channel shows its first message, too. */
  inChannel?: boolean;
  /** Messages of it that Slack has, by the record. */
  posts: readonly PostRecord[];
  /** Whether Slack may have messages of this owner that `posts` lacks: then it looks for them before it posts. */
  mayHaveUnknownPosts: boolean;
  /** Stores the ledger; awaited after each confirmed call. */
  savePosts(posts: PostRecord[]): Promise<void>;
  /** Called when the first message is on its way, and when it could not be posted. */
  onPosting?(isPosting: boolean): void;
  /** Called when the first message exists; `wasFound`: an earlier process posted it. */
  onFirstPost(wasFound: boolean): void;
  /** The state of the thread's session while the turn runs; `null`: the app has none. Left out: the same. */
  session?(): string | null;
  /** How people see that the agent works before there is a message. */
  sign: Exclude<SignOfLife, 'messages'>;
  /** After failing for so many ms, final content, or a card, is given up. */
  giveUpAfterMs: number;
  /** Called before unfinished text is shown; its promise is awaited. */
  beforeText?(): Promise<void> | undefined;
  /** Called when cards could not be shown in any form for `giveUpAfterMs`, or the thread is gone. */
  onCardRefused?(reason: string, parts: readonly string[]): void;
  /** Called when the end, or a card, waits because Slack refuses our writes. Once, except for refusals of our token. */
  onHeldUp?(held: HeldUp, scope: Closed): void;
  /**
   * What `done` resolves to when the publication is closed early; `null`: it never resolves, and the next start goes
   * on.
   */
  whenClosed: Delivery | null;
}

export interface PublicationParts {
  scheduler: Scheduler;
  clock: Clock;
  random: Random;
  log: Log;
  metrics?: Metrics | undefined;
  fallback: Fallback;
  plans: PlanLatch;
  /** What we learned about native streams; `null`: they are not used. */
  streams: StreamLatch | null;
  /** Our bot's user id, by which a native stream is found whose answer was lost. */
  bot?: string | undefined;
  /** Shared by all publications: limits what they render in one turn of the event loop. */
  loopTurns: LoopTurns;
  /** `null`: files cannot be uploaded. */
  uploadFile: Uploader | null;
  uploadLatch: UploadLatch;
}

/** Makes an ordered list of messages in Slack show the latest content, one call at a time. */
export interface Publication {
  /** Sets the content to show. The latest replaces earlier ones; after final content, calls are ignored. */
  showContent(content: Content): void;
  /**
   * The wanted content has more text. True: `look` is called when something is shown next; false: show the content now.
   */
  noteGrown(look: () => Content | null): boolean;
  /**
   * Sets the last content of this process. Resolves when it is shown, or refused, or there is no message to show it in.
   */
  showParting(content: Content): Promise<void>;
  /** Notes whether people see by a status that the agent works; if not, a message must say so soon. */
  noteSign(sign: 'status' | 'none'): void;
  /** Something happened in the channel, so a refused call is tried again soon. */
  retrySoon(): void;
  /** Notes that somebody deleted a message: if it is ours, its content is posted again. */
  noteDeleted(ts: SlackTs): void;
  /** Checks that the cards are still in Slack, and posts again those that are not. */
  recheckCards(): void;
  /** The message that says how the turn ended, once it is shown as rendered; else `null`. */
  lastMessage(): { record: PostRecord; post: SlackPost } | null;
  /** Resolves when the final content is shown or was given up. */
  readonly done: Promise<Delivery>;
  /** Makes no more calls; resolves when the answer to the last one is stored. */
  close(): Promise<void>;
}

/** Least time from the start of a post or an edit to the next live edit of the same message. */
const EDIT_GAP_MS = 500;
/** After a call that Slack did not answer. */
const RETRY: Backoff = { firstMs: 1_000, longestMs: 60_000, spread: [0.75, 1.25] };
/** After a refusal whose reason somebody must remove. */
const RETRY_REFUSED: Backoff = { firstMs: 1_000, longestMs: 10 * 60_000 };
/** An event in the channel brings the next try forward, to this long after the refusal at the earliest. */
const KNOCK_GAP_MS = 5_000;
/**
 * The reason when a thread's root was deleted before it had a reply: it can show nothing (docs/slack.md, Learned
 * since).
 */
const THREAD_GONE = 'thread_gone';
/** Slack allows about one post per second and channel (docs/slack.md, Limits: rules). */
const CHANNEL_GAP_MS = 1_000;
/** After so many messages that Slack no longer has, live edits stop; cards and the final content are still posted. */
const LOSSES = 3;
/** After so many deletions by people, deleted messages are no longer posted again. */
const DELETIONS = 5;

interface Rendered {
  content: Content;
  /** As the renderer made them, before any simpler form. */
  raw: SlackPost[];
  posts: SlackPost[];
  appendable(): AppendableText | null;
}

const NO_SEAMS: Seams = new Map();

export function createPublication(parts: PublicationParts, options: PublicationOptions): Publication {
  const { scheduler, clock, random, loopTurns } = parts;
  const { owner } = options;
  let { address } = options;
  const log = parts.log.child({ turn: owner });
  const ledger = createLedger({ ...options, clock, log });
  const forms = createForms(parts.fallback, parts.plans, log, parts.metrics);
  const uploads = createUploads({ ...parts, latch: parts.uploadLatch, log, ledger, address });
  const { bot } = parts;
  const finder = { scheduler, clock, log, owner, ledger, bot };
  const lookup = createLookup({ ...options, address: () => address, ledger, bot, clock, log });
  const stream = createNativeStream(
    { scheduler, clock, log, metrics: parts.metrics, latch: parts.streams },
    {
      owner,
      address: () => address,
      isBroadcast: options.inChannel === true,
      session: () => options.session?.() ?? null,
    },
  );
  const outcome = Promise.withResolvers<Delivery>();

  let wanted: Content | null = null;
  /** Makes newer content than `wanted` that has only more text. */
  let grown: (() => Content | null) | null = null;
  let rendered: Rendered | null = null;
  /** Since when a part of `wanted` waits to be shown; `null`: all of it is shown. */
  let waitingSince: number | null = null;
  /** Since when content waits that came while a call for older content had no answer. */
  let newerSince: number | null = null;
  let { sign } = options;
  /** Since when the newest message is wanted, and since when it has text; by the monotonic clock. */
  let wantedSince = clock.monotonic();
  let textSince: number | null = null;
  /**
   * No call before `retryAt`, after a failure, nor before `blockedUntil`, when the budget has no room for the planned
   * calls.
   */
  let retryAt = 0;
  let blockedUntil = 0;
  let failures = 0;
  let failingSince: number | null = null;
  let shownCards = '';
  /** How much of the text people could see so far. */
  let shownText: 'none' | 'words' | 'readable' = 'none';
  /** By ts: when the last post or edit of each message of the ledger was begun. */
  const lastChanges = new Map<SlackTs, number>();
  const lastWords = createLastWords(clock);
  /** Whether the text goes on in a new message, so that it need not wait for the pace of edits. */
  let isPostNext = false;
  let vanishedCount = 0;
  let hasStoppedEditing = false;
  let deletionCount = 0;
  /** Slack's last refusal, until a call succeeds. */
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
    return isFirstText(content) ? 1 : 2;
  }

  /** Whether it shows the first text of the turn, or the first that can be read. */
  function isFirstText(content: Content): boolean {
    if (shownText === 'readable' || !content.hasText) return false;
    return shownText === 'none' || content.substance !== 'words';
  }

  function wish(): Wish | null {
    if (isBusy || isOver || wanted === null) return null;
    const since = waitingSince ?? stream.endsAt();
    if (since === null) return null;
    if (seenOpenings !== scheduler.openings) blockedUntil = 0;
    seenOpenings = scheduler.openings;
    const last = ledger.posts.at(-1);
    const now = rankOf(wanted);
    if (hasStoppedEditing && now > 0 && last) return null;
    let notBefore = Math.max(retryAt, blockedUntil, waitingSince === null ? since : 0);
    // A card is posted at once, and so is the text above it.
    if ((!last && wanted.cards === '') || now === 1) notBefore = Math.max(notBefore, heldUntil(wanted));
    // The call that live content will need is known before it is rendered, so no time is wasted on rendering it early.
    if (now > 0 && !lookup.isDue && !wanted.isParting) {
      const edited = isPostNext ? undefined : last;
      const edit = edited && stream.isOpen(edited) ? APPEND_STREAM : 'chat.update';
      const wants = makeAsk(edited ? edit : 'chat.postMessage', now === 1 ? 'first' : 'live');
      notBefore = Math.max(notBefore, scheduler.whenAllowed(wants), edited ? quietUntil(edited, now) : 0);
    }
    return { rank: now, since, notBefore };
  }

  /** Until when a new live message, or the first text in one, is held back, so that there is something to read. */
  function heldUntil({ substance }: Content): number {
    if (substance === 'whole') return 0;
    const seenBy = ledger.posts.length > 0 ? 'messages' : sign;
    return firstPostAt({ sign: seenBy, substance, since: wantedSince, textSince });
  }

  function run(): void {
    if (isBusy || isOver || wanted === null) return;
    wanted = grown?.() ?? wanted;
    grown = null;
    if (lookup.isDue && isPerson(address.channel)) lookup.postpone();
    if (lookup.isDue) lookForPosts();
    else if (rendered?.content === wanted) makeNextCall();
    else if (!prepareContent(wanted)) startWork(() => loopTurns.nextTurn());
    else if (renderContent(wanted)) makeNextCall();
  }

  /** Makes the first planned call that is allowed now. */
  function makeNextCall(): void {
    if (rendered === null || tendStream(rendered)) return;
    const shown = rendered;
    const { content, posts } = shown;
    const { isThreadGone } = ledger;
    const calls = isThreadGone ? deletionsOfUneditable(ledger.posts) : planShown(shown);
    const steps = calls.map((call) => stepFor(call, shown));
    const times = calls.map((call, index) => allowedAt(call, content, steps[index] ?? null));
    // Where Slack takes no edit at all, it takes no post either: the edit is made once the channel is open again.
    const isClosed = scheduler.whyClosed('chat.update', address.channel) !== null;
    const below = isThreadGone || isClosed ? null : lastWords.nextStep(rendered, calls, times);
    if (below !== null) {
      startWork(() => goBelow(below));
      return;
    }
    const next = calls.findIndex((_, index) => (times[index] ?? 0) <= clock.monotonic());
    const call = calls[next];
    if (!isThreadGone && unseenCards().length === 0 && !calls.some(isOfCard)) shownCards = content.cards;
    if (call) startWork(() => performCall(call, content, steps[next] ?? null));
    else if (calls.length > 0) blockedUntil = Math.min(...times);
    else if (isThreadGone) endGoneThread(content);
    else {
      const file = content.isFinal ? uploads.nextFile(posts) : null;
      if (file) uploadFile(file);
      else noteAllShown();
    }
  }

  /** The calls that are left, with the open stream as it can be shown. */
  function planShown(shown: Rendered): PlannedCall[] {
    const posts = stream.shapePosts(shown, ledger.posts);
    return planCalls(ledger.posts, posts, shown.content.isTextUnknown, lastWords.isBelow);
  }

  /** How a native stream makes the call; `null`: not by one. */
  function stepFor(call: PlannedCall, shown: Rendered): StreamStep | null {
    const step = stream.stepFor(call, shown);
    const now = clock.monotonic();
    if (allowedAt(call, shown.content, step) <= now) return step;
    const before = stream.showBeforeStop(step, call);
    return before && allowedAt(call, shown.content, before) <= now ? before : step;
  }

  /**
   * Does what must be done about native streams before anything else. False: nothing. One that an earlier process left open
   * is ended, because Slack takes no edit of it; one that becomes too old ends, and its text goes on in a new message.
   */
  function tendStream(shown: Rendered): boolean {
    const orphan = ledger.isThreadGone ? undefined : stream.findOrphan(ledger.posts);
    const seam = orphan ? null : stream.findSeam(shown, ledger.posts);
    if (seam) startWork(() => goBelow({ kind: 'seam', ...seam }));
    if (!orphan) return seam !== null;
    const step: StreamStep = { kind: 'halt' };
    const post: SlackPost = { part: orphan.part, kind: 'text', blocks: [], text: '', live: false };
    const call: PlannedCall = { kind: 'update', record: orphan, post };
    const at = allowedAt(call, shown.content, step);
    if (at > clock.monotonic()) blockedUntil = at;
    else startWork(() => performCall(call, shown.content, step));
    return true;
  }

  /** Lets the end of the turn be posted below a message that cannot be edited for now. */
  async function goBelow(step: LastWordsStep): Promise<void> {
    if (step.kind === 'seam') await ledger.saveSeam(step.record, step.seam);
    if (step.kind === 'replace') await ledger.saveRefusal(step.record, 'edit');
    if (step.kind !== 'below') rendered = null;
  }

  /** A text that begins after a restart has other lengths. */
  const seamsFor = (content: Content) => (content.isTextUnknown ? NO_SEAMS : ledger.seams);

  /** Renders a part ahead. False: the event loop must have a turn first; newer content may then replace this one. */
  function prepareContent(content: Content): boolean {
    const before = loopTurns.letters.left;
    try {
      return content.prepare?.(uploads.isPossible, loopTurns.letters, seamsFor(content)) ?? true;
    } catch {
      // `renderContent` will throw the same error, and log it.
      return true;
    } finally {
      if (loopTurns.letters.left < before) void loopTurns.nextTurn();
    }
  }

  /** False: rendering failed, and the content need not arrive. */
  function renderContent(content: Content): boolean {
    // Slack may accept the whole text where it refused the half-written one.
    if (content.isFinal) forms.resetLive();
    newerSince = null;
    try {
      const raw = content.render(uploads.isPossible, seamsFor(content));
      let found: AppendableText | null | undefined;
      const appendable = () => {
        if (found === undefined) found = content.appendable?.() ?? null;
        return found;
      };
      rendered = { content, raw, posts: forms.applyForms(raw), appendable };
      return true;
    } catch (error) {
      log.error({ err: error }, 'could not render a view');
    }
    if (content.isFinal) {
      const raw = content.lastResort();
      rendered = { content, raw, posts: raw, appendable: () => null };
      return true;
    }
    waitingSince = null;
    return false;
  }

  function makeAsk(method: string, urgency: Urgency): Ask {
    return { method, channel: address.channel, urgency };
  }

  function askFor(call: PlannedCall, content: Content, step: StreamStep | null): Ask {
    if (call.kind === 'delete') return makeAsk('chat.delete', 'must');
    const must = content.isFinal || content.isParting || call.post.kind === 'card' || !call.post.live;
    const urgency = must ? 'must' : rankOf(content) === 1 ? 'first' : 'live';
    if (step) return stream.askFor(step, call, content, urgency);
    return makeAsk(call.kind === 'post' ? 'chat.postMessage' : 'chat.update', urgency);
  }

  function allowedAt(call: PlannedCall, content: Content, step: StreamStep | null): number {
    const wants = askFor(call, content, step);
    const at = Math.max(scheduler.whenAllowed(wants), step?.kind === 'wait' ? step.until : 0);
    if (call.kind === 'post' && wants.urgency !== 'must') return Math.max(at, heldUntil(content));
    if (call.kind !== 'update' || wants.urgency === 'must' || wants.method === STOP_STREAM) return at;
    const held = wants.urgency === 'first' ? heldUntil(content) : 0;
    return Math.max(at, held, quietUntil(call.record, rankOf(content)));
  }

  /** Until when a message gets no live edit. The first text is exempt: it replaces a sign of life at once. */
  function quietUntil(record: PostRecord, rank: Rank): number {
    const last = lastChanges.get(record.ts);
    return last !== undefined && rank === 2 ? last + EDIT_GAP_MS : 0;
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

  /** Stores what has to be on disk before people see the call. False: it must not be made any more. */
  async function storeBefore(call: PlannedCall, content: Content, step: StreamStep | null, place: Place) {
    const mayGo = () => !isOver && place.isFree();
    if (call.kind !== 'delete' && call.post.kind === 'text' && !content.isFinal) await options.beforeText?.();
    if (!mayGo() || step?.kind !== 'start') return mayGo();
    const isStored = await ledger.saveBegun(begunStream(step.post.part, step.text, clock.now()));
    if (!isStored) stream.noteNotStored();
    if (isStored && mayGo()) return true;
    ledger.dropBegun();
    return false;
  }

  /** @param step how a native stream makes it; `null`: by a post, an edit or a deletion */
  async function performCall(call: PlannedCall, content: Content, step: StreamStep | null): Promise<void> {
    const wants = askFor(call, content, step);
    // Without it all messages that wait for a place would be stored for the one that comes free.
    const place = scheduler.keepPlace(wants);
    try {
      if (!(await storeBefore(call, content, step, place))) return;
    } finally {
      place.leave();
    }
    const isFirst = call.kind === 'post' && ledger.posts.length === 0;
    if (isFirst) options.onPosting?.(true);
    const begunAt = clock.monotonic();
    let ts: SlackTs;
    let isAstray = false;
    let answerChannel: unknown;
    try {
      const client = wants.urgency === 'must' ? 'control' : 'live';
      const isBroadcast = isFirst && options.inChannel === true;
      const made = step ? stream.callFor(step, call, content) : slackCall(address, owner, call, isBroadcast);
      const answering = scheduler.call(wants, made, client);
      const look = async () => (isOver || call.kind !== 'post' ? null : findPost(finder, address, call.post.part));
      const answer = await (call.kind === 'post' ? awaitPost({ clock, answer: answering, look }) : answering);
      ts = call.kind === 'post' ? tsOf(answer.ts) : call.record.ts;
      answerChannel = answer.channel;
      isAstray = call.kind === 'post' && step === null && address.threadTs !== null && isTopLevel(answer.message);
    } catch (error) {
      if (isFirst) options.onPosting?.(false);
      await (step ? handleStreamFailure(step, call, content, error) : handleFailure(call, content, error));
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
    else lastChanges.set(ts, begunAt);
    if (step) stream.noteDone(step, call, ts);
    if (step?.kind === 'halt' && call.kind === 'update') {
      lastWords.forget(ts);
      await ledger.saveStopped(call.record, content.isTextUnknown);
      return;
    }
    const shown: PlannedCall =
      call.kind !== 'delete' && (step?.kind === 'start' || step?.kind === 'append')
        ? { ...call, post: step.post }
        : call;
    const isAsRendered =
      shown.kind !== 'delete' && (shown.post.isStream || rendered?.raw.includes(shown.post) === true);
    lastWords.noteCall(shown, ts, isAsRendered);
    await ledger.saveCall(shown, ts);
    if (call.kind === 'post') learnChannel(answerChannel);
    isPostNext = false;
    if (rendered?.content !== content) return;
    const [next] = planShown(rendered);
    isPostNext = next?.kind === 'post';
    if (!lookup.isDue && next === undefined) noteAllShown();
  }

  /**
   * Slack tells the channel of a direct message only in the answer to a post to the person. Then the postponed look for
   * earlier messages can be made, before the rest is posted twice.
   */
  function learnChannel(channel: unknown): void {
    if (!isPerson(address.channel) || typeof channel !== 'string' || isPerson(channel)) return;
    address = { ...address, channel };
    // The budget counted the post for the person, not for the channel, so the gap between posts is kept here.
    retryAt = clock.monotonic() + CHANNEL_GAP_MS;
    lookup.resume();
  }

  /** Notes that all posts of the rendered content are shown. */
  function noteAllShown(): void {
    if (rendered === null) return;
    forms.noteShown();
    shownCards = rendered.content.cards;
    noteShownText(rendered.content);
    if (rendered.content.isFinal && uploads.nextFile(rendered.posts)) return;
    waitingSince = wanted === rendered.content && grown === null ? null : (newerSince ?? clock.monotonic());
    if (rendered.content.isParting) partingShown.resolve();
    if (rendered.content.isFinal) endPublication({ delivered: true });
  }

  function noteShownText(content: Content): void {
    if (shownText === 'readable' || !content.hasText) return;
    shownText = content.substance === 'words' ? 'words' : 'readable';
  }

  function clearFailures(): void {
    failures = 0;
    refusalCount = 0;
    failingSince = null;
    cardsFailingSince = null;
    lastRefusal = null;
  }

  async function handleStreamFailure(
    step: StreamStep,
    call: PlannedCall,
    content: Content,
    error: unknown,
  ): Promise<void> {
    if (content.isParting) partingShown.resolve();
    if (!(error instanceof SlackError)) throw error;
    const { method, failure, error: word, details } = error;
    if (failure !== 'limited') log.warn({ method, failure, error: word, details }, 'a Slack call failed');
    const next = stream.noteFailed(step, error);
    if (call.kind === 'post') {
      if (next === 'look') lookup.request();
      else ledger.dropBegun();
      if (failure === 'unknown') tryLater(error);
      return;
    }
    const { record } = call;
    if (failure !== 'refused') tryLater(error);
    if (next === 'gone') await replaceLost(record, content, word);
    if (next !== 'edit') return;
    lastWords.forget(record.ts);
    await ledger.saveStopped(record, content.isTextUnknown);
  }

  async function handleFailure(call: PlannedCall, content: Content, error: unknown): Promise<void> {
    if (content.isParting) partingShown.resolve();
    if (!(error instanceof SlackError)) throw error;
    const { method, failure, error: word, details } = error;
    if (failure !== 'limited') log.warn({ method, failure, error: word, details }, 'a Slack call failed');
    const refusal = refusalOf(error);
    if (refusal === 'later') {
      if (failure === 'unknown' && call.kind === 'update') {
        ledger.markDoubtful(call.record);
        lastWords.forget(call.record.ts);
      }
      if (failure === 'unknown' && call.kind === 'post') lookup.request();
      tryLater(error);
    } else if (refusal === 'closed') handleRefusal(word, closedBy(error) ?? 'thread');
    else if (call.kind === 'delete') await noteUndeletable(call.record, word);
    else if (call.kind === 'update' && stream.mayBeOpen(word)) await ledger.markStream(call.record);
    else if (call.kind === 'update' && refusal === 'lost' && call.post.isEditOnly) await ledger.forgetPost(call.record);
    else if (call.kind === 'update' && refusal === 'lost') await replaceLost(call.record, content, word);
    else if (rendered === null || !forms.simplify(call.post)) {
      handleRefusal(word, 'thread');
      forms.resetAll();
      rendered = null;
    } else rendered = { ...rendered, posts: forms.applyForms(rendered.raw) };
  }

  /**
   * Slack refuses our writes there for now. What must arrive is tried again after longer and longer waits, and soon
   * after an event in the channel. Waits for a channel or the workspace are kept by the scheduler.
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

  /** For how many ms the content had been due before this process began to try. */
  function owedFor(content: Content | null): number {
    return content?.owedSince === undefined ? 0 : Math.max(0, clock.now() - content.owedSince);
  }

  /** Parts of cards without a message. A card whose edit was refused is not among them, because it can be decided. */
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

  /** The thread has lost its root, so nothing can be shown there any more. */
  function endGoneThread(content: Content): void {
    const cards = unseenCards();
    if (content.isFinal) endPublication({ delivered: false, reason: THREAD_GONE });
    else if (cards.length > 0 && content.cards !== shownCards) options.onCardRefused?.(THREAD_GONE, cards);
    shownCards = content.cards;
    waitingSince = null;
  }

  /**
   * Slack refused the deletion. The plan then edits the message: it shows other content or says that it is replaced.
   */
  function noteUndeletable(record: PostRecord, word: string): Promise<void> {
    return word === 'message_not_found' ? ledger.forgetPost(record) : ledger.saveRefusal(record, 'delete');
  }

  /** Makes the next step of an upload. If uploads turn out to fail, the text is rendered as posts instead. */
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
    // After a 429 the budget holds back all calls of that method.
    if (error.failure === 'limited') return;
    failures += 1;
    retryAt = now + backoffMs(RETRY, failures, random.next());
  }

  /** Slack no longer lets us edit the message: its content is posted anew, and the message is deleted. */
  async function replaceLost(record: PostRecord, content: Content, word: string): Promise<void> {
    vanishedCount += 1;
    if (rankOf(content) > 0 && (word !== 'message_not_found' || vanishedCount > LOSSES)) {
      hasStoppedEditing = true;
      return;
    }
    lastChanges.delete(record.ts);
    // The message may hold the only copy of what was said.
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

  function noteGrown(look: () => Content | null): boolean {
    if (isOver || wanted === null || wanted.isFinal || wanted.isParting || waitingSince === null) return false;
    // Until text can be read, each word may decide when it is shown.
    if (shownText !== 'readable' && wanted.substance !== 'readable') return false;
    if (isBusy) newerSince ??= clock.monotonic();
    grown = look;
    return true;
  }

  function showContent(content: Content): void {
    if (isOver || wanted?.isFinal || (wanted?.isParting && !content.isFinal)) return;
    grown = null;
    const before = wanted === null || waitingSince === null ? null : rankOf(wanted);
    const urgent = wanted === null || content.isFinal || content.cards !== wanted.cards;
    const unheld = noteSubstance(content);
    wanted = content;
    if (waitingSince === null) waitingSince = clock.monotonic();
    else if (isBusy) newerSince ??= clock.monotonic();
    if (content.isFinal) {
      failingSince = null;
      lastWords.noteEnd();
    }
    if (lastRefusal !== null || findObstacle() !== null) heldUp?.start();
    const better = before === null || urgent || rankOf(content) < before;
    if (better || unheld) blockedUntil = 0;
    if (better || unheld) scheduler.wake();
  }

  /** Notes what the newest message of the content would show. True: it may be posted sooner than that of the last one. */
  function noteSubstance(content: Content): boolean {
    const now = clock.monotonic();
    const { substance } = content;
    const before = wanted?.substance;
    if (content.cards !== (wanted?.cards ?? '')) {
      wantedSince = now;
      textSince = null;
    }
    const hasText = substance === 'words' || substance === 'readable';
    textSince = hasText ? (textSince ?? now) : null;
    return before !== undefined && before !== substance;
  }

  async function showParting(content: Content): Promise<void> {
    // The first post may have no answer yet.
    if (isBusy && ledger.posts.length === 0) await currentWork;
    if (isOver || wanted?.isFinal) return;
    // Without a message there is nothing that would become wrong, so nothing is posted.
    if (ledger.posts.length === 0) waitingSince = null;
    else {
      showContent(content);
      await partingShown.promise;
    }
  }

  function noteDeleted(ts: SlackTs): void {
    const record = ledger.posts.find((known) => known.ts === ts);
    if (!record || record.refuses !== undefined || isOver) return;
    // It may be our own deletion, so wait for its answer.
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
    noteGrown,
    showParting,
    noteSign(next) {
      sign = next;
      blockedUntil = 0;
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
    lastMessage() {
      const post = rendered?.posts.findLast(({ ends }) => ends);
      const record = post && ledger.posts.find(({ hash }) => hash === contentHash(post));
      return post && record ? { post, record } : null;
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

/**
 * Whether Slack put the message at the top of the channel, because its thread has lost the root. Only this answer
 * tells.
 */
function isTopLevel(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false;
  return typeof (message as { thread_ts?: unknown }).thread_ts !== 'string';
}

const isOfCard = (call: PlannedCall) => call.kind !== 'delete' && call.post.kind === 'card';

/** Whether it is a person's id, which addresses a direct message whose channel is not known yet. */
const isPerson = (channel: string) => /^[UW]/.test(channel);

function tsOf(value: unknown): SlackTs {
  if (typeof value === 'string') return value;
  throw new SlackError('chat.postMessage', 'unknown', 'no_ts');
}
