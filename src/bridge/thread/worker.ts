import { asBridgeError } from '../../errors.ts';
import type { Place, Verdict } from '../access/can.ts';
import { Door } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import { hasChanged } from '../approvals/effects.ts';
import type { FileHandOver } from '../files/hand-over.ts';
import { makeToken, makeTurnId, type ThreadKey, type TurnId, type UserId } from '../ids.ts';
import type {
  AgentGateway,
  Audit,
  Clock,
  Delivery,
  DetailsStore,
  HeldUp,
  Log,
  MessageAddress,
  People,
  Random,
  Surface,
  Threads,
  Timer,
  TurnSurface,
  UserGroups,
} from '../ports.ts';
import { authorOf, beginTurn, changeTurn, closeApprovals } from '../record/inbox.ts';
import { clientMessageIdOf, findBackgroundOffer, type Leftover, lapseContinueOffers } from '../record/offers.ts';
import type { ApprovalRecord, Ending, InboxItem, OpenTurn, ThreadRecord } from '../record/thread-record.ts';
import { isActive, needsLetta } from '../record/thread-record.ts';
import { emptyTurn } from '../turn/fold.ts';
import { addNotify } from '../turn/notify.ts';
import { type HomeThread, questionOf } from '../view/home.ts';
import { ThreadApprovals } from './approvals/approvals.ts';
import { ThreadBackground } from './background.ts';
import { ThreadDesk } from './desk.ts';
import { ThreadDetails } from './details.ts';
import { HeldUpThread } from './held-up.ts';
import { ThreadLink } from './link.ts';
import { ThreadListener } from './listener.ts';
import { Mailbox } from './mailbox.ts';
import { ThreadOffers } from './offers.ts';
import type { PastOptions } from './read-past.ts';
import { ThreadSettings } from './settings.ts';
import { ThreadState } from './state.ts';
import { TurnEndings } from './turn-endings.ts';
import { TurnInput } from './turn-input.ts';
import { END_OVERDUE_MS, TurnLookup } from './turn-lookup.ts';
import { TurnSilence } from './turn-silence.ts';
import { STOP_OVERDUE_MS, TurnStop } from './turn-stop.ts';

export interface WorkerParts {
  threads: Threads;
  gateway: AgentGateway;
  surface: Surface;
  people: People;
  /** Left out: every user group counts as empty. */
  groups?: UserGroups | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  policies: PolicyBook;
  killSwitch: KillSwitch;
  audit: Audit;
  /** ms after which a request that nobody decided is denied; left out: never. */
  approvalTimeoutMs?: number | undefined;
  botUser: UserId;
  /** App Server: a turn does not outlive its socket (docs/letta-protocol.md, Loss and restart). */
  turnsDieWithLink: boolean;
  /** How long a running turn may say nothing, in ms; default 30 minutes. */
  silenceMs?: number;
  /** ms that a message may wait for an unreachable device and still run without asking; left out: no limit. */
  staleAfterMs?: number | undefined;
  /**
   * If the requester was last seen this many ms before the turn ends, the end is a message of its own; left out: after
   * 2 minutes. 0: never.
   */
  notifyAfterMs?: ((requester: UserId) => number) | undefined;
  /** The address of a message in Slack; left out: messages go along without. */
  linkTo?: ((at: MessageAddress) => string | null) | undefined;
  /** How the history of threads is read; left out: only replies that were delivered go along as context. */
  past?: PastOptions | undefined;
  /** Hands files of people to the agent; left out: none are fetched. */
  files?: FileHandOver | undefined;
  /** Stores what finished turns did, for the Details button; left out: nothing is stored. */
  details?: DetailsStore | undefined;
  /** Called for each thread with something open that the start of the process resumes. */
  onTakenUp?: ((key: ThreadKey) => void) | undefined;
}

export interface ThreadOverview extends HomeThread {
  place: Place;
  requester: UserId;
  /** Requests that wait for people. */
  asks: readonly ApprovalRecord[];
}

