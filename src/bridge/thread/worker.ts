import { Door } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import type { StoredRuntime, ToolsetsSeen } from '../agent-event.ts';
import type { FileHandOver } from '../files/hand-over.ts';
import type { ChannelId, SlackTs, ThreadKey, UserId } from '../ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundSubmission,
  refused,
  type SubmissionOutcome,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type {
  AgentGateway,
  Audit,
  Clock,
  DetailsStore,
  Log,
  MessageAddress,
  People,
  Random,
  Recordings,
  Surface,
  Threads,
  UserGroups,
} from '../ports.ts';
import type { ChangeContext, InboxChange } from '../record/inbox-change.ts';
import type { Joining } from '../record/joined.ts';
import { tasksOf } from '../record/tasks.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { TOOL_NAMES } from '../tools/catalogue.ts';
import type { ToolHandlers } from '../tools/tool.ts';
import type { UsedTurn } from '../turn/steps.ts';
import { NO_DETAILS_LEFT } from '../words/thread.ts';
import type { ClickAnswer, Typed } from './core/clicks.ts';
import type { AskEvent, Command, ThreadEvent } from './core/events.ts';
import type { Stored } from './core/inbox.ts';
import { step } from './core/step.ts';
import { type Config, isOver, type Thread } from './core/thread.ts';
import {
  onlySaysMore,
  openRequests,
  overviewOf,
  type Progress,
  progressOf,
  type ThreadOverview,
  viewOf,
  wantedBy,
  workplaceOf,
} from './core/view.ts';
import type { Context } from './core/work.ts';
import { Mailbox } from './mailbox.ts';
import { Performer } from './perform/performer.ts';
import type { PastOptions } from './perform/read-past.ts';
import { StepRecorder } from './recorder.ts';
import { RefusedClicks } from './refused-clicks.ts';
import { ThreadState } from './state.ts';

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
  /** Told what each turn has used; left out: turns are not counted. */
  onTurnUsed?: ((used: UsedTurn) => void) | undefined;
  /** How the history of threads is read; left out: only replies that were delivered go along as context. */
  past?: PastOptions | undefined;
  /** Hands files of people to the agent; left out: none are fetched. */
  files?: FileHandOver | undefined;
  /** What the tools of the bridge do; left out: the agent has none. */
  tools?: ToolHandlers | undefined;
  /** Stores what finished turns did, for the Details button; left out: nothing is stored. */
  details?: DetailsStore | undefined;
  /** Records what happens to threads; left out: nothing is recorded. */
  recordings?: Recordings | undefined;
  /** Called for each thread with something open that the start of the process resumes. */
  onTakenUp?: ((key: ThreadKey) => void) | undefined;
  /** Called before a thread is stored in which nobody has written yet, so that what is missed there is looked for. */
  onJoining?: ((key: ThreadKey) => Promise<void>) | undefined;
}

/** What a thread has to do with all others. */
export interface Others {
  /** Counts the threads besides this one whose agent changes files in the same {@link ThreadWorker.workplace}. */
  countAlongside(workplace: string, but: ThreadWorker): number;
  /** How many schedules this person and this channel have, this thread included. */
  countSchedules(owner: UserId, channel: ChannelId): { user: number; channel: number; workspace: number };
  isScheduled(id: string): boolean;
  /** Lets the thread of a message that the agent posted elsewhere belong to the conversation of `home`. */
  join(home: ThreadKey, at: MessageAddress, requester: UserId): Promise<void>;
  /** Stores a thread with the conversation that it belongs to, unless it has one. */
  begin(root: SlackTs, joining: Joining): Promise<void>;
}

const NOTIFY_AFTER_MS = 2 * 60_000;
const SILENCE_MS = 30 * 60_000;

/**
 * The actor of a thread: hands what happens to {@link step}, one event after another, stores what that makes of the thread,
 * and then does what it wants done.
 */
