import { statSync } from 'node:fs';
import { BridgeError } from '../errors.ts';

/**
 * Makes a check for whether the files of the store at `path` were deleted, moved or replaced while they are open:
 * SQLite would go on writing to files that nobody can find again.
 * @returns the check; it throws `store_gone`, and passes again once the files are back
 */
export function createFileCheck(path: string): () => void {
  const known = new Map<string, string>();
  return () => {
    for (const file of [path, `${path}-wal`]) {
      const now = identityOf(file);
      const before = known.get(file);
      // SQLite creates the -wal file at the first write.
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
