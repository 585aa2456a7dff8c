import type { HandedFile, ThreadRecord } from './thread-record.ts';

/** Files of a thread whose places are known, the latest ones. */
const KNOWN = 200;

/** What the preparation of an input did with files. */
export interface FileOutcome {
  /** Files that lie on the agent's machine now. */
  handed: readonly HandedFile[];
  /** Paths of files that were cleared, because they were kept long enough. */
  cleared: readonly string[];
  /** Files that the agent does not get, a line each. */
  missing: readonly string[];
}

/** The record with what became of the files of its open turn; replaces what an earlier attempt noted. */
export function noteFiles(record: ThreadRecord, { handed, cleared, missing }: FileOutcome): ThreadRecord {
  const { handedOver: before = [], turn } = record;
  const gone = new Set([...cleared, ...handed.map(({ path }) => path)]);
  const now = [...before.filter(({ path }) => !gone.has(path)), ...handed].slice(-KNOWN);
  const { handedOver: _, ...rest } = record;
  const next: ThreadRecord = now.length > 0 ? { ...rest, handedOver: now } : rest;
  if (!turn) return next;
  const { missingFiles: __, ...sameTurn } = turn;
  return { ...next, turn: missing.length > 0 ? { ...sameTurn, missingFiles: [...missing] } : sameTurn };
}