/** How long a thread without work keeps its link to Letta. */
const REST_AFTER_MS = 5 * 60_000;
const NOTIFY_AFTER_MS = 2 * 60_000;
const SILENCE_MS = 30 * 60_000;

/**
 * Owns a thread: takes the next messages, submits them, folds what Letta says, shows it, ends the turn. Everything that
 * happens is a mail, and answers of Slack and Letta come back as other mails, so Stop works while an answer is pending.
 */
export class ThreadWorker {
  #key: ThreadKey;
  readonly #parts: WorkerParts;
  readonly #log: Log;
  readonly #onRetired: () => void;
  readonly #countAlongside: (workplace: string) => number;
  readonly #mailbox: Mailbox;
  readonly #state: ThreadState;
  readonly #link: ThreadLink;
  readonly #approvals: ThreadApprovals;
  readonly #silence: TurnSilence;
  readonly #lookup: TurnLookup;
  readonly #endings: TurnEndings;
  readonly #stopping: TurnStop;
  readonly #input: TurnInput;
  readonly #details: ThreadDetails;
  readonly #offers: ThreadOffers;
  readonly #settings: ThreadSettings;
  readonly #background: ThreadBackground;
  readonly #listener: ThreadListener;
  /** Handles the clicks, modals and commands of people. */
  readonly desk: ThreadDesk;

  #surface: TurnSurface | null = null;
  /** The turn that {@link #surface} shows, or will show once the turn is on disk. */
  #opened: TurnId | null = null;
  /** The turn whose first change of something was noted. */
  #changing: TurnId | null = null;
  /** Whether the process is about to end, so that no turn begins and messages wait on disk. */
  #draining = false;
  /** Whether the thread shows that its turn rests until the next start, so that no other live view is shown. */
  #paused = false;
  readonly #heldUp: HeldUpThread;
  #rest: Timer | null = null;

