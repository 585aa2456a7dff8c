import { EventEmitter } from 'node:events';
import type { QueryResultRow } from 'pg';
import type { Listener, ListeningStatements, RunOptions } from '../../../src/storage/postgres/database.ts';
import { ConnectionFailure, databaseError, isConnectionLost } from '../../../src/storage/postgres/failures.ts';
import type { VirtualClock } from '../clock.ts';
import type { Life } from '../life.ts';
import type { Chance } from '../random.ts';
import type { Story } from '../story.ts';
import type { SimTables } from './tables.ts';

/** How the way to the database is: `refused` fails at once, `silent` swallows what is sent. */
export type Way = 'open' | 'refused' | 'silent';

export interface DatabaseFaults {
  /** Chance that a connection breaks at a statement, half of the time after it was done. */
  lost: number;
  /** Chance that a statement takes seconds. */
  slow: number;
  /** Chance that a signal gets lost. */
  unheard: number;
}

/** As in the product's pool. */
const GIVE_UP_MS = 6_000;
/** A packet that was held by a silent network may still arrive when the network is back. */
const LATE_MS = 300;

/** The one server: it may be away, and then no process reaches it. */
export class SimServer {
  readonly tables: SimTables;
  readonly clock: VirtualClock;
  readonly chance: Chance;
  readonly story: Story;
  readonly listeners = new Set<SimListener>();
  faults: DatabaseFaults = { lost: 0, slow: 0, unheard: 0 };
  isAway = false;
  /** Statements that failed so far, whether or not they were carried out. */
  failedCount = 0;

  constructor(tables: SimTables, clock: VirtualClock, chance: Chance, story: Story) {
    this.tables = tables;
    this.clock = clock;
    this.chance = chance;
    this.story = story;
  }

  /** Every connection ends; for `ms` nothing listens. */
  restart(ms: number): void {
    if (this.isAway) return;
    this.story.addLine('db', `is away for ${Math.round(ms / 100) / 10} s`);
    this.isAway = true;
    for (const listener of [...this.listeners]) listener.breakOff();
    this.clock.after(ms, () => {
      this.isAway = false;
      this.story.addLine('db', 'is back');
    });
  }

  notify(channel: string, payloads: readonly string[]): void {
    for (const listener of [...this.listeners]) {
      for (const payload of payloads)
        if (!this.chance.happens(this.faults.unheard)) listener.hear(channel, payload, this.chance.between(1, 8));
    }
  }
}

/** What one process has of the database, over a network of its own. */
export class SimNetwork implements ListeningStatements {
  readonly #server: SimServer;
  readonly #life: Life;
  readonly #sender: string;
  readonly listeners = new Set<SimListener>();
  /** Called when the network is open again. */
  readonly #held = new Set<() => void>();
  #way: Way = 'open';

  constructor(server: SimServer, life: Life, sender: string) {
    this.#server = server;
    this.#life = life;
    this.#sender = sender;
  }

  get way(): Way {
    return this.#server.isAway ? 'refused' : this.#way;
  }

  setWay(way: Way): void {
    this.#way = way;
    if (way === 'refused') for (const listener of [...this.listeners]) listener.breakOff();
    if (way !== 'open') return;
    for (const deliver of [...this.#held]) this.#server.clock.after(this.#server.chance.between(1, LATE_MS), deliver);
    this.#held.clear();
  }

  async run<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    options: RunOptions = {},
  ): Promise<Row[]> {
    try {
      return await this.#runOnce<Row>(text, values, options);
    } catch (error) {
      if (!(options.isRepeatable && isConnectionLost(error))) throw error;
      return this.#runOnce<Row>(text, values, options);
    }
  }

  read<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.run<Row>(text, values, { isRepeatable: true });
  }

