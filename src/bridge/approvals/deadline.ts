import type { ApprovalRecord } from '../record/thread-record.ts';

/** So long before its deadline a request says until when it is open, or in the last tenth of its time if that is longer. */
const NEAR_MS = 2 * 3_600_000;

type Timed = Pick<ApprovalRecord, 'askedAt' | 'expiresAt'>;

/** From when on a card says until when it is open, ms since 1970; infinite for a request without a deadline. */
export function nearSince({ askedAt, expiresAt = Number.POSITIVE_INFINITY }: Timed): number {
  return Number.isFinite(expiresAt) ? expiresAt - Math.max(NEAR_MS, (expiresAt - askedAt) / 10) : expiresAt;
}

/** @param now ms since 1970 */
export function isDeadlineNear(record: Timed, now: number): boolean {
  return now >= nearSince(record);
}
