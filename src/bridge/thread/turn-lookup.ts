import type { AgentEvent } from '../agent-event.ts';
import type { AgentConnection, Log, Timer } from '../ports.ts';
import type { OpenTurn } from '../record/thread-record.ts';
import { type FoundTurn, findTurn, mergeHistory, type TurnMarks } from '../turn/after-reconnect.ts';
import { storeCardPlaces } from '../view/card-places.ts';
import type { ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import type { ThreadState } from './state.ts';

/** What became of an input whose turn's end was not seen. */
export type Verdict =
  /** It arrived and nothing of it runs; `answered`: the history ends with the agent's words. */
  | { verdict: 'over'; answered: boolean }
  /** It arrived late, and begins only now. */
  | { verdict: 'begins' }
  /** Not there yet; a hosted input may still be on its way, so it is looked for once more. */
  | { verdict: 'not_there_yet' }
  | { verdict: 'never_arrived' }
  /** The history can not be read. */
  | { verdict: 'unreadable' };

export interface LookupParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  log: Log;
  /** App Server: a turn does not outlive its socket (docs/letta-protocol.md, Loss and restart). */
  turnsDieWithLink: boolean;
  onVerdict(verdict: Verdict): void;
}

/**
 * Idle comes before `turn_finished`, by seconds after an abort against a slow model (docs/letta-protocol.md, Errors).
 */
export const END_OVERDUE_MS = 5_000;
/** A hosted input that is not in the history yet may still be on its way. */
const LOOK_AGAIN_MS = 10_000;
/** Longer people are not kept waiting for a card. */
const RECALL_MS = 5_000;
/**
 * Behind the relay the answer to a question may overtake the state that was told in front of it
 * (docs/letta-protocol.md, Hosted: what the device tells the relay).
 */
const OVERTAKEN_MS = 1_000;
const MOST_FAILED_LOOKS = 10;
const HISTORY_ITEMS = 50;
/** One turn may fill many items with its tools; before its input is called missing, this many are asked for. */
const HISTORY_DEEP = 1_000;

interface Look {
  /** For the second time. */
  again: boolean;
  failures: number;
  /** Letta has just told how it stands. Else what it told last may be old, for a device's socket loses frames. */
  fresh: boolean;
}

const doubtful: Look = { again: false, failures: 0, fresh: false };

/** Letta is idle and the end of the turn was not seen: the history knows what became of it. */
export class TurnLookup {
  readonly #parts: LookupParts;
  /** Counts looks into the history: only the last one may decide, or an input would be sent twice. */
  #looks = 0;
  #looking = false;
  #overdue: Timer | null = null;
  /** Messages and tools of the open turn that the history told of last. */
  #told: ReadonlySet<string> = new Set();
  /** Of the turn before. */
  #toldBefore: ReadonlySet<string> = new Set();

  constructor(parts: LookupParts) {
    this.#parts = parts;
  }

  /** While one decides whether the turn is over, events may be of the next one: they wait. */
  get looking(): boolean {
    return this.#looking;
  }

  get due(): boolean {
    return this.#overdue !== null;
  }

  /** What is being looked for is known, or void: a look that is under way decides nothing any more. */
  forget(): void {
    this.#looks += 1;
  }

  /** Events are taken up again. */
  listened(): void {
    this.#looking = false;
  }

  /** Whether this was told by the history already, as a piece of the open turn. */
  knows(event: AgentEvent): boolean {
    if ('messageId' in event) return this.#told.has(event.messageId);
    return 'callId' in event && this.#told.has(event.callId);
  }

  /**
   * Whether the history told this as a piece of the turn before: what the link still misses of that is there already.
   */
  isOfTurnBefore(event: AgentEvent): boolean {
    return event.type === 'text-repaired' && this.#toldBefore.has(event.messageId);
  }

  /** Another turn is open from now on. */
  begin(): void {
    this.#toldBefore = this.#told;
    this.#told = new Set();
  }

