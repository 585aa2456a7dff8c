import type { TeamId, WorkspaceId } from '../../bridge/ids.ts';
import type { TokenSource } from '../api/token-source.ts';

/** Which installation a delivery is for, in Slack's own ids; `null`: the delivery does not say. */
export interface InstallationQuery {
  teamId: TeamId | null;
  enterpriseId: string | null;
  /** Whether the app is installed for the whole organisation: then `enterpriseId` decides. */
  isEnterpriseInstall: boolean;
}

/** One installation of the app, without its secrets. */
export interface Installation {
  readonly workspace: WorkspaceId;
  /** `static`: `SLACK_BOT_TOKEN`, which is always served; `oauth`: somebody installed the app. */
  readonly source: 'static' | 'oauth';
  /** `null` for an org-wide installation. */
  readonly teamId: TeamId | null;
  readonly enterpriseId: string | null;
  readonly isEnterpriseInstall: boolean;
  /**
   * Its bot token. Only the process that serves the workspace may ask for it, because asking may refresh it.
   * @param isOwner whether this process still serves the workspace (its lease is held); asked before each refresh
   */
  openToken(isOwner: () => boolean): TokenSource;
}

/** What happened to an installation; told in the process in which it happened, and best effort in the others. */
export type InstallationChange =
  /** Installed for the first time or again: a token may be new, and scopes may have changed. */
  | { kind: 'installed'; workspace: WorkspaceId }
  /** Uninstalled, or its tokens are revoked: stop serving it; what the bridge kept of it is deleted. */
  | { kind: 'removed'; workspace: WorkspaceId }
  /** Another process has installed or removed it: what is known of it may be old. */
  | { kind: 'changed_elsewhere'; workspace: WorkspaceId };

/** All workspaces that the bridge has a token for. */
export interface Installations {
  /** Reads the store at most once a call; rejects with `store_failed`. `null`: nobody installed the app there. */
  find(query: InstallationQuery): Promise<Installation | null>;
  get(workspace: WorkspaceId): Promise<Installation | null>;
  /** The installation that needs no store: it is served from the start. */
  readonly static: Installation | null;
  /** Calls back until the returned function is called. */
  onChanged(listener: (change: InstallationChange) => void): () => void;
}
