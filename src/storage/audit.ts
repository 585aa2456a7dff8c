import type { AuditEntry } from '../bridge/approvals/audit-entry.ts';
import type { Audit, Clock, Log } from '../bridge/ports.ts';
import { readAuditEntry, toRow } from './records.ts';
import type { Rows } from './rows.ts';

export interface AuditParts {
  clock: Clock;
  log: Log;
  /** ms that an entry is kept. */
  keptForMs: number;
}

/** Beyond this many entries the oldest are deleted, even before their time. */
const KEPT_AT_MOST = 100_000;
/** Finding old entries reads all keys, so it is not done at every entry. */
const TIDY_EVERY = 500;
const TIDY_AFTER_MS = 24 * 3_600_000;

/** Audit entries under keys that begin with their time, so that keys sort in the order of the entries. */
export class StoredAudit implements Audit {
  readonly #rows: Rows;
  readonly #parts: AuditParts;
  #sinceTidied = TIDY_EVERY;
  #tidiedAt = Number.NEGATIVE_INFINITY;
  #deleting: Promise<void> = Promise.resolve();

  constructor(rows: Rows, parts: AuditParts) {
    this.#rows = rows;
    this.#parts = parts;
  }

  async append(entry: AuditEntry): Promise<void> {
    const now = this.#parts.clock.now();
    await this.#rows.set(keyOf(entry), toRow(entry));
    this.#sinceTidied += 1;
    if (this.#sinceTidied < TIDY_EVERY && now - this.#tidiedAt < TIDY_AFTER_MS) return;
    this.#sinceTidied = 0;
    this.#tidiedAt = now;
    this.#deleting = this.#deleting.then(() => this.#deleteOld(now));
  }

  async listLatest(limit: number, wanted: (entry: AuditEntry) => boolean): Promise<AuditEntry[]> {
    const found: AuditEntry[] = [];
    const oldest = this.#oldestKept();
    for (const key of (await this.#rows.keys()).sort().reverse()) {
      if (found.length >= limit || key < oldest) break;
      const stored = await this.#rows.get(key);
      if (stored === undefined) continue;
      const entry = readAuditEntry(`audit/${key}`, stored);
      if (wanted(entry)) found.push(entry);
    }
    return found;
  }

  /** Resolves when nothing is being deleted. */
  waitUntilIdle(): Promise<void> {
    return this.#deleting;
  }

  #oldestKept(): string {
    return timeKey(this.#parts.clock.now() - this.#parts.keptForMs);
  }

  async #deleteOld(now: number): Promise<void> {
    const { keptForMs, log } = this.#parts;
    try {
      const keys = (await this.#rows.keys()).sort();
      const oldest = timeKey(now - keptForMs);
      const over = keys.filter((key, at) => key < oldest || at < keys.length - KEPT_AT_MOST);
      for (const key of over) await this.#rows.delete(key);
      if (over.length > 0) log.info({ forgotten: over.length }, 'deleted old audit entries');
    } catch (error) {
      log.warn({ error }, 'could not delete old audit entries');
    }
  }
}

function keyOf({ at, id }: AuditEntry): string {
  return `${timeKey(at)}-${id}`;
}

function timeKey(at: number): string {
  return String(Math.max(0, at)).padStart(15, '0');
}
