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
  /** Letta got it and no longer runs it; `answered`: the history ends with the agent's words. */
  | { verdict: 'over'; answered: boolean }
  /** Letta got it, and begins it only now. */
  | { verdict: 'begins' }
  /** The history lacks it, but it may be in Letta's queue, or still on its way through the relay. */
  | { verdict: 'not_there_yet' }
  | { verdict: 'never_arrived' }
  /** The history cannot be read. */
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
 * Letta reports idle before `turn_finished`, by seconds after an abort against a slow model (docs/letta-protocol.md,
 * Errors).
 */
export const END_OVERDUE_MS = 5_000;
/** After this long a hosted input that the history lacked is looked for again, because it may have been on its way. */
const LOOK_AGAIN_MS = 10_000;
/** After this long cards are posted without the history, because people wait for them. */
const RECALL_MS = 5_000;
/**
 * Over the relay, the reply to a `sync` may overtake state that the device sent before it, so a look waits this long
 * (docs/letta-protocol.md, Hosted: what the device tells the relay).
 */
const OVERTAKEN_MS = 1_000;
const MOST_FAILED_LOOKS = 10;
const HISTORY_ITEMS = 50;
/** A turn's tools may fill many items, so this many are read before its input is called missing. */
const HISTORY_DEEP = 1_000;

interface Look {
  /** Whether this is the second look for a hosted input that the first did not find. */
  again: boolean;
  failures: number;
  /** Whether Letta has just reported its state; if not, it is asked first, because a device's socket loses frames. */
  fresh: boolean;
}

const doubtful: Look = { again: false, failures: 0, fresh: false };

/** Reads the history when the open turn's end was not seen, to find out what became of its input. */
export class TurnLookup {
  readonly #parts: LookupParts;
  /** Counts looks into the history: only the latest may decide, or an input could be sent twice. */
  #looks = 0;
  #isLooking = false;
  #overdue: Timer | null = null;
  /** Ids of the open turn's messages and tool calls in the history that was read last. */
  #seenInHistory: ReadonlySet<string> = new Set();
  /** The same of the turn before. */
  #seenInHistoryBefore: ReadonlySet<string> = new Set();

  constructor(parts: LookupParts) {
    this.#parts = parts;
  }

  /** While a look decides whether the turn is over, new events may be of the next turn, so the listener holds them. */
  get looking(): boolean {
    return this.#isLooking;
  }

  get due(): boolean {
    return this.#overdue !== null;
  }

  /** Voids the look that is under way: it decides nothing any more. */
  forget(): void {
    this.#looks += 1;
  }

  /** The listener handles events again instead of holding them. */
  listened(): void {
    this.#isLooking = false;
  }

  /** Whether the history that was read last has this message or tool call of the open turn. */
  knows(event: AgentEvent): boolean {
    if ('messageId' in event) return this.#seenInHistory.has(event.messageId);
    return 'callId' in event && this.#seenInHistory.has(event.callId);
  }

  /**
   * Whether this repairs a message of the turn before that was taken from the history, so nothing of it is missing.
   */
  belongsToPreviousTurn(event: AgentEvent): boolean {
    return event.type === 'text-repaired' && this.#seenInHistoryBefore.has(event.messageId);
  }

  /** Another turn is open from now on. */
  begin(): void {
    this.#seenInHistoryBefore = this.#seenInHistory;
    this.#seenInHistory = new Set();
  }

  /** Cancels {@link expectEnd}, because the end came or Letta works again. Cancelling twice is fine. */
  notDue(): void {
    this.#overdue?.cancel();
    this.#overdue = null;
  }

  /** The turn is closed: no look decides anything for it, and none is due. */
  end(): void {
    this.forget();
    this.listened();
    this.notDue();
  }

