import type { EnvelopeEntry, Log } from './log.ts';
import type { JsonObject } from './model.ts';

export type EnvelopeKind = EnvelopeEntry['kind'];

export interface Outgoing {
  kind: EnvelopeKind;
  payload: JsonObject;
}

export interface Attempt {
  outgoing: Outgoing;
  number: number;
  reason: string;
  /** The transport fills in envelope id, connection, outcome and ack. */
  entry: EnvelopeEntry;
}

/** Makes one attempt; resolves when it was acked, or can no longer be. Never rejects. */
export interface Transport {
  readonly name: 'socket' | 'http';
  attemptDelivery(attempt: Attempt): Promise<{ retry: boolean; reason: string }>;
}

export interface Delivered {
  acked: boolean;
  ackMs: number | null;
  ackPayload: unknown;
  attempts: number;
}

export interface DeliveriesOptions {
  log: Log;
  now: () => number;
  runAfter: (ms: number, run: () => void) => void;
  /** Waits before the retries of events: at once, 1 min, 5 min (docs/slack.md, HTTP delivery). */
  retryDelaysMs: readonly number[];
  /** Waits before the retries of interactions and commands: over a socket one at once, over HTTP none. */
  interactionRetryDelaysMs: readonly number[];
}

const MAX_PENDING = 20_000;

/** Sends Slack's payloads to the app and repeats those that were not acked. */
export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #transport: Transport;
  #pending = 0;

  constructor(transport: Transport, options: DeliveriesOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  get pending(): number {
    return this.#pending;
  }

  async deliver(outgoing: Outgoing): Promise<Delivered> {
    const nothing: Delivered = { acked: false, ackMs: null, ackPayload: undefined, attempts: 0 };
    if (this.#pending >= MAX_PENDING) return nothing;
    this.#pending += 1;
    try {
      return await this.#attemptUntilDone(outgoing, nothing);
    } finally {
      this.#pending -= 1;
    }
  }

  async #attemptUntilDone(outgoing: Outgoing, nothing: Delivered): Promise<Delivered> {
    const { retryDelaysMs, interactionRetryDelaysMs } = this.#options;
    const delays = outgoing.kind === 'events_api' ? retryDelaysMs : interactionRetryDelaysMs;
    const size = JSON.stringify(outgoing.payload).length;
    let reason = '';
    for (let number = 0; number <= delays.length; number += 1) {
      if (number > 0) await new Promise<void>((done) => this.#options.runAfter(delays[number - 1] ?? 0, done));
      const entry = this.#options.log.addEntry(this.#newEntry(outgoing, number, reason), size);
      const result = await this.#transport.attemptDelivery({ outgoing, number, reason, entry });
      const acked = entry.outcome === 'acked';
      entry.final = acked || !result.retry || number === delays.length;
      if (acked) return { acked, ackMs: entry.ackMs, ackPayload: entry.ackPayload, attempts: number + 1 };
      if (!result.retry) return { ...nothing, attempts: number + 1 };
      reason = result.reason;
    }
    return { ...nothing, attempts: delays.length + 1 };
  }

  #newEntry(outgoing: Outgoing, number: number, reason: string): EnvelopeEntry {
    return {
      type: 'envelope',
      at: this.#options.now(),
      kind: outgoing.kind,
      envelope_id: '',
      transport: this.#transport.name,
      connection: null,
      retry_attempt: number,
      retry_reason: reason,
      payload: outgoing.payload,
      outcome: 'pending',
      ackMs: null,
      ackPayload: undefined,
      final: false,
    };
  }
}