export class ThreadWorker {
  readonly #parts: WorkerParts;
  readonly #config: Config;
  readonly #onRetired: () => void;
  readonly #others: Others;
  readonly #mailbox: Mailbox;
  readonly #state: ThreadState;
  readonly #performer: Performer;
  readonly #recorder: StepRecorder | null;
  /** Whether the process is about to end, so that no turn begins and messages wait on disk. */
  #draining = false;
  /** As it was shown last. */
  #shown: Thread | null = null;
  /** Whether the thread shows that its turn rests until the next start, so that no other live view is shown. */
  #paused = false;

  constructor(key: ThreadKey, parts: WorkerParts, onRetired: () => void, others: Others) {
    const { clock, threads } = parts;
    this.#parts = parts;
    this.#config = {
      botUser: parts.botUser,
      turnsDieWithLink: parts.turnsDieWithLink,
      silenceMs: parts.silenceMs ?? SILENCE_MS,
      approvalTimeoutMs: parts.approvalTimeoutMs ?? null,
      staleAfterMs: parts.staleAfterMs ?? null,
      keepsDetails: parts.details !== undefined,
      tools: TOOL_NAMES.filter((name) => parts.tools?.[name] !== undefined),
    };
    this.#onRetired = onRetired;
    this.#others = others;
    const log = parts.log.child({ thread: key });
    const recorder = parts.recordings ? new StepRecorder(parts.recordings, this.#config) : null;
    this.#recorder = recorder;
    const onStored = (record: ThreadRecord | null | undefined) => recorder?.addStored(this.#state.thread, record);
    const state = new ThreadState(key, { threads, clock, log, onStored });
    this.#state = state;
    const onFailed = () => void this.#handle({ type: 'wake' });
    const mailbox = new Mailbox({ clock, log, changes: state, onEmpty: () => this.#show(), onFailed });
    this.#mailbox = mailbox;
    this.#performer = new Performer({
      ...parts,
      join: (...given) => others.join(...given),
      begin: (...given) => others.begin(...given),
      door: new Door(parts),
      refused: new RefusedClicks(parts),
      log,
      mailbox,
      thread: () => state.thread,
      handle: (event) => void this.#handle(event),
      onRetired: () => {
        this.close();
        this.#onRetired();
      },
    });
  }

  get key(): ThreadKey {
    return this.#state.thread.key;
  }

  get toolsets(): ToolsetsSeen | null {
    return this.#state.thread.link.toolsets;
  }

  // ---- what is asked about the thread -----------------------------------------------------------

  /** Whether a running turn would die with its link, so that a move to another key must keep the link. */
  get mustKeepLink(): boolean {
    const { thread } = this.#state;
    const isRunning = thread.record?.turn?.state === 'submitted' && !isOver(thread);
    return this.#parts.turnsDieWithLink && isRunning && this.#upLink !== null;
  }

  /** The conversation and the directory that it works in, as its device told last; `null`: it did not yet. */
  get workplaceSeen(): { runtime: StoredRuntime; directory: string } | null {
    const { record, link } = this.#state.thread;
    const { workingDirectory: directory } = link;
    return record?.runtime && directory !== null ? { runtime: record.runtime, directory } : null;
  }

  /** Whose the open turn is, or else the first background task; for commands from outside the thread. */
  get requester(): UserId | null {
    const { record } = this.#state.thread;
    return record?.turn?.requester ?? tasksOf(record)[0]?.for ?? null;
  }

  /** How many subagents, commands and monitors run in the background. */
  get inBackground(): number {
    return tasksOf(this.#state.thread.record).length;
  }

  /** The device and directory in which the agent changes something now; `null` while it does not, or only reads. */
  get workplace(): string | null {
    return workplaceOf(this.#state.thread, this.#upLink);
  }

  /** Whose turn or background tasks run, and whose messages wait; of a turn held up by Slack only the tasks count. */
  get wanted(): UserId[] {
    return wantedBy(this.#state.thread);
  }

  /** How many messages wait for their turn. */
  get waiting(): number {
    return this.#state.thread.record?.inbox.length ?? 0;
  }

  /** The thread's schedules, in the order in which they were made. */
  get schedules(): readonly Schedule[] {
    return this.#state.thread.record?.schedules ?? [];
  }

  /** Approvals and questions that wait for people. */
  get openApprovals(): number {
    return openRequests(this.#state.thread.record).length;
  }

  get progress(): Progress {
    return progressOf(this.#state.thread, this.#upLink);
  }

  /** The open turn, or else what runs in the background, for a list of all threads; `null` when there is neither. */
  get overview(): ThreadOverview | null {
    return overviewOf(this.#state.thread, this.#upLink, this.#parts.botUser);
  }

  get #upLink(): number | null {
    return this.#performer.letta.isLinkLost ? null : this.#state.thread.link.up;
  }

  // ---- what people ask of it -------------------------------------------------------------------

  /**
   * Stores a message, or a change of one, and then does what is due. Rejects when the disk fails, so that the caller can
   * try again.
   * @param admit whether one more message may wait; left out: it may
   */
  async store(change: InboxChange, admit?: ChangeContext['admit']): Promise<Stored> {
    const stored = (await this.#ask({ type: 'store', change }, admit)) as Stored;
    return { ...stored, record: this.#state.thread.record };
  }

  /** Handles a click of somebody who may write here. Resolves when its effect is on disk. */
  async click(action: InboundAction, person: Person): Promise<ActionOutcome> {
    const answer = (await this.#ask({ type: 'click', action, person })) as ClickAnswer;
    if (!('details' in answer)) return answer;
    const details = answer.details && (await this.#parts.details?.get(answer.details));
    if (!details) return refused('expired', NO_DETAILS_LEFT);
    return { result: 'modal', modal: { kind: 'details', token: action.token, details, page: action.page ?? 0 } };
  }

  /** Handles a submitted modal. Resolves when its effect is on disk. */
  submission(submission: InboundSubmission, person: Person): Promise<SubmissionOutcome> {
    return this.#ask({ type: 'submission', submission, person }) as Promise<SubmissionOutcome>;
  }

  /** Carries out a command of somebody who may give it. Resolves with a line for them, in Markdown. */
  command(command: Command): Promise<string> {
    return this.#ask({ type: 'command', command }) as Promise<string>;
  }

  /** Before a message is stored: if a request waits for its author, it may be the answer. */
  typed(item: Pick<InboxItem, 'key' | 'ts' | 'spans'>, person: Person): Promise<Typed> {
    return this.#ask({ type: 'typed', item, person }) as Promise<Typed>;
  }

  /** After the message is stored: if a request still waits for its author, asks whether it is the reason for a no. */
  async askAbout(item: Pick<InboxItem, 'key' | 'ts'>, person: Person): Promise<void> {
    await this.#ask({ type: 'ask_about', item, person });
  }

  /** Does what is due: something outside the thread may have changed, or the process has just started. */
  wake(): void {
    this.#mailbox.post(() => void this.#handle({ type: 'wake' }));
  }

  #ask(event: AskEvent, admit?: ChangeContext['admit']): Promise<unknown> {
    const answer = this.#mailbox.ask(() => this.#handle(event, true, admit), { hurries: true });
    this.wake();
    return answer;
  }

  // ---- steps -----------------------------------------------------------------------------------

  /** @param isAsked somebody waits: if the step fails, nothing of it counts */
  #handle(event: ThreadEvent, isAsked = false, admit?: ChangeContext['admit']): unknown {
    const { thread } = this.#state;
    const context = this.#context(admit);
    const noting = this.#recorder?.note(context);
    const work = this.#state.begin(noting?.context ?? context);
    try {
      step(work, event);
    } catch (error) {
      this.#recorder?.interrupt();
      if (isAsked) throw error;
      this.#apply(work);
      throw error;
    }
    if (noting) this.#recorder?.addStep(thread, event, noting.noted, work);
    this.#apply(work);
    return work.answer;
  }

  #apply(work: ReturnType<ThreadState['begin']>): void {
    this.#state.apply(work);
    for (const effect of work.effects) this.#mailbox.after(() => this.#performer.perform(effect));
  }

  #context(admit: ChangeContext['admit'] = () => ({ isGranted: true })): Context {
    const { clock, policies, killSwitch, random } = this.#parts;
    return {
      ...this.#config,
      now: clock.now(),
      monotonic: clock.monotonic(),
      policy: policies.current(),
      paused: killSwitch.paused,
      pausedNotice: killSwitch.notice,
      isDraining: this.#draining,
      isLinkLost: this.#performer.letta.isLinkLost,
      countAlongside: (workplace) => this.#others.countAlongside(workplace, this),
      countSchedules: (owner, channel) => this.#others.countSchedules(owner, channel),
      isScheduled: (id) => this.#others.isScheduled(id),
      admit,
      notifyAfterMs: (requester) => this.#parts.notifyAfterMs?.(requester) ?? NOTIFY_AFTER_MS,
      id: () => random.id(),
    };
  }

  /** Called once per burst of events. */
  #show(): void {
    const { thread } = this.#state;
    const { live } = thread;
    if (!live?.isViewOutdated || isOver(thread) || this.#paused) return;
    const look = () => viewOf({ ...this.#state.begin(this.#context()), thread }, null);
    const before = this.#shown;
    this.#shown = thread;
    const { turn } = this.#performer.slack;
    if (before && onlySaysMore(before, thread) && turn?.showGrown?.(look)) {
      this.#state.shown();
      return;
    }
    const view = look();
    if (!view) return;
    this.#state.shown();
    turn?.show(view);
  }

  // ---- moves and the end -----------------------------------------------------------------------

  /**
   * Moves the thread to another key, with its conversation and link. Resolves with `false`, and moves nothing, when the
   * turn is ending or there is no record to move.
   * @param move stores the thread under its new key; `null`: there was no record
   */
  moveTo(key: ThreadKey, move: () => Promise<ThreadRecord | null>): Promise<boolean> {
    const moved = this.#mailbox.alone(async () => {
      if (isOver(this.#state.thread)) return false;
      // Posts on their way to Slack under the old key are stored before the record moves.
      await this.#mailbox.serve(this.#performer.slack.freeze());
      this.#performer.slack.reopen(null);
      const record = await move();
      if (!record) return false;
      this.#state.take(key, record);
      this.#state.outdate();
      this.#recorder?.interrupt();
      this.#performer.slack.reopen(record.turn);
      return true;
    });
    this.wake();
    return moved;
  }

  /** Takes over the record of another key. @param move stores it under this key; `null`: there was no record */
  takeIn(move: () => Promise<ThreadRecord | null>): Promise<void> {
    const moved = this.#mailbox.alone(async () => {
      const record = await move();
      if (record) this.#state.take(this.key, record);
      this.#recorder?.interrupt();
    });
    this.wake();
    return moved;
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
    const mayPause = () => !this.#paused && !isOver(this.#state.thread) && !this.#mailbox.closed;
    if (!mayPause()) return;
    try {
      await this.#mailbox.ask(() => this.#handle({ type: 'closing' }), { hurries: true });
    } catch {
      // The disk fails: the thread may know more than the disk, and what is shown must be known after the restart.
      return;
    }
    if (!mayPause()) return;
    const view = viewOf(this.#state.begin(this.#context()), null);
    if (!view) return;
    this.#paused = true;
    const live = { activity: { kind: 'paused' }, stop: null, queued: view.live?.queued ?? 0 } as const;
    await this.#performer.slack.turn?.pause?.({ ...view, live });
  }

  /** Cancels timers and closes the link; the next worker goes on from the record. Closing twice is fine. */
  close(): void {
    if (this.#mailbox.closed) return;
    this.#mailbox.close();
    this.#state.close();
    this.#performer.close();
  }

  /** Closes; resolves when no Slack call of the thread is running any more and its posts are stored. */
  async leave(): Promise<void> {
    this.close();
    await this.#performer.slack.freeze();
  }
}
