import { asBridgeError } from '../errors.ts';
import { can, type Policy } from './access.ts';
import type {
  AgentEvent,
  ApprovalRequest,
  ConnectionEvent,
  Decision,
  LoopStatus,
  PermissionMode,
} from './agent-event.ts';
import {
  answerInWords,
  answerWithOptions,
  approvalTitle,
  approve,
  type Decided,
  deny,
  digestOf,
  lateNotice,
} from './approvals.ts';
import { clientMessageId, makeToken, makeTurnId, parseThreadKey, ROLLING, type ThreadKey, type UserId } from './ids.ts';
import type { ActionOutcome, InboundAction, InboundSubmission, RefusedWhy, SubmissionOutcome } from './inbound.ts';
import { beginAgentTurn, beginTurn, changeTurn, closeApprovals, endTurn, setApproval } from './inbox.ts';
import type {
  AgentConnection,
  AgentGateway,
  Clock,
  Log,
  People,
  Person,
  Random,
  Surface,
  Threads,
  Timer,
  TurnSurface,
} from './ports.ts';
import { mentioned, promptContent, spansText } from './prompt.ts';
import type { ApprovalRecord, OpenTurn, ThreadRecord } from './thread-record.ts';
import { isActive } from './thread-record.ts';
import { emptyTurn, foldTurn, type TurnState } from './turn.ts';
import { afterReconnect, findTurn, withHistory } from './turn-recovery.ts';
import { type Activity, type Ending, endingOf, oneLine, turnView } from './turn-view.ts';

export interface WorkerParts {
  threads: Threads;
  gateway: AgentGateway;
  surface: Surface;
  people: People;
  clock: Clock;
  random: Random;
  log: Log;
  policy: Policy;
  mode: PermissionMode;
  botUser: UserId;
  /** App Server: a turn does not outlive its socket (PROTOCOL.md 12). */
  turnsDieWithLink: boolean;
}

/** How long a quiet thread keeps its link to Letta. */
const REST_AFTER_MS = 5 * 60_000;
/** Idle comes before `turn_finished`, by seconds after an abort against a slow model (PROTOCOL.md 10). */
const END_OVERDUE_MS = 5_000;
const STOP_OVERDUE_MS = 20_000;
/** A hosted input that is not in the history yet may still be on its way. */
const LOOK_AGAIN_MS = 10_000;
/** Between two tries of what failed for no lasting reason; never at once: that would spin. */
const RETRY_MS = 2_000;
const HISTORY_ITEMS = 50;
const EVENTS_HELD = 10_000;

type Mail = () => void | Promise<void>;

type LinkState =
  | { state: 'none' | 'dialling' }
  | { state: 'ready'; device: string | null; workingDirectory: string | null };

/**
 * The one loop that owns a thread. Everything that happens to the thread is a mail; mails are handled one after
 * another and wait for the disk at most, never for Slack or Letta: what those answer comes back as another mail.
 */
export class ThreadWorker {
  readonly key: ThreadKey;
  readonly #parts: WorkerParts;
  readonly #log: Log;
  readonly #onRetired: () => void;

  readonly #mail: Mail[] = [];
  #draining = false;
  #closed = false;
  #dirty = false;

  #record: ThreadRecord | null = null;
  #turn: TurnState = emptyTurn;
  #surface: TurnSurface | null = null;
  /** While the last view of a turn is on its way to Slack, the events of the next one wait here. */
  #ending = false;
  readonly #held: AgentEvent[] = [];

  #connection: AgentConnection | null = null;
  /** Counts connections, so that a late event of an old one is known as such. */
  #dial = 0;
  #link: LinkState = { state: 'none' };
  #loop: LoopStatus = 'idle';
  #runs: Record<string, string[]> = {};
  /** Whether Letta would track an input sent now: after the replay, or a `sync` after the last turn's end. */
  #settled = false;
  #sending = false;
  /** Whether a part of this turn may have gone by unheard: then its end asks the history. */
  #gap = false;
  #hold: Activity | null = null;
  /** Decisions on their way to Letta, by request: said again after a reconnect if the request is still open. */
  readonly #decisions = new Map<string, Decision>();
  #rest: Timer | null = null;
  #overdue: Timer | null = null;

  constructor(key: ThreadKey, parts: WorkerParts, onRetired: () => void) {
    this.key = key;
    this.#parts = parts;
    this.#log = parts.log.child({ thread: key });
    this.#onRetired = onRetired;
  }

