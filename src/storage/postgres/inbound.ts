import { randomUUID } from 'node:crypto';
import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import type { InboundServer, InboundTable, Lease, StoredDelivery, StoredReply } from '../house.ts';
import type { UnderWay } from './adapter.ts';
import type { Statements } from './database.ts';
import { readReply } from './inbound-replies.ts';
import { InboundWorker } from './inbound-worker.ts';
import { InboundWriter } from './inbound-writer.ts';
import { HeldLease } from './lease.ts';
import type { Signals } from './signals.ts';

/** Signals only save time: this often a process looks what it was not told of. */
const LOOK_EVERY_MS = 1_000;
/** While somebody waits for a reply. */
const LOOK_FOR_REPLIES_EVERY_MS = 250;
/** Deliveries that nobody worked off are deleted after this time; Slack repeats its own for an hour. */
const KEPT_HOURS = 24;
const TIDY_EVERY_MS = 10 * 60_000;

export interface InboundParts {
  database: Statements;
  signals: Signals;
  clock: Clock;
  log: Log;
  /** The database's clock, ms since 1970. */
  databaseNow: () => number;
}

interface Asking {
  workspace: WorkspaceId;
  settle: PromiseWithResolvers<StoredReply>;
  timer: Timer;
}

/** Deliveries in a table: any process adds them, the owner of the workspace works them off. */
export class PostgresInbound implements InboundTable {
  readonly #parts: InboundParts;
  readonly #writer: InboundWriter;
  readonly #workers = new Map<WorkspaceId, InboundWorker>();
  readonly #asking = new Map<string, Asking>();
  #look: Timer | null = null;
  #isLooking = false;
  #tidiedAt: number;
  #isStopped = false;

