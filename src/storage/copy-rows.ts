import { parseThreadKey, type ThreadKey, type WorkspaceId } from '../bridge/ids.ts';
import { BridgeError } from '../errors.ts';

/** One row on its way from one store to another. Key and value are the texts as they are stored. */
export interface CopiedRow {
  /** `''`: the process. */
  workspace: WorkspaceId;
  namespace: string;
  key: string;
  value: string;
  rev: number;
}

/** Namespaces that a SQLite file has without a prefix although they are not of the workspace of the bot token. */
const OF_PROCESS: ReadonlySet<string> = new Set(['installations', 'served']);

/**
 * Where a row of a SQLite file belongs in a store of several workspaces. Choices without a prefix are of the workspace
 * and of the process, which share them in such a file.
 * @param configured the workspace of the rows without a prefix; `null`: there is none
 */
export function placesOf(
  namespace: string,
  configured: WorkspaceId | null,
): { workspace: WorkspaceId; namespace: string }[] {
  const [prefix, rest] = namespace.split('/', 2);
  if (prefix !== undefined && rest !== undefined) return [{ workspace: prefix, namespace: rest }];
  if (OF_PROCESS.has(namespace)) return [{ workspace: '', namespace }];
  const own = configured === null ? [] : [{ workspace: configured, namespace }];
  return namespace === 'choices' ? [{ workspace: '', namespace }, ...own] : own;
}

/** The rev of a stored record; 0 for other rows. */
export function revOf(namespace: string, value: string): number {
  if (namespace !== 'threads') return 0;
  try {
    const { rev } = (JSON.parse(value) as { value: { rev?: unknown } }).value;
    return typeof rev === 'number' && Number.isSafeInteger(rev) ? rev : 0;
  } catch {
    // A row that nobody can read stays one.
    return 0;
  }
}

/**
 * The workspace of the bot token, by the keys of the threads that have no prefix.
 * @throws BridgeError config_invalid when they are of several teams
 */
export function configuredWorkspace(threads: Iterable<string>): WorkspaceId | null {
  const teams = new Set<string>();
  for (const key of threads) {
    try {
      teams.add(parseThreadKey(key as ThreadKey).team);
    } catch {
      // Not a thread; it is copied like the others.
    }
  }
  if (teams.size > 1) {
    const names = [...teams].slice(0, 5).join(', ');
    throw new BridgeError(
      'config_invalid',
      `the store has threads of several teams (${names}): name the one of SLACK_BOT_TOKEN by --workspace`,
    );
  }
  return [...teams][0] ?? null;
}
