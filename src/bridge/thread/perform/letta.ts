import { asBridgeError } from '../../../errors.ts';
import { approve } from '../../approvals/answers.ts';
import type { AgentConnection, AgentGateway, Log, SeenSchedule } from '../../ports.ts';
import type { DeviceRun, Fork, OpenTurn } from '../../record/thread-record.ts';
import { unheardFirings } from '../../schedules/firing.ts';
import { type Beginning, beginningOf, type KnownBeginnings, missedInputs } from '../../turn/beginning.ts';
import { forkPointIn } from '../../turn/fork-point.ts';
import { DEVICE } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import type { LettaEffect } from '../core/effects.ts';
import type { Answer, ThreadEvent } from '../core/events.ts';
import { addressOf, type Thread } from '../core/thread.ts';
import type { Mailbox } from '../mailbox.ts';
import type { Jobs, Performs } from './jobs.ts';
import type { PastSources, TurnPlace } from './read-past.ts';
import type { Rights } from './rights.ts';
import { type PromptSources, writeInput } from './write-prompt.ts';

export interface LettaSideParts extends PromptSources, PastSources {
  gateway: AgentGateway;
  log: Log;
  mailbox: Mailbox;
  thread(): Thread;
  /** Takes a step; called only while a mail or its effects are handled. */
  handle(event: ThreadEvent): void;
}

type Of<Do extends LettaEffect['do']> = Extract<LettaEffect, { do: Do }>;

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
/** A history that could not be read is asked for again after this. */
const UNREAD_MS = 2_000;
/** This many lost answers in a row are put up with. */
const MOST_LOST = 2;

const UNREADABLE = 'could not read the history';

/** Holds the thread's connection to Letta, and does over it what steps want done there. */
export class LettaSide {
  readonly #parts: LettaSideParts;
  readonly #jobs: Jobs;
  readonly #rights: Rights;
  /** Aborts what is fetched for an input. */
  #writing: AbortController | null = null;
  #connection: AgentConnection | null = null;
  #dial = -1;
  /** Losses that the connection has reported and whose events are still to come. */
  #losses = 0;

  constructor(parts: LettaSideParts, jobs: Jobs, rights: Rights) {
    this.#parts = parts;
    this.#jobs = jobs;
    this.#rights = rights;
  }

  get connection(): AgentConnection | null {
    return this.#connection;
  }

  /** Whether the connection has reported a loss whose event is still to come. */
  get isLinkLost(): boolean {
    return this.#losses > 0;
  }

  /** Whether nothing may leave over the link: there is none, or what the thread knows of it is about a lost one. */
  get isDown(): boolean {
    return this.isLinkLost || this.#parts.thread().link.up === null;
  }

  close(): void {
    this.#writing?.abort();
    this.#disconnect();
  }

