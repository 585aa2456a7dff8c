import { asBridgeError } from '../../errors.ts';
import type { InboundKind } from '../inbound.ts';
import type { Log, Metrics } from '../ports.ts';

/** What became of an inbound event, in one word each; `reason` is empty where the outcome says all. */
export interface LoggedOutcome {
  outcome: string;
  reason?: string;
}

/** Writes one log line and counts one metric for each inbound event, whatever became of it. */
export class InboundLog {
  readonly #log: Log;
  readonly #metrics: Metrics | undefined;

  constructor({ log, metrics }: { log: Log; metrics?: Metrics | undefined }) {
    this.#log = log;
    this.#metrics = metrics;
  }

  /** Waits for `work`, then logs the outcome that `read` finds in it, or that it failed. @param fields ids only: no texts */
  async logOutcome<Result>(
    kind: InboundKind,
    fields: object,
    work: Promise<Result>,
    read: (result: Result) => LoggedOutcome,
  ): Promise<Result> {
    let result: Result;
    try {
      result = await work;
    } catch (error) {
      // The event is not acknowledged, so Slack delivers it again, and it is logged again.
      this.#logLine(kind, fields, { outcome: 'failed', reason: asBridgeError(error).code });
      throw error;
    }
    this.#logLine(kind, fields, read(result));
    return result;
  }

  #logLine(kind: InboundKind, fields: object, { outcome, reason = '' }: LoggedOutcome): void {
    this.#metrics?.count('inbound_events', { kind, outcome, reason });
    this.#log.info({ kind, outcome, ...(reason !== '' && { reason }), ...fields }, 'inbound event');
  }
}