  /** If the open turn has not ended after `ms` and Letta is idle, the history is read. */
  expectEnd(ms: number): void {
    const { state, link, mailbox } = this.#parts;
    const turn = state.open;
    if (!turn || state.isEnding) return;
    this.notDue();
    this.#overdue = mailbox.later(ms, () => {
      this.#overdue = null;
      const same = state.open?.id === turn.id && !this.#isLooking;
      return same && link.loop === 'idle' ? this.look(doubtful) : undefined;
    });
  }

  /** Looks after `ms` if Letta is idle then, unless another look began or this one was voided. */
  lookLater(ms: number): void {
    const { link, mailbox } = this.#parts;
    const looks = this.#looks;
    mailbox.later(ms, () => (this.#looks === looks && link.loop === 'idle' ? this.look(doubtful) : undefined));
  }

  /** Looks now, if the open turn was submitted and the link is ready. */
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
    this.#isLooking = true;
    const look = this.#looks;
    const stillWanted = () => this.#looks === look && link.ready === connection && !state.isEnding;
    mailbox.away(
      () => this.#find(connection, turn, fresh),
      (found) => {
        if (!stillWanted()) return undefined;
        if (found.arrived) {
          this.#take(found);
          // An unanswered input may come out of Letta's queue only now. Right after a replay this excludes Letta's own
          // turns, which are never queued, and, where turns die with the link, inputs that Letta does not name.
          const id = turn.clientMessageId;
          const mayBegin = !fresh || (id !== null && (!turnsDieWithLink || link.knows(id)));
          const begins = mayBegin && !found.answered && link.loop !== 'idle' && !link.runsAnother(state.open ?? turn);
          return onVerdict(begins ? { verdict: 'begins' } : { verdict: 'over', answered: found.answered });
        }
        // While Letta runs something else, the input may be in Letta's queue, which the history does not show.
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
   * Adds to the open turn what only the history has, then calls `then`; also when each try to read the history failed.
   * @param then told whether the history was read; if not, part of the answer may be missing
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
   * After a restart, while a request waits for people: reads what the agent said before it, so that text and cards keep
   * their order in Slack. What cannot be read now is read at the turn's end.
   */
  recall(): void {
    const { state, link, mailbox, log } = this.#parts;
    const turn = state.open;
    const connection = link.ready;
    if (!turn || !connection || !state.textUnknown) return;
    // A card that is posted now would stand above the text that was said before it.
    state.freezeCards();
    mailbox.later(RECALL_MS, () => state.releaseCards());
    mailbox.away(
      () => connection.fetchHistory(HISTORY_ITEMS),
      (history) => {
        if (state.open?.id !== turn.id || state.isEnding) return;
        // Once somebody has decided, the agent talks on, and the history may have only half of its message.
        const found = state.turn.openApprovals.length > 0 ? findTurn(history, this.#marks(turn)) : null;
        if (found?.arrived) this.#take(found);
        state.releaseCards();
        return state.textUnknown ? undefined : this.#keepPlaces(turn);
      },
      (error) => {
        log.warn({ turn: turn.id, err: error }, 'could not read the history');
        state.releaseCards();
      },
    );
  }

  #keepPlaces(turn: OpenTurn): void {
    const { state } = this.#parts;
    const known = state.turn;
    state.change((record) => storeCardPlaces(record, turn, known));
  }

  /** What the history has of an input. One that Letta was seen to begin has arrived, even if the history lacks it. */
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

  /** @param whole the turn ended by itself, so the history has all of it */
  #take(found: FoundTurn & { arrived: true }, whole = false): void {
    const { state } = this.#parts;
    state.turn = mergeHistory(state.turn, found);
    state.isViewOutdated = true;
    // A turn that was cut off may have said more than the history kept, so an empty history proves nothing.
    if (whole || found.answered || found.texts.length > 0) state.textUnknown = false;
    this.#seenInHistory = new Set([...found.texts.map(({ messageId }) => messageId), ...found.callIds]);
  }

  /** Read when the history has come, because somebody may have stopped the turn meanwhile. */
  #marks(turn: OpenTurn): TurnMarks {
    const { state, link } = this.#parts;
    const { stoppedBy, ended, said } = state.open?.id === turn.id ? state.open : turn;
    // A Stop that came after the turn's own end, while its last view was on its way, stopped nothing.
    const isStopped = ended ? ended.outcome === 'stopped' : Boolean(stoppedBy);
    const stopped = isStopped || state.turn.end?.stopReason === 'cancelled';
    const inputs = state.turn.runs.flatMap((runId) => link.inputsOf(runId));
    const others = link.inputsOfOthers(turn);
    const another = link.runsAnother(turn);
    // A stored end counts only with its text beside it: too long a text is not stored, and an empty one may mean that
    // we missed the answer, unless the turn failed.
    const hasEnded = ended !== undefined && said !== undefined && (said.length > 0 || ended.outcome === 'failed');
    return { clientMessageId: turn.clientMessageId, heard: state.turn, inputs, others, stopped, another, hasEnded };
  }
}
