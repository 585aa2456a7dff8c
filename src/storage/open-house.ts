import { BridgeError } from '../errors.ts';
import type { StoreHouse } from './house.ts';
import { createLocalHouse } from './local-house.ts';
import { openFiles } from './open.ts';
import type { PostgresParts } from './postgres/open.ts';
import { parseStoreUri } from './store-uri.ts';

/**
 * Opens all that the process stores at `uri`: `memory://`; `sqlite://path` (relative to the working directory; its folder
 * is made); or `postgres://…`, which several processes may share.
 * @throws BridgeError config_invalid, store_locked (after 30 s), store_failed, record_newer.
 */
export async function openHouse(uri: string, parts: PostgresParts): Promise<StoreHouse> {
  const parsed = parseStoreUri(uri);
  if (!parsed.ok) throw new BridgeError('config_invalid', `STORE ${parsed.problem}. ${parsed.fix}`);
  if (parsed.uri.kind === 'postgres') {
    // Read only where it is used, because each file that is read makes the start longer.
    const { openPostgres } = await import('./postgres/open.ts');
    return openPostgres(parsed.uri.postgres, parts);
  }
  return createLocalHouse(await openFiles(parsed.uri, parts), parts);
}
