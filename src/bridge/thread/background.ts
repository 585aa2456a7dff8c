import type { BackgroundTask } from '../agent-event.ts';
import { makeToken, type UserId } from '../ids.ts';
import type { Clock, Log, Random, Surface, Timer } from '../ports.ts';
import type { TurnIds } from '../record/inbox.ts';
import { findBackgroundOffer, hideBackground, showBackground } from '../record/offers.ts';
import {
  beginTaskEndTurn,
  describeTasks,
  listTaskLines,
  requestTaskEnd,
  setTasks,
  tasksOf,
  tasksToEnd,
} from '../record/tasks.ts';
import type { TaskRecord, ThreadRecord } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import type { ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import { say } from './say.ts';
import type { ThreadState } from './state.ts';

export interface BackgroundParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  surface: Surface;
  clock: Clock;
  random: Random;
  log: Log;
  turnIds(): TurnIds;
  advance(): void;
}

/** A task that ends this soon after its turn is not shown. */
const SHOWN_AFTER_MS = 3_000;
/** A background task reports to the agent within this time of its end. */
const REPORTS_WITHIN_MS = 5_000;
/** Letta was told to end tasks: if some still run after this long, the agent is asked to end them. */
const ENDS_WITHIN_MS = 3_000;

/**
 * Background tasks, which run on after their turn: subagents, commands, monitors. They are shown with a Stop button.
 * Stop asks Letta to end them, then the agent; whoever clicked is told which tasks still run.
 */
export class ThreadBackground {
  readonly #parts: BackgroundParts;
  /** Whether Letta is being asked to end tasks (`asking`), or was asked and some still run (`done`). */
  #trying: 'no' | 'asking' | 'done' = 'no';
  #grace: Timer | null = null;
  /** When the last of the tasks that were to end had ended, by the monotonic clock. */
  #endedAt: number | null = null;
  /** Since when tasks run without an open turn, by the same clock. */
  #aloneSince: number | null = null;

  constructor(parts: BackgroundParts) {
    this.#parts = parts;
  }