  readonly performs: Performs<LettaEffect> = {
    connect: (effect) => this.#connect(effect),
    disconnect: () => this.#disconnect(),
    prepare: (effect) => this.#prepare(effect),
    cancel_prepare: () => this.#writing?.abort(),
    submit: (effect) => this.#submit(effect),
    prepare_steer: (effect) => this.#prepareSteer(effect),
    steer: (effect) => this.#steer(effect),
    withdraw: ({ link, clientMessageId }) =>
      this.#jobs.ask(
        'could not tell whether input left the queue of Letta',
        () => this.#open.withdraw(clientMessageId),
        (removed) => ({ type: 'withdrawn', link, clientMessageId, removed }),
      ),
    resume_queue: ({ link }) => {
      const resumed = () => this.#open.resumeQueue().then(() => true);
      const told = (ok: boolean | null) => ({ type: 'queue_resumed', link, ok: ok ?? false }) as const;
      this.#jobs.ask('Letta did not hear that its queue goes on', resumed, told);
    },
    settle: ({ link }) => {
      const settled = () => this.#open.settle().then(() => true);
      this.#jobs.ask('sync after a turn failed', settled, (ok) => ({ type: 'settled', link, ok: ok ?? false }));
    },
    compact: ({ link }) => {
      const over = (outcome: (Answer & { type: 'compaction_over' })['outcome']) =>
        ({ type: 'compaction_over', link, outcome }) as const;
      this.#jobs.begin(
        'Letta did not summarise',
        () => this.#open.compact(),
        (compacted) => over(compacted),
        (error) => {
          const { certain, notice } = asBridgeError(error);
          return over(certain ? { refused: notice } : null);
        },
      );
    },
    run_command: ({ link, run }) => {
      const told = (outcome: (Answer & { type: 'command_ran' })['outcome']) =>
        ({ type: 'command_ran', link, at: run.at, outcome }) as const;
      this.#jobs.begin(
        'could not run a command of the device',
        () => this.#runCommand(run),
        (outcome) => told(outcome),
        (error) => {
          const { certain, notice } = asBridgeError(error);
          return told(certain ? { refused: notice } : null);
        },
      );
    },
    fork: ({ link, fork }) => {
      const told = (outcome: (Answer & { type: 'forked' })['outcome']) =>
        ({ type: 'forked', link, id: fork.id, outcome }) as const;
      this.#jobs.begin(
        'Letta did not copy the conversation',
        () => this.#fork(fork),
        (outcome) => told(outcome),
        (error) => {
          const { certain, retry, notice } = asBridgeError(error);
          return told(certain && !retry ? { refused: notice } : null);
        },
      );
    },
    restore_mode: () => this.#connection?.restoreMode(),
    settle_silent: () => this.#jobs.begin('could not ask Letta about a silent turn', () => this.#open.settle()),
    settle_stop: ({ turn, link, attempt }) =>
      this.#jobs.ask(
        'sync after an abort failed',
        () => this.#open.settle(),
        () => ({ type: 'stop_settled', turn, link, attempt }),
      ),
    abort: ({ turn }) =>
      this.#jobs.ask(
        'Letta did not confirm the abort',
        () => this.#open.abort(),
        (answer) => ({ type: 'aborted', turn, aborted: answer?.aborted ?? null }),
      ),
    look: (effect) => this.#look(effect),
    read_gap: ({ turn, failures }) =>
      this.#jobs.ask(
        UNREADABLE,
        () => this.#open.fetchHistory(HISTORY_ITEMS),
        (history) => ({ type: 'gap_read', turn, failures, history }),
      ),
    recall: ({ turn }) =>
      this.#jobs.ask(
        UNREADABLE,
        () => this.#open.fetchHistory(HISTORY_ITEMS),
        (history) => ({ type: 'recalled', turn, history }),
      ),
    answer: ({ turn, link, token, requestId, decision }) =>
      this.#jobs.begin(
        'Letta did not confirm a decision',
        () => this.#open.answer(requestId, decision),
        (answer) => ({ type: 'answered', of: turn, token, requestId, answer }),
        (error) => {
          const { certain, code } = asBridgeError(error);
          // After a lost link Letta asks again.
          const mayAskAnew = certain && code !== 'link_lost';
          return { type: 'unanswered', turn, link, token, requestId, mayAskAnew };
        },
        { request: requestId },
      ),
    deny: ({ requestId, message, entry }) => {
      const connection = this.#connection;
      const deny = async () => {
        try {
          if (entry) await this.#rights.write(entry);
        } catch (error) {
          this.#parts.log.error({ err: error }, 'could not write the audit');
        }
        return open(connection).answer(requestId, { behavior: 'deny', message });
      };
      this.#jobs.begin('could not deny a request', deny, undefined, undefined, { request: requestId });
    },
    pass: ({ turn, link, request }) =>
      this.#jobs.begin(
        'could not let a request pass',
        () => this.#open.answer(request.requestId, approve().send),
        undefined,
        () => ({ type: 'pass_failed', turn, link, request }),
        { request: request.requestId },
      ),
    align: (effect) => this.#align(effect),
    run_schedule: ({ link, id, by }) => {
      const told = (ok: boolean) => ({ type: 'run_asked', link, by, ok }) as const;
      this.#jobs.begin(
        'could not run a schedule',
        () => this.#open.runSchedule(id),
        told,
        () => told(false),
      );
    },
    identify: ({ link, known }) =>
      this.#jobs.ask(
        'could not find out what began a turn',
        () => this.#identify(this.#open, known),
        (beginning) => ({ type: 'identified', link, beginning }),
      ),
    find_missed: (effect) => this.#findMissed(effect),
    end_tasks: ({ link, tasks }) => {
      const endTask = (task: (typeof tasks)[number]) =>
        Promise.try(() => this.#open.endTask(task)).catch((error: unknown) => {
          this.#parts.log.warn({ err: error, kind: task.kind }, 'could not end a background task');
          return { ended: false };
        });
      this.#jobs.begin(
        'could not end background tasks',
        () => Promise.all(tasks.map(endTask)),
        (answers) => ({ type: 'tasks_asked', link, isEnding: answers.some(({ ended }) => ended) }),
      );
    },
  };

  /** The connection, for work that fails without one. */
  get #open(): AgentConnection {
    return open(this.#connection);
  }

  #connect({ dial, options }: Of<'connect'>): void {
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

  #prepare({ turn, attempt, version, isDirect, context }: Of<'prepare'>): void {
    const { record } = this.#parts.thread();
    this.#jobs.begin(
      'could not write a prompt',
      () => this.#write(turn, { record, isDirect, context }),
      (written) => ({ type: 'prepared', turn: turn.id, attempt, version, ...written }),
      () => ({ type: 'unprepared', turn: turn.id, attempt }),
    );
  }

  #prepareSteer({ turn, known, attempt, version, isDirect, context }: Of<'prepare_steer'>): void {
    const { record } = this.#parts.thread();
    const asKnown = record && { ...record, ...(known && { known }) };
    this.#jobs.begin(
      'could not write a prompt',
      () => this.#write(turn, { record: asKnown, isDirect, context, isSteering: true }),
      (written) => ({ type: 'steer_prepared', turn: turn.id, attempt, version, ...written }),
      () => ({ type: 'steer_unprepared', turn: turn.id, attempt }),
    );
  }

  /** Writes a turn's input, and judges whether its author still may. */
  async #write(turn: OpenTurn, place: Omit<TurnPlace, 'key' | 'address'>) {
    const thread = this.#parts.thread();
    const connection = this.#open;
    const writing = new AbortController();
    const { signal } = writing;
    this.#writing = writing;
    const judged = this.#rights.mayBegin(turn);
    const mayHandOver = judged.then((is) => is !== 'unknown' && is.allowed);
    const where = { key: thread.key, address: addressOf(thread), ...place };
    const way = { connection, mayHandOver, signal };
    const [input, verdict] = await Promise.all([writeInput(this.#parts, where, turn, way), judged]);
    const { content, files, unreadable } = input;
    const { context, notPassedOn, past } = input.turn;
    return { written: { context, notPassedOn, past }, content, files, unreadable, verdict };
  }

  /** Sends the input, which is on disk as submitted, unless the link was lost while the disk wrote. */
  #submit({ turn: of, ...input }: Of<'submit'>): void {
    const connection = this.#connection;
    if (!connection || this.isDown) {
      this.#parts.handle({ type: 'unsent', of });
      return;
    }
    const { clientMessageId, content, tools } = input;
    this.#jobs.begin(
      'Letta did not confirm the input',
      () => connection.submit({ clientMessageId, content, ...(tools && { tools }) }),
      () => ({ type: 'sent', of, error: null }),
      (error) => {
        const { certain, retry, notice } = asBridgeError(error);
        return { type: 'sent', of, error: { certain, retry, notice } };
      },
    );
  }

  /** Sends input for the running turn, which is on disk as sent, unless the link was lost while the disk wrote. */
  #steer({ clientMessageId, content }: Of<'steer'>): void {
    const connection = this.#connection;
    if (!connection || this.isDown) {
      this.#parts.handle({ type: 'steer_sent', clientMessageId, error: { certain: true, retry: true } });
      return;
    }
    this.#jobs.begin(
      'Letta did not confirm input for the running turn',
      () => connection.join({ clientMessageId, content }),
      () => ({ type: 'steer_sent', clientMessageId, error: null }),
      (error) => {
        const { certain, retry } = asBridgeError(error);
        return { type: 'steer_sent', clientMessageId, error: { certain, retry } };
      },
    );
  }

  #look({ turn, link, look, fresh, isDeep }: Of<'look'>): void {
    const { mailbox } = this.#parts;
    const read = async () => {
      const connection = this.#open;
      if (!fresh) {
        await connection.settle();
        await new Promise<void>((resolve) => void mailbox.later(OVERTAKEN_MS, resolve));
      }
      return connection.fetchHistory(isDeep ? HISTORY_DEEP : HISTORY_ITEMS);
    };
    this.#jobs.ask(UNREADABLE, read, (history) => ({ type: 'looked', turn, link, look, isDeep, history }));
  }

  #findMissed({ link, shown, from, isOrdered }: Of<'find_missed'>): void {
    const { mailbox } = this.#parts;
    const find = async () => {
      const connection = this.#open;
      const read = async () => {
        const history = await connection.fetchHistory(HISTORY_ITEMS);
        return { missed: missedInputs(history, { shown, from }), newest: history.at(-1)?.id ?? null };
      };
      const found = await read();
      if (isOrdered || found.missed.length === 0) return found;
      // What is on its way is heard before what is looked for now is told.
      await connection.settle();
      await new Promise<void>((resolve) => void mailbox.later(OVERTAKEN_MS, resolve));
      return read();
    };
    this.#jobs.ask(UNREADABLE, find, (found) => ({ type: 'missed_found', link, found }));
  }

  /** Letta stores an input a little after it began to work on it, so the history is read again for a while. */
  async #identify(connection: AgentConnection, known: KnownBeginnings): Promise<Beginning | null> {
    const { mailbox } = this.#parts;
    const passed = (ms: number) => new Promise<void>((resolve) => void mailbox.later(ms, resolve));
    const read = () => connection.fetchHistory(HISTORY_ITEMS);
    // While it is not known who asked, only admins may decide what the turn asks, so a lost answer is not the end of it.
    const readAgain = async () => {
      for (let lost = 0; lost < MOST_LOST; lost += 1) {
        const history = await read().catch(() => null);
        if (history !== null) return history;
        await passed(UNREAD_MS);
      }
      return read();
    };
    for (const ms of STORED_AFTER_MS) {
      const found = beginningOf(await readAgain(), known, false);
      if (found) return found;
      await passed(ms);
    }
    return beginningOf(await readAgain(), known, true);
  }

  async #runCommand({ by, command, args }: DeviceRun): Promise<(Answer & { type: 'command_ran' })['outcome']> {
    const connection = this.#open;
    const verdict = await this.#rights.mayRunCommands(by);
    if (verdict === 'unknown') return { refused: DEVICE.notAsked };
    return verdict.allowed ? connection.runCommand(command, args) : { refused: verdict.notice };
  }

  async #fork({ id, by, upTo }: Fork): Promise<(Answer & { type: 'forked' })['outcome']> {
    const connection = this.#open;
    const verdict = await this.#rights.maySpeak(by);
    if (verdict === 'unknown') return null;
    if (!verdict.allowed) return { refused: verdict.notice };
    const { key } = this.#parts.thread();
    const point = upTo ? forkPointIn(await connection.fetchHistory(HISTORY_DEEP), key, upTo) : { id: null };
    if (point === 'missing') return { refused: FORK.notThere };
    return { made: await connection.fork(id, point.id) };
  }

  #align({ link, schedules, orphan }: Of<'align'>): void {
    const { log } = this.#parts;
    const compare = async () => {
      const connection = this.#open;
      const seen = await connection.alignSchedules(schedules, orphan);
      const isNews = ({ id, lastFiredAt }: SeenSchedule) =>
        (lastFiredAt ?? 0) > (schedules.find((schedule) => schedule.id === id)?.firedAt ?? 0);
      return { seen, history: seen.some(isNews) ? await connection.fetchHistory(HISTORY_ITEMS) : [] };
    };
    const compared = compare().catch((error: unknown) => {
      log.warn({ err: error }, 'could not compare the schedules with those at Letta');
      return null;
    });
    this.#jobs.begin(
      'could not compare schedules',
      async () => ({ owners: await this.#rights.ownersOf(schedules), compared: await compared }),
      ({ owners, compared: is }) => {
        const unheard = unheardFirings(is?.history ?? [], schedules);
        return { type: 'aligned', link, seen: is?.seen ?? null, owners, unheard };
      },
      () => ({ type: 'aligned', link, seen: null, owners: {}, unheard: [] }),
    );
  }
}

function open(connection: AgentConnection | null): AgentConnection {
  if (!connection) throw new Error('there is no link');
  return connection;
}
