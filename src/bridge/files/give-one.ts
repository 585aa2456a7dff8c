import { makeMessageKey, type SlackTs } from '../ids.ts';
import type { FileRef } from '../inbound.ts';
import type { HandedFile } from '../record/thread-record.ts';
import type { FileNote } from '../turn/file-notes.ts';
import type { ImagePart } from '../turn/input-content.ts';
import type { FileHandOver, Machine } from './hand-over.ts';

/** What became of a file that the agent asked for. */
export interface GivenFile {
  note: FileNote;
  /** The picture, where it is one. */
  images: readonly ImagePart[];
  handed: readonly HandedFile[];
}

/**
 * Gives an agent one file of a message, as those of a turn are handed over; only a whole picture is given as one. Rejects
 * with the signal's reason.
 */
export async function giveFile(
  files: Pick<FileHandOver, 'handOver'>,
  file: FileRef,
  at: { team: string; channel: string; ts: SlackTs },
  machine: Machine,
  signal: AbortSignal,
): Promise<GivenFile> {
  const key = makeMessageKey(at);
  const item = { key, ts: at.ts, user: '', spans: [], files: [file], receivedAt: 0 };
  const { notes, images, handed } = await files.handOver([item], { ...machine, takesWholePicturesOnly: true }, signal);
  const [note = { file, how: 'missing' as const, why: 'failed' as const }] = notes.get(key) ?? [];
  return { note, images, handed };
}
