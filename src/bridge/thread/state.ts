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
import type { Heard } from '../view/ending.ts';
import { tailOfferView } from '../view/offer.ts';
import { type Activity, type TurnView, turnView } from '../view/turn.ts';
import type { Changes, CommitOptions } from './mailbox.ts';

export interface StateParts {
  threads: Threads;
  clock: Clock;
  log: Log;
  policies: PolicyBook;
}

/** The open turn is over, but Slack does not have its last view yet; events of the next turn are held meanwhile. */
export interface TurnEnd {
  /** The last view of the turn; `null` until the turn's end is on disk. */
  view: TurnView | null;
  /** Slack refuses the last view for now, so a drain does not wait for it and its people do not count as busy. */
  isHeldUp: boolean;
}

type Change = (record: ThreadRecord | null) => ThreadRecord | null;

const NONE: ReadonlySet<Token> = new Set();
const AGAIN: Backoff = { firstMs: 1_000, longestMs: 60_000 };

/**
 * What the worker and its parts share: the thread's record, with changes that are not on disk yet, and the open turn,
 * folded from Letta's events.
 */
export class ThreadState implements Changes {
  #key: ThreadKey;
  readonly #parts: StateParts;
  #closed = false;
  /** Ends the pause before a failed disk access is repeated. */
  #hurry: (() => void) | null = null;
  #record: ThreadRecord | null = null;
  /** The record before {@link #changes}, as last known on disk; meaningful only while changes are pending. */
  #stored: ThreadRecord | null = null;
  /** The pending changes, which make {@link #record} out of {@link #stored}. */
  #changes: Change[] = [];
  turn: TurnState = emptyTurn;
  /** Whether {@link turn} may lack what the agent said before a restart, because the history was not read yet. */
  textUnknown = false;
  /** Open cards that are neither posted nor edited until {@link turn} has the text that belongs above them. */
  frozenCards: ReadonlySet<Token> = NONE;
  /** What the turn waits for outside the agent, as people are shown it. */
  hold: Activity | null = null;
  end: TurnEnd | null = null;
  /** Whether Slack shows an outdated view of the open turn. */
  isViewOutdated = false;
  /** Whether the open turn was submitted before this process started. */
  wasSubmittedBefore = false;
  /** Whether the bridge heard all that the open turn did: not after a restart, a lost link or missed events. */
  isAllHeard = true;
  /** Whether all text that people have seen is known: not after a restart that found posts without their text. */
  #saidKnown = true;
  /** The parts whose text was last handed to the disk; `null`: none, or the disk failed. */
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

  /** The thread has a new key, under which `record` is stored already. */
  moved(key: ThreadKey, record: ThreadRecord): void {
    this.#key = key;
    this.take(record);
    this.isViewOutdated = true;
  }

  /** Takes over a record that was stored elsewhere; only while this thread has no pending changes. */
  take(record: ThreadRecord | null): void {
    this.#record = record;
  }

  /**
   * Starts to fold the open turn; of an interrupted one the stored text is kept.
   * @param interrupted the turn was submitted before this process started
   */
  begin(interrupted: boolean): void {
    const { input = null } = this.open ?? {};
    const said = interrupted ? (this.open?.said ?? []) : [];
    const parts = said.map((text) => ({ kind: 'text', ...text, earlier: true }) as const);
    this.turn = { ...emptyTurn, input, parts, thoughts: this.settings.showReasoning ? [] : null };
    this.textUnknown = interrupted;
    this.wasSubmittedBefore = interrupted;
    this.isAllHeard = !interrupted;
    this.#saidKnown = !interrupted || this.open?.said !== undefined || this.open?.posts.length === 0;
    this.#kept = null;
    this.frozenCards = NONE;
  }

  /** Freezes the open cards until the text above them is known; see {@link frozenCards}. */
  freezeCards(): void {
    const isOpen = (each: ApprovalRecord) => each.turn === this.open?.id && each.state.state === 'open';
    this.frozenCards = new Set((this.record?.approvals ?? []).filter(isOpen).map(({ token }) => token));
  }

  /** Lets the frozen cards be posted and edited again. */
  releaseCards(): void {
    if (this.frozenCards.size > 0) this.isViewOutdated = true;
    this.frozenCards = NONE;
  }

  /** What is known of the open turn besides its events. */
  get heard(): Heard {
    return { approvals: this.#record?.approvals ?? [], isAllHeard: this.isAllHeard };
  }

  /** Whether people may have seen text of the turn that the bridge does not know. */
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
    // The door judged already whether the channel is shared, when the message came in.
    return { channel, channelKind: this.direct ? 'im' : 'channel', external: false };
  }

  /** The channel's settings now; they may change while a turn runs. */
  get settings(): PlaceSettings {
    return settingsOf(this.#parts.policies.current(), this.address.channel);
  }

  async load(): Promise<void> {
    this.#record = await this.#parts.threads.load(this.key);
  }

  /** Changes the record, if there is one; the change is on disk before any effect of the present mail begins. */
  change(change: (record: ThreadRecord) => ThreadRecord): void {
    this.write((record) => record && change(record));
  }

  /** As {@link change}, also without a record. A change that returns `null` or the same record writes nothing. */
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
   * The only place where a thread's record is written. A write that rejected may have landed all the same, so the
   * record is read before the write is repeated.
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

  /** The changed record. If the disk has another rev than this process knew, the changes are applied to that record. */
  #next(record: ThreadRecord | null): ThreadRecord | null {
    if (record?.rev === this.#stored?.rev) return this.#record;
    return this.#changes.reduce((now, change) => change(now) ?? now, record);
  }

  #committed(record: ThreadRecord | null): void {
    this.#changes = [];
    this.#record = record;
  }

  /** @param before the rev of the record that the failed write was to replace */
  async #hasLanded(before: number, failure: unknown, { isRepeatable, onHeldUp }: CommitOptions): Promise<boolean> {
    const { threads, log } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      try {
        const record = await threads.load(this.key);
        const landed = (record?.rev ?? 0) > before;
        if (landed) this.#committed(record);
        return landed;
      } catch (error) {
        // If the write landed all the same, the next write finds another rev and applies its changes to that record.
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

  /** Somebody waits for an answer, so a failed disk access is repeated now. */
  hurry(): void {
    this.#hurry?.();
  }

  /**
   * Stores what the agent has said so far before people see it, so that a restarted bridge never replaces it by less.
   * When the disk fails, people see the text all the same.
   * @param asEvent runs the change as a mail of the thread, and resolves once it is on disk
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

  /** The agent's text, to be stored together with the turn's end; empty when it is not all known, or too long. */
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
      frozenCards: this.frozenCards,
      where: { workingDirectory, device, reach },
      now: this.#parts.clock.now(),
      queued: record.inbox.length,
      offer: tailOfferView(record.offers.find(({ tail }) => tail?.turn === turn.id)),
      hold: this.hold ?? (turn.state === 'prepared' ? { kind: 'starting' } : null),
      ending,
      verbosity,
    });
  }
}

/** Characters; a longer text would make the record too big, so then none of it is stored. */
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
