import { ExternalTools } from './external-tools.ts';
import { Machine } from './machine.ts';
import { Outlet, type OutletOptions } from './outlet.ts';
import type { Runtime, Timings } from './types.ts';

interface Counters {
  conversations?: number;
  calls?: number;
}

/** What all conversations of one Letta process share. A restart resets some of it, see `resetCounters`. */
export class World {
  readonly timings: Timings;
  readonly machine = new Machine();
  readonly outlets = new Set<Outlet>();
  readonly connectionName: string;
  readonly externalTools = new ExternalTools();
  connectionId: string;
  bootFolder = '/home/user/project';
  readonly #stopping = new AbortController();
  #runs = 0;
  #deltas = 0;
  #items = 0;
  #tasks = 0;
  #modelCalls: number;
  #conversations: number;

  constructor(timings: Timings, connectionId: string, connectionName: string, counters: Counters = {}) {
    this.timings = timings;
    this.connectionId = connectionId;
    this.connectionName = connectionName;
    this.#modelCalls = counters.calls ?? 0;
    this.#conversations = counters.conversations ?? 0;
    this.machine.makeFolder(this.bootFolder);
  }

  /** Aborts when this process of Letta stops, so that what runs in the background ends with it. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  stop(): void {
    this.#stopping.abort();
  }

  addOutlet(options: OutletOptions): Outlet {
    const outlet = new Outlet(options);
    this.outlets.add(outlet);
    return outlet;
  }

  outletsFor(runtime: Runtime): Outlet[] {
    return [...this.outlets].filter((outlet) => outlet.hears(runtime));
  }

  nextRunId(): string {
    this.#runs += 1;
    return `local-run-${this.#runs}`;
  }

  nextDeltaId(): string {
    this.#deltas += 1;
    return `letta-msg-${this.#deltas}`;
  }

  nextItemId(): string {
    this.#items += 1;
    return `ui-msg-${this.#items}`;
  }

  nextTask(): number {
    this.#tasks += 1;
    return this.#tasks;
  }

  nextModelCall(): number {
    this.#modelCalls += 1;
    return this.#modelCalls;
  }

  nextConversationId(): string {
    this.#conversations += 1;
    return `local-conv-${this.#conversations}`;
  }

  /**
   * Run and delta ids restart; history ids, conversations and the provider's call ids do not (docs/letta-protocol.md,
   * Envelope, order, duplicates).
   */
  resetCounters(): void {
    this.#runs = 0;
    this.#deltas = 0;
    this.#tasks = 0;
    this.externalTools.clear();
  }
}
