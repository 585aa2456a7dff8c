import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SharedFolder } from '../bridge/ports.ts';

/** Below the home directory, as on machines that we reach through Letta. */
const INBOX = '.letta/slack-bridge/inbox';
/** Only the user who runs the bridge, and so the agent if it is the same, can read what people sent. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * The folder for files of people on this machine.
 * @param home the home directory of the user who runs the bridge
 */
export function createSharedFolder(home: string, { isKnown }: { isKnown: boolean }): SharedFolder {
  const path = join(home, INBOX);
  const makeFolder = (folder: string) => mkdir(folder, { recursive: true, mode: FOLDER_MODE });

  return {
    path,
    isKnown,
    async write(folder, name, bytes) {
      const target = join(path, folder, name);
      const growing = join(path, folder, `.${randomUUID()}.part`);
      await makeFolder(join(path, folder));
      try {
        await pipeline(Readable.from(bytes), createWriteStream(growing, { flags: 'wx', mode: FILE_MODE }));
        await rename(growing, target);
      } catch (error) {
        await rm(growing, { force: true });
        throw error;
      }
      return target;
    },
    async probe(words, look) {
      const probe = join(path, `.probe-${randomUUID()}`);
      await makeFolder(path);
      try {
        await writeFile(probe, words, { flag: 'wx', mode: FILE_MODE });
        return await look(probe);
      } finally {
        await rm(probe, { force: true });
        // Leaves nothing behind where the agent is elsewhere.
        await rmdir(path).catch(() => undefined);
      }
    },
    async clear(before) {
      for (const folder of await namesIn(path)) await clearFolder(join(path, folder), before);
    },
  };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
    throw error;
  }
}

/** Deletes old files, then the folder if it is empty. Probes and broken downloads go the same way. */
async function clearFolder(folder: string, before: number): Promise<void> {
  for (const name of await namesIn(folder)) {
    const file = join(folder, name);
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: before }));
    if (mtimeMs < before) await rm(file, { force: true, recursive: true });
  }
  await rmdir(folder).catch(() => undefined);
}