  /** The tasks that run now. */
  get tasks(): readonly TaskRecord[] {
    return tasksOf(this.#parts.state.record);
  }

  /** Who wanted the tasks to end, while the agent must not act on their reports; `null`: it may act on them. */
  get silencedBy(): UserId | null {
    const wanted = this.#parts.state.record?.endTasks;
    return wanted && (wanted.step !== 'told' || this.#endedAt !== null) ? wanted.by : null;
  }

  /** Letta reports all tasks that run in the background now. */
  told(tasks: readonly BackgroundTask[]): void {
    const { state, clock, advance } = this.#parts;
    const { record } = state;
    if (!record) return;
    const owner = state.open?.requester ?? record.starter;
    const by = state.open?.stoppedBy ?? null;
    const change = (now: ThreadRecord) => {
      const next = setTasks(now, tasks, owner, clock.now());
      // The Stop of a turn also ends tasks that the turn started while it was being stopped.
      return by === null ? next : requestTaskEnd(next, by, clock.now(), false);
    };
    const next = change(record);
    const isKnown = next.background === record.background;
    if (isKnown && JSON.stringify(next.tasks) === JSON.stringify(record.tasks)) return;
    if (next.endTasks?.at !== record.endTasks?.at) this.forget();
    state.change(change);
    advance();
  }

  /**
   * Stores that all tasks have to end; the caller then calls {@link advance}, which ends them.
   * @param anew tries again to end tasks that an earlier Stop could not end
   */
  stop(
    by: UserId,
    { anew, also }: { anew: boolean; also?: ((record: ThreadRecord) => ThreadRecord) | undefined },
  ): void {
    const { state, clock, mailbox, log } = this.#parts;
    const { record } = state;
    if (!record || requestTaskEnd(record, by, clock.now(), anew) === record) return;
    state.change((now) => {
      const wanted = requestTaskEnd(now, by, clock.now(), anew);
      return also ? also(wanted) : wanted;
    });
    this.forget();
    mailbox.after(() => log.info({ by, tasks: this.tasks.length }, 'ending background tasks'));
  }

  /** Whether {@link advance} may have something to do. */
  get isDue(): boolean {
    const { record } = this.#parts.state;
    return Boolean(record && (record.tasks || record.endTasks || findBackgroundOffer(record)));
  }

  /**
   * Ends tasks that have to end, and shows the others.
   * @param paused who has paused the agent, so that all tasks have to end; `null`: nobody
   * @param mayBegin whether a turn may begin, which asks the agent to end tasks
   * @returns whether such a turn began
   */
  advance(paused: UserId | null, mayBegin: boolean): boolean {
    if (paused !== null) this.stop(paused, { anew: false });
    const began = this.#pursue(mayBegin);
    this.#show();
    return began;
  }

  #pursue(mayBegin: boolean): boolean {
    const { state, link, turnIds } = this.#parts;
    const wanted = state.record?.endTasks;
    if (!wanted) return false;
    const left = tasksToEnd(state.record);
    if (left.length === 0) {
      this.#ended();
      return false;
    }
    this.#endedAt = null;
    if (wanted.step === 'told' || !link.ready) return false;
    if (wanted.step === 'wanted') {
      if (this.#trying === 'no') this.#askLetta(left);
      if (this.#trying !== 'done' || state.open || !mayBegin) return false;
      const ids = turnIds();
      state.change((record) => beginTaskEndTurn(record, ids));
      if (state.open) return true;
    }
    // The agent was asked already, or could not be asked to end these tasks.
    if (!state.open) this.#tell(left);
    return false;
  }

  /** All tasks have ended. The wish stays stored a while, because their reports begin turns that have to be stopped. */
  #ended(): void {
    const { state, clock, mailbox, advance } = this.#parts;
    const now = clock.monotonic();
    this.#endedAt ??= now;
    const left = REPORTS_WITHIN_MS - (now - this.#endedAt);
    if (left > 0) return void mailbox.later(left, advance);
    this.#endedAt = null;
    state.change(({ endTasks: _, ...record }) => record);
  }

  /** Shows the tasks while no turn is open, and takes the message down when all have ended. */
  #show(): void {
    const { state, clock, random, mailbox, advance } = this.#parts;
    const { record } = state;
    if (!record) return;
    const { tasks } = this;
    const now = clock.now();
    if (tasks.length === 0 || state.open) this.#aloneSince = null;
    if (tasks.length === 0) {
      if (findBackgroundOffer(record)) state.change((stored) => hideBackground(stored, now));
      return;
    }
    const shown = findBackgroundOffer(record);
    if (!shown && state.open) return;
    this.#aloneSince ??= clock.monotonic();
    const left = SHOWN_AFTER_MS - (clock.monotonic() - this.#aloneSince);
    if (!shown && left > 0) return void mailbox.later(left, advance);
    const token = makeToken(random.id());
    const owner = tasks[0]?.for ?? record.starter;
    const lines = listTaskLines(tasks);
    if (showBackground(record, lines, owner, token, now) === record) return;
    state.change((stored) => showBackground(stored, lines, owner, token, now));
  }

  /** The thread closes, or its link is new, so Letta may not have got the request to end tasks and is asked again. */
  forget(): void {
    this.#trying = 'no';
    this.#grace?.cancel();
  }

  #askLetta(tasks: readonly TaskRecord[]): void {
    const { link, mailbox, log, advance } = this.#parts;
    const connection = link.ready;
    if (!connection) return;
    this.#trying = 'asking';
    const ask = () =>
      Promise.all(
        tasks.map((task) =>
          connection.endTask(task).catch((error: unknown) => {
            log.warn({ err: error, kind: task.kind }, 'could not end a background task');
            return { ended: false };
          }),
        ),
      );
    const done = () => {
      if (this.#trying === 'asking') this.#trying = 'done';
      return advance();
    };
    mailbox.away(
      ask,
      (answers) => {
        if (link.ready !== connection) return this.forget();
        const some = answers.some(({ ended }) => ended);
        // Letta reports the end of a task like any change; tasks that still run after the grace time need the agent.
        if (some) this.#grace = mailbox.later(ENDS_WITHIN_MS, done);
        else return done();
        return undefined;
      },
      done,
    );
  }

  #tell(tasks: readonly TaskRecord[]): void {
    const { state, link, log } = this.#parts;
    const by = state.record?.endTasks?.by;
    state.change((record) =>
      record.endTasks ? { ...record, endTasks: { ...record.endTasks, step: 'told' } } : record,
    );
    if (by === undefined) return;
    log.warn({ by, tasks: tasks.length }, 'background tasks keep running after a Stop');
    const where = link.device === null ? 'the agent’s machine' : asCode(link.device);
    const text = `<@${by}>, I could not stop this, so it keeps running: ${describeTasks(tasks)}. You can’t end it from Slack: end it on ${where}, or wait until it is done.`;
    say(this.#parts, text);
  }
}