  /** Something changed on disk: a message arrived, or the process has just started. */
  wake(record: ThreadRecord | null): void {
    this.#post(async () => {
      if (record && record.rev >= (this.#record?.rev ?? -1)) this.#record = record;
      this.#record ??= await this.#parts.threads.load(this.key);
      await this.#advance();
    });
  }

  /** A click, by somebody who may write here. Resolves when its effect is on disk. */
  act(action: InboundAction, person: Person): Promise<ActionOutcome> {
    return this.#ask(async () => {
      await this.#loaded();
      if (action.name === 'stop') {
        if (this.#record?.turn?.stopToken !== action.token) return refused('expired', 'That turn is over.');
        const verdict = can(this.#parts.policy, person, { do: 'stop' }, null);
        if (!verdict.allowed) return refused('not_allowed', verdict.notice);
        await this.#stop(person.id);
        return { result: 'decided' };
      }
      const open = this.#openApproval(action.token, person, action.name === 'view_full');
      if ('result' in open) return open;
      const { record, request } = open;
      switch (action.name) {
        case 'view_full':
          return { result: 'modal', modal: { kind: 'view_full', title: record.tool, text: fullText(request) } };
        case 'deny_with_reason':
          return { result: 'modal', modal: { kind: 'deny_with_reason', token: record.token, tool: record.tool } };
        case 'answer_in_words': {
          const questions = (request.questions ?? []).map((question) => question.question);
          if (questions.length === 0) return refused('expired', 'This is not a question.');
          return { result: 'modal', modal: { kind: 'answer_in_words', token: record.token, questions } };
        }
        case 'answer': {
          const decided = answerWithOptions(request, action.choice);
          if (!decided) return refused('expired', 'That option does not exist any more.');
          return this.#decide(record, decided, person);
        }
        case 'approve':
          // A bare allow would leave the question open (PROTOCOL.md 9).
          if (request.questions) return refused('expired', 'This is a question: pick an answer.');
          return this.#decide(record, approve(), person);
        case 'deny':
          return this.#decide(record, deny(person.name, null), person);
        default:
          return action.name satisfies never;
      }
    });
  }