  /** @param alongside counts the other threads whose agent changes files in the same {@link workplace} */
  constructor(key: ThreadKey, parts: WorkerParts, onRetired: () => void, alongside: (workplace: string) => number) {
    const { clock, gateway, threads } = parts;
    this.#key = key;
    this.#parts = parts;
    this.#onRetired = onRetired;
    this.#countAlongside = alongside;
    const log = parts.log.child({ thread: key });
    this.#log = log;
    this.#state = new ThreadState(key, { threads, clock, log, policies: parts.policies });
    const advance = () => this.#advance();
    const onEmpty = () => this.#show();
    const mailbox = new Mailbox({ clock, log, changes: this.#state, onEmpty, onFailed: advance });
    this.#mailbox = mailbox;
    this.#link = new ThreadLink({
      gateway,
      mailbox,
      log,
      onEvent: (event) => this.#listener.hear(event),
      onSettled: advance,
    });
    const state = this.#state;
    const door = new Door(parts);
    this.#approvals = new ThreadApprovals({
      ...parts,
      door,
      state,
      link: this.#link,
      mailbox,
      log,
      timeoutMs: parts.approvalTimeoutMs,
      advance,
      recheckCards: () => this.#surface?.recheckCards?.(),
    });
    this.#silence = new TurnSilence({
      clock,
      limitMs: parts.silenceMs ?? SILENCE_MS,
      counts: () => this.progress === 'working',
      ask: (notice) => mailbox.post(() => this.#askAfter(notice)),
      abort: (line) => mailbox.post(() => this.#giveUp(line)),
    });
    const turn = { state, link: this.#link, mailbox, log, turnsDieWithLink: parts.turnsDieWithLink };
    this.#lookup = new TurnLookup({
      ...turn,
      onVerdict: (verdict) => this.#listener.verdict(verdict),
    });
    this.#endings = new TurnEndings({ ...turn, silence: this.#silence, clock });
    const { botUser, surface } = parts;
    this.#stopping = new TurnStop({ ...turn, lookup: this.#lookup, surface, botUser, advance });
    this.#input = new TurnInput({
      ...parts,
      ...turn,
      door,
      lookup: this.#lookup,
      draining: () => this.#draining,
      advance,
      mayBegin: async (turn) => (await door.judgeAgain(this.key, authorOf(turn), { do: 'speak' })).verdict,
      onNotAllowed: (turn, verdict) => this.#notAllowed(turn, verdict),
      onRefused: (notice) => this.#fail(notice, { offer: 'send_again', certain: true }),
    });
    this.#details = new ThreadDetails({ ...parts, state, log });
    this.#offers = new ThreadOffers({ ...parts, state, mailbox, log, onShown: advance });
    this.#settings = new ThreadSettings({ ...turn, surface });
    this.#heldUp = new HeldUpThread({ state, mailbox, surface, botUser, log });
    this.#background = new ThreadBackground({ ...parts, ...turn, advance, turnIds: () => this.#turnIds() });
    const people = {
      approvals: this.#approvals,
      offers: this.#offers,
      settings: this.#settings,
      stopping: this.#stopping,
      background: this.#background,
    };
    this.#listener = new ThreadListener({
      ...turn,
      ...people,
      killSwitch: parts.killSwitch,
      silence: this.#silence,
      lookup: this.#lookup,
      endings: this.#endings,
      input: this.#input,
      turnIds: () => this.#turnIds(),
      openTurn: (opened) => this.#openTurn(opened),
      toolsChanged: () => this.#warnOfOthers(),
      advance,
      end: (how, leftover) => this.#end(how, leftover),
      fail: (line, leftover) => this.#fail(line, leftover),
      leave: () => this.#leave(),
      finish: (how, leftover) => this.#finish(how, leftover),
    });
    this.desk = new ThreadDesk({
      ...turn,
      ...people,
      details: this.#details,
      policies: parts.policies,
      surface,
      botUser,
      ask: (work) => this.#ask(work),
    });
  }

  get key(): ThreadKey {
    return this.#key;
  }

  /** Whether a running turn would die with its link, so that a move to another key must keep the link. */
  get mustKeepLink(): boolean {
    const { open } = this.#state;
    return (
      this.#parts.turnsDieWithLink && open?.state === 'submitted' && !this.#state.isEnding && this.#link.ready !== null
    );
  }

  /**
   * Moves the thread to another key, with its conversation and link. Resolves with `false`, and moves nothing, when the
   * turn is ending or there is no record to move.
   * @param move stores the thread under its new key; `null`: there was no record
   */
  moveTo(key: ThreadKey, move: () => Promise<ThreadRecord | null>): Promise<boolean> {
    const moved = this.#mailbox.alone(async () => {
      if (this.#state.isEnding) return false;
      // Posts on their way to Slack under the old key are stored before the record moves.
      await this.#mailbox.serve(this.#surface?.freeze?.() ?? Promise.resolve());
      this.#surface = null;
      const record = await move();
      if (!record) return false;
      this.#key = key;
      this.#state.moved(key, record);
      if (record.turn) this.#surface = this.#surfaceOf(record.turn, false);
      return true;
    });
    this.#mailbox.post(() => this.#advance());
    return moved;
  }

  /** Takes over the record of another key. @param move stores it under this key; `null`: there was no record */
  takeIn(move: () => Promise<ThreadRecord | null>): Promise<void> {
    const moved = this.#mailbox.alone(async () => {
      const record = await move();
      if (record) this.#state.take(record);
    });
    this.#mailbox.post(() => this.#advance());
    return moved;
  }

  /**
   * Stores a message, or a change of one, and then advances the thread. Resolves with the stored record; rejects when
   * the disk fails, so that the caller can try again.
   */
  store(change: (record: ThreadRecord | null) => ThreadRecord | null): Promise<ThreadRecord | null> {
    const queued = this.waiting;
    const stored = this.#mailbox.ask(() => this.#state.write(change), { hurries: true });
    this.#mailbox.post(() => {
      if (this.waiting !== queued) this.#state.isViewOutdated = true;
      return this.#advance();
    });
    return stored.then(() => this.#state.record);
  }

  /** Does what is due: something outside the thread may have changed, or the process has just started. */
  wake(): void {
    this.#mailbox.post(() => this.#advance());
  }

  /** Whose the open turn is, or else the first background task; for commands from outside the thread. */
  get requester(): UserId | null {
    return this.#state.open?.requester ?? this.#background.tasks[0]?.for ?? null;
  }

  /** How many subagents, commands and monitors run in the background. */
  get inBackground(): number {
    return this.#background.tasks.length;
  }

  /** The device and directory in which the agent changes something now; `null` while it does not, or only reads. */
  get workplace(): string | null {
    const { record, turn } = this.#state;
    const { workingDirectory } = this.#link;
    if (workingDirectory === null || this.progress !== 'working' || !hasChanged(turn)) return null;
    return `${record?.runtime?.deviceId ?? ''} ${workingDirectory}`;
  }

  /** Whose turn or background tasks run, and whose messages wait; of a turn held up by Slack only the tasks count. */
  get wanted(): UserId[] {
    const { record } = this.#state;
    if (this.#state.end?.isHeldUp) return this.#background.tasks.map((task) => task.for);
    const users = [
      ...(record?.turn ? [record.turn.requester] : []),
      ...(record?.inbox ?? []).map(({ user }) => user),
      ...this.#background.tasks.map((task) => task.for),
    ];
    return [...new Set(users)];
  }

  /** How many messages wait for their turn. */
  get waiting(): number {
    return this.#state.record?.inbox.length ?? 0;
  }

  /** Approvals and questions that wait for people. */
  get openApprovals(): number {
    return this.#state.record?.approvals.filter(({ state }) => state.state === 'open').length ?? 0;
  }

  /**
   * What the open turn waits for: `working` the agent, `ending` the last view on its way to Slack, `held_up` Slack,
   * which refuses that view for now.
   */
  get progress(): 'none' | 'prepared' | 'working' | 'waiting_for_people' | 'waiting_for_letta' | 'ending' | 'held_up' {
    const turn = this.#state.open;
    if (!turn) return 'none';
    if (this.#state.isEnding) return this.#state.end?.isHeldUp ? 'held_up' : 'ending';
    if (turn.state === 'prepared') return 'prepared';
    if (!this.#link.ready) return 'waiting_for_letta';
    const asks = this.openApprovals > 0;
    return asks ? 'waiting_for_people' : 'working';
  }

  /** The open turn, or else what runs in the background, for a list of all threads; `null` when there is neither. */
  get overview(): ThreadOverview | null {
    const { record, open, place } = this.#state;
    const [task] = this.#background.tasks;
    if (record && !open && task) {
      const { address } = record;
      const { for: requester, since, what: question } = task;
      const stop = findBackgroundOffer(record)?.token ?? null;
      const shown = { address, place, requester, question, stop, page: this.#link.page };
      return { ...shown, doing: 'background', queued: this.waiting, since, asks: [] };
    }
    if (!record || !open) return null;
    const { progress } = this;
    const isAtEnd = progress === 'none' || progress === 'held_up';
    const doing = isAtEnd ? 'ending' : progress === 'prepared' ? 'waiting_for_letta' : progress;
    const asks = record.approvals.filter(({ state }) => state.state === 'open');
    const { address } = record;
    const { requester, startedAt: since } = open;
    const question = questionOf(open, this.#parts.botUser);
    const shown = { address, place, requester, question, stop: isAtEnd ? null : open.stopToken, page: this.#link.page };
    return { ...shown, doing, queued: this.waiting, since, asks };
  }

  /** From now on no turn begins or is sent; a submitted turn goes on. */
  drain(): void {
    this.#draining = true;
  }

  /**
   * Shows in the thread that its open turn rests until the next start, in place of the agent's activity. After that
   * only the turn's end is shown. Resolves when Slack has shown or refused it, or when no turn is open.
   */
  async pause(): Promise<void> {
    const { record, open } = this.#state;
    if (this.#paused || this.#state.isEnding || this.#mailbox.closed || !record || !open) return;
    this.#paused = true;
    const { live, ...view } = this.#state.view(record, open, this.#link, null);
    const queued = live?.queued ?? 0;
    await this.#surface?.pause?.({ ...view, live: { activity: { kind: 'paused' }, stop: null, queued } });
  }

  /** Cancels timers and closes the link; the next worker goes on from the record. Closing twice is fine. */
  close(): void {
    if (this.#mailbox.closed) return;
    this.#mailbox.close();
    this.#state.close();
    this.#rest?.cancel();
    this.#lookup.notDue();
    this.#silence.end();
    this.#stopping.end();
    this.#input.cancel();
    this.#approvals.end();
    this.#background.forget();
    this.#link.disconnect();
  }

  /** Closes; resolves when no Slack call of the open turn is running any more and its posts are stored. */
  async leave(): Promise<void> {
    this.close();
    await this.#surface?.freeze?.();
  }

  // ---- what is due -----------------------------------------------------------------------------

  #ask<T>(work: () => T | Promise<T>): Promise<T> {
    const answer = this.#mailbox.ask(work, { hurries: true });
    this.#mailbox.post(() => this.#advance());
    return answer;
  }

  /** Does whatever is due next; called at the end of every mail that may have changed that. */
  #advance(): void {
    const { killSwitch } = this.#parts;
    if (killSwitch.paused) this.#offers.paused(killSwitch.paused.at);
    if (this.#mailbox.closed || this.#state.isEnding) return;
    const state = this.#state;
    this.#rest?.cancel();
    this.#rest = null;
    if (!state.record) {
      this.#restLater();
      return;
    }
    this.#offers.begin(state.record);
    this.#approvals.resume();
    if (!killSwitch.paused) this.#offers.resumed();
    const resumed = state.open !== null;
    const { paused } = killSwitch;
    const ends = this.#background.isDue && this.#background.advance(paused?.by ?? null, !this.#draining);
    this.#offers.show();
    if (!resumed && !ends && state.record.inbox.length > 0 && !this.#draining && !paused) {
      const ids = this.#turnIds();
      state.change((record) => lapseContinueOffers(beginTurn(record, ids, clientMessageIdOf), ids.now));
      this.#offers.show();
    }
    const turn = state.open;
    if (turn && this.#opened !== turn.id) this.#openTurn(turn, resumed);
    if (turn && paused && !turn.stoppedBy && !turn.ends) {
      this.#stopping.stop(paused.by);
      this.#advance();
      return;
    }
    if (!turn) {
      needsLetta(state.record) || this.#settings.unconfirmed ? this.#settings.connect(state.record) : this.#restLater();
      return;
    }
    if (turn.stoppedBy && turn.state === 'prepared') {
      this.#end(this.#endings.now());
      return;
    }
    if (turn.items.length === 0 && !turn.ends && turn.state === 'prepared') {
      this.#end(this.#endings.endingWithoutMessages());
      return;
    }
    this.#settings.connect(state.record);
    if (turn.state === 'prepared') this.#input.send(turn);
  }

  #restLater(): void {
    this.#rest = this.#mailbox.later(this.#link.isDialled ? REST_AFTER_MS : 0, () => {
      if (this.#state.record && isActive(this.#state.record)) return;
      // A mail waits, and a closed thread would refuse it.
      if (!this.#mailbox.empty) return this.#restLater();
      this.close();
      this.#onRetired();
    });
  }

  // ---- a turn ----------------------------------------------------------------------------------

  #turnIds() {
    const { random } = this.#parts;
    return { id: makeTurnId(random.id().slice(0, 12)), stopToken: makeToken(random.id()), now: this.#now() };
  }

  #surfaceOf(turn: OpenTurn, resumed: boolean): TurnSurface {
    return this.#parts.surface.openTurn({
      turn: turn.id,
      address: this.#state.address,
      posts: turn.posts,
      resumed,
      onPosts: (posts) =>
        this.#posted((record) => (record.turn?.id === turn.id ? changeTurn(record, { posts }) : record)),
      onText: () => this.#state.keepSaid(turn.id, (work) => this.#mailbox.posted(work)),
      onCardRefused: (reason, cards) => this.#mailbox.post(() => this.#approvals.notShown(turn.id, reason, cards)),
      onHeldUp: (held) => this.#mailbox.post(() => this.#onHeldUp(turn.id, held)),
    });
  }

  #posted(change: (record: ThreadRecord) => ThreadRecord): Promise<void> {
    return this.#mailbox.posted(() => this.#state.change(change));
  }

  #openTurn(turn: OpenTurn, resumed = false): void {
    this.#state.begin(resumed && turn.state === 'submitted');
    this.#lookup.begin();
    this.#opened = turn.id;
    this.#mailbox.after(() => {
      // A closed thread would never end the view that it begins to show.
      if (!this.#mailbox.closed) this.#surface = this.#surfaceOf(turn, resumed);
    });
    if (resumed && turn.state === 'submitted') {
      // Until Letta answers, we cannot say whether the agent still works.
      this.#state.hold = {
        kind: 'waiting_for_letta',
        notice: 'I restarted and am asking how far the agent is.',
      };
    }
    this.#log.info({ turn: turn.id, origin: turn.origin, messages: turn.items.length }, 'turn opened');
    this.#silence.begin();
    this.#state.isViewOutdated = true;
  }

  #show(): void {
    const { record, open, isViewOutdated } = this.#state;
    if (!isViewOutdated || this.#state.isEnding || this.#paused || !record || !open) return;
    this.#state.isViewOutdated = false;
    this.#surface?.show(this.#state.view(record, open, this.#link, null));
  }

  /** With the thread's first change of something: says, once, that other threads change things in the same directory. */
  #warnOfOthers(): void {
    const { open, record } = this.#state;
    const { workplace } = this;
    if (!open || !record || record.warned || this.#changing === open.id || workplace === null) return;
    this.#changing = open.id;
    const alongside = this.#countAlongside(workplace);
    if (alongside === 0) return;
    this.#state.change((now) => ({ ...changeTurn(now, { alongside }), warned: true }));
    this.#state.isViewOutdated = true;
  }

  #fail(says: string, leftover: Leftover | null): void {
    if (this.#state.open) this.#end(this.#endings.failed(says, leftover), leftover);
  }

  /** Ends the turn: its last view goes to Slack, and the record keeps the turn until Slack has shown or refused it. */
  #end(ending: Ending, leftover: Leftover | null = null): void {
    if (!this.#state.open || this.#state.isEnding) return;
    this.#leave();
    this.#finish(ending, leftover);
  }

  /** Closes the turn to further events: from here on they belong to the next turn and are held. */
  #leave(): void {
    this.#state.end = { view: null, isHeldUp: false };
    this.#silence.end();
    this.#lookup.end();
    this.#stopping.end();
    this.#input.cancel();
  }

  /** @param leftover what the turn leaves to decide: stored with its end, and shown in its last message */
  #finish(how: Ending, leftover: Leftover | null): void {
    const turn = this.#state.open;
    if (!turn) return;
    const before = this.#state.record;
    const after = this.#parts.notifyAfterMs?.(turn.requester) ?? NOTIFY_AFTER_MS;
    const ending = this.#details.complete(before ? addNotify(how, before, this.#now(), after) : how);
    const { input } = this.#state.turn;
    const ended = { ended: ending, ...this.#state.said };
    const known = turn.clientMessageId === null && input !== null ? { ...ended, input } : ended;
    const offer = this.#offers.atEnd(leftover);
    this.#state.change((record) =>
      this.#details.note(changeTurn(closeApprovals(offer(record), turn.id, 'turn_over', this.#now()), known)),
    );
    this.#mailbox.after(() => this.#showEnd(turn, ending, before));
  }

  #showEnd(turn: OpenTurn, ending: Ending, before: ThreadRecord | null): void {
    const { record } = this.#state;
    const surface = this.#surface;
    if (!record || !surface) return;
    this.#log.info({ turn: turn.id, outcome: ending.outcome, durationMs: ending.durationMs }, 'turn ended');
    this.#link.settle();
    const view = this.#state.view(record, record.turn ?? turn, this.#link, ending);
    if (this.#state.end) this.#state.end = { ...this.#state.end, view };
    this.#mailbox.away(
      () => this.#details.keep(before).then(() => surface.finish(view, turn.startedAt + ending.durationMs)),
      (delivery) => this.#finished(delivery),
      (error) => {
        this.#log.error({ turn: turn.id, err: error }, 'could not deliver the answer');
        // The surface has closed, so the next start shows the end that is on disk.
        return asBridgeError(error).retry ? undefined : this.#finished({ delivered: true });
      },
    );
  }

  /** Slack does not let us write in the thread, so the turn's end or a card of it waits, and people are told by DM. */
  #onHeldUp(id: TurnId, { what, reason }: HeldUp): void {
    const turn = this.#state.open;
    if (turn?.id !== id) return;
    this.#log.warn({ turn: id, what, reason }, 'Slack does not let the bot write in the thread');
    if (what === 'card') this.#heldUp.card(turn, reason);
    const { end } = this.#state;
    if (what !== 'end' || !end?.view) return;
    this.#state.end = { ...end, isHeldUp: true };
    // Messages queued behind it may be too old to run without asking when Slack lets us write again.
    this.#offers.paused(this.#now());
    this.#heldUp.end(turn, reason, end.view);
  }

  #finished(delivery: Delivery): void {
    this.#listener.turnOver();
    const { open: turn, end } = this.#state;
    const afterTurn = this.#offers.afterTurn(end?.view ?? null, delivery);
    let dropped: readonly InboxItem[] = [];
    this.#state.change((record) => {
      const next = afterTurn(record);
      if (delivery.delivered) return next;
      // The thread cannot be written to, so messages that could not be answered do not run.
      dropped = next.inbox;
      return { ...next, inbox: [] };
    });
    if (delivery.delivered) this.#heldUp.over();
    else if (turn && end?.view) {
      const { reason } = delivery;
      this.#log.warn({ turn: turn.id, reason, dropped: dropped.length }, 'could not deliver the answer');
      this.#heldUp.givenUp(turn, reason, end.view, dropped);
    }
    this.#state.end = null;
    this.#surface = null;
    this.#opened = null;
    this.#state.turn = emptyTurn;
    this.#state.hold = null;
    this.#approvals.forget();
    this.#listener.release();
    this.#advance();
  }

  #notAllowed(turn: OpenTurn, { reason, notice }: Verdict & { allowed: false }): void {
    this.#log.warn(
      { turn: turn.id, user: turn.requester, reason },
      'a turn did not start: its author may no longer use the agent',
    );
    const [first] = turn.items;
    if (first && !first.bot) {
      const text = `I won’t run your queued message. ${notice}`;
      this.#mailbox.away(
        () => this.#parts.surface.whisper(this.#state.address, turn.requester, text),
        () => undefined,
        (error) => this.#log.warn({ err: error }, 'could not show a private notice'),
      );
    }
    this.#end(this.#endings.notAllowed());
  }

  // ---- silence ---------------------------------------------------------------------------------

  #askAfter(notice: string): void {
    if (this.progress !== 'working') return;
    this.#state.hold = { kind: 'waiting_for_letta', notice };
    this.#state.isViewOutdated = true;
    this.#log.warn({ turn: this.#state.open?.id }, 'a turn is silent');
    const connection = this.#link.ready;
    if (!connection) return;
    this.#mailbox.away(
      () => connection.settle(),
      () => undefined,
      (error) => this.#log.warn({ err: error }, 'could not ask Letta about a silent turn'),
    );
  }

  #giveUp(line: string): void {
    const turn = this.#state.open;
    if (!turn || this.#state.isEnding) return;
    this.#log.warn({ turn: turn.id }, 'stopping a silent turn');
    this.#stopping.abort();
    this.#mailbox.later(STOP_OVERDUE_MS + END_OVERDUE_MS, () => {
      if (this.#state.open?.id !== turn.id || this.#state.isEnding) return undefined;
      // Letta did not react to the abort either, so only a new link can tell what the runtime does.
      const leftover = this.#endings.leftover();
      this.#link.disconnect();
      this.#offers.givenUp();
      return this.#fail(line, leftover);
    });
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}
