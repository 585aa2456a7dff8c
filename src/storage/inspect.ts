import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../bridge/ports.ts';
import { StoredChoices } from './choices.ts';
import { holderOf } from './lock.ts';
import type { PostgresReport } from './postgres/inspect.ts';
import { findLooseFiles, type LooseFile } from './private-files.ts';
import { Rows } from './rows.ts';
import { APPLICATION, LAYOUT, pragma, SqliteAdapter } from './sqlite.ts';
import { parseStoreUri } from './store-uri.ts';

export type StoreReport =
  | { kind: 'memory' }
  | PostgresReport
  | { kind: 'unusable'; path: string; why: string }
  | { kind: 'foreign' | 'newer'; path: string; layout: number }
  | {
      kind: 'sqlite';
      path: string;
      /** `null` while there is no file: the first start creates it. */
      layout: number | null;
      /** The bridge that has it open, as text for people; `null`: none. */
      holder: string | null;
      /** User id of the file's owner; `null` while there is no file. */
      uid: number | null;
      /** Files of the store that other users may open. */
      loose: readonly LooseFile[];
    };

/** The path of a SQLite store as `openStore` resolves it; `null` for other kinds. Creates nothing. */
function storePath(uri: string): string | null {
  const parsed = parseStoreUri(uri);
  if (!parsed.ok || parsed.uri.kind !== 'sqlite') return null;
  const absolute = resolve(parsed.uri.path);
  try {
    return existsSync(absolute) ? realpathSync(absolute) : join(realpathSync(dirname(absolute)), basename(absolute));
  } catch {
    return absolute;
  }
}

/** Reports on the store. Changes nothing, because a bridge may be using it. */
export async function inspectStore(uri: string, clock: Clock): Promise<StoreReport> {
  const parsed = parseStoreUri(uri);
  if (parsed.ok && parsed.uri.kind === 'postgres') {
    const { inspectPostgres } = await import('./postgres/inspect.ts');
    return inspectPostgres(parsed.uri.postgres, clock);
  }
  return inspectFile(uri);
}

function inspectFile(uri: string): StoreReport {
  const path = storePath(uri);
  if (path === null) return { kind: 'memory' };
  try {
    if (!existsSync(path)) {
      accessSync(nearestFolder(path), constants.W_OK | constants.X_OK);
      // A bridge may still run on it: somebody may have deleted the file under it.
      return { kind: 'sqlite', path, layout: null, holder: holderOf(path), uid: null, loose: [] };
    }
    const { uid } = statSync(path);
    accessSync(path, constants.R_OK | constants.W_OK);
    // SQLite writes its journal beside the file.
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    const { application, layout } = readHeader(path);
    if (application !== APPLICATION) return { kind: 'foreign', path, layout };
    if (layout > LAYOUT) return { kind: 'newer', path, layout };
    return { kind: 'sqlite', path, layout, holder: holderOf(path), uid, loose: findLooseFiles(path) };
  } catch (error) {
    return { kind: 'unusable', path, why: reasonOf(error) };
  }
}

/** The choices stored under these names; empty where the store is missing or unreadable. Changes nothing. */
export async function readStoredChoices(
  uri: string,
  names: readonly string[],
  clock: Clock,
): Promise<Map<string, string>> {
  const parsed = parseStoreUri(uri);
  if (parsed.ok && parsed.uri.kind === 'postgres') {
    const { readPostgresChoices } = await import('./postgres/inspect.ts');
    return readPostgresChoices(parsed.uri.postgres, names, clock);
  }
  const found = new Map<string, string>();
  const path = storePath(uri);
  if (path === null || !existsSync(path)) return found;
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
    try {
      const choices = new StoredChoices(new Rows('choices', new SqliteAdapter(database, 'choices')));
      for (const name of names) {
        const value = await choices.get(name);
        if (value) found.set(name, value);
      }
    } finally {
      database.close();
    }
  } catch {
    // `inspectStore` reports what is wrong with the store.
  }
  return found;
}

function readHeader(path: string): { application: number; layout: number } {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
  try {
    return { application: pragma(database, 'application_id'), layout: pragma(database, 'user_version') };
  } finally {
    database.close();
  }
}

/** The nearest folder above that exists: the first start creates the others below it. */
function nearestFolder(path: string): string {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(folder)) {
      // Also refuses a file that stands where a folder should.
      if (!statSync(folder).isDirectory()) throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
      return folder;
    }
    if (folder === dirname(folder)) return folder;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  return code === null || code === 'ERR_SQLITE_ERROR' ? error.message : code;
}
