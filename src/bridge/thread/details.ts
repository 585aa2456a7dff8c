import { can } from '../access/can.ts';
import type { PolicyBook } from '../access/policy.ts';
import { makeToken } from '../ids.ts';
import { type ActionOutcome, type InboundAction, refused } from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Clock, DetailsStore, Log, Random } from '../ports.ts';
import type { DetailsRef, Ending, ThreadRecord } from '../record/thread-record.ts';
import { detailsOf, withDetails } from '../turn/details.ts';
import type { TurnDetails } from '../turn/steps.ts';
import type { ThreadState } from './state.ts';

export interface DetailsParts {
  state: ThreadState;
  policies: PolicyBook;
  /** Left out: no details are stored, and turns end without a Details button. */
  details?: DetailsStore | undefined;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Stores what a turn did when it ends, and shows it to people who click Details. */
export class ThreadDetails {
  readonly #parts: DetailsParts;
  /** The details of the turn that is ending, until {@link keep} stores them. */
  #fresh: { ref: DetailsRef; details: TurnDetails } | null = null;

  constructor(parts: DetailsParts) {
    this.#parts = parts;
  }

  /** Adds the token of the Details button if there is something to show; an ending that has a token stays as it is. */
  complete(ending: Ending): Ending {
    const { state, details: store, clock, random } = this.#parts;
    this.#fresh = null;
    if (!store || !state.open || ending.details !== undefined || state.settings.verbosity === 'quiet') return ending;
    const at = clock.now();
    const turn = state.open.id;
    const details = detailsOf(state.turn, turn, at);
    if (!details) return ending;
    const token = makeToken(random.id());
    this.#fresh = { ref: { token, turn, at }, details };
    return { ...ending, details: token };
  }

  /** Adds the reference to the details that {@link keep} is about to store. */
  note(record: ThreadRecord): ThreadRecord {
    return this.#fresh ? withDetails(record, this.#fresh.ref) : record;
  }

  /**
   * Stores the details, and deletes those that the record no longer refers to. When the disk fails, only the details
   * are lost, and the answer is still posted.
   * @param before the record before {@link note}
   */
  async keep(before: ThreadRecord | null): Promise<void> {
    const { state, details: store, log } = this.#parts;
    const fresh = this.#fresh;
    this.#fresh = null;
    if (!fresh || !store) return;
    const kept = new Set(state.record?.details?.map(({ token }) => token));
    try {
      await store.put(fresh.ref, fresh.details);
      await store.drop((before?.details ?? []).filter(({ token }) => !kept.has(token)));
    } catch (error) {
      log.warn({ turn: fresh.ref.turn, err: error }, 'could not store the details of a turn');
    }
  }

  /** Handles a click on Details, or on a button that turns the page. */
  act(action: InboundAction, person: Person): ActionOutcome | Promise<ActionOutcome> {
    const { state, policies, details: store } = this.#parts;
    const verdict = can(policies.current(), person, { do: 'look' }, state.place);
    if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
    const ref = state.record?.details?.find(({ token }) => token === action.token);
    return ref && store ? store.get(ref).then((details) => shown(action, details)) : shown(action, null);
  }
}

function shown({ token, page = 0 }: InboundAction, details: TurnDetails | null): ActionOutcome {
  if (!details) return refused('expired', 'I no longer have the details of this turn.');
  return { result: 'modal', modal: { kind: 'details', token, details, page } };
}
