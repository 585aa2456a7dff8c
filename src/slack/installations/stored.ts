import { BoundedMap } from '../../bounded-map.ts';
import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock, Log, Random } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import type { Installation, InstallationChange, InstallationQuery, Installations } from './installations.ts';
import type { OAuthApi } from './oauth-api.ts';
import { type InstallationRecord, readRow, readTokens, rowOf, type Tokens } from './record.ts';
import { type Held, RotatingToken } from './rotating-token.ts';
import type { Sealer } from './seal.ts';

/** Where installations are stored, by workspace. */
export interface InstallationRows {
  /** `undefined`: there is none. */
  get(key: string): Promise<unknown>;
  /** Writes the row, or deletes it (`undefined`), if it still is what `get` gave; resolves with whether it did. */
  swap(key: string, expected: unknown, value: unknown): Promise<boolean>;
  keys(): AsyncIterable<string>;
}

export interface StoredInstallationsParts {
  rows: InstallationRows;
  sealer: Sealer;
  oauth: OAuthApi;
  clock: Clock;
  random: Random;
  log: Log;
  /** Hides a token in the log from now on. */
  hide?: (secret: string) => void;
  /** Tells other processes, and hears them; left out: there are none. */
  news?: InstallationNews | undefined;
}

/** What other processes are told, and tell, of an installation that changed. */
export interface InstallationNews {
  tell(workspace: WorkspaceId): void;
  onTold(listener: (workspace: WorkspaceId) => void): void;
}

const OPEN_KEPT = 1_000;
/** Tries of a write that others keep overtaking. */
const TRIES = 10;
/** Rows that are no installations have keys that begin so: before all others, byte by byte. */
const OURS = '#';
/** Sealed at the first start: it tells a wrong key at once. */
const PROBE = `${OURS}key`;
/** Workspaces where the app was uninstalled, and whose own rows are not yet deleted. */
const REMOVED = `${OURS}removed/`;

/**
 * The installations that people made by OAuth: one row for each workspace, its tokens sealed. Nothing of them stays in
 * memory here, and nothing is read before it is asked for.
 */
export class StoredInstallations implements Installations {
  readonly static = null;
  readonly #parts: StoredInstallationsParts;
  /** The tokens that were opened last, so that one that is in use is not refreshed by another object. */
  readonly #open = new BoundedMap<WorkspaceId, RotatingToken>(OPEN_KEPT);
  readonly #listeners = new Set<(change: InstallationChange) => void>();

  constructor(parts: StoredInstallationsParts) {
    this.#parts = parts;
    parts.news?.onTold((workspace) => {
      this.#open.get(workspace)?.noteInstalled();
      this.#tellHere({ kind: 'changed_elsewhere', workspace });
    });
  }

  /**
   * Finds out whether the key is the one of the stored installations.
   * @throws BridgeError config_invalid when it is not; store_failed
   */
  async checkKey(): Promise<void> {
    const { rows, sealer } = this.#parts;
    const row = await rows.get(PROBE);
    if (typeof row === 'string') {
      try {
        if (!sealer.open(row, PROBE).isOld) return;
      } catch (cause) {
        const fix = 'Set it to the key that they were sealed with, or that key as ENCRYPTION_KEY_OLD';
        throw new BridgeError('config_invalid', `ENCRYPTION_KEY does not open the stored installations. ${fix}`, {
          cause,
        });
      }
    }
    // When another process was quicker, it has sealed the same.
    await rows.swap(PROBE, row, sealer.seal(PROBE, PROBE));
  }

  async find({ teamId, enterpriseId, isEnterpriseInstall }: InstallationQuery): Promise<Installation | null> {
    const workspace = isEnterpriseInstall ? enterpriseId : teamId;
    return workspace === null ? null : this.get(workspace);
  }

  async get(workspace: WorkspaceId): Promise<Installation | null> {
    const held = await this.read(workspace);
    return held && this.#installationOf(held.record);
  }

  onChanged(listener: (change: InstallationChange) => void): () => void {
    const own = (change: InstallationChange) => listener(change);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Stores an installation, the first one or a new one of the same workspace. */
  async store(record: Omit<InstallationRecord, 'sealed' | 'refreshingSince' | 'isRefreshLost'>, tokens: Tokens) {
    const { workspace } = record;
    const { rows, log } = this.#parts;
    const value = { ...record, refreshingSince: null, isRefreshLost: false, sealed: this.#seal(workspace, tokens) };
    for (let tries = 0; tries < TRIES; tries += 1) {
      if (!(await rows.swap(workspace, await rows.get(workspace), rowOf(value)))) continue;
      this.#hide(tokens);
      await this.forgetRemoved(workspace);
      log.info({ workspace, by: record.installedBy, scopes: record.scopes.length }, 'the app was installed');
      this.#open.get(workspace)?.noteInstalled();
      this.#tell({ kind: 'installed', workspace });
      return;
    }
    throw new BridgeError('store_failed', `could not store the installation of ${workspace}`, { retry: true });
  }

  /**
   * Slack says that the app was uninstalled, or its tokens revoked. Such an event may be late, and tell of an earlier
   * installation, or of a token that was rotated: so Slack is asked whether it still accepts ours.
   * @returns whether it is gone: then its tokens are deleted, and it is listed in {@link listRemoved} until the caller
   * has deleted all else of the workspace
   * @throws BridgeError store_failed; SlackError when Slack does not say: the event must come again
   */
  async removeIfRevoked(workspace: WorkspaceId): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const held = await this.read(workspace);
      if (!held) {
        // Another process has deleted it; whoever serves the workspace here hears of it in this way.
        this.#tell({ kind: 'removed', workspace });
        return true;
      }
      if (await this.#isInstalled(held)) {
        this.#parts.log.info({ workspace }, 'Slack told of a revoked token, but the app is still installed');
        return false;
      }
      // Only what was judged: an installation made meanwhile is judged in its turn.
      const now = await this.read(workspace);
      if (now?.tokens.bot !== held.tokens.bot) continue;
      const { rows, clock, log } = this.#parts;
      const mark = `${REMOVED}${workspace}`;
      if (!(await rows.swap(mark, await rows.get(mark), { at: clock.now() }))) continue;
      if (!(await rows.swap(workspace, now.row, undefined))) continue;
      log.info({ workspace }, 'the app was uninstalled; its tokens are deleted');
      this.#tell({ kind: 'removed', workspace });
      return true;
    }
    throw new BridgeError('store_failed', `could not delete the installation of ${workspace}`, { retry: true });
  }

