import { type Backoff, backoffMs } from '../../backoff.ts';
import type { Place } from '../access/can.ts';
import { type PlaceSettings, type PolicyBook, settingsOf } from '../access/policy.ts';
import { isDirect, parseThreadKey, ROLLING, type ThreadKey, type Token, type TurnId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { Clock, Log, Threads } from '../ports.ts';
import { changeTurn } from '../record/inbox.ts';
import type { ApprovalRecord, Ending, OpenTurn, SaidText, ThreadRecord } from '../record/thread-record.ts';
import { emptyTurn, type TurnState } from '../turn/fold.ts';
import type { Where } from '../view/card.ts';
import { type Activity, type TurnView, turnView } from '../view/turn.ts';
import type { Changes, CommitOptions } from './mailbox.ts';

export interface StateParts {
  threads: Threads;
  clock: Clock;
  log: Log;
  policies: PolicyBook;
}

/** What a turn leaves behind for people to decide. */
export type Leftover =
  | { offer: 'continue' | 'ask_again' }
  /** `certain`: the input did not reach the agent; else nobody knows. `start_new`: its conversation is gone. */
  | { offer: 'send_again' | 'start_new'; certain: boolean };

/** The open turn is over: its last view is on its way to Slack, and the events of the next turn wait. */
export interface TurnEnd {
  /** What it leaves for people to decide. */
  leftover: Leftover | null;
  /** `null` until its end is on disk. */
  view: TurnView | null;
  /** Slack does not let us show it: nobody is kept waiting for it. */
  isHeldUp: boolean;
}

type Change = (record: ThreadRecord | null) => ThreadRecord | null;

const NONE: ReadonlySet<Token> = new Set();
const AGAIN: Backoff = { firstMs: 1_000, longestMs: 60_000 };

/**
 * What the worker and its parts know of a thread: the record, with what the present event changed of it, and the open turn
 * as it was folded.
 */
export class ThreadState implements Changes {
  #key: ThreadKey;
  readonly #parts: StateParts;
  #closed = false;
  /** Ends the wait until a failing disk is tried again. */
  #hurry: (() => void) | null = null;
  #record: ThreadRecord | null = null;
  /** As it is on disk, while {@link #record} is not. */
  #stored: ThreadRecord | null = null;
  /** What leads from there to {@link #record}. */
  #changes: Change[] = [];
  turn: TurnState = emptyTurn;
  /** After a restart, until the history tells: what the agent said before it is not in {@link turn}. */
  textUnknown = false;
  /** Open cards that stay as they are in Slack, there or not, until {@link turn} is what it was. */
  standing: ReadonlySet<Token> = NONE;
  /** What holds the turn up outside the agent. */
  hold: Activity | null = null;
  end: TurnEnd | null = null;
  /** Whether people see something older than what is known here. */
  dirty = false;
  /** The open turn had begun before the process did. */
  resumed = false;
  /** Whether all that people have seen of the turn is known, here or on disk. */
  #saidKnown = true;
  /** The parts of the turn as they were stored last. */
  #kept: TurnState['parts'] | null = null;

  constructor(key: ThreadKey, parts: StateParts) {
    this.#key = key;
    this.#parts = parts;
  }

  get key(): ThreadKey {
    return this.#key;
  }

  get record(): ThreadRecord | null {
    return this.#record;
  }

  /** The thread has another key, under which `record` is stored already. */
  moved(key: ThreadKey, record: ThreadRecord): void {
    this.#key = key;
    this.take(record);
    this.dirty = true;
  }

  /** The record as somebody else has just stored it, while this thread had nothing to store. */
  take(record: ThreadRecord | null): void {
    this.#record = record;
  }

  /**
   * A turn is open from here on, with nothing known of it.
   * @param interrupted it had begun before the process did
   */
  begin(interrupted: boolean): void {
    const { input = null } = this.open ?? {};
    const said = interrupted ? (this.open?.said ?? []) : [];
    const parts = said.map((text) => ({ kind: 'text', ...text, earlier: true }) as const);
    this.turn = { ...emptyTurn, input, parts, thoughts: this.settings.showReasoning ? [] : null };
    this.textUnknown = interrupted;
    this.resumed = interrupted;
    this.#saidKnown = !interrupted || this.open?.said !== undefined || this.open?.posts.length === 0;
    this.#kept = null;
    this.standing = NONE;
  }

  /** Open cards wait until what stands above them is known. */
  stand(): void {
    const isOpen = (each: ApprovalRecord) => each.turn === this.open?.id && each.state.state === 'open';
    this.standing = new Set((this.record?.approvals ?? []).filter(isOpen).map(({ token }) => token));
  }

  /** No card waits for its place any more. */
  placed(): void {
    if (this.standing.size > 0) this.dirty = true;
    this.standing = NONE;
  }

  /** Whether people may have seen text of the turn that nobody knows here. */
  get #seenUnknown(): boolean {
    return this.textUnknown && !this.#saidKnown;
  }

  get isEnding(): boolean {
    return this.end !== null;
  }

  get open(): OpenTurn | null {
    return this.record?.turn ?? null;
  }

  get address(): ThreadAddress {
    if (this.record) return this.record.address;
    const { team, channel, root } = parseThreadKey(this.key);
    return { team, channel, threadTs: root === ROLLING ? null : root };
  }

  get direct(): boolean {
    return this.address.threadTs === null || isDirect(this.address.channel);
  }

  get place(): Place {
    const { channel } = this.address;
    // Whether the channel is shared was asked at the door.
    return { channel, channelKind: this.direct ? 'im' : 'channel', external: false };
  }

  /** What holds here now; it may change while a turn runs. */
  get settings(): PlaceSettings {
    return settingsOf(this.#parts.policies.current(), this.address.channel);
  }

  async load(): Promise<void> {
    this.#record = await this.#parts.threads.load(this.key);
  }

  /** Changes the record, if there is one: before anything else that the present event wants done, it is on disk. */
  change(change: (record: ThreadRecord) => ThreadRecord): void {
    this.write((record) => record && change(record));
  }

  /** As {@link change}, of a thread that may not be stored yet. `null`, or the same record: it stays as it is. */
  write(change: Change): void {
    const next = change(this.#record);
    if (next === null || next === this.#record) return;
    if (!this.pending) this.#stored = this.#record;
    this.#changes.push(change);
    this.#record = next;
  }

  get pending(): boolean {
    return this.#changes.length > 0;
  }

  drop(): void {
    if (this.pending) this.#record = this.#stored;
    this.#changes = [];
  }

  /**
   * The one place where a thread's record is written. A write that failed may have been done all the same: then the disk
   * says what became of it, before anything else happens to the thread.
   */
  async commit(options: CommitOptions): Promise<void> {
    const { once, onFailed, onHeldUp } = options;
    const { threads, log } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      let before = null as number | null;
      try {
        const stored = await threads.update(this.key, (record) => {
          before = record?.rev ?? 0;
          return this.#next(record);
        });
        return this.#committed(stored);
      } catch (error) {
        onFailed(error);
        if (before !== null && (await this.#hasLanded(before, error, options))) return;
        if (once || this.#closed) throw error;
        onHeldUp(error);
        const retryInMs = backoffMs(AGAIN, failures);
        log.error({ err: error, retryInMs }, 'could not store the thread');
        await this.#pause(retryInMs, error);
      }
    }
  }

  /** The changed record; made anew where the disk has another one than was known here. */
  #next(record: ThreadRecord | null): ThreadRecord | null {
    if (record?.rev === this.#stored?.rev) return this.#record;
    return this.#changes.reduce((now, change) => change(now) ?? now, record);
  }

  #committed(record: ThreadRecord | null): void {
    this.#changes = [];
    this.#record = record;
  }

  /** @param before which record the failed write was to replace */
  async #hasLanded(before: number, failure: unknown, { isRepeatable, onHeldUp }: CommitOptions): Promise<boolean> {
    const { threads, log } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      try {
        const record = await threads.load(this.key);
        const landed = (record?.rev ?? 0) > before;
        if (landed) this.#committed(record);
        return landed;
      } catch (error) {
        // What the disk has got without saying so is found by its rev at the next write.
        if (this.#closed || isRepeatable) throw failure;
        onHeldUp(error);
        const retryInMs = backoffMs(AGAIN, failures);
        log.error({ err: error, retryInMs }, 'could not ask the disk whether the thread was stored');
        await this.#pause(retryInMs, failure);
      }
    }
  }

  /** @throws `failure` once the thread is closed */
  async #pause(ms: number, failure: unknown): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#parts.clock.after(ms, resolve);
      this.#hurry = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#hurry = null;
    if (this.#closed) throw failure;
  }

  /** Somebody waits: a disk that failed is tried now. */
  hurry(): void {
    this.#hurry?.();
  }

  /**
   * Stores what the agent has said so far, before people see it: a later life of the bridge must not replace it by less.
   * A disk that fails does not keep people from seeing it.
   * @param asEvent has it stored when it is its turn
   */
  keepSaid(turn: TurnId, asEvent: (work: () => void) => Promise<void>): Promise<void> | undefined {
    const { parts } = this.turn;
    if (parts === this.#kept || this.open?.id !== turn || this.#seenUnknown) return undefined;
    this.#kept = parts;
    const said = saidIn(parts);
    const change = (record: ThreadRecord) => (record.turn?.id === turn ? changeTurn(record, { said }) : record);
    return asEvent(() => this.change(change)).catch((error) => {
      this.#kept = null;
      this.#parts.log.warn({ turn, err: error }, 'could not store what the agent has said');
    });
  }

  /** What is to be stored of what the agent has said, together with the turn's end. */
  get said(): { said?: SaidText[] } {
    const said = this.#seenUnknown ? undefined : saidIn(this.turn.parts);
    return said === undefined ? {} : { said };
  }

  close(): void {
    this.#closed = true;
    this.hurry();
  }

  view(record: ThreadRecord, turn: OpenTurn, { workingDirectory, device }: Where, ending: Ending | null): TurnView {
    const { permissions, autoApprove, verbosity } = this.settings;
    const reach = { hasReads: permissions === 'guarded', hasRules: autoApprove.length > 0 };
    return turnView(this.turn, {
      address: record.address,
      turn,
      approvals: record.approvals.filter((approval) => approval.turn === turn.id),
      textUnknown: this.#seenUnknown,
      frozenCards: this.standing,
      where: { workingDirectory, device, reach },
      queued: record.inbox.length,
      hold: this.hold ?? (turn.state === 'prepared' ? { kind: 'starting' } : null),
      ending,
      verbosity,
    });
  }
}

/** More than that makes the record too big: then it is as if nothing was known. */
const SAID_MOST = 150_000;

/** What the agent has said, in order; `undefined`: too much to be kept. */
function saidIn(parts: TurnState['parts']): SaidText[] | undefined {
  const said = parts.flatMap((part): SaidText[] => {
    if (part.kind !== 'text' || part.text === '') return [];
    const { runId, messageId, text } = part;
    return [{ runId, messageId, text }];
  });
  const length = said.reduce((sum, { text }) => sum + text.length, 0);
  return length <= SAID_MOST ? said : undefined;
}
