import { asBridgeError } from '../../errors.ts';
import { UNCONFIRMED, type Verdict } from '../access/can.ts';
import type { Door } from '../access/door.ts';
import type { PolicyBook } from '../access/policy.ts';
import { approve } from '../approvals/answers.ts';
import type { AuditEntry, RefusedClick } from '../approvals/audit-entry.ts';
import type { FileHandOver } from '../files/hand-over.ts';
import type { ThreadKey, TurnId, UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type {
  AgentConnection,
  AgentGateway,
  Audit,
  Clock,
  DetailsStore,
  Log,
  MessageAddress,
  People,
  Random,
  Timer as Running,
  SeenSchedule,
  Surface,
  TurnSurface,
  UserGroups,
} from '../ports.ts';
import { authorOf } from '../record/inbox.ts';
import type { OpenTurn, ThreadRecord } from '../record/thread-record.ts';
import { type FoundFiring, lastFiring, unheardFirings } from '../schedules/firing.ts';
import type { Schedule } from '../schedules/schedule.ts';
import type { ToolHandlers, ToolPlan } from '../tools/tool.ts';
import type { TurnState } from '../turn/fold.ts';
import { offerView, tailOfferView } from '../view/offer.ts';
import type { Effect } from './core/effects.ts';
import type { ThreadEvent, Timer } from './core/events.ts';
import { addressOf, type Thread } from './core/thread.ts';
import { isSeenUnknown } from './core/view.ts';
import type { Mailbox } from './mailbox.ts';
import type { PastOptions } from './read-past.ts';
import { CallRunner, type CallRunnerParts } from './run-calls.ts';
import { writeInput } from './write-prompt.ts';

export interface PerformerParts {
  gateway: AgentGateway;
  surface: Surface;
  people: People;
  /** Left out: every user group counts as empty. */
  groups?: UserGroups | undefined;
  door: Pick<Door, 'judgeAgain' | 'mayUseAgent'>;
  linkTo?: ((at: MessageAddress) => string | null) | undefined;
  past?: PastOptions | undefined;
  files?: FileHandOver | undefined;
  /** What the tools of the bridge do; left out: there are none. */
  tools?: ToolHandlers | undefined;
  join: CallRunnerParts['join'];
  policies: PolicyBook;
  audit: Audit;
  /** Notes who tried to decide what they may not. */
  refused: { note(click: RefusedClick, record: ThreadRecord): unknown };
  details?: DetailsStore | undefined;
  clock: Clock;
  random: Random;
  botUser: string;
  log: Log;
  mailbox: Mailbox;
  thread(): Thread;
  /** Takes a step; called only while a mail or its effects are handled. */
  handle(event: ThreadEvent): void;
  onRetired(): void;
}

/** How many people are reminded of one request. */
const REMINDED_MOST = 20;
const HISTORY_ITEMS = 50;
/** A turn's tools may fill many items, so this many are read before its input is called missing. */
const HISTORY_DEEP = 1_000;
/**
 * Over the relay, the reply to a `sync` may overtake state that the device sent before it, so a look waits this long
 * (docs/letta-protocol.md, Hosted: what the device tells the relay).
 */
const OVERTAKEN_MS = 1_000;
/** When Letta certainly works on an input, the history has it after these times at the latest. */
const STORED_AFTER_MS = [300, 700, 1_500];

const UNREADABLE = 'could not read the history';

/** Does what steps want done in the world, and hands what comes of it back as events. */
export class Performer {
  readonly #parts: PerformerParts;
  readonly #timers = new Map<Timer, { turn: TurnId | undefined; running: Running }>();
  readonly #calls: CallRunner;
  #surface: TurnSurface | null = null;
  /** The text that was last handed to the disk; `null`: none, or the disk failed. */
  #said: TurnState['parts'] | null = null;
  /** Aborts what is fetched for an input. */
  #writing: AbortController | null = null;
  #connection: AgentConnection | null = null;
  #dial = -1;
  /** Losses that the connection has reported and whose events are still to come. */
  #losses = 0;

  constructor(parts: PerformerParts) {
    this.#parts = parts;
    const { tools = {}, door, policies, log, thread, join } = parts;
    this.#calls = new CallRunner({ tools, door, policies, log, thread, join, connection: () => this.#connection });
  }

  /** Whether the connection has reported a loss whose event is still to come. */
  get isLinkLost(): boolean {
    return this.#losses > 0;
  }

  /** Shows the open turn; `null`: none is shown. */
  get surface(): TurnSurface | null {
    return this.#surface;
  }

  /** Leaves all that Slack shows of the thread as it is. Resolves when no call is running any more and posts are stored. */
  async freeze(): Promise<void> {
    await this.#parts.surface.freeze?.(this.#address);
  }

  /** The thread has moved, so that its open turn is shown under another address. */
  reopen(turn: OpenTurn | null): void {
    this.#surface = turn && this.#openTurn(turn, false);
  }

  close(): void {
    for (const { running } of this.#timers.values()) running.cancel();
    this.#writing?.abort();
    this.#calls.close();
    this.#disconnect();
  }

  perform(effect: Effect) {
    // The link was lost while the disk wrote: over the next one Letta asks anew, perhaps for something else.
    if ('link' in effect && (this.isLinkLost || effect.link !== this.#parts.thread().link.up)) return;
    const { surface, log, mailbox } = this.#parts;
    const connection = this.#connection;
    const letta = () => connection ?? Promise.reject(new Error('there is no link'));
    switch (effect.do) {
      case 'log':
        return log[effect.level](effect.fields, effect.message);
      case 'timer':
        return this.#setTimer(effect);
      case 'retire':
        return this.#parts.onRetired();
      // ---- Slack
      case 'say':
        return this.#away('could not post a notice', () => surface.say(this.#address, effect.text));
      case 'whisper':
        return this.#away('could not show a private notice', () =>
          surface.whisper(this.#address, effect.user, effect.text),
        );
      case 'direct':
        return this.#tell(effect);
      case 'remind':
        return this.#remind(effect);
      case 'open_turn':
        // A closed thread would never end the view that it begins to show.
        if (!mailbox.closed) this.#surface = this.#openTurn(effect.turn, effect.resumed);
        return;
      case 'close_turn':
        this.#surface = null;
        for (const [timer, { turn }] of this.#timers) if (turn !== undefined) this.#setTimer({ timer });
        return;
      case 'finish':
        return this.#finish(effect);
      case 'finish_late':
        return this.#finishLate(effect);
      case 'recheck_cards':
        return this.#surface?.recheckCards?.();
      case 'show_offer':
        return this.#showOffer(effect);
      // ---- Letta
      case 'connect':
        return this.#connect(effect);
      case 'disconnect':
        return this.#disconnect();
      case 'prepare':
        return this.#prepare(effect);
      case 'cancel_prepare':
        return this.#writing?.abort();
      case 'submit':
        return this.#submit(effect);
      case 'settle': {
        const { link } = effect;
        const settled = async () => (await letta()).settle().then(() => true);
        return this.#ask('sync after a turn failed', settled, (ok) => ({ type: 'settled', link, ok: ok ?? false }));
      }
      case 'settle_silent':
        return this.#away('could not ask Letta about a silent turn', async () => (await letta()).settle());
      case 'settle_stop': {
        const { turn, link, attempt } = effect;
        const settled = async () => (await letta()).settle();
        return this.#ask('sync after an abort failed', settled, () => ({ type: 'stop_settled', turn, link, attempt }));
      }
      case 'abort': {
        const { turn } = effect;
        const abort = async () => (await letta()).abort();
        return this.#ask('Letta did not confirm the abort', abort, (answer) => ({
          type: 'aborted',
          turn,
          aborted: answer?.aborted ?? null,
        }));
      }
      case 'look':
        return this.#look(effect);
      case 'read_gap': {
        const { turn, failures } = effect;
        const read = async () => (await letta()).fetchHistory(HISTORY_ITEMS);
        return this.#ask(UNREADABLE, read, (history) => ({ type: 'gap_read', turn, failures, history }));
      }
      case 'recall': {
        const { turn } = effect;
        const read = async () => (await letta()).fetchHistory(HISTORY_ITEMS);
        return this.#ask(UNREADABLE, read, (history) => ({ type: 'recalled', turn, history }));
      }
      case 'answer': {
        const { turn, link, token, requestId, decision } = effect;
        return this.#away(
          'Letta did not confirm a decision',
          async () => (await letta()).answer(requestId, decision),
          (answer) => ({ type: 'answered', of: turn, token, requestId, answer }),
          (error) => {
            const { certain, code } = asBridgeError(error);
            // After a lost link Letta asks again.
            const mayAskAnew = certain && code !== 'link_lost';
            return { type: 'unanswered', turn, link, token, requestId, mayAskAnew };
          },
          { request: requestId },
        );
      }
      case 'deny': {
        const decision = { behavior: 'deny', message: effect.message } as const;
        const answer = async () => (await letta()).answer(effect.requestId, decision);
        return this.#away('could not answer a request', answer, undefined, undefined, { request: effect.requestId });
      }
      case 'pass': {
        const { turn, link, request } = effect;
        return this.#away(
          'could not let a request pass',
          async () => (await letta()).answer(request.requestId, approve().send),
          () => null,
          () => ({ type: 'pass_failed', turn, link, request }),
          { request: request.requestId },
        );
      }
      case 'align':
        return this.#align(effect);
      case 'run_schedule': {
        const { link, id, by } = effect;
        const told = (ok: boolean) => ({ type: 'run_asked', link, by, ok }) as const;
        const run = async () => (await letta()).runSchedule(id);
        return this.#away('could not run a schedule', run, told, () => told(false));
      }
      case 'identify': {
        const { link, schedules } = effect;
        const told = (firing: FoundFiring | null) => ({ type: 'identified', link, firing }) as const;
        const identify = async () => this.#identify(await letta(), schedules);
        return this.#away('could not find out what began a turn', identify, told, () => told(null));
      }
      case 'refuse': {
        const { requestId, message, entry } = effect;
        const decision = { behavior: 'deny', message } as const;
        const refuse = async () => {
          await this.#write(entry).catch((error: unknown) => log.error({ err: error }, 'could not write the audit'));
          return (await letta()).answer(requestId, decision);
        };
        return this.#away('could not deny a request', refuse, undefined, undefined, { request: requestId });
      }
      // ---- tools of the bridge
      case 'plan_request': {
        const { turn, link, request, ask } = effect;
        const told = (plan: ToolPlan | null) => ({ type: 'request_planned', turn, link, request, plan }) as const;
        return this.#away(
          'could not tell what a call would do',
          () => this.#calls.plan(ask),
          told,
          () => told(null),
        );
      }
      case 'plan_call': {
        const { turn, link, request, ask } = effect;
        const told = (plan: ToolPlan | null) => ({ type: 'call_planned', turn, link, request, plan }) as const;
        return this.#away(
          'could not tell what a call would do',
          () => this.#calls.plan(ask),
          told,
          () => told(null),
        );
      }
      case 'run_call': {
        const { of, request, ask, plan, entry } = effect;
        const run = async () => {
          try {
            if (entry) await this.#write(entry);
          } catch (error) {
            log.error({ err: error }, 'could not write the audit');
            return this.#calls.refuse(request, 'not_written');
          }
          // The turn may have died with its link while the disk wrote.
          if (this.isLinkLost || this.#parts.thread().link.up === null) return this.#calls.refuse(request, 'link_lost');
          return this.#calls.run(request, ask, plan);
        };
        return this.#away('could not run a call', run, (outcome) => ({ type: 'call_ran', of, request, outcome }));
      }
      case 'recall_call': {
        const { of, request, ask } = effect;
        const told = (result: { text: string; isError: boolean } | null) =>
          ({ type: 'call_recalled', of, request, result }) as const;
        return this.#away(
          'could not tell what became of a call',
          () => this.#calls.recall(request, ask),
          told,
          () => told(null),
        );
      }
      case 'cancel_call':
        this.#calls.cancel(effect.request);
        return;
      case 'answer_call': {
        const [first = ''] = effect.requestIds;
        const result = effect.result ?? this.#calls.resultOf(first);
        for (const requestId of effect.requestIds) this.#connection?.answerCall(requestId, result);
        return;
      }
      case 'end_tasks': {
        const { link, tasks } = effect;
        const endTask = (task: (typeof tasks)[number]) =>
          Promise.resolve(letta())
            .then((to) => to.endTask(task))
            .catch((error: unknown) => {
              log.warn({ err: error, kind: task.kind }, 'could not end a background task');
              return { ended: false };
            });
        return this.#away(
          'could not end background tasks',
          () => Promise.all(tasks.map(endTask)),
          (answers) => ({ type: 'tasks_asked', link, isEnding: answers.some(({ ended }) => ended) }),
        );
      }
      // ---- who may, and what is written about it
      case 'judge': {
        const { turn, link, request, by } = effect;
        return this.#ask(
          'could not judge whether a request may pass',
          () => this.#stillMay(effect),
          (may) => ({ type: 'judged', turn, link, request, by, may }),
          { request: request.requestId },
        );
      }
      case 'rejudge': {
        const { turn, link, token, send, by: user, requester } = effect;
        const judge = () => this.#parts.door.judgeAgain(this.#key, { user }, { do: 'decide', requester });
        return this.#ask(
          'could not check whether a decision still counts',
          judge,
          (answer) => ({ type: 'rejudged', turn, link, token, send, person: answer?.person ?? null }),
          { request: effect.requestId },
        );
      }
      case 'write_pass': {
        const { turn, link, request, entry } = effect;
        return this.#ask(
          'could not let a request pass',
          () => this.#write(entry),
          (ok) => ({ type: 'pass_written', turn, link, request, ok: ok ?? false }),
          { request: request.requestId },
        );
      }
      case 'audit': {
        const { entry, token } = effect;
        return this.#ask(
          'could not write an approval to the audit',
          () => this.#write(entry),
          (ok) => ({ type: 'audited', entry, token, ok: ok ?? false }),
          { level: 'error', request: entry.requestId },
        );
      }
      case 'note_refused':
        this.#parts.refused.note(effect.click, effect.record);
        return;
      default:
        return effect satisfies never;
    }
  }

  get #key(): ThreadKey {
    return this.#parts.thread().key;
  }

  get #address(): ThreadAddress {
    return addressOf(this.#parts.thread());
  }

  /** Begins work of the world; what comes of it is an event. @param message for the log when it fails, with `fields` */
  #away<T>(
    message: string,
    begin: () => Promise<T>,
    done: (value: T) => ThreadEvent | null = () => null,
    failed: (error: unknown) => ThreadEvent | null = () => null,
    { level = 'warn', ...fields }: { level?: 'warn' | 'error'; turn?: TurnId; request?: string } = {},
  ): void {
    const { log } = this.#parts;
    const post = (event: ThreadEvent | null) => (event ? this.#post(event) : undefined);
    Promise.try(begin).then(
      (value) => post(done(value)),
      (error: unknown) => {
        log[level]({ ...fields, err: error }, message);
        post(failed(error));
      },
    );
  }

  /** As {@link #away}; `told` also tells that it failed, by `null`. */
  #ask<T>(
    message: string,
    begin: () => Promise<T>,
    told: (answer: T | null) => ThreadEvent,
    fields: { level?: 'warn' | 'error'; request?: string } = {},
  ): void {
    this.#away(message, begin, told, () => told(null), fields);
  }

  #post(event: ThreadEvent): void {
    this.#parts.mailbox.post(() => this.#parts.handle(event));
  }

  #setTimer({ timer, ms, turn, attempt }: Omit<Effect & { do: 'timer' }, 'do'>): void {
    const { mailbox, handle } = this.#parts;
    this.#timers.get(timer)?.running.cancel();
    this.#timers.delete(timer);
    if (ms === undefined) return;
    const running = mailbox.later(ms, () => {
      // It may have been cancelled, or set anew, while its event waited.
      if (this.#timers.get(timer) !== entry) return;
      this.#timers.delete(timer);
      handle({ type: 'timer', timer, ...(turn !== undefined && { turn }), ...(attempt !== undefined && { attempt }) });
    });
    const entry = { turn, running };
    this.#timers.set(timer, entry);
  }

  // ---- Slack -----------------------------------------------------------------------------------

  #openTurn(turn: OpenTurn, resumed: boolean): TurnSurface {
    const { surface, mailbox, handle } = this.#parts;
    const { id } = turn;
    this.#said = null;
    return surface.openTurn({
      turn: id,
      address: this.#address,
      posts: turn.posts,
      resumed,
      ...(turn.schedule?.inChannel && { inChannel: true }),
      onPosts: (posts) => mailbox.posted(() => handle({ type: 'posts', of: id, posts })),
      onText: () => this.#keepSaid(id),
      onCardRefused: (reason, cards) => this.#post({ type: 'card_refused', turn: id, reason, cards }),
      onHeldUp: (held) => this.#post({ type: 'held_up', turn: id, held }),
    });
  }

  /**
   * Stores what the agent has said so far before people see it, so that a restarted bridge never replaces it by less.
   * When the disk fails, people see the text all the same.
   */
  #keepSaid(turn: TurnId): Promise<void> | undefined {
    const { thread, mailbox, handle, log } = this.#parts;
    const { live } = thread();
    if (live?.id !== turn || live.fold.parts === this.#said || isSeenUnknown(live)) return undefined;
    const { parts } = live.fold;
    this.#said = parts;
    return mailbox
      .posted(() => handle({ type: 'said', turn, parts }))
      .catch((error) => {
        this.#said = null;
        log.warn({ turn, err: error }, 'could not store what the agent has said');
      });
  }

  #finish({ turn, view, endedAt, details }: Effect & { do: 'finish' }): void {
    const { log, details: store } = this.#parts;
    const surface = this.#surface;
    if (!surface) return;
    const keep = async () => {
      if (!details || !store) return;
      try {
        await store.put(details.ref, details.details);
        await store.drop(details.drop);
      } catch (error) {
        // Only the details are lost.
        log.warn({ turn, err: error }, 'could not store the details of a turn');
      }
    };
    this.#away(
      'could not deliver the answer',
      () => keep().then(() => surface.finish(view, endedAt)),
      (delivery) => ({ type: 'finished', turn, delivery }),
      // The surface has closed, so the next start shows the end that is on disk.
      (error) => (asBridgeError(error).retry ? null : { type: 'finished', turn, delivery: { delivered: true } }),
      { level: 'error', turn },
    );
  }

  #tell({ user, text, copy }: Effect & { do: 'direct' }): void {
    const { surface, log } = this.#parts;
    const { team } = this.#address;
    const message = 'could not tell a person what their thread does not show';
    const told = (isDelivered: boolean) => copy && ({ type: 'told', turn: copy.turn, isDelivered } as const);
    const tell = surface.sendDirectMessage?.bind(surface);
    if (!tell) return;
    this.#away(
      message,
      () => tell(user, team, text, copy),
      (delivery) => {
        if (!delivery.delivered) log.warn({ user, reason: delivery.reason }, message);
        return told(delivery.delivered);
      },
      () => told(false),
    );
  }

  #remind({ whom, text, there, open }: Effect & { do: 'remind' }): void {
    const { surface } = this.#parts;
    const { team } = this.#address;
    const tell = (user: UserId) => surface.sendDirectMessage?.(user, team, text, null, open);
    const remind = async () => {
      const missed: UserId[] = [];
      for (const user of await this.#people(whom)) if (!(await tell(user))?.delivered) missed.push(user);
      return missed;
    };
    this.#away('could not remind people of a request', remind, (users) =>
      users.length === 0 ? null : { type: 'unreminded', users, text: there },
    );
  }

  /** The people among these users and user groups (`S…`), each once; bots read no direct messages. */
  async #people(whom: readonly string[]): Promise<UserId[]> {
    const { groups } = this.#parts;
    const people = new Set<UserId>();
    for (const id of whom) {
      const members = id.startsWith('S') ? ((await groups?.listMembers(id)) ?? []) : [id];
      for (const member of members) if (/^[UW]/.test(member)) people.add(member);
    }
    return [...people].slice(0, REMINDED_MOST);
  }

  #finishLate({ turn, posts, view }: Effect & { do: 'finish_late' }): void {
    const { surface, mailbox, handle, clock } = this.#parts;
    const late = surface.openTurn({
      turn,
      address: this.#address,
      posts,
      resumed: true,
      isLate: true,
      onPosts: (now) => mailbox.posted(() => handle({ type: 'late_posts', of: turn, posts: now })),
    });
    this.#ask(
      'could not finish a late answer',
      () => late.finish(view, clock.now()),
      (delivery) => ({ type: 'late_shown', of: turn, delivery }),
    );
  }

  #showOffer({ offer, wanted }: Effect & { do: 'show_offer' }): void {
    const { surface, mailbox, handle, botUser, log } = this.#parts;
    const { token, kind, posts, display } = offer;
    const message = offer.tail?.message;
    const view = (message !== undefined && tailOfferView(offer)) || offerView(offer, botUser);
    const show = () =>
      surface.showOffer({
        view,
        ...(message !== undefined && { message }),
        address: this.#address,
        posts,
        resumed: display === 'begun' && posts.length === 0,
        onPosts: (now) => mailbox.posted(() => handle({ type: 'offer_posts', token, posts: now })),
      });
    const told = (isShown: boolean) => ({ type: 'offer_shown', token, wanted, isShown }) as const;
    this.#away(
      'could not show an offer',
      show,
      (delivery) => {
        if (!delivery.delivered) log.warn({ offer: kind, reason: delivery.reason }, 'could not show an offer');
        return told(true);
      },
      () => told(false),
    );
  }

  // ---- Letta -----------------------------------------------------------------------------------

  #connect({ dial, options }: Effect & { do: 'connect' }): void {
    const { gateway, mailbox, handle } = this.#parts;
    // The thread may have closed while a mail was under way; then nothing would close a new connection.
    if (mailbox.closed) return;
    this.#dial = dial;
    this.#losses = 0;
    this.#connection = gateway.connect(options, (event) => {
      const isLoss = event.type === 'lost';
      if (isLoss && this.#dial === dial) this.#losses += 1;
      mailbox.post(() => {
        if (isLoss && this.#dial === dial) this.#losses -= 1;
        handle({ type: 'agent', dial, event });
      });
    });
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#dial = -1;
    this.#losses = 0;
  }

  #prepare({ turn, attempt, version, isDirect, context }: Effect & { do: 'prepare' }): void {
    const thread = this.#parts.thread();
    const { key, record } = thread;
    const connection = this.#connection;
    const writing = new AbortController();
    const { signal } = writing;
    this.#writing = writing;
    const prepare = () => {
      if (!connection) throw new Error('there is no link');
      const verdict = this.#mayBegin(turn);
      const mayHandOver = verdict.then((is) => is !== 'unknown' && is.allowed);
      const place = { key, address: addressOf(thread), record, isDirect, context };
      return Promise.all([writeInput(this.#parts, place, turn, { connection, mayHandOver, signal }), verdict]);
    };
    this.#away(
      'could not write a prompt',
      prepare,
      ([{ turn: written, content, files, unreadable }, verdict]) => {
        const { context: along, notPassedOn, past } = written;
        const whole = { context: along, notPassedOn, past };
        const input = { version, written: whole, content, files, unreadable };
        return { type: 'prepared', turn: turn.id, attempt, ...input, verdict };
      },
      () => ({ type: 'unprepared', turn: turn.id, attempt }),
    );
  }

  async #mayBegin(turn: OpenTurn): Promise<Verdict | 'unknown'> {
    // Whoever may stop need not be allowed to speak; their right to stop was judged at the click.
    if (turn.ends) return { allowed: true };
    try {
      const { verdict } = await this.#parts.door.judgeAgain(this.#key, authorOf(turn), { do: 'speak' });
      return !verdict.allowed && verdict.reason === UNCONFIRMED ? 'unknown' : verdict;
    } catch (error) {
      this.#parts.log.warn({ turn: turn.id, err: error }, 'could not check whether a turn may begin');
      return 'unknown';
    }
  }

  /** Sends the input, which is on disk as submitted, unless the link was lost while the disk wrote. */
  #submit({ turn: of, ...input }: Effect & { do: 'submit' }): void {
    const connection = this.#connection;
    if (!connection || this.isLinkLost || this.#parts.thread().link.up === null) {
      this.#parts.handle({ type: 'unsent', of });
      return;
    }
    const { clientMessageId, content, tools } = input;
    this.#away(
      'Letta did not confirm the input',
      () => connection.submit({ clientMessageId, content, ...(tools && { tools }) }),
      () => ({ type: 'sent', of, error: null }),
      (error) => {
        const { certain, retry, notice } = asBridgeError(error);
        return { type: 'sent', of, error: { certain, retry, notice } };
      },
    );
  }

  #look({ turn, link, look, fresh, isDeep }: Effect & { do: 'look' }): void {
    const { mailbox } = this.#parts;
    const connection = this.#connection;
    const read = async () => {
      if (!connection) throw new Error('there is no link');
      if (!fresh) {
        await connection.settle();
        await new Promise<void>((resolve) => void mailbox.later(OVERTAKEN_MS, resolve));
      }
      return connection.fetchHistory(isDeep ? HISTORY_DEEP : HISTORY_ITEMS);
    };
    this.#ask(UNREADABLE, read, (history) => ({ type: 'looked', turn, link, look, isDeep, history }));
  }

  /** Letta stores an input a little after it began to work on it, so the history is read again for a while. */
  async #identify(connection: AgentConnection, schedules: readonly Schedule[]): Promise<FoundFiring | null> {
    const { mailbox } = this.#parts;
    for (const ms of STORED_AFTER_MS) {
      const found = lastFiring(await connection.fetchHistory(HISTORY_ITEMS), schedules);
      if (found) return found;
      await new Promise<void>((resolve) => void mailbox.later(ms, resolve));
    }
    return lastFiring(await connection.fetchHistory(HISTORY_ITEMS), schedules);
  }

  #align({ link, schedules, orphan }: Effect & { do: 'align' }): void {
    const { log } = this.#parts;
    const connection = this.#connection;
    const compare = async () => {
      if (!connection) throw new Error('there is no link');
      const seen = await connection.alignSchedules(schedules, orphan);
      const isNews = ({ id, lastFiredAt }: SeenSchedule) =>
        (lastFiredAt ?? 0) > (schedules.find((schedule) => schedule.id === id)?.firedAt ?? 0);
      return { seen, history: seen.some(isNews) ? await connection.fetchHistory(HISTORY_ITEMS) : [] };
    };
    const compared = compare().catch((error: unknown) => {
      log.warn({ err: error }, 'could not compare the schedules with those at Letta');
      return null;
    });
    this.#away(
      'could not compare schedules',
      async () => ({ owners: await this.#ownersOf(schedules), compared: await compared }),
      ({ owners, compared: is }) => {
        const unheard = unheardFirings(is?.history ?? [], schedules);
        return { type: 'aligned', link, seen: is?.seen ?? null, owners, unheard };
      },
      () => ({ type: 'aligned', link, seen: null, owners: {}, unheard: [] }),
    );
  }

  /** Whether the owners may use the agent here; `null`: Slack does not tell. */
  async #ownersOf(schedules: readonly Schedule[]): Promise<Record<UserId, boolean | null>> {
    const { door, log } = this.#parts;
    const judge = async (user: UserId): Promise<[UserId, boolean | null]> => {
      try {
        const { verdict } = await door.judgeAgain(this.#key, { user }, { do: 'speak' });
        return [user, verdict.allowed || (verdict.reason === UNCONFIRMED ? null : false)];
      } catch (error) {
        log.warn({ user, err: error }, 'could not check whether the owner of a schedule still may use the agent');
        return [user, null];
      }
    };
    return Object.fromEntries(await Promise.all([...new Set(schedules.map(({ owner }) => owner))].map(judge)));
  }

  // ---- who may, and what is written about it ---------------------------------------------------

  async #stillMay({ author, requester, giver }: Effect & { do: 'judge' }): Promise<boolean> {
    const { door } = this.#parts;
    const asked = [door.judgeAgain(this.#key, author, { do: 'speak' })];
    if (giver !== null) asked.push(door.judgeAgain(this.#key, { user: giver }, { do: 'decide', requester }));
    return (await Promise.all(asked)).every(({ verdict }) => verdict.allowed);
  }

  async #write(entry: AuditEntry): Promise<true> {
    await this.#parts.audit.append(entry);
    this.#parts.log.info(fieldsOf(entry), 'approval settled');
    return true;
  }
}

/** An entry's fields for the log, without anything that a person or the agent wrote. */
function fieldsOf({ title: _, id: __, thread: ___, input: ____, ...fields }: AuditEntry): object {
  return fields;
}
