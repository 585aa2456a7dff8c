import { randomUUID } from 'node:crypto';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import type { Listener, ListeningStatements } from './database.ts';

const AGAIN_AFTER_MS = [100, 250, 500, 1_000, 2_000, 5_000];
/** A connection that is cut without a word is noticed by a question that gets no answer. */
const ASK_EVERY_MS = 5_000;
const ANSWER_WITHIN_MS = 3_000;
/** Signals that wait to be sent; they only save time, so more are dropped. */
const MOST_WAITING = 10_000;

/**
 * `free`: a lease was given up. `inbound`: a delivery waits. `reply`: a delivery was answered; the detail names whose.
 * `installation`: the app was installed or uninstalled there.
 */
export type SignalKind = 'free' | 'inbound' | 'reply' | 'installation';

type Handler = (workspace: string, detail: string) => void;

/**
 * Wakes other processes by NOTIFY. A signal can get lost, with the connection that listens or with the process that
 * sends it, so whoever waits for one also looks from time to time.
 *
 * Signals are sent by statements of their own, after the commit: a transaction that notifies holds a lock of the whole
 * server until it is on disk, so they would be committed one after another.
 */
export class Signals {
  readonly #parts: { database: ListeningStatements; clock: Clock; log: Log };
  readonly #handlers = new Map<SignalKind, Handler[]>();
  readonly #onReconnected: (() => void)[] = [];
  readonly #waiting = new Set<string>();
  /** The channel of the schema that the tables are in; tells this bridge from another one in the same database. */
  #channel: string | null = null;
  #sending: Promise<void> | null = null;
  #client: Listener | null = null;
  #timer: Timer | null = null;
  #failures = 0;
  #isStopped = false;
  #connecting: Promise<void> | null = null;

  constructor(parts: { database: ListeningStatements; clock: Clock; log: Log }) {
    this.#parts = parts;
  }

  on(kind: SignalKind, handler: Handler): void {
    this.#handlers.set(kind, [...(this.#handlers.get(kind) ?? []), handler]);
  }

  /** Called when signals may have been missed: after each time that listening began. */
  onReconnected(run: () => void): void {
    this.#onReconnected.push(run);
  }

  /** Begins to listen, and goes on until it is stopped. */
  async start(schemaId: string): Promise<void> {
    this.#channel = `letta_slack_${schemaId}`;
    await this.#listen();
  }

  /** Resolves when the signal was sent, or dropped. Never rejects. */
  async send(kind: SignalKind, workspace: string, detail = ''): Promise<void> {
    if (this.#waiting.size >= MOST_WAITING) return;
    this.#waiting.add(JSON.stringify([kind, workspace, detail]));
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    await this.#sending;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#sending;
    await this.#connecting;
    const client = this.#client;
    this.#client = null;
    await client?.end();
  }

  async #sendAll(): Promise<void> {
    // What comes in this turn of the event loop goes along.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const payloads = [...this.#waiting];
      this.#waiting.clear();
      try {
        await this.#parts.database.run('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', [
          this.#channel,
          payloads,
        ]);
      } catch (error) {
        this.#parts.log.debug({ err: error }, 'could not wake the other processes; they look by themselves');
      }
    }
  }

  #listen(): Promise<void> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    const { database, clock, log } = this.#parts;
    let client: Listener | null = null;
    try {
      client = await database.connect();
      const own = client;
      own.on('notification', ({ payload }) => this.#receive(payload ?? ''));
      own.once('end', () => this.#noteLoss(own));
      await ask(own, `LISTEN "${this.#channel}"`, clock);
      if (this.#isStopped) {
        await own.end();
        return;
      }
      this.#client = own;
      this.#failures = 0;
      for (const run of this.#onReconnected) run();
      this.#scheduleQuestion(own);
    } catch (error) {
      client?.removeAllListeners('end');
      drop(client);
      log.debug({ err: error }, 'could not listen for signals of other processes; trying again');
      this.#scheduleRetry();
    }
  }

  #scheduleQuestion(client: Listener): void {
    this.#timer = this.#parts.clock.after(ASK_EVERY_MS, () => {
      ask(client, `SELECT '${randomUUID()}'`, this.#parts.clock).then(
        () => this.#client === client && this.#scheduleQuestion(client),
        () => drop(client),
      );
    });
  }

  #noteLoss(client: Listener): void {
    if (this.#client !== client || this.#isStopped) return;
    this.#client = null;
    this.#parts.log.debug({}, 'the connection that listens for other processes was lost; connecting again');
    this.#timer?.cancel();
    this.#scheduleRetry();
  }

  #scheduleRetry(): void {
    if (this.#isStopped) return;
    const ms = AGAIN_AFTER_MS[Math.min(this.#failures, AGAIN_AFTER_MS.length - 1)] ?? 0;
    this.#failures += 1;
    this.#timer = this.#parts.clock.after(ms, () => void this.#listen());
  }

  #receive(payload: string): void {
    const [kind, workspace, detail] = readPayload(payload);
    for (const handler of this.#handlers.get(kind as SignalKind) ?? []) handler(workspace, detail);
  }
}

function readPayload(payload: string): [kind: string, workspace: string, detail: string] {
  try {
    const read: unknown = JSON.parse(payload);
    if (Array.isArray(read)) return [String(read[0]), String(read[1]), String(read[2] ?? '')];
  } catch {
    // Somebody else may notify on the channel.
  }
  return ['', '', ''];
}

/** @throws when no answer comes in time */
async function ask(client: Listener, statement: string, clock: Clock): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = clock.after(ANSWER_WITHIN_MS, () => reject(new Error('the database does not answer')));
  try {
    await Promise.race([client.query(statement), late]);
  } finally {
    timer.cancel();
  }
}

/** Ends a connection that may be dead: nobody waits for its goodbye. */
function drop(client: Listener | null): void {
  client?.end().catch(() => undefined);
}