  constructor(parts: InboundParts) {
    this.#parts = parts;
    this.#writer = new InboundWriter(parts.database);
    this.#tidiedAt = parts.clock.monotonic();
    parts.signals.on('inbound', (workspace) => this.#workers.get(workspace)?.wake());
    parts.signals.on('reply', (_, token) => {
      // When the database fails just now, the next look finds the reply.
      if (this.#asking.has(token)) this.#readReplies([token]).catch(() => undefined);
    });
    parts.signals.onReconnected(() => this.#scheduleLook(0));
    this.#scheduleLook(LOOK_EVERY_MS);
  }

  async put(workspace: WorkspaceId, delivery: StoredDelivery, replyWithinMs?: number): Promise<StoredReply> {
    const token = randomUUID();
    const { databaseNow, signals } = this.#parts;
    const asks = replyWithinMs === undefined ? null : this.#waitForReply(token, workspace, replyWithinMs);
    try {
      const replyBy = replyWithinMs === undefined ? null : databaseNow() + replyWithinMs;
      await this.#writer.add({ token, workspace, delivery: JSON.stringify(delivery), replyBy });
    } catch (error) {
      this.#forget(token);
      throw error;
    }
    const worker = this.#workers.get(workspace);
    if (worker) worker.wake();
    else void signals.send('inbound', workspace);
    return asks?.promise;
  }

  serve(lease: Lease, handle: (delivery: StoredDelivery) => Promise<StoredReply>): InboundServer {
    if (!(lease instanceof HeldLease)) throw new TypeError('this lease is not of this store');
    const { workspace } = lease;
    const worker = new InboundWorker({ ...this.#parts, lease, handle });
    this.#workers.set(workspace, worker);
    worker.wake();
    return {
      stop: async () => {
        if (this.#workers.get(workspace) === worker) this.#workers.delete(workspace);
        await worker.stop();
      },
    };
  }

  /** The deliveries of a workspace that are being handled here, at the moment of each call. */
  underWay(workspace: WorkspaceId): UnderWay {
    return {
      idsOf: (messages) => this.#workers.get(workspace)?.idsOf(messages) ?? [],
      noteGone: (ids) => this.#workers.get(workspace)?.noteGone(ids),
    };
  }

  /** Stopping twice is fine. Replies that are waited for are given up. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#look?.cancel();
    for (const [token, { settle }] of this.#asking) {
      this.#forget(token);
      settle.reject(new BridgeError('no_owner', 'the store was closed', { certain: false, retry: true }));
    }
    const workers = [...this.#workers.values()];
    this.#workers.clear();
    await Promise.all(workers.map((worker) => worker.stop()));
    await this.#writer.waitUntilIdle();
  }

  #waitForReply(token: string, workspace: WorkspaceId, withinMs: number): PromiseWithResolvers<StoredReply> {
    const settle = Promise.withResolvers<StoredReply>();
    // The caller may still be waiting for the row to be written.
    settle.promise.catch(() => undefined);
    const timer = this.#parts.clock.after(withinMs, () => void this.#withdraw(token));
    this.#asking.set(token, { workspace, settle, timer });
    this.#scheduleLook(LOOK_FOR_REPLIES_EVERY_MS);
    return settle;
  }

  /** The time is over: the last look for a reply, and else the delivery is taken back if nobody has begun it. */
  async #withdraw(token: string): Promise<void> {
    const asking = this.#asking.get(token);
    if (!asking) return;
    const { workspace, settle } = asking;
    let hasBegun = true;
    try {
      await this.#readReplies([token]);
      if (!this.#asking.has(token)) return;
      const withdrawn = await this.#parts.database.run(
        'DELETE FROM bridge_inbound WHERE token = $1 AND begun_by IS NULL RETURNING 1 AS one',
        [token],
        { withinMs: LOOK_EVERY_MS },
      );
      hasBegun = withdrawn.length === 0;
    } catch (error) {
      // Its own time limit keeps it from being begun later than that.
      this.#parts.log.debug({ err: error }, 'could not take back a delivery that got no reply');
    }
    if (!this.#asking.has(token)) return;
    this.#forget(token);
    settle.reject(
      new BridgeError('no_owner', `the process that serves ${workspace} gave no reply in time`, {
        certain: !hasBegun,
        retry: true,
      }),
    );
  }

  async #readReplies(tokens: string[]): Promise<void> {
    const rows = await this.#parts.database.run<{ token: string; reply: string }>(
      'DELETE FROM bridge_inbound WHERE token = ANY ($1::text[]) AND reply IS NOT NULL RETURNING token, reply',
      [tokens],
    );
    for (const { token, reply } of rows) {
      const asking = this.#asking.get(token);
      this.#forget(token);
      if (!asking) continue;
      const answer = readReply(reply);
      if (answer.ok) asking.settle.resolve(answer.reply);
      else asking.settle.reject(answer.error);
    }
  }

  #forget(token: string): void {
    this.#asking.get(token)?.timer.cancel();
    this.#asking.delete(token);
  }

  #scheduleLook(ms: number): void {
    if (this.#isStopped || this.#isLooking) return;
    this.#look?.cancel();
    this.#look = this.#parts.clock.after(ms, () => void this.#lookAround());
  }

  /** What signals may have missed: deliveries, replies, and what is too old. */
  async #lookAround(): Promise<void> {
    this.#isLooking = true;
    const { database, log, clock } = this.#parts;
    try {
      const tokens = [...this.#asking.keys()];
      if (tokens.length > 0) await this.#readReplies(tokens);
      const workspaces = [...this.#workers.keys()];
      if (workspaces.length > 0) {
        const due = await database.run<{ workspace: string }>(
          `SELECT workspace FROM unnest($1::text[]) AS mine (workspace) WHERE EXISTS (
             SELECT 1 FROM bridge_inbound WHERE workspace = mine.workspace AND due_at <= clock_timestamp()
               AND failed_at IS NULL AND begun_by IS NULL)`,
          [workspaces],
        );
        for (const { workspace } of due) this.#workers.get(workspace)?.wake();
      }
      if (clock.monotonic() - this.#tidiedAt >= TIDY_EVERY_MS) await this.#tidy();
    } catch (error) {
      log.debug({ err: error }, 'could not look for deliveries; trying again');
    }
    this.#isLooking = false;
    this.#scheduleLook(this.#asking.size > 0 ? LOOK_FOR_REPLIES_EVERY_MS : LOOK_EVERY_MS);
  }

  async #tidy(): Promise<void> {
    const { database, log, clock } = this.#parts;
    this.#tidiedAt = clock.monotonic();
    const deleted = await database.run<{ workspace: string }>(
      `DELETE FROM bridge_inbound WHERE received_at < clock_timestamp() - interval '${KEPT_HOURS} hours'
         OR reply_by < clock_timestamp() - interval '1 minute' RETURNING workspace`,
    );
    if (deleted.length > 0) log.warn({ deliveries: deleted.length }, 'deleted deliveries that were never handled');
  }
}
