import { mkdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Audit, Choices, Clock, Log, ThreadMoves, ThreadOwners, Threads } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { StorageAdapter } from './adapter.ts';
import { StoredAudit } from './audit.ts';
import { StoredChoices } from './choices.ts';
import { StoredDetails } from './details.ts';
import { lockStore } from './lock.ts';
import { memoryAdapter } from './memory.ts';
import { restrictFiles } from './private-files.ts';
import { Rows } from './rows.ts';
import { createFileCheck } from './same-files.ts';
import { openDatabase, SqliteAdapter } from './sqlite.ts';
import { parseStoreUri, type StoreUri } from './store-uri.ts';
import { StoredThreads } from './threads.ts';
import { tidyAfterWrites } from './tidy.ts';

export interface Store {
  threads: Threads & ThreadMoves & ThreadOwners;
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

type LocalUri = Exclude<StoreUri, { kind: 'postgres' }>;

/** Where the rows of a process lie. */
export interface OpenedFiles {
  /** Makes a new adapter for each namespace. */
  adapterFor(namespace: string): StorageAdapter;
  /** The resolved path of a SQLite store; `null`: memory. */
  path: string | null;
  /** Closes the files and releases the lock. */
  release(): void;
}

/**
 * Opens the files of a store of one process.
 * @throws BridgeError store_locked (after 30 s), store_failed, record_newer.
 */
export async function openFiles(uri: LocalUri, parts: StoreParts): Promise<OpenedFiles> {
  if (uri.kind === 'memory') return inMemory();
  const path = resolvePath(uri.path);
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
    return {
      adapterFor: (namespace) => new SqliteAdapter(database, namespace, onWritten),
      path,
      release() {
        tidying.stop();
        if (database.isOpen) database.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    if (error instanceof BridgeError) throw error;
    throw new BridgeError('store_failed', `could not open ${path}`, { cause: error });
  }
}

/**
 * Opens the store at `uri` as one that has one workspace: `memory://`, or `sqlite://path` (relative to the working
 * directory; its folder is made).
 * @throws as {@link openFiles}, and BridgeError config_invalid
 */
export async function openStore(uri: string, parts: StoreParts): Promise<Store> {
  const parsed = parseStoreUri(uri);
  if (!parsed.ok) throw new BridgeError('config_invalid', `STORE ${parsed.problem}. ${parsed.fix}`);
  if (parsed.uri.kind === 'postgres') throw new BridgeError('config_invalid', 'STORE is shared: openHouse opens it');
  const files = await openFiles(parsed.uri, parts);
  return { ...assembleStore(files.adapterFor, parts, files.release), path: files.path };
}

/** All that {@link assembleStore} stores of a workspace. */
export const WORKSPACE_NAMESPACES = [
  'threads',
  'items',
  'active',
  'tokens',
  'waiting',
  'conversations',
  'audit',
  'details',
  'choices',
] as const;

/** A store over any keyv storage. @param adapterFor makes a new adapter for each namespace. */
export function assembleStore(
  adapterFor: (namespace: string) => StorageAdapter,
  parts: StoreParts,
  releaseFiles: () => void,
): Omit<Store, 'path'> & { threads: StoredThreads } {
  const rows = (namespace: (typeof WORKSPACE_NAMESPACES)[number]) => new Rows(namespace, adapterFor(namespace));
  const threads = new StoredThreads(
    {
      threads: rows('threads'),
      items: rows('items'),
      active: rows('active'),
      tokens: rows('tokens'),
      waiting: rows('waiting'),
      conversations: rows('conversations'),
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

/** What a workspace stored is there when it is opened again, until the process ends. */
function inMemory(): OpenedFiles {
  const namespaces = new Map<string, Map<string, unknown>>();
  return {
    adapterFor(namespace) {
      const rows = namespaces.get(namespace) ?? new Map<string, unknown>();
      namespaces.set(namespace, rows);
      return memoryAdapter(rows);
    },
    path: null,
    release: () => {},
  };
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