  /** Workspaces whose rows are still to be deleted, because the app was uninstalled there. */
  async listRemoved(): Promise<WorkspaceId[]> {
    const removed: WorkspaceId[] = [];
    for await (const key of this.#parts.rows.keys()) {
      // Stores that outlive the process list keys in order, and `#` is before all ids.
      if (!key.startsWith(OURS)) break;
      if (key.startsWith(REMOVED)) removed.push(key.slice(REMOVED.length));
    }
    return removed;
  }

  /** Whether the rest of the workspace is still to be deleted. */
  async isRemoved(workspace: WorkspaceId): Promise<boolean> {
    return (await this.#parts.rows.get(`${REMOVED}${workspace}`)) !== undefined;
  }

  /** All of the workspace is deleted, or the app is installed again. */
  async forgetRemoved(workspace: WorkspaceId): Promise<void> {
    const { rows } = this.#parts;
    const mark = `${REMOVED}${workspace}`;
    const row = await rows.get(mark);
    if (row !== undefined) await rows.swap(mark, row, undefined);
  }

  async #isInstalled({ tokens, record }: Held): Promise<boolean> {
    if ((await this.#parts.oauth.ask(tokens.bot)) === 'accepted') return true;
    if (tokens.refresh === null) return false;
    // A token that expired, or was replaced, says nothing about the app; its successor does.
    try {
      const token = this.#open.get(record.workspace) ?? this.#tokenOf(record.workspace, () => true);
      await token.refreshNow(tokens.bot);
      return true;
    } catch (error) {
      if (error instanceof BridgeError && !error.retry) return false;
      throw error;
    }
  }

  /**
   * Seals what is still sealed with the earlier key, one row after another. Resolves with how many rows there are and
   * how many could not be opened. @param pause waits between two rows
   */
  async sealAgain(pause: () => Promise<void>, signal: AbortSignal): Promise<{ rows: number; broken: number }> {
    const counts = { rows: 0, broken: 0 };
    for await (const workspace of this.#parts.rows.keys()) {
      if (signal.aborted) break;
      if (workspace.startsWith(OURS)) continue;
      counts.rows += 1;
      try {
        await this.read(workspace);
      } catch (error) {
        if (!(error instanceof BridgeError) || error.code === 'store_failed') throw error;
        counts.broken += 1;
      }
      await pause();
    }
    return counts;
  }

  /** @throws BridgeError store_failed, record_newer, seal_broken */
  async read(workspace: WorkspaceId): Promise<Held | null> {
    const { rows, sealer, log } = this.#parts;
    const row = await rows.get(workspace);
    if (row === undefined || row === null) return null;
    const record = readRow(workspace, row);
    const { text, isOld } = sealer.open(record.sealed, workspace);
    const tokens = readTokens(workspace, text);
    this.#hide(tokens);
    if (!isOld) return { row, record, tokens };
    const again = { ...record, sealed: this.#seal(workspace, tokens) };
    const next = rowOf(again);
    // A row that somebody changed meanwhile is sealed with the new key already.
    if (!(await rows.swap(workspace, row, next))) return this.read(workspace);
    log.info({ workspace }, 'sealed the tokens of an installation with the new key');
    return { row: next, record: again, tokens };
  }

  /** Writes changed tokens or marks, if the row is still what was read. @returns `null` when it is another one now */
  async change(held: Held, change: Partial<InstallationRecord>, tokens: Tokens = held.tokens): Promise<Held | null> {
    const { workspace } = held.record;
    const record = { ...held.record, ...change, sealed: this.#seal(workspace, tokens) };
    const row = rowOf(record);
    this.#hide(tokens);
    return (await this.#parts.rows.swap(workspace, held.row, row)) ? { row, record, tokens } : null;
  }

  #installationOf(record: InstallationRecord): Installation {
    const { workspace, teamId, enterpriseId, isEnterpriseInstall } = record;
    return {
      workspace,
      source: 'oauth',
      teamId,
      enterpriseId,
      isEnterpriseInstall,
      openToken: (isOwner) => this.#tokenOf(workspace, isOwner),
    };
  }

  #tokenOf(workspace: WorkspaceId, isOwner: () => boolean): RotatingToken {
    const token = new RotatingToken({ ...this.#parts, workspace, installations: this, isOwner });
    this.#open.set(workspace, token);
    return token;
  }

  #seal(workspace: WorkspaceId, tokens: Tokens): string {
    return this.#parts.sealer.seal(JSON.stringify(tokens), workspace);
  }

  #hide({ bot, refresh }: Tokens): void {
    this.#parts.hide?.(bot);
    if (refresh !== null) this.#parts.hide?.(refresh);
  }

  #tell(change: InstallationChange): void {
    this.#tellHere(change);
    this.#parts.news?.tell(change.workspace);
  }

  #tellHere(change: InstallationChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
