import { type FileHandOver, type HandedOver, type Machine, nothingHandedOver } from '../../files/hand-over.ts';
import type { UserId } from '../../ids.ts';
import type { FileRef } from '../../inbound.ts';
import type { FileOutcome } from '../../record/handed-over.ts';
import type { OpenTurn, ThreadRecord } from '../../record/thread-record.ts';
import { type FileNote, missingLine } from '../../turn/file-notes.ts';
import { isBlankText, noNames, spansText } from '../../turn/prompt.ts';
import { filesUnreadText } from '../../words/thread.ts';

/** The agent's machine as a turn's files reach it, and when not to. */
export interface FileWay {
  connection: Machine['connection'];
  /** Whether the turn's author may still use the agent: until then, and otherwise, no file is fetched. */
  mayHandOver: Promise<boolean>;
  /** Aborts when the turn needs its input no longer. */
  signal: AbortSignal;
}

/** What became of a turn's files, for its prompt and for the record. */
export type TurnFiles = Pick<HandedOver, 'notes' | 'images'> & { files: FileOutcome };

const noFiles: FileOutcome = { handed: [], cleared: [], missing: [] };

/** Hands the files of a turn over, and clears those that were kept long enough. */
export async function handOverFiles(
  files: FileHandOver | undefined,
  record: ThreadRecord | null,
  turn: OpenTurn,
  { connection, mayHandOver, signal }: FileWay,
): Promise<TurnFiles> {
  const nothing = { ...nothingHandedOver, files: noFiles };
  const { runtime, handedOver = [] } = record ?? {};
  if (!runtime || !(await mayHandOver)) return nothing;
  const machine = { connection, id: runtime.deviceId ?? '', conversation: runtime.conversationId };
  try {
    const cleared = (await files?.clear(handedOver, machine)) ?? [];
    const { notes, images, handed } = files ? await files.handOver(turn.items, machine, signal) : noneFetched(turn);
    const missing = [...notes.values()].flat().flatMap((note) => (note.how === 'missing' ? [missingLine(note)] : []));
    return { notes, images, files: { handed, cleared, missing } };
  } catch (error) {
    // The turn is over, and its prompt is not used.
    if (signal.aborted) return nothing;
    throw error;
  }
}

function noneFetched({ items }: OpenTurn): HandedOver {
  const missing = (file: FileRef): FileNote => ({ file, how: 'missing', why: 'not_fetched' });
  const notes = items.flatMap(({ key, files }) => (files.length > 0 ? [[key, files.map(missing)] as const] : []));
  return { ...nothingHandedOver, notes: new Map(notes) };
}

/** What the author is told when a turn has no words, and none of its files reached the agent. */
export function unreadableNotice(turn: OpenTurn, notes: HandedOver['notes'], botUser: UserId): string | null {
  const all = [...notes.values()].flat();
  const isMissing = (note: FileNote) => note.how === 'missing';
  if (all.length === 0 || !all.every(isMissing)) return null;
  if (!turn.items.every(({ spans }) => isBlankText(spansText(spans, noNames, botUser)))) return null;
  const lines = all.flatMap((note) => (note.how === 'missing' ? [missingLine(note)] : []));
  return filesUnreadText(lines);
}
