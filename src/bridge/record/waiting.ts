import type { UserId } from '../ids.ts';
import { oneLine } from '../text/one-line.ts';
import type { Ending, OpenTurn, ThreadRecord } from './thread-record.ts';

/** Of so many threads a person is told that something waits for them there; older ones are left out. */
export const WAITING_KEPT = 20;

type Offered = Pick<ThreadRecord['offers'][number], 'for' | 'kind' | 'state' | 'token' | 'count' | 'madeAt'>;

interface Waiting<Offer extends Offered = Offered> {
  offers: readonly Offer[];
  failure?: ThreadRecord['failure'];
}

/** The offers that wait for a click. What runs in the background waits for no one. */
export function openOffers<Offer extends Offered>({ offers }: Pick<Waiting<Offer>, 'offers'>): Offer[] {
  return offers.filter(({ state, kind }) => state.state === 'open' && kind !== 'background');
}

/** The people whom something in the thread waits for: an open offer, or that they read how their turn failed. */
export function peopleAwaited(record: Waiting | null): UserId[] {
  if (!record) return [];
  const { failure } = record;
  const all = [...openOffers(record).map((offer) => offer.for), ...(failure ? [failure.for] : [])];
  // Bots have no Home tab.
  return [...new Set(all)].filter((user) => /^[UW]/.test(user));
}

/** Whether an offer or a failure of the thread is this person's. */
export function waitsFor(record: Waiting, user: UserId): boolean {
  return peopleAwaited(record).includes(user);
}

const LINE = 400;

/** The record after a turn ended so: with its failure, or without an earlier one. */
export function noteFailure(
  record: ThreadRecord,
  { requester }: Pick<OpenTurn, 'requester'>,
  { outcome, line, goesOn }: Pick<Ending, 'outcome' | 'line' | 'goesOn'>,
  now: number,
): ThreadRecord {
  if (line !== null && !goesOn && (outcome === 'failed' || outcome === 'interrupted')) {
    return { ...record, failure: { for: requester, at: now, line: oneLine(line, LINE) } };
  }
  return record.failure === undefined ? record : { ...record, failure: undefined };
}
