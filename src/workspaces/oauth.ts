import type { WorkspaceId } from '../bridge/ids.ts';
import type { Clock, Log, Random } from '../bridge/ports.ts';
import type { OAuthConfig } from '../config/slack.ts';
import { asBridgeError } from '../errors.ts';
import { readManifest } from '../manifest/file.ts';
import { installScopes } from '../manifest/manifest.ts';
import { createSlackApi } from '../slack/api/web-api.ts';
import { createInstaller, type Installer } from '../slack/installations/installer.ts';
import { createOAuthApi } from '../slack/installations/oauth-api.ts';
import { createSealer } from '../slack/installations/seal.ts';
import { type InstallationNews, type InstallationRows, StoredInstallations } from '../slack/installations/stored.ts';

export interface OAuthParts {
  oauth: OAuthConfig;
  slackApiUrl: string;
  rows: InstallationRows;
  /** Other processes; left out: there are none. */
  news?: InstallationNews | undefined;
  /** Whether the policy lets this workspace have the app. */
  mayInstall(workspace: WorkspaceId, enterpriseId: string | null): boolean;
  /** Whether `SLACK_BOT_TOKEN` is of this workspace. */
  isConfigured(workspace: WorkspaceId): boolean;
  clock: Clock;
  random: Random;
  log: Log;
  hide?: ((secret: string) => void) | undefined;
}

/** Installing the app by OAuth, and what is stored of it. */
export interface OAuth {
  installations: StoredInstallations;
  installer: Installer;
  /**
   * Seals what the earlier key has sealed, row by row and without haste, and says when that key is no longer needed. Does
   * nothing without one.
   */
  sealAgain(signal: AbortSignal): Promise<void>;
}

/** Between two rows that are sealed again: another 20 a second are no load. */
const PAUSE_MS = 50;

/** @throws BridgeError config_invalid when the key is not the one of the stored installations; store_failed */
export async function openOAuth(parts: OAuthParts): Promise<OAuth> {
  const { oauth: config, slackApiUrl, rows, news, clock, random, log, hide } = parts;
  const { clientId, clientSecret, redirectUrl, key, oldKey, isAgent } = config;
  const oauth = createOAuthApi({
    clientId,
    clientSecret,
    apiWith: (token) => createSlackApi({ token, slackApiUrl, clock, random, log }),
  });
  const sealer = createSealer({ key, oldKey, purpose: 'installation' });
  const installations = new StoredInstallations({
    rows,
    news,
    sealer,
    oauth,
    clock,
    random,
    log,
    ...(hide && { hide }),
  });
  await installations.checkKey();
  const installer = createInstaller({
    ...{ clientId, clientSecret, redirectUrl, slackApiUrl, installations, oauth, clock, random, log },
    scopes: installScopes(readManifest(), { isAgent }),
    sealer: createSealer({ key, oldKey, purpose: 'install state' }),
    mayInstall: parts.mayInstall,
    isConfigured: parts.isConfigured,
  });

  async function sealAgain(signal: AbortSignal): Promise<void> {
    if (oldKey === null) return;
    const pause = () =>
      new Promise<void>((resolve) => {
        clock.after(PAUSE_MS, resolve);
      });
    try {
      const { rows: count, broken } = await installations.sealAgain(pause, signal);
      if (signal.aborted) return;
      if (broken === 0)
        log.info({ count }, 'every installation is sealed with ENCRYPTION_KEY: remove ENCRYPTION_KEY_OLD');
      else log.error({ count, broken }, 'some installations open with neither key: install the app there again');
    } catch (error) {
      log.warn(
        { error: asBridgeError(error).message },
        'could not seal the installations again; trying at the next start',
      );
    }
  }

  return { installations, installer, sealAgain };
}
