import { BoundedMap } from '../../bounded-map.ts';
import { type RefusedClick, refusedEntry } from '../approvals/audit-entry.ts';
import type { Audit, Clock, Log } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';

/** How many pairs of card and person are remembered, so that repeated clicks write one entry. */
const KEPT = 5_000;

/** Writes to the audit who tried to decide what they may not. A click is answered without waiting for the write. */
export class RefusedClicks {
  readonly #parts: { audit: Audit; clock: Clock; log: Log };
  readonly #written = new BoundedMap<string, true>(KEPT);

  constructor(parts: { audit: Audit; clock: Clock; log: Log }) {
    this.#parts = parts;
  }

  /** @returns Letta's id of the request; `null` when the token is not one of a request's card */
  note(click: RefusedClick, record: ThreadRecord | null): string | null {
    const { audit, clock, log } = this.#parts;
    const approval = record?.approvals.find(({ token }) => token === click.token);
    if (!approval) return null;
    const { requestId } = approval;
    const id = `${click.token}:${click.user}`;
    if (this.#written.has(id)) return requestId;
    this.#written.set(id, true);
    audit.append(refusedEntry(click, approval, clock.now())).catch((error: unknown) => {
      this.#written.delete(id);
      log.error({ err: error, request: requestId }, 'could not write a refused click to the audit');
    });
    return requestId;
  }
}