  async connect(): Promise<Listener> {
    await this.#runOnce('SELECT 1', [], {});
    const listener = new SimListener(this.#server, this, this.#life);
    this.listeners.add(listener);
    this.#server.listeners.add(listener);
    return listener as unknown as Listener;
  }

  #runOnce<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
    { withinMs = GIVE_UP_MS }: RunOptions,
  ): Promise<Row[]> {
    const { clock, chance, faults } = this.#server;
    const life = this.#life;
    const { promise, resolve, reject } = Promise.withResolvers<Row[]>();
    let isSettled = false;
    const settle = (how: () => void) => {
      if (isSettled) return;
      isSettled = true;
      giveUp.cancel();
      how();
    };
    const fail = (code: string, wasSent: boolean) => {
      this.#server.failedCount += 1;
      reject(databaseError(new ConnectionFailure(code, code), wasSent));
    };
    const giveUp = life.clock.after(withinMs, () => settle(() => fail('ETIMEDOUT', true)));
    const slow = chance.happens(faults.slow) ? chance.between(100, 8_000) : 0;
    const [there, back] = [chance.between(0, 4) + slow / 2, chance.between(0, 4) + slow / 2];
    const luck = chance.next();
    const answer = (how: () => void, ms = back) => {
      clock.after(ms, () => {
        // An answer that the network swallows is never sent again: the server takes the connection for dead.
        if (this.way === 'silent') return;
        life.enter(() => settle(this.way === 'refused' ? () => fail('ECONNRESET', true) : how));
      });
    };
    if (this.way === 'refused') {
      clock.after(there, () => life.enter(() => settle(() => fail('ECONNREFUSED', false))));
      return promise;
    }
    const arrive = () => {
      if (this.way === 'silent') {
        if (chance.happens(0.5)) this.#held.add(arrive);
        return;
      }
      const isBroken = this.way === 'refused' || luck < faults.lost;
      const isDone = !isBroken || chance.happens(0.5);
      if (!isDone) return answer(() => fail('ECONNRESET', true));
      let rows: Row[];
      try {
        rows = this.#carryOut(text, values) as Row[];
      } catch (error) {
        this.#server.story.addViolation(String(error));
        return;
      }
      if (isBroken) return answer(() => fail('ECONNRESET', true));
      answer(() => resolve(rows));
    };
    // What has left the process arrives also when it is killed.
    clock.after(there, arrive);
    return promise;
  }

  #carryOut(text: string, values: readonly unknown[]): QueryResultRow[] {
    if (text === 'SELECT 1') return [];
    if (text.startsWith('SELECT pg_notify')) {
      this.#server.notify(String(values[0]), values[1] as string[]);
      return [];
    }
    return this.#server.tables.run(this.#sender, text, values);
  }
}

/** A connection that listens for signals. */
class SimListener extends EventEmitter {
  readonly #server: SimServer;
  readonly #network: SimNetwork;
  readonly #life: Life;
  #channel: string | null = null;
  #isOver = false;

  constructor(server: SimServer, network: SimNetwork, life: Life) {
    super();
    this.#server = server;
    this.#network = network;
    this.#life = life;
  }

  query(text: string): Promise<unknown> {
    const { clock } = this.#server;
    const [, channel] = /^LISTEN "(.*)"$/.exec(text) ?? [];
    return new Promise((resolve) => {
      clock.after(2, () => {
        if (this.#isOver || this.#network.way !== 'open') return;
        if (channel !== undefined) this.#channel = channel;
        clock.after(2, () => this.#network.way === 'open' && this.#life.enter(() => resolve(undefined)));
      });
    });
  }

  hear(channel: string, payload: string, ms: number): void {
    this.#server.clock.after(ms, () => {
      if (this.#isOver || this.#channel !== channel || this.#network.way !== 'open') return;
      this.#life.enter(() => this.emit('notification', { payload }));
    });
  }

  breakOff(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#server.listeners.delete(this);
    this.#network.listeners.delete(this);
    this.#server.clock.after(1, () => this.#life.enter(() => this.emit('end')));
  }

  async end(): Promise<void> {
    this.breakOff();
  }
}