  /** The end was seen, or is not expected any more. Cancelling twice is fine. */
  notDue(): void {
    this.#overdue?.cancel();
    this.#overdue = null;
  }

  /** Nobody waits for anything any more. */
  end(): void {
    this.forget();
    this.listened();
    this.notDue();
  }

  /** The end of the open turn should be heard of within `ms`; else it is looked for. */
  expectEnd(ms: number): void {
    const { state, link, mailbox } = this.#parts;
    const turn = state.open;
    if (!turn || state.isEnding) return;
    this.notDue();
    this.#overdue = mailbox.later(ms, () => {
      this.#overdue = null;
      const same = state.open?.id === turn.id && !this.#looking;
      return same && link.loop === 'idle' ? this.look(doubtful) : undefined;
    });
  }

  /** Looks after `ms`, unless something became known of the input by then. */
  lookLater(ms: number): void {
    const { link, mailbox } = this.#parts;
    const looks = this.#looks;
    mailbox.later(ms, () => (this.#looks === looks && link.loop === 'idle' ? this.look(doubtful) : undefined));
  }

  /** Looks now, when there is something to look for and a link to look through. */
  look({ again, failures, fresh }: Look = { again: false, failures: 0, fresh: true }): void {
    const { state, link, mailbox, log, turnsDieWithLink, onVerdict } = this.#parts;
    const turn = state.open;
    const connection = link.ready;
    if (turn?.state !== 'submitted' || !connection || state.isEnding) return;
    if (failures > MOST_FAILED_LOOKS) {
      onVerdict({ verdict: 'unreadable' });
      return;
    }
    this.forget();
    this.#looking = true;
    const look = this.#looks;
    const stillWanted = () => this.#looks === look && link.ready === connection && !state.isEnding;
    mailbox.away(
      () => this.#find(connection, turn, fresh),
      (found) => {
        if (!stillWanted()) return undefined;
        if (found.arrived) {
          this.#take(found);
          // It waited in Letta's queue, or something behind it does. What Letta began by itself never waits here, and what
          // died with the last link begins over this one only if Letta says so.
          const id = turn.clientMessageId;
          const mayBegin = !fresh || (id !== null && (!turnsDieWithLink || link.knows(id)));
          const begins = mayBegin && !found.answered && link.loop !== 'idle' && !link.runsAnother(state.open ?? turn);
          return onVerdict(begins ? { verdict: 'begins' } : { verdict: 'over', answered: found.answered });
        }
        // While something else runs it may wait in Letta's queue, which the history does not tell of.
        if (link.loop !== 'idle') return onVerdict({ verdict: 'not_there_yet' });
        if (turnsDieWithLink || again) return onVerdict({ verdict: 'never_arrived' });
        mailbox.later(LOOK_AGAIN_MS, () =>
          stillWanted() && link.loop === 'idle' ? this.look({ ...doubtful, again: true }) : undefined,
        );
        return onVerdict({ verdict: 'not_there_yet' });
      },
      (error) => {
        log.warn({ turn: turn.id, err: error }, 'could not read the history');
        mailbox.later(END_OVERDUE_MS, () =>
          stillWanted() ? this.look({ again, failures: failures + 1, fresh: false }) : undefined,
        );
      },
    );
  }

  /**
   * Takes over what only the history has of the open turn, then goes on; also when it can not be read for long.
   * @param then told whether the history was read: else something may be missing
   */
  fillGap(then: (whole: boolean) => void, failures = 0): void {
    const { state, link, mailbox, log } = this.#parts;
    const turn = state.open;
    if (!turn) return;
    const again = () => {
      if (failures >= MOST_FAILED_LOOKS) return then(false);
      mailbox.later(END_OVERDUE_MS, () => this.fillGap(then, failures + 1));
      return undefined;
    };
    const connection = link.ready;
    if (!connection) {
      mailbox.post(again);
      return;
    }
    mailbox.away(
      () => connection.fetchHistory(HISTORY_ITEMS),
      (history) => {
        const found = findTurn(history, this.#marks(turn));
        if (found.arrived) this.#take(found, true);
        return then(true);
      },
      (error) => {
        log.warn({ turn: turn.id, err: error }, 'could not read the history');
        return again();
      },
    );
  }

  /**
   * After a restart, while the agent waits for people and says nothing: takes over what it said before, so that all
   * stands in Slack as it stood. What can not be had now is there at the turn's end.
   */
  recall(): void {
    const { state, link, mailbox, log } = this.#parts;
    const turn = state.open;
    const connection = link.ready;
    if (!turn || !connection || !state.textUnknown) return;
    // A card that is not there yet would stand above what was said before it.
    state.stand();
    mailbox.later(RECALL_MS, () => state.placed());
    mailbox.away(
      () => connection.fetchHistory(HISTORY_ITEMS),
      (history) => {
        if (state.open?.id !== turn.id || state.isEnding) return;
        // Once somebody has decided, what the history has of a message may be the half of it.
        const found = state.turn.openApprovals.length > 0 ? findTurn(history, this.#marks(turn)) : null;
        if (found?.arrived) this.#take(found);
        state.placed();
        return state.textUnknown ? undefined : this.#keepPlaces(turn);
      },
      (error) => {
        log.warn({ turn: turn.id, err: error }, 'could not read the history');
        state.placed();
      },
    );
  }

  #keepPlaces(turn: OpenTurn): void {
    const { state } = this.#parts;
    const known = state.turn;
    state.change((record) => storeCardPlaces(record, turn, known));
  }

  /** What the history has of an input. One that was seen to begin has arrived, wherever it stands there. */
  async #find(connection: AgentConnection, turn: OpenTurn, fresh: boolean): Promise<FoundTurn> {
    const { link, mailbox } = this.#parts;
    if (!fresh) {
      await connection.settle();
      await new Promise<void>((resolve) => void mailbox.later(OVERTAKEN_MS, resolve));
    }
    const id = turn.clientMessageId;
    const found = findTurn(await connection.fetchHistory(HISTORY_ITEMS), this.#marks(turn));
    if (found.arrived) return found;
    if (id === null || link.knows(id)) return { arrived: true, texts: [], callIds: [], answered: false };
    return findTurn(await connection.fetchHistory(HISTORY_DEEP), this.#marks(turn));
  }

  /** @param whole the turn has come to its own end: the history has all of it */
  #take(found: FoundTurn & { arrived: true }, whole = false): void {
    const { state } = this.#parts;
    state.turn = mergeHistory(state.turn, found);
    state.dirty = true;
    // A turn that was cut off may have said more than the history kept.
    if (whole || found.answered || found.texts.length > 0) state.textUnknown = false;
    this.#told = new Set([...found.texts.map(({ messageId }) => messageId), ...found.callIds]);
  }

  /** As it is when the history has come: it may have been stopped meanwhile. */
  #marks(turn: OpenTurn): TurnMarks {
    const { state, link } = this.#parts;
    const { stoppedBy, ended, said } = state.open?.id === turn.id ? state.open : turn;
    // A stop that came when it had ended by itself, and was only not shown yet, stopped nothing.
    const isStopped = ended ? ended.outcome === 'stopped' : Boolean(stoppedBy);
    const stopped = isStopped || state.turn.end?.stopReason === 'cancelled';
    const inputs = state.turn.runs.flatMap((runId) => link.inputsOf(runId));
    const others = link.inputsOfOthers(turn);
    const another = link.runsAnother(turn);
    // What it said was stored with its end, unless it was too much. When that is nothing, we may have missed its answer,
    // unless it failed.
    const hasEnded = ended !== undefined && said !== undefined && (said.length > 0 || ended.outcome === 'failed');
    return { clientMessageId: turn.clientMessageId, heard: state.turn, inputs, others, stopped, another, hasEnded };
  }
}