  /** A submitted modal. Resolves when its effect is on disk. */
  submission(submission: InboundSubmission, person: Person): Promise<SubmissionOutcome> {
    return this.#ask(async () => {
      await this.#loaded();
      const open = this.#openApproval(submission.token, person, false);
      if ('result' in open) return open;
      const { record, request } = open;
      if (submission.name === 'deny_with_reason') {
        const reason = (submission.texts[0] ?? '').trim();
        if (reason === '') return { result: 'invalid', errors: [{ input: 0, text: 'Say why.' }] };
        return this.#decide(record, deny(person.name, reason), person);
      }
      const answer = answerInWords(request, submission.texts);
      if ('empty' in answer) {
        return { result: 'invalid', errors: answer.empty.map((input) => ({ input, text: 'An answer is missing.' })) };
      }
      return this.#decide(record, answer, person);
    });
  }

  /** Stops the running turn and drops what waits. Resolves with a line for the one who asked. */
  stop(by: UserId): Promise<string> {
    return this.#ask(async () => {
      await this.#loaded();
      if (!this.#record?.turn) return 'Nothing is running here.';
      await this.#stop(by);
      return 'Stopping.';
    });
  }

  /** The next message starts another conversation. Resolves with a line for the one who asked. */
  startOver(): Promise<string> {
    return this.#ask(async () => {
      await this.#loaded();
      if (this.#record?.turn || this.#record?.inbox.length) return 'The agent is at work here. Stop it first.';
      await this.#update((record) => ({ ...record, runtime: null, background: false }));
      this.#disconnect();
      return 'The next message here starts another conversation.';
    });
  }

  /** Markdown for people. */
  status(): Promise<string> {
    return this.#ask(async () => {
      await this.#loaded();
      const record = this.#record;
      if (!record) return 'No conversation here yet.';
      const { turn, runtime } = record;
      const lines = [turn ? `Working for <@${turn.requester}>: ${this.#activityName()}.` : 'Idle.'];
      if (record.inbox.length > 0) lines.push(`${record.inbox.length} waiting.`);
      const open = record.approvals.filter((approval) => approval.state.state === 'open').length;
      if (open > 0) lines.push(`${open} waiting for a decision.`);
      if (runtime) lines.push(`Agent \`${runtime.agentId}\`, conversation \`${runtime.conversationId}\`.`);
      if (this.#link.state === 'ready' && this.#link.device) lines.push(`Device: ${this.#link.device}.`);
      lines.push(`Permissions: ${this.#parts.mode}.`);
      return lines.join(' ');
    });
  }

  /** Who the running turn belongs to, for commands that come from outside the thread. */
  get requester(): UserId | null {
    return this.#record?.turn?.requester ?? null;
  }

  /** Lets go of timers and the link; what is on disk is enough to go on. Closing twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mail.length = 0;
    this.#rest?.cancel();
    this.#overdue?.cancel();
    this.#disconnect();
  }

  // ---- the loop --------------------------------------------------------------------------------

  #post(mail: Mail): void {
    if (this.#closed) return;
    this.#mail.push(mail);
    if (!this.#draining) void this.#drain();
  }

  #ask<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) reject(new Error('the thread is closing'));
      this.#post(() => work().then(resolve, reject));
      this.#post(() => this.#advance());
    });
  }

  /** Hands slow work to the world; its answer comes back as a mail. */
  #away<T>(
    work: Promise<T>,
    done: (value: T) => void | Promise<void>,
    failed: (error: unknown) => void | Promise<void>,
  ) {
    work.then(
      (value) => this.#post(() => done(value)),
      (error) => this.#post(() => failed(error)),
    );
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    for (let mail = this.#mail.shift(); mail; mail = this.#mail.shift()) {
      try {
        const waiting = mail();
        if (waiting) await waiting;
      } catch (error) {
        this.#again('a step of the thread failed', error, () => this.#advance());
      }
      if (this.#mail.length === 0) this.#showIfDirty();
    }
    this.#draining = false;
  }

  async #update(change: (record: ThreadRecord) => ThreadRecord): Promise<void> {
    const next = await this.#parts.threads.update(this.key, (record) => (record ? change(record) : null));
    if (next) this.#record = next;
  }

  /** For what must happen and could not: a full disk heals, a forgotten turn does not. */
  #again(message: string, error: unknown, mail: Mail): void {
    this.#log.error({ err: error }, message);
    this.#parts.clock.after(1_000, () => this.#post(mail));
  }

  async #loaded(): Promise<void> {
    this.#record ??= await this.#parts.threads.load(this.key);
  }

  /** Does whatever is due next; every mail that may have changed something ends here. */
  async #advance(): Promise<void> {
    if (this.#closed || this.#ending) return;
    await this.#loaded();
    let record = this.#record;
    this.#rest?.cancel();
    this.#rest = null;
    if (!record) return this.#restLater();
    if (!record.turn && record.inbox.length > 0) {
      await this.#update((now) => beginTurn(now, this.#turnIds(), (item) => clientMessageId(item.key)));
      record = this.#record ?? record;
      if (record.turn) this.#openTurn(record.turn);
    }
    const turn = record.turn;
    if (!turn) return isActive(record) ? this.#connect() : this.#restLater();
    if (!this.#surface) this.#openTurn(turn);
    if (turn.stoppedBy && turn.state === 'prepared') return this.#end(endingOf(turn, this.#turn, this.#now()));
    this.#connect();
    if (turn.state === 'prepared') this.#send(turn);
  }

  #restLater(): void {
    this.#rest = this.#parts.clock.after(REST_AFTER_MS, () =>
      this.#post(() => {
        if (this.#record && isActive(this.#record)) return;
        if (this.#mail.length > 0) return this.#restLater();
        this.close();
        this.#onRetired();
      }),
    );
  }

  // ---- a turn ----------------------------------------------------------------------------------

  #turnIds() {
    const { random } = this.#parts;
    return { id: makeTurnId(random.id().slice(0, 12)), stopToken: makeToken(random.id()), now: this.#now() };
  }

  #openTurn(turn: OpenTurn): void {
    this.#turn = emptyTurn;
    this.#surface = this.#parts.surface.turn({
      turn: turn.id,
      address: this.#address(),
      posts: turn.posts,
      onPosts: (posts) =>
        this.#ask(() =>
          this.#update((record) => (record.turn?.id === turn.id ? changeTurn(record, { posts }) : record)),
        ),
    });
    this.#log.info({ turn: turn.id, origin: turn.origin, messages: turn.items.length }, 'turn opened');
    this.#dirty = true;
  }

  #showIfDirty(): void {
    if (!this.#dirty || this.#ending || this.#closed) return;
    this.#dirty = false;
    const record = this.#record;
    if (record?.turn) this.#surface?.show(this.#view(record, record.turn, null));
  }

  #view(record: ThreadRecord, turn: OpenTurn, ending: Ending | null) {
    return turnView(this.#turn, {
      address: record.address,
      turn,
      approvals: record.approvals.filter((approval) => approval.turn === turn.id),
      workingDirectory: this.#link.state === 'ready' ? this.#link.workingDirectory : null,
      hold: this.#hold ?? (turn.state === 'prepared' ? { kind: 'starting' } : null),
      ending,
    });
  }

  #send(turn: OpenTurn): void {
    const connection = this.#connection;
    if (this.#sending || !connection || this.#link.state !== 'ready' || !this.#settled || this.#loop !== 'idle') return;
    this.#sending = true;
    this.#away(
      this.#content(turn),
      async (content) => {
        const now = this.#record?.turn;
        const wanted = now?.id === turn.id && now.state === 'prepared' && !now.stoppedBy;
        if (!wanted || this.#connection !== connection || !this.#settled || this.#loop !== 'idle') {
          this.#sending = false;
          return this.#advance();
        }
        // On disk first: from here on the input may have left.
        await this.#update((record) => changeTurn(record, { state: 'submitted' }));
        this.#settled = false;
        this.#dirty = true;
        const input = { clientMessageId: turn.clientMessageId ?? turn.id, content };
        this.#away(
          connection.submit(input),
          () => {
            this.#sending = false;
          },
          (error) => this.#submitFailed(turn, error),
        );
      },
      (error) => {
        this.#sending = false;
        throw error;
      },
    );
  }

  async #submitFailed(turn: OpenTurn, error: unknown): Promise<void> {
    this.#sending = false;
    const cause = asBridgeError(error);
    this.#log.warn({ turn: turn.id, err: cause, certain: cause.certain }, 'input was not confirmed');
    if (this.#record?.turn?.id !== turn.id || this.#ending) return;
    if (!cause.certain) {
      // With the link gone the replay tells; with the link still there the history does.
      this.#parts.clock.after(RETRY_MS, () =>
        this.#post(() => {
          const same = this.#record?.turn?.id === turn.id && this.#record.turn.state === 'submitted';
          if (same && this.#link.state === 'ready' && this.#loop === 'idle') this.#look();
        }),
      );
      return;
    }
    if (!cause.retry) return this.#fail(cause.notice);
    await this.#update((record) => changeTurn(record, { state: 'prepared' }));
    this.#parts.clock.after(RETRY_MS, () => this.#post(() => this.#advance()));
  }

  async #content(turn: OpenTurn): Promise<string> {
    const { people, botUser } = this.#parts;
    const { team, channel, root } = parseThreadKey(this.key);
    const direct = root === ROLLING || channel.startsWith('D');
    const ids = mentioned([...turn.context, ...turn.items]);
    if (!direct) ids.channels.add(channel);
    const users = new Map<string, string>();
    const channels = new Map<string, string>();
    await Promise.all([
      ...[...ids.users].map(async (id) => {
        // A name is a courtesy: without it the agent reads the id.
        const person = await people.person(id, team).catch(() => null);
        if (person) users.set(id, oneLine(person.name, 80));
      }),
      ...[...ids.channels].map(async (id) => {
        channels.set(id, oneLine(await people.channelName(id, team), 80));
      }),
    ]);
    const seal = this.#parts.random.id().slice(0, 8);
    const { items, context, notPassedOn } = turn;
    return promptContent({ seal, botUser, channel, direct, items, context, notPassedOn, names: { users, channels } });
  }

  async #fail(line: string): Promise<void> {
    const turn = this.#record?.turn;
    if (!turn) return;
    const { tools, durationMs } = endingOf(turn, this.#turn, this.#now());
    await this.#end({ outcome: 'failed', by: null, line: `${line} · ${turn.id}`, tools, durationMs });
  }

  /** The last view goes to Slack; only when Slack has all of it the turn leaves the disk. */
  async #end(ending: Ending): Promise<void> {
    const turn = this.#record?.turn;
    if (!turn || this.#ending) return;
    this.#overdue?.cancel();
    this.#overdue = null;
    try {
      await this.#update((record) => closeApprovals(record, turn.id, 'turn_over', this.#now()));
    } catch (error) {
      this.#again('the end of a turn could not be stored', error, () => this.#end(ending));
      return;
    }
    this.#ending = true;
    const record = this.#record;
    const surface = this.#surface;
    if (!record || !surface) return;
    this.#log.info({ turn: turn.id, outcome: ending.outcome, durationMs: ending.durationMs }, 'turn ended');
    this.#settle();
    this.#away(
      surface.finish(this.#view(record, turn, ending)),
      async (delivery) => {
        if (!delivery.delivered) {
          this.#log.warn({ turn: turn.id, reason: delivery.reason }, 'the answer could not be delivered');
        }
        await this.#finished();
      },
      async (error) => {
        this.#log.error({ turn: turn.id, err: error }, 'the answer could not be delivered');
        await this.#finished();
      },
    );
  }

  async #finished(): Promise<void> {
    try {
      await this.#update((record) => endTurn(record, this.#now()));
    } catch (error) {
      this.#again('the end of a turn could not be stored', error, () => this.#finished());
      return;
    }
    this.#ending = false;
    this.#gap = false;
    this.#surface = null;
    this.#turn = emptyTurn;
    this.#hold = null;
    this.#decisions.clear();
    const held = this.#held.splice(0);
    for (const event of held) {
      const waiting = this.#onAgentEvent(event);
      if (waiting) await waiting;
    }
    await this.#advance();
  }

  #settle(): void {
    const connection = this.#connection;
    if (!connection || this.#link.state !== 'ready') return;
    this.#away(
      connection.settle(),
      () => {
        if (this.#connection !== connection || this.#link.state !== 'ready') return undefined;
        this.#settled = true;
        return this.#advance();
      },
      (error) => {
        this.#log.warn({ err: error }, 'sync after a turn failed');
        // A lost link replays anyway; a deaf one is asked again.
        if (this.#link.state !== 'ready' || this.#connection !== connection) return;
        this.#parts.clock.after(RETRY_MS, () => this.#post(() => this.#settle()));
      },
    );
  }

  // ---- stop ------------------------------------------------------------------------------------

  async #stop(by: UserId): Promise<void> {
    const turn = this.#record?.turn;
    if (!turn || turn.stoppedBy || this.#ending) return;
    const dropped = this.#record?.inbox ?? [];
    await this.#update((record) => ({ ...changeTurn(record, { stoppedBy: by }), inbox: [] }));
    this.#log.info({ turn: turn.id, by, dropped: dropped.length }, 'stop asked for');
    this.#dirty = true;
    if (dropped.length > 0) {
      const names = { users: new Map(), channels: new Map() };
      const texts = dropped.map(
        (item) => `- <@${item.user}>: ${oneLine(spansText(item.spans, names, this.#parts.botUser), 80)}`,
      );
      this.#say(['Stopped; these messages were waiting and will not run:', ...texts].join('\n'));
    }
    if (turn.state === 'prepared') return this.#advance();
    this.#abort();
  }

  #abort(): void {
    const connection = this.#connection;
    if (!connection || this.#link.state !== 'ready') return;
    this.#away(
      connection.abort(),
      ({ aborted }) => {
        // Nothing to abort: the turn is just ending, or it never began; the end or the history says which.
        this.#endIsDue(aborted ? STOP_OVERDUE_MS : END_OVERDUE_MS);
      },
      (error) => {
        this.#log.warn({ err: error }, 'abort was not confirmed');
        this.#endIsDue(STOP_OVERDUE_MS);
      },
    );
  }

  #say(text: string): void {
    this.#away(
      this.#parts.surface.say(this.#address(), text),
      () => undefined,
      (error) => this.#log.warn({ err: error }, 'a notice could not be posted'),
    );
  }

  // ---- approvals -------------------------------------------------------------------------------

  #openApproval(
    token: string,
    person: Person,
    justLooking: boolean,
  ): { record: ApprovalRecord; request: ApprovalRequest } | { result: 'refused'; why: RefusedWhy; notice: string } {
    const record = this.#record?.approvals.find((approval) => approval.token === token);
    if (!record) return refused('expired', 'This request is over.');
    const doing = justLooking ? ({ do: 'speak' } as const) : ({ do: 'decide', requester: record.requester } as const);
    const verdict = can(this.#parts.policy, person, doing, null);
    if (!verdict.allowed) return refused('not_allowed', verdict.notice);
    if (record.state.state !== 'open') {
      return refused(record.state.state === 'decided' ? 'already_decided' : 'expired', lateNotice(record));
    }
    if (this.#link.state !== 'ready') {
      return refused('unreachable', 'Letta can not be reached right now; nothing was decided. Try again in a moment.');
    }
    const request = this.#turn.approvals.find((approval) => approval.requestId === record.requestId);
    const pending = this.#turn.openApprovals.includes(record.requestId);
    if (!request || !pending || digestOf(request.input) !== record.digest) {
      return refused('expired', 'This request changed or is over; nothing was decided.');
    }
    return { record, request };
  }

  async #decide(record: ApprovalRecord, decided: Decided, person: Person): Promise<{ result: 'decided' }> {
    const { decision, words, send } = decided;
    const state = { state: 'decided', decision, by: person.id, at: this.#now(), words } as const;
    await this.#update((now) => setApproval(now, record.token, state));
    this.#log.info(
      { request: record.requestId, tool: record.tool, digest: record.digest, decision, by: person.id },
      'approval decided',
    );
    this.#decisions.set(record.requestId, send);
    this.#dirty = true;
    this.#answer(record, send);
    return { result: 'decided' };
  }

  #answer(record: ApprovalRecord, decision: Decision): void {
    const connection = this.#connection;
    if (!connection || this.#link.state !== 'ready') return;
    this.#away(
      connection.answer(record.requestId, decision),
      async (answer) => {
        this.#decisions.delete(record.requestId);
        if (answer === 'accepted') return;
        const at = this.#now();
        await this.#update((now) => setApproval(now, record.token, { state: 'closed', why: 'answered_elsewhere', at }));
        this.#dirty = true;
      },
      (error) => this.#log.warn({ request: record.requestId, err: error }, 'a decision was not confirmed'),
    );
  }

  async #asked(request: ApprovalRequest): Promise<void> {
    const turn = this.#record?.turn;
    if (!turn) return;
    const digest = digestOf(request.input);
    const known = this.#record?.approvals.find(
      (approval) => approval.turn === turn.id && approval.requestId === request.requestId && approval.digest === digest,
    );
    this.#turn = foldTurn(this.#turn, { type: 'approval-asked', request });
    this.#dirty = true;
    if (known?.state.state === 'decided') {
      const decision = this.#decisions.get(request.requestId);
      if (decision) this.#answer(known, decision);
      return;
    }
    if (known) return;
    const approval: ApprovalRecord = {
      token: makeToken(this.#parts.random.id()),
      turn: turn.id,
      requestId: request.requestId,
      tool: request.tool,
      title: approvalTitle(request),
      digest,
      requester: turn.requester,
      askedAt: this.#now(),
      state: { state: 'open' },
    };
    await this.#update((record) => ({ ...record, approvals: [...record.approvals, approval] }));
    this.#log.info({ turn: turn.id, request: request.requestId, tool: request.tool, digest }, 'approval asked');
  }

  /** Cards of requests that Letta no longer waits for: somebody answered outside Slack, or a restart lost them. */
  async #closeSettled(open: readonly string[], why: 'answered_elsewhere' | 'link_lost'): Promise<void> {
    const turn = this.#record?.turn;
    const settled = (this.#record?.approvals ?? []).filter(
      (approval) => approval.turn === turn?.id && approval.state.state === 'open' && !open.includes(approval.requestId),
    );
    if (settled.length === 0) return;
    const at = this.#now();
    await this.#update((record) =>
      settled.reduce((now, approval) => setApproval(now, approval.token, { state: 'closed', why, at }), record),
    );
    this.#dirty = true;
  }

  // ---- what Letta says -------------------------------------------------------------------------

  #connect(): void {
    if (this.#connection) return;
    const { gateway, mode } = this.#parts;
    this.#link = { state: 'dialling' };
    this.#dial += 1;
    const dial = this.#dial;
    this.#connection = gateway.connect({ runtime: this.#record?.runtime ?? null, mode }, (event) =>
      this.#post(() => (this.#dial === dial ? this.#onEvent(event) : undefined)),
    );
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#dial += 1;
    this.#link = { state: 'none' };
    this.#settled = false;
    this.#loop = 'idle';
    this.#runs = {};
  }

  #onEvent(event: AgentEvent | ConnectionEvent): void | Promise<void> {
    switch (event.type) {
      case 'ready':
        return this.#onReady(event);
      case 'lost':
        this.#link = { state: 'dialling' };
        this.#settled = false;
        this.#sending = false;
        this.#log.warn({ reason: event.reason }, 'link to Letta lost');
        this.#wait('The connection to Letta was lost; reconnecting.');
        return undefined;
      case 'unavailable':
        return this.#onUnavailable(event);
      default:
        return this.#onAgentEvent(event);
    }
  }

  #wait(notice: string): void {
    if (!this.#record?.turn || this.#ending) return;
    this.#hold = { kind: 'waiting_for_letta', notice };
    this.#dirty = true;
  }

  async #onUnavailable(event: ConnectionEvent & { type: 'unavailable' }): Promise<void> {
    this.#log.warn({ code: event.code, notice: event.notice, retryInMs: event.retryInMs }, 'Letta is unavailable');
    this.#link = { state: 'dialling' };
    if (event.retryInMs !== null) return this.#wait(event.notice);
    // No retry heals this: the turn ends visibly, and the next message tries afresh.
    this.#disconnect();
    if (this.#record?.background) await this.#update((record) => ({ ...record, background: false }));
    await this.#fail(event.notice);
  }

  async #onReady(event: ConnectionEvent & { type: 'ready' }): Promise<void> {
    this.#link = { state: 'ready', device: event.deviceName, workingDirectory: event.workingDirectory };
    this.#loop = event.loop;
    this.#runs = event.clientMessageIdsByRun;
    this.#settled = true;
    this.#sending = false;
    this.#hold = null;
    this.#dirty = true;
    const { runtime } = event;
    const stored = this.#record?.runtime;
    const same =
      stored?.agentId === runtime.agentId &&
      stored.conversationId === runtime.conversationId &&
      stored.deviceId === runtime.deviceId;
    if (!same) await this.#update((record) => ({ ...record, runtime }));
    if (this.#ending) return;
    const now = { loop: event.loop, approvals: event.approvals.length };
    const busy = now.loop !== 'idle' || now.approvals > 0;
    if (!this.#record?.turn && busy) await this.#openAgentTurn();
    const turn = this.#record?.turn;
    if (turn && (turn.origin === 'agent' || turn.state === 'submitted')) {
      await this.#closeSettled(
        event.approvals.map((request) => request.requestId),
        'link_lost',
      );
      for (const request of event.approvals) await this.#asked(request);
      const next = afterReconnect(turn, now);
      if (next === 'look') return this.#look();
      this.#gap = true;
      if (turn.stoppedBy) this.#abort();
    } else if (turn && busy) {
      await this.#openAgentTurn();
      for (const request of event.approvals) await this.#asked(request);
    }
    await this.#advance();
  }

  /** Letta is idle and the end of the turn was not seen: the history knows what became of it. */
  #look(again = false): void {
    const turn = this.#record?.turn;
    const connection = this.#connection;
    if (!turn || !connection || this.#ending) return;
    const stillWanted = () => this.#record?.turn?.id === turn.id && this.#connection === connection && !this.#ending;
    if (turn.clientMessageId === null) {
      void this.#post(() => (stillWanted() ? this.#end(this.#interrupted(turn, false)) : undefined));
      return;
    }
    const id = turn.clientMessageId;
    this.#away(
      connection.history(HISTORY_ITEMS),
      async (history) => {
        if (!stillWanted()) return;
        const found = findTurn(history, id);
        if (found.arrived) {
          this.#turn = withHistory(this.#turn, found.texts);
          return this.#end(this.#interrupted(turn, found.answered));
        }
        if (turn.stoppedBy) return this.#end(this.#interrupted(turn, false));
        if (!this.#parts.turnsDieWithLink && !again) {
          this.#parts.clock.after(LOOK_AGAIN_MS, () =>
            this.#post(() => (stillWanted() && this.#loop === 'idle' ? this.#look(true) : undefined)),
          );
          return;
        }
        this.#log.info({ turn: turn.id }, 'the input never arrived; sending it again');
        await this.#update((record) => changeTurn(record, { state: 'prepared' }));
        this.#settled = true;
        return this.#advance();
      },
      (error) => {
        this.#log.warn({ turn: turn.id, err: error }, 'the history could not be read');
        this.#parts.clock.after(END_OVERDUE_MS, () =>
          this.#post(() => (stillWanted() ? this.#look(again) : undefined)),
        );
      },
    );
  }

  #interrupted(turn: OpenTurn, answered: boolean): Ending {
    const ending = endingOf(turn, this.#turn, this.#now());
    if (ending.outcome !== 'done' || (answered && !this.#parts.turnsDieWithLink)) return ending;
    const line =
      'The connection to Letta was lost while the agent worked; what stands here may be cut. Reply to go on.';
    return { ...ending, outcome: 'interrupted', line: `${line} · ${turn.id}` };
  }

  async #openAgentTurn(): Promise<void> {
    const had = this.#record?.turn?.id;
    await this.#update((record) => beginAgentTurn(record, this.#turnIds()));
    const turn = this.#record?.turn;
    if (turn && turn.id !== had) this.#openTurn(turn);
    this.#dirty = true;
  }

  #onAgentEvent(event: AgentEvent): void | Promise<void> {
    if (event.type === 'loop') return this.#onLoop(event);
    if (event.type === 'background') return this.#onBackground(event.running > 0);
    if (event.type === 'device') {
      if (this.#link.state === 'ready') this.#link = { ...this.#link, workingDirectory: event.workingDirectory };
      return undefined;
    }
    if (this.#ending) {
      if (this.#held.length < EVENTS_HELD) this.#held.push(event);
      return undefined;
    }
    const turn = this.#record?.turn;
    if (!turn || (turn.origin === 'people' && turn.state === 'prepared')) {
      if (!startsTurn(event)) return undefined;
      return this.#openAgentTurn().then(() => this.#onTurnEvent(event));
    }
    return this.#onTurnEvent(event);
  }

  #onTurnEvent(event: AgentEvent): void | Promise<void> {
    if (event.type === 'approval-asked') return this.#asked(event.request);
    if (event.type === 'turn-ended') return this.#onTurnEnded(event);
    const next = foldTurn(this.#turn, event);
    if (next !== this.#turn) {
      this.#turn = next;
      this.#dirty = true;
    }
    return event.type === 'approvals-open' ? this.#closeSettled(event.requestIds, 'answered_elsewhere') : undefined;
  }

  #onTurnEnded(event: AgentEvent & { type: 'turn-ended' }): void | Promise<void> {
    const turn = this.#record?.turn;
    if (!turn) return undefined;
    if (turn.clientMessageId !== null && event.runId !== null && !this.#isMine(turn, event.runId)) {
      this.#log.info({ turn: turn.id, run: event.runId }, 'a turn of somebody else ended first');
      return undefined;
    }
    this.#turn = foldTurn(this.#turn, event);
    const connection = this.#connection;
    const id = turn.clientMessageId;
    if (!this.#gap || !connection || id === null) return this.#end(endingOf(turn, this.#turn, this.#now()));
    // What was said while nobody listened stands in the history only.
    this.#away(
      connection.history(HISTORY_ITEMS),
      (history) => {
        const found = findTurn(history, id);
        if (found.arrived) this.#turn = withHistory(this.#turn, found.texts);
        return this.#end(endingOf(turn, this.#turn, this.#now()));
      },
      (error) => {
        this.#log.warn({ turn: turn.id, err: error }, 'the history could not be read');
        return this.#end(endingOf(turn, this.#turn, this.#now()));
      },
    );
    return undefined;
  }

  /** Whether a run carries this turn's input; runs are tied to inputs by the loop status alone (PROTOCOL.md 6.1). */
  #isMine(turn: OpenTurn, runId: string): boolean {
    const id = turn.clientMessageId ?? '';
    if (this.#runs[runId]) return this.#runs[runId].includes(id);
    // A run that nobody claims ends our turn only if ours is known to have begun.
    return Object.values(this.#runs).some((ids) => ids.includes(id));
  }

  #onLoop(event: AgentEvent & { type: 'loop' }): void | Promise<void> {
    const was = this.#loop;
    this.#loop = event.status;
    this.#runs = event.clientMessageIdsByRun;
    if (event.status !== 'idle') {
      this.#overdue?.cancel();
      this.#overdue = null;
      return undefined;
    }
    const turn = this.#record?.turn;
    if (turn?.state === 'submitted' && !this.#ending) {
      if (was !== 'idle') this.#endIsDue(turn.stoppedBy ? STOP_OVERDUE_MS : END_OVERDUE_MS);
      return undefined;
    }
    return this.#advance();
  }

  #endIsDue(ms: number): void {
    const turn = this.#record?.turn;
    if (!turn || this.#ending) return;
    this.#overdue?.cancel();
    this.#overdue = this.#parts.clock.after(ms, () =>
      this.#post(() => {
        const same = this.#record?.turn?.id === turn.id && !this.#ending;
        if (same && this.#loop === 'idle' && this.#link.state === 'ready') this.#look();
      }),
    );
  }

  async #onBackground(running: boolean): Promise<void> {
    if (!this.#record || this.#record.background === running) return;
    await this.#update((record) => ({ ...record, background: running }));
    await this.#advance();
  }

  // ---- small things ----------------------------------------------------------------------------

  #now(): number {
    return this.#parts.clock.now();
  }

  #address() {
    const { team, channel, root } = parseThreadKey(this.key);
    return this.#record?.address ?? { team, channel, threadTs: root === ROLLING ? null : root };
  }

  #activityName(): string {
    const record = this.#record;
    const live = record?.turn ? this.#view(record, record.turn, null).live : null;
    if (!live) return 'finishing';
    const { activity } = live;
    if (activity.kind === 'tool') return `${activity.tool} ${activity.detail}`.trim();
    return activity.kind === 'waiting_for_letta' ? activity.notice : activity.kind.replaceAll('_', ' ');
  }
}

function refused(why: RefusedWhy, notice: string): { result: 'refused'; why: RefusedWhy; notice: string } {
  return { result: 'refused', why, notice };
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

/** The whole input, for reading: strings of one member as they are, the rest as JSON. */
function fullText(request: ApprovalRequest): string {
  return JSON.stringify(request.input, null, 2);
}
