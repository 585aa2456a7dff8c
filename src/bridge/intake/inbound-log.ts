import { asBridgeError } from '../../errors.ts';
import type { InboundKind } from '../inbound.ts';
import type { Log, Metrics } from '../ports.ts';

/** What became of it; `reason` is one word, too, and empty where there is nothing to say. */
export interface LoggedOutcome {
  outcome: string;
  reason?: string;
}

/** One line in the log and one count for each thing that came in, whatever became of it. */
export class InboundLog {
  readonly #log: Log;
  readonly #metrics: Metrics | undefined;

  constructor({ log, metrics }: { log: Log; metrics?: Metrics | undefined }) {
    this.#log = log;
    this.#metrics = metrics;
  }

  /** Waits for the work and notes what `read` says became of it, or that it failed. @param fields ids only: no texts */
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
      // Not acknowledged: Slack delivers it again, and then it is noted again.
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
