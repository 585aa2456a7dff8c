import type { DeviceFile, DeviceFileTrouble } from '../bridge/ports.ts';
import { readFileBytes } from './protocol/outgoing.ts';
import type { Ask } from './requests.ts';

/** Bytes that the device reads as base64 (docs/letta-protocol.md, The device's files). */
const MOST_BYTES = 25 * 1024 * 1024;
/** Bytes whose base64 fits into a frame of 8 MiB, which a socket that carries a turn survives (the same). */
const MOST_BESIDE_TURN = 6 * 1024 * 1024 - 4_096;
const WITHIN_MS = 60_000;

/** Over which link a file comes. */
export type FileLink = 'own' | 'of-the-turn';

/** Why a file is not asked for over this link; `null`: it may be. @param told bytes that it has, as the agent says */
export function whyNotAsked(link: FileLink, told: number | null): DeviceFile | null {
  const most = link === 'own' ? MOST_BYTES : MOST_BESIDE_TURN;
  if (told !== null && told > most) return { refused: 'too_large', most };
  return link === 'of-the-turn' && told === null ? { refused: 'size_needed', most } : null;
}

/** Asks the device for a file. @returns `null`: it did not answer in time */
export async function askForFile(
  ask: Ask,
  path: string,
  link: FileLink,
  told: number | null,
): Promise<DeviceFile | null> {
  const most = link === 'own' ? MOST_BYTES : MOST_BESIDE_TURN;
  const answer = await ask('read_file_response', (id) => readFileBytes(id, path), WITHIN_MS);
  if (answer === null) return null;
  const { success, content, error } = answer;
  if (success !== true || typeof content !== 'string') return { refused: whyOf(error ?? ''), most };
  const bytes = Buffer.from(content, 'base64');
  // The size was what allowed the read.
  if (link === 'of-the-turn' && bytes.length !== told) return { refused: 'other_size', most };
  return { bytes };
}

/** The device says in words of Node's why it cannot read a file. */
function whyOf(error: string): DeviceFileTrouble {
  if (/too large/i.test(error)) return 'too_large';
  if (/^(?:ENOENT|ENOTDIR)\b/.test(error)) return 'missing';
  return /^EISDIR\b/.test(error) ? 'folder' : 'unreadable';
}
