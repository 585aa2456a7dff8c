import { asBridgeError } from '../errors.ts';
import { can, type Place } from './access.ts';
import type { AgentEvent, ConnectionEvent } from './agent-event.ts';
import { ThreadApprovals } from './approvals/thread-approvals.ts';
import type { Typed } from './approvals/typing.ts';
import { HeldEvents } from './held-events.ts';
import type { HomeThread } from './home-view.ts';
import { makeToken, makeTurnId, type ThreadKey, type UserId } from './ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundSubmission,
  refused,
  type SubmissionOutcome,
} from './inbound.ts';
import { beginAgentTurn, beginTurn, changeTurn, closeApprovals } from './inbox.ts';
import type { KillSwitch } from './kill-switch.ts';
import { Mailbox } from './mailbox.ts';
import { withNotice } from './notify.ts';
import { inputId, wentOn } from './offers.ts';
import { lettaMode, type PlaceSettings, type PolicyBook, settingsOf } from './policy.ts';
import type {
  AgentGateway,
  Audit,
  Clock,
  DetailsStore,
  Log,
  People,
  Person,
  Random,
  Surface,
  Threads,
  Timer,
  TurnSurface,
} from './ports.ts';
import { ThreadDetails } from './thread-details.ts';
import { ThreadLink } from './thread-link.ts';
import { isOfferAction, type Leftover, ThreadOffers } from './thread-offers.ts';
import type { ApprovalRecord, InboxItem, OpenTurn, ThreadRecord } from './thread-record.ts';
import { isActive, needsLetta } from './thread-record.ts';
import { ThreadState } from './thread-state.ts';
import { queueText, statusText } from './thread-status.ts';
import { emptyTurn, foldTurn } from './turn.ts';
import { TurnEndings } from './turn-endings.ts';
import { TurnInput } from './turn-input.ts';
import { END_OVERDUE_MS, TurnLookup, type Verdict } from './turn-lookup.ts';
import { afterReconnect } from './turn-recovery.ts';
import { TurnSilence } from './turn-silence.ts';
import { STOP_OVERDUE_MS, TurnStop } from './turn-stop.ts';
import { asCode, type Ending } from './turn-view.ts';

export interface WorkerParts {
  threads: Threads;
  gateway: AgentGateway;
  surface: Surface;
  people: People;
  clock: Clock;
  random: Random;
  log: Log;
  policies: PolicyBook;
  killSwitch: KillSwitch;
  audit: Audit;
  /** ms after which a request that nobody decided is denied; left out: never. */
  approvalTimeoutMs?: number | undefined;
  botUser: UserId;
  /** App Server: a turn does not outlive its socket (PROTOCOL.md 12). */
  turnsDieWithLink: boolean;
  /** How long a running turn may say nothing, in ms; default 30 minutes. */
  silenceMs?: number;
  /** ms that a message may wait for an unreachable device and still be run unasked; left out: for ever. */
  staleAfterMs?: number | undefined;
  /** How long after its requester was last seen the end of a turn is a message of its own, in ms; default 2 minutes, 0: never. */
  notifyAfterMs?: number | undefined;
  /** Where it is kept what finished turns did; left out: nowhere. */
  details?: DetailsStore | undefined;
  /** Told of each thread that a start takes up. */
  onTakenUp?: ((key: ThreadKey) => void) | undefined;
}

export interface ThreadOverview extends HomeThread {
  place: Place;
  requester: UserId;
  /** Requests that wait for people. */
  asks: readonly ApprovalRecord[];
}

/** How long a quiet thread keeps its link to Letta. */
const REST_AFTER_MS = 5 * 60_000;
const NOTIFY_AFTER_MS = 2 * 60_000;
const SILENCE_MS = 30 * 60_000;
/** A fresh link tells of background tasks soon after it is ready, or not at all when there are none. */
const BACKGROUND_TOLD_MS = 5_000;

/**
 * Owns a thread: takes the next messages, submits them, folds what Letta says, shows it, finishes. Everything that
 * happens is a mail; what Slack and Letta answer comes back as another mail, so Stop works whatever is being waited for.
 */
