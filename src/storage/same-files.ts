import { statSync } from 'node:fs';
import { BridgeError } from '../errors.ts';

/**
 * Notices that the files of the store at `path` were deleted, moved or replaced while they are open: SQLite goes on
 * writing to what nobody will ever find again.
 * @returns throws `store_gone` when that has happened; when they are put back, it is fine again
 */
export function createFileCheck(path: string): () => void {
  const known = new Map<string, string>();
  return () => {
    for (const file of [path, `${path}-wal`]) {
      const now = identityOf(file);
      const before = known.get(file);
      // The log is made by the first write.
      if (before === undefined) {
        if (now !== null) known.set(file, now);
      } else if (now !== before) {
        throw new BridgeError(
          'store_gone',
          `${file} was ${now === null ? 'deleted or moved' : 'replaced'} while it is in use`,
        );
      }
    }
  };
}

function identityOf(file: string): string | null {
  const found = statSync(file, { throwIfNoEntry: false, bigint: true });
  return found ? `${found.dev}:${found.ino}` : null;
}
