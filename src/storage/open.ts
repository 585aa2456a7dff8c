import { mkdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { KeyvMemoryAdapter } from 'keyv';
import type { Audit, Choices, Clock, Log, ThreadMoves, Threads } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { StoredAudit } from './audit.ts';
import { StoredChoices } from './choices.ts';
import { StoredDetails } from './details.ts';
import { lockStore } from './lock.ts';
import { restrictFiles } from './private-files.ts';
import { Rows } from './rows.ts';
import { createFileCheck } from './same-files.ts';
import { openDatabase, SqliteAdapter, type StorageAdapter } from './sqlite.ts';
import { parseStoreUri } from './store-uri.ts';
import { StoredThreads } from './threads.ts';
import { tidyAfterWrites } from './tidy.ts';

export interface Store {
  threads: Threads & ThreadMoves;
  choices: Choices;
  audit: Audit;
  /** Deletes nothing until it is started. */
  details: StoredDetails;
  /** The resolved path of a SQLite store; `null`: the store is in memory. */
  path: string | null;
  /** Waits for unfinished writes, then closes the files and releases the lock. Closing twice is fine. */
  close(): Promise<void>;
}

export interface StoreParts {
  clock: Clock;
  log: Log;
  /** ms that audit entries are kept; default 90 days. */
  auditKeptForMs?: number;
  /** Ends the wait for the lock; its reason is thrown. */
  signal?: AbortSignal;
}

const AUDIT_KEPT_MS = 90 * 24 * 3_600_000;

/**
 * Opens the store at `uri`: `memory://`, or `sqlite://path` (relative to the working directory; its folder is made).
 * @throws BridgeError config_invalid, store_locked (after 30 s), store_failed, record_newer.
 */
export async function openStore(uri: string, parts: StoreParts): Promise<Store> {
  const parsed = parseStoreUri(uri);
  if (!parsed.ok) throw new BridgeError('config_invalid', `STORE ${parsed.problem}. ${parsed.fix}`);
  if (parsed.uri.kind === 'memory') return { ...assembleStore(memoryAdapter, parts, () => {}), path: null };

  const path = resolvePath(parsed.uri.path);
  restrictFiles(path, parts.log);
  const lock = await lockStore(path, parts);
  try {
    const database = openDatabase(path);
    const checkFiles = createFileCheck(path);
    checkFiles();
    const tidying = tidyAfterWrites(database, parts);
    const onWritten = () => {
      tidying.noteWrite();
      // Check after the write: only if the file is still there has the write been kept.
      checkFiles();
    };
    const assembled = assembleStore(
      (namespace) => new SqliteAdapter(database, namespace, onWritten),
      parts,
      () => {
        tidying.stop();
        if (database.isOpen) database.close();
        lock.release();
      },
    );
    return { ...assembled, path };
  } catch (error) {
    lock.release();
    if (error instanceof BridgeError) throw error;
    throw new BridgeError('store_failed', `could not open ${path}`, { cause: error });
  }
}

/** A store over any keyv storage. @param adapterFor makes a new adapter for each namespace. */
export function assembleStore(
  adapterFor: (namespace: string) => StorageAdapter,
  parts: StoreParts,
  releaseFiles: () => void,
): Omit<Store, 'path'> & { threads: StoredThreads } {
  const rows = (namespace: string) => new Rows(namespace, adapterFor(namespace));
  const threads = new StoredThreads(
    {
      threads: rows('threads'),
      items: rows('items'),
      active: rows('active'),
      tokens: rows('tokens'),
      waiting: rows('waiting'),
    },
    parts,
  );
  const { clock, log, auditKeptForMs: keptForMs = AUDIT_KEPT_MS } = parts;
  const audit = new StoredAudit(rows('audit'), { clock, log, keptForMs });
  const details = new StoredDetails(rows('details'), parts);
  return {
    threads,
    choices: new StoredChoices(rows('choices')),
    details,
    audit,
    async close() {
      details.stop();
      await threads.waitUntilIdle();
      await audit.waitUntilIdle();
      releaseFiles();
    },
  };
}

/** keyv's in-memory adapter, one per namespace. Rows still serialises the values, so nobody can change a stored one. */
export function memoryAdapter(): StorageAdapter {
  return new KeyvMemoryAdapter(new Map<string, unknown>()) as unknown as StorageAdapter;
}

/** Resolves links, so that two spellings of one path share one lock. */
function resolvePath(path: string): string {
  const absolute = resolve(path);
  try {
    mkdirSync(dirname(absolute), { recursive: true, mode: 0o700 });
    const folder = realpathSync(dirname(absolute));
    try {
      return realpathSync(absolute);
    } catch {
      return join(folder, basename(absolute));
    }
  } catch (error) {
    throw new BridgeError('store_failed', `could not make the folder of ${absolute}`, { cause: error });
  }
}