export class ThreadWorker {
  readonly key: ThreadKey;
  readonly #parts: WorkerParts;
  readonly #log: Log;
  readonly #onRetired: () => void;
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

  #surface: TurnSurface | null = null;
  /** The turn is over, its last view on its way to Slack: the events of the next one wait. */
  #ending = false;
  readonly #held = new HeldEvents();
  #backgroundTold = false;
  /** The process is about to end: what has not begun waits on disk. */
  #draining = false;
  /** Whether a part of this turn may have gone by unheard: then its end asks the history. */
  #gap = false;
  /** The replay that was held against the history already. */
  #judged: (ConnectionEvent & { type: 'ready' }) | null = null;
  /** What the turn that is ending leaves for people to decide. */
  #leftover: Leftover | null = null;
  #rest: Timer | null = null;
  /** Who has changed the settings of the channel: the thread is told once Letta has confirmed them. */
  #toConfirm: UserId | null = null;

  /** @param alongside how many other threads are at work in a place, as {@link workplace} names it */
  constructor(key: ThreadKey, parts: WorkerParts, onRetired: () => void, alongside: (workplace: string) => number) {
    const { clock, gateway, threads } = parts;
    this.key = key;
    this.#parts = parts;
    this.#onRetired = onRetired;
    const log = parts.log.child({ thread: key });
    this.#log = log;
    this.#state = new ThreadState(key, { threads, clock, log, policies: parts.policies });
    const advance = () => this.#advance();
    const mailbox = new Mailbox({ clock, log, onEmpty: () => this.#show(), onFailed: advance });
    this.#mailbox = mailbox;
    this.#link = new ThreadLink({
      gateway,
      mailbox,
      log,
      onEvent: (event) => this.#onEvent(event),
      onSettled: advance,
    });
    const state = this.#state;
    this.#approvals = new ThreadApprovals({
      ...parts,
      state,
      link: this.#link,
      mailbox,
      log,
      timeoutMs: parts.approvalTimeoutMs,
      advance,
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
      ending: () => this.#ending,
      onVerdict: (verdict) => this.#onVerdict(verdict),
    });
    this.#endings = new TurnEndings({ ...turn, silence: this.#silence, clock });
    const { botUser, surface } = parts;
    this.#stopping = new TurnStop({ ...turn, lookup: this.#lookup, surface, botUser, advance });
    this.#input = new TurnInput({
      ...parts,
      ...turn,
      lookup: this.#lookup,
      draining: () => this.#draining,
      ending: () => this.#ending,
      alongside: () => {
        const workplace = this.workplace;
        return workplace === null ? 0 : alongside(workplace);
      },
      advance,
      onRefused: (notice) => this.#fail(notice, { offer: 'send_again', certain: true }),
    });
    this.#details = new ThreadDetails({ ...parts, state, log });
    this.#offers = new ThreadOffers({ ...parts, state, mailbox, log, onShown: advance });
  }

  /** Something changed on disk: a message arrived, or the process has just started. */
  wake(record: ThreadRecord | null): void {
    this.#mailbox.post(() => {
      const queued = this.waiting;
      this.#state.take(record);
      if (this.waiting !== queued) this.#state.dirty = true;
      return this.#advance();
    });
  }

  /** A click, by somebody who may write here. Resolves when its effect is on disk. */
  act(action: InboundAction, person: Person): Promise<ActionOutcome> {
    const { name } = action;
    return this.#ask(async () => {
      if (name === 'deny_with_this') return this.#approvals.denyWithMessage(action, person);
      if (isOfferAction(name)) return this.#offers.act({ ...action, name }, person);
      if (name === 'details') return this.#details.act(action, person);
      if (name !== 'stop') return this.#approvals.act({ ...action, name }, person);
      if (this.#state.open?.stopToken !== action.token) return refused('expired', 'That turn is over.');
      const verdict = can(this.#parts.policies.current(), person, { do: 'stop' }, this.#state.place);
      if (!verdict.allowed) return refused('not_allowed', verdict.notice);
      if (!this.#ending) await this.#stopping.stop(person.id);
      return { result: 'decided' };
    });
  }

  /** What somebody writes while a request waits for them, before it is stored. */
  typed(item: Pick<InboxItem, 'key' | 'spans'>, person: Person): Promise<Typed> {
    return this.#ask(() => this.#approvals.typed(item, person));
  }

  /** The same once it is stored: what do they mean by it? */
  askAbout(item: Pick<InboxItem, 'key'>, person: Person): Promise<void> {
    return this.#ask(() => this.#approvals.askAbout(item, person));
  }

  /** `!approve` and `!deny`. Resolves with a line for the one who asked. */
  decideByCommand(verb: 'approve' | 'deny', args: string, person: Person): Promise<string> {
    return this.#ask(() => this.#approvals.byCommand(verb, args, person));
  }

  /** A submitted modal. Resolves when its effect is on disk. */
  submission(submission: InboundSubmission, person: Person): Promise<SubmissionOutcome> {
    return this.#ask(() => this.#approvals.submission(submission, person));
  }

  /** Stops the running turn and drops what waits. Resolves with a line for the one who asked. */
  stop(by: UserId): Promise<string> {
    return this.#ask(async () => {
      if (!this.#state.open) return 'Nothing is running here.';
      if (!this.#ending) await this.#stopping.stop(by);
      return 'Stopping.';
    });
  }

  /** The next message starts another conversation. Resolves with a line for the one who asked. */
  startOver(): Promise<string> {
    return this.#ask(async () => {
      const { record } = this.#state;
      if (record?.turn || record?.inbox.length) return 'The agent is at work here. Stop it first.';
      await this.#state.update((now) => ({ ...now, runtime: null, background: false }));
      this.#link.disconnect();
      return 'The next message here starts another conversation.';
    });
  }

  /** The channel's settings have changed. Resolves with a line for the one who changed them. */
  settingsChanged(by: UserId): Promise<string> {
    return this.#ask(async () => {
      if (!this.#state.record?.runtime) return 'The conversation here begins with that.';
      this.#toConfirm = by;
      return this.#state.open
        ? 'It holds here once the running turn has ended.'
        : 'The thread says so once Letta has confirmed it.';
    });
  }

  /** In a muted thread only those are answered who mention the bot. Resolves with a line for the one who asked. */
  mute(muted: boolean): Promise<string> {
    return this.#ask(async () => {
      if (!this.#state.record) return 'No conversation here yet.';
      if (this.#state.direct) return 'In direct messages everything is for the agent.';
      await this.#state.update((now) => ({ ...now, muted }));
      return muted ? 'Muted: here the agent answers only those who mention it.' : 'Plain replies count again.';
    });
  }

  /** What waits for its turn. Markdown for people. */
  queue(): Promise<string> {
    return this.#ask(async () => queueText(this.#state.record?.inbox ?? [], this.#parts.botUser));
  }

  /** Markdown for people. */
  status(): Promise<string> {
    return this.#ask(async () => statusText(this.#state, this.#link, this.#settings.permissions));
  }

  /** Who the running turn belongs to, for commands that come from outside the thread. */
  get requester(): UserId | null {
    return this.#state.open?.requester ?? null;
  }

  /** The directory that the agent is at work in, on its device; `null` while it is not, or nobody knows where. */
  get workplace(): string | null {
    const { open, record } = this.#state;
    const { workingDirectory } = this.#link;
    const working = open !== null && !this.#ending && (open.state === 'submitted' || this.#input.sending);
    return working && workingDirectory !== null ? `${record?.runtime?.deviceId ?? ''} ${workingDirectory}` : null;
  }

  /** Whose turn runs, and whose messages wait. */
  get wanted(): UserId[] {
    const { record } = this.#state;
    const users = [...(record?.turn ? [record.turn.requester] : []), ...(record?.inbox ?? []).map(({ user }) => user)];
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

  /** What the open turn is at: `working` is the agent's to go on with, `ending` its last words are on their way. */
  get progress(): 'none' | 'prepared' | 'working' | 'waiting_for_people' | 'waiting_for_letta' | 'ending' {
    const turn = this.#state.open;
    if (!turn) return 'none';
    if (this.#ending) return 'ending';
    if (turn.state === 'prepared') return 'prepared';
    if (!this.#link.ready) return 'waiting_for_letta';
    const asks = this.openApprovals > 0;
    return asks ? 'waiting_for_people' : 'working';
  }

  /** The open turn for somebody who looks at all threads; `null` while there is none. */
  get overview(): ThreadOverview | null {
    const { record, open, place } = this.#state;
    if (!record || !open) return null;
    const { progress } = this;
    const doing = progress === 'none' ? 'ending' : progress === 'prepared' ? 'waiting_for_letta' : progress;
    const asks = record.approvals.filter(({ state }) => state.state === 'open');
    const { address } = record;
    return { address, place, requester: open.requester, doing, queued: this.waiting, since: open.startedAt, asks };
  }

  /** From now on nothing begins here; what runs goes on. */
  drain(): void {
    this.#draining = true;
  }

  /** Lets go of timers and the link; what is on disk is enough to go on. Closing twice is fine. */
  close(): void {
    if (this.#mailbox.closed) return;
    this.#mailbox.close();
    this.#state.close();
    this.#rest?.cancel();
    this.#lookup.notDue();
    this.#silence.end();
    this.#approvals.end();
    this.#link.disconnect();
  }

  /** Closes, and resolves when nothing is under way to Slack any more. */
  async leave(): Promise<void> {
    this.close();
    await this.#surface?.leave?.();
  }

  // ---- what is due -----------------------------------------------------------------------------

  #ask<T>(work: () => Promise<T>): Promise<T> {
    const answer = this.#mailbox.ask(async () => {
      await this.#state.load();
      return work();
    });
    this.#mailbox.post(() => this.#advance());
    return answer;
  }

  /** Does whatever is due next; every mail that may have changed something ends here. */
  async #advance(): Promise<void> {
    if (this.#mailbox.closed || this.#ending) return;
    const state = this.#state;
    await state.load();
    this.#rest?.cancel();
    this.#rest = null;
    if (!state.record) return this.#restLater();
    this.#offers.begin(state.record);
    this.#approvals.resume();
    await this.#offers.show();
    const resumed = state.open !== null;
    const { paused } = this.#parts.killSwitch;
    if (!resumed && state.record.inbox.length > 0 && !this.#draining && !paused) {
      const ids = this.#turnIds();
      await state.update((record) => wentOn(beginTurn(record, ids, inputId), ids.now));
      await this.#offers.show();
    }
    const turn = state.open;
    if (turn && !this.#surface) this.#openTurn(turn, resumed);
    if (turn && paused && !turn.stoppedBy) {
      await this.#stopping.stop(paused.by);
      return this.#advance();
    }
    if (!turn) return needsLetta(state.record) || this.#toConfirm ? this.#connect(state.record) : this.#restLater();
    if (turn.stoppedBy && turn.state === 'prepared') return this.#end(this.#endings.now());
    if (turn.items.length === 0 && turn.state === 'prepared') return this.#end(this.#endings.emptied());
    this.#connect(state.record);
    if (turn.state === 'prepared') this.#input.send(turn);
  }

  #connect({ runtime, turn }: ThreadRecord): void {
    const { permissions, binding } = this.#settings;
    const options = { runtime, mode: lettaMode(permissions), binding };
    // What was set meanwhile holds from here on; a turn that runs goes on as it was begun.
    if (turn?.state !== 'submitted' && this.#link.differs(options)) this.#link.disconnect();
    this.#link.connect(options);
    // Guarded and strict are one mode to Letta: then nothing is dialled anew, and it holds already.
    if (this.#link.ready && turn?.state !== 'submitted') this.#confirm();
  }

  get #settings(): PlaceSettings {
    return settingsOf(this.#parts.policies.current(), this.#state.address.channel);
  }

  #restLater(): void {
    this.#rest = this.#mailbox.later(REST_AFTER_MS, () => {
      if (this.#state.record && isActive(this.#state.record)) return;
      // Somebody has just asked something: a closed thread could not answer.
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

  #openTurn(turn: OpenTurn, resumed = false): void {
    this.#state.turn = this.#state.settings.showReasoning ? { ...emptyTurn, thoughts: [] } : emptyTurn;
    this.#lookup.begin();
    this.#surface = this.#parts.surface.turn({
      turn: turn.id,
      address: this.#state.address,
      posts: turn.posts,
      resumed,
      // Not a mail: what Slack has is stored even while the thread closes.
      onPosts: (posts) =>
        this.#state.update((record) => (record.turn?.id === turn.id ? changeTurn(record, { posts }) : record)),
      onCardRefused: (reason) => this.#mailbox.post(() => this.#approvals.notShown(turn.id, reason)),
    });
    if (resumed && turn.state === 'submitted') {
      // Nobody knows yet whether anything still works.
      this.#state.hold = {
        kind: 'waiting_for_letta',
        notice: 'The bridge has started anew and asks how things stand.',
      };
    }
    this.#log.info({ turn: turn.id, origin: turn.origin, messages: turn.items.length }, 'turn opened');
    this.#silence.begin();
    this.#state.dirty = true;
  }

  #show(): void {
    const { record, open, dirty } = this.#state;
    if (!dirty || this.#ending || !record || !open) return;
    this.#state.dirty = false;
    this.#surface?.show(this.#state.view(record, open, this.#link, null));
  }

  async #fail(line: string, leftover: Leftover | null): Promise<void> {
    if (this.#state.open) await this.#end(this.#endings.failed(line), leftover);
  }

  /** The last view goes to Slack; only when Slack has all of it the turn leaves the disk. */
  async #end(ending: Ending, leftover: Leftover | null = null): Promise<void> {
    if (!this.#state.open || this.#ending) return;
    this.#leftover = leftover;
    this.#leave();
    await this.#finish(ending);
  }

  /** From here on nothing belongs to the turn any more: the events of the next one wait. */
  #leave(): void {
    this.#ending = true;
    this.#silence.end();
    this.#lookup.end();
  }

  async #finish(how: Ending): Promise<void> {
    const turn = this.#state.open;
    if (!turn) return;
    const before = this.#state.record;
    const after = this.#parts.notifyAfterMs ?? NOTIFY_AFTER_MS;
    const ending = this.#details.complete(before ? withNotice(how, before, this.#now(), after) : how);
    await this.#state.insist((record) =>
      this.#details.note(changeTurn(closeApprovals(record, turn.id, 'turn_over', this.#now()), { ended: ending })),
    );
    await this.#details.keep(before);
    // As it is on disk: a Stop that seemed to fail may have left there what it dropped.
    const { record } = this.#state;
    if (!record || !this.#surface) return;
    this.#log.info({ turn: turn.id, outcome: ending.outcome, durationMs: ending.durationMs }, 'turn ended');
    this.#link.settle();
    this.#mailbox.away(
      this.#surface.finish(this.#state.view(record, record.turn ?? turn, this.#link, ending)),
      (delivery) => {
        if (!delivery.delivered) {
          this.#log.warn({ turn: turn.id, reason: delivery.reason }, 'the answer could not be delivered');
        }
        return this.#finished();
      },
      (error) => {
        this.#log.error({ turn: turn.id, err: error }, 'the answer could not be delivered');
        // The surface has closed: what is on disk is taken up by the next start.
        return asBridgeError(error).retry ? undefined : this.#finished();
      },
    );
  }

  #isOf(turn: OpenTurn, event: AgentEvent): boolean {
    return 'runId' in event && event.runId !== null && this.#link.claims(turn, event.runId);
  }

  async #finished(): Promise<void> {
    const { open } = this.#state;
    // What was heard of the turn and held while the history told its end: there it was found already.
    if (open) this.#held.forgetThrough((event) => this.#lookup.knows(event) || this.#isOf(open, event));
    await this.#state.insist(this.#offers.afterTurn(this.#leftover));
    this.#leftover = null;
    this.#ending = false;
    this.#gap = false;
    this.#surface = null;
    this.#state.turn = emptyTurn;
    this.#state.hold = null;
    this.#approvals.forget();
    await this.#release();
    await this.#advance();
  }

  async #release(): Promise<void> {
    this.#lookup.listened();
    for (const event of this.#held.take()) {
      const waiting = event.type === 'ready' ? this.#takeUp(event) : this.#onAgentEvent(event);
      if (waiting) await waiting;
    }
  }

  // ---- silence ---------------------------------------------------------------------------------

  #askAfter(notice: string): void {
    if (this.progress !== 'working') return;
    this.#state.hold = { kind: 'waiting_for_letta', notice };
    this.#state.dirty = true;
    this.#log.warn({ turn: this.#state.open?.id }, 'a turn is silent');
    const connection = this.#link.ready;
    if (!connection) return;
    this.#mailbox.away(
      connection.settle(),
      () => undefined,
      (error) => this.#log.warn({ err: error }, 'a silent turn could not be asked after'),
    );
  }

  #giveUp(line: string): void {
    const turn = this.#state.open;
    if (!turn || this.#ending) return;
    this.#log.warn({ turn: turn.id }, 'a silent turn is stopped');
    this.#stopping.abort();
    this.#mailbox.later(STOP_OVERDUE_MS + END_OVERDUE_MS, () => {
      if (this.#state.open?.id !== turn.id || this.#ending) return undefined;
      // Not even Stop was heard: only a fresh link tells where the runtime is.
      const leftover = this.#endings.leftover();
      this.#link.disconnect();
      return this.#fail(line, leftover);
    });
  }

  // ---- what the link says ----------------------------------------------------------------------

  #onEvent(event: AgentEvent | ConnectionEvent): void | Promise<void> {
    if (this.#silence.heard(event) && this.#link.ready) {
      this.#state.hold = null;
      this.#state.dirty = true;
    }
    switch (event.type) {
      case 'ready':
        return this.#onReady(event);
      case 'lost':
        this.#link.lost();
        this.#held.linkLost();
        this.#lookup.forget();
        this.#offers.lost();
        this.#input.forget();
        this.#log.warn({ reason: event.reason }, 'link to Letta lost');
        return this.#wait('The connection to Letta was lost; reconnecting.');
      case 'unavailable':
        return this.#onUnavailable(event);
      default:
        return this.#onAgentEvent(event);
    }
  }

  #wait(notice: string, device?: string): void {
    if (!this.#state.open || this.#ending) return;
    this.#state.hold = { kind: 'waiting_for_letta', notice, ...(device !== undefined && { device }) };
    this.#state.dirty = true;
  }

  async #onUnavailable(event: ConnectionEvent & { type: 'unavailable' }): Promise<void> {
    this.#log.warn({ code: event.code, notice: event.notice, retryInMs: event.retryInMs }, 'Letta is unavailable');
    this.#link.lost();
    if (event.retryInMs !== null) {
      this.#offers.lost();
      return this.#wait(event.notice, event.device);
    }
    // No retry heals this: the turn ends visibly, and the next message tries afresh.
    const leftover = this.#endings.leftover();
    this.#link.disconnect();
    this.#offers.givenUp();
    await this.#onBackground(false);
    await this.#fail(event.notice, leftover);
  }

  async #onReady(event: ConnectionEvent & { type: 'ready' }): Promise<void> {
    this.#link.opened(event);
    this.#input.forget();
    this.#state.hold = null;
    this.#state.dirty = true;
    const { runtime } = event;
    const stored = this.#state.record?.runtime;
    const same =
      stored?.agentId === runtime.agentId &&
      stored.conversationId === runtime.conversationId &&
      stored.deviceId === runtime.deviceId;
    if (!same) await this.#state.insist((record) => ({ ...record, runtime }));
    this.#askBackground();
    this.#confirm();
    await this.#offers.reached();
    return this.#takeUp(event);
  }

  /** A link is ready only once Letta's mode is what was asked for (PROTOCOL.md 5.4). */
  #confirm(): void {
    const by = this.#toConfirm;
    const { permissions, binding } = this.#settings;
    if (by === null || this.#link.differs({ runtime: null, mode: lettaMode(permissions), binding })) return;
    this.#toConfirm = null;
    const directory = this.#link.workingDirectory;
    const where = directory === null ? '' : `, directory ${asCode(directory)}`;
    const text = `<@${by}> has set the permissions here to ${permissions}${where}; Letta has confirmed it.`;
    this.#mailbox.away(
      this.#parts.surface.say(this.#state.address, text),
      () => undefined,
      (error) => this.#log.warn({ err: error }, 'a notice could not be posted'),
    );
  }

  /** What the replay says, held against the turn that is open here. */
  async #takeUp(event: ConnectionEvent & { type: 'ready' }): Promise<void> {
    if (!this.#link.ready) return;
    if (this.#ending) return this.#held.pushReady(event);
    const before = this.#state.open;
    if (before?.state === 'submitted' && this.#judged !== event && this.#link.runsAnother(before)) {
      // The history tells what became of ours; what runs is taken up afterwards.
      this.#judged = event;
      this.#held.pushReady(event);
      return this.#lookup.look();
    }
    const now = { loop: this.#link.loop, approvals: event.approvals.length };
    const ours = this.#state.open?.state === 'submitted';
    if (!ours && (now.loop !== 'idle' || now.approvals > 0)) await this.#openAgentTurn();
    const turn = this.#state.open;
    if (turn?.state === 'submitted') {
      const open = event.approvals.map((request) => request.requestId);
      this.#state.turn = foldTurn(this.#state.turn, { type: 'approvals-open', requestIds: open });
      await this.#approvals.close(open, 'link_lost');
      for (const request of event.approvals) await this.#approvals.asked(request);
      if (afterReconnect(turn, now) === 'look') return this.#lookup.look();
      this.#gap = true;
      if (turn.stoppedBy) this.#stopping.abort();
    }
    await this.#release();
    await this.#advance();
  }

  /** A connection tells of background tasks when their number changes, and counts from none. */
  #askBackground(): void {
    this.#backgroundTold = false;
    const connection = this.#link.ready;
    this.#mailbox.later(BACKGROUND_TOLD_MS, () =>
      this.#backgroundTold || this.#link.ready !== connection ? undefined : this.#onBackground(false),
    );
  }

  // ---- a turn whose end was not seen -----------------------------------------------------------

  async #onVerdict(found: Verdict): Promise<void> {
    switch (found.verdict) {
      case 'over': {
        const ending = this.#endings.unseen(found.answered);
        return this.#end(ending, ending.outcome === 'interrupted' ? this.#endings.cutOff() : null);
      }
      case 'begins':
        this.#gap = true;
        return this.#release();
      case 'not_there_yet':
        return this.#release();
      case 'never_arrived':
        if (this.#state.open?.stoppedBy) return this.#end(this.#endings.unseen(false));
        this.#log.info({ turn: this.#state.open?.id }, 'the input never arrived; sending it again');
        await this.#state.insist((record) => changeTurn(record, { state: 'prepared' }));
        this.#link.unsubmitted();
        await this.#release();
        return this.#advance();
      case 'unreadable':
        return this.#end(this.#endings.unseen(false), this.#endings.leftover());
      default:
        return found satisfies never;
    }
  }

  // ---- what the agent says ---------------------------------------------------------------------

  #onAgentEvent(event: AgentEvent): void | Promise<void> {
    if (event.type === 'loop') return this.#onLoop(event);
    if (event.type === 'background') {
      this.#backgroundTold = true;
      return this.#onBackground(event.running > 0);
    }
    if (event.type === 'device') {
      this.#link.workingDirectory = event.workingDirectory;
      return undefined;
    }
    if (this.#ending || this.#lookup.looking) return this.#held.push(event);
    const turn = this.#state.open;
    if (turn?.state === 'submitted')
      return isOfRun(event) && this.#link.isForeign(turn, event.runId) ? undefined : this.#onTurnEvent(event);
    if (!startsTurn(event)) return undefined;
    return this.#openAgentTurn().then(() => this.#onTurnEvent(event));
  }

  async #openAgentTurn(): Promise<void> {
    const had = this.#state.open?.id;
    await this.#state.insist((record) => beginAgentTurn(record, this.#turnIds()));
    const turn = this.#state.open;
    if (turn && turn.id !== had) this.#openTurn(turn);
    this.#state.dirty = true;
    const { paused } = this.#parts.killSwitch;
    if (paused) await this.#stopping.stop(paused.by);
    // Told late, of a turn whose end went by unheard.
    if (this.#link.loop === 'idle') this.#lookup.expectEnd(END_OVERDUE_MS);
  }

  #onTurnEvent(event: AgentEvent): void | Promise<void> {
    if (event.type === 'approval-asked') return this.#approvals.asked(event.request);
    if (event.type === 'turn-ended') return this.#onTurnEnded(event);
    if (event.type === 'text' && this.#state.turn.parts.length === 0) this.#log.debug({}, 'the answer begins');
    const next = foldTurn(this.#state.turn, event);
    if (next !== this.#state.turn) {
      this.#state.turn = next;
      this.#state.dirty = true;
    }
    if (event.type !== 'approvals-open') return undefined;
    // A stop empties Letta's list before it ends the turn: nobody answered.
    const why = this.#state.open?.stoppedBy ? 'turn_over' : 'answered_elsewhere';
    return this.#approvals.close(event.requestIds, why);
  }

  #onTurnEnded(event: AgentEvent & { type: 'turn-ended' }): void | Promise<void> {
    const turn = this.#state.open;
    if (!turn) return undefined;
    const id = turn.clientMessageId;
    if (id !== null && event.runId !== null && !this.#link.claims(turn, event.runId)) {
      this.#log.info({ turn: turn.id, run: event.runId }, 'a turn of somebody else ended first');
      return undefined;
    }
    this.#keepForNext();
    this.#state.turn = foldTurn(this.#state.turn, event);
    const connection = this.#link.ready;
    if (!this.#gap || !connection) return this.#end(this.#endings.now());
    // What was said while nobody listened stands in the history only.
    this.#leave();
    this.#lookup.fillGap(connection, () => this.#finish(this.#endings.now()));
    return undefined;
  }

  /** An end that comes late, after a replay told of the next turn: what Letta waits for is the next one's. */
  #keepForNext(): void {
    if (!this.#gap || this.#link.loop !== 'waiting_on_approval') return;
    const { openApprovals, approvals } = this.#state.turn;
    const open = approvals.filter(({ requestId }) => openApprovals.includes(requestId));
    this.#held.putFirst(open.map((request) => ({ type: 'approval-asked', request })));
  }

  #onLoop(event: AgentEvent & { type: 'loop' }): void | Promise<void> {
    const was = this.#link.loop;
    this.#link.looped(event);
    const turn = this.#state.open;
    if (event.status !== 'idle') {
      this.#lookup.notDue();
      // It had begun, and another runs: its end went by unheard.
      if (turn?.clientMessageId && this.#link.knows(turn.clientMessageId) && this.#link.runsAnother(turn)) {
        return this.#lookup.looking ? undefined : this.#lookup.look();
      }
      // Stop came before Letta had begun: there was nothing to abort then.
      if (was === 'idle' && turn?.stoppedBy && turn.state === 'submitted' && !this.#ending) this.#stopping.abort();
      return undefined;
    }
    if (turn?.state !== 'submitted' || this.#ending) return this.#advance();
    if (was !== 'idle') this.#lookup.expectEnd(turn.stoppedBy ? STOP_OVERDUE_MS : END_OVERDUE_MS);
    return undefined;
  }

  async #onBackground(running: boolean): Promise<void> {
    if (!this.#state.record || this.#state.record.background === running) return;
    await this.#state.insist((record) => ({ ...record, background: running }));
    await this.#advance();
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}

/** Pieces of a run. Its end is judged where it is heard. */
function isOfRun(event: AgentEvent): event is AgentEvent & { runId: string } {
  return event.type !== 'turn-ended' && 'runId' in event && event.runId !== null;
}

/** Events that only a turn has. What trails behind an end (a terminal error, a status) starts nothing. */
function startsTurn(event: AgentEvent): boolean {
  switch (event.type) {
    case 'text':
    case 'reasoning':
    case 'tool-called':
    case 'tool-started':
    case 'approval-asked':
      return true;
    case 'user-message':
      return event.automatic;
    default:
      return false;
  }
}
