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
  const next = noteHanded(record, handed, cleared);
  const { turn } = next;
  if (!turn) return next;
  const { missingFiles: _, ...sameTurn } = turn;
  return { ...next, turn: missing.length > 0 ? { ...sameTurn, missingFiles: [...missing] } : sameTurn };
}

/** As {@link noteFiles}, of input that is handed to the open turn. @param notPassedOn what else the agent does not get */
export function noteSteeredFiles(
  record: ThreadRecord,
  { handed, cleared, missing }: FileOutcome,
  notPassedOn: readonly string[],
): ThreadRecord {
  const next = noteHanded(record, handed, cleared);
  const { turn } = next;
  if (!turn || missing.length + notPassedOn.length === 0) return next;
  const missingFiles = [...(turn.missingFiles ?? []), ...missing];
  return {
    ...next,
    turn: {
      ...turn,
      notPassedOn: [...turn.notPassedOn, ...notPassedOn],
      ...(missingFiles.length > 0 && { missingFiles }),
    },
  };
}

function noteHanded(
  record: ThreadRecord,
  handed: FileOutcome['handed'],
  cleared: FileOutcome['cleared'],
): ThreadRecord {
  const { handedOver: before = [], ...rest } = record;
  const gone = new Set([...cleared, ...handed.map(({ path }) => path)]);
  const now = [...before.filter(({ path }) => !gone.has(path)), ...handed].slice(-KNOWN);
  return now.length > 0 ? { ...rest, handedOver: now } : rest;
}
