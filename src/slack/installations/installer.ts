import type { IncomingMessage, ServerResponse } from 'node:http';
import { ErrorCode, InstallProvider, type Installation as SlackInstallation } from '@slack/oauth';
import { WebAPIPlatformError } from '@slack/web-api';
import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock, Log, Random } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { isSlackWord } from '../api/refusals.ts';
import { boltLogger } from '../listeners/bolt-logger.ts';
import { INSTALL } from '../words/install.ts';
import { type InstallPage, sendPage } from './install-page.ts';
import { createInstallState, STATE_MS } from './install-state.ts';
import type { OAuthApi } from './oauth-api.ts';
import type { InstallationRecord, Tokens } from './record.ts';
import type { Sealer } from './seal.ts';
import type { StoredInstallations } from './stored.ts';

export const INSTALL_PATH = '/slack/install';
export const REDIRECT_PATH = '/slack/oauth_redirect';
/** Exchanges of codes at once, and in a minute; more are refused for now. */
const AT_ONCE = 10;
const PER_MINUTE = 120;
const EXCHANGE_MS = 10_000;

export interface InstallerParts {
  clientId: string;
  clientSecret: string;
  /** Where Slack sends the browser back, as the Slack app names it. */
  redirectUrl: string;
  /** Base of the Web API. */
  slackApiUrl: string;
  /** What is asked for. */
  scopes: readonly string[];
  /** Seals the state. */
  sealer: Sealer;
  installations: Pick<StoredInstallations, 'store'>;
  oauth: Pick<OAuthApi, 'uninstall'>;
  /** Whether the operator lets this workspace have the app. */
  mayInstall(workspace: WorkspaceId, enterpriseId: string | null): boolean;
  /** Whether `SLACK_BOT_TOKEN` is of this workspace. */
  isConfigured(workspace: WorkspaceId): boolean;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The pages on which people install the app. */
export interface Installer {
  /** Answers `/slack/install` and `/slack/oauth_redirect` and returns true, or returns false: it is another path. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** The address of `/slack/install`. */
  url: string;
}

/**
 * Installing by OAuth, over `@slack/oauth`. Slack's answer is taken only in the browser that began (a cookie with the
 * same state), once, within ten minutes, and leads nowhere but to pages of our own: no address comes from a request.
 */
export function createInstaller(parts: InstallerParts): Installer {
  const { clientId, clientSecret, redirectUrl, slackApiUrl, scopes, clock, log } = parts;
  const installUrl = redirectUrl.slice(0, -REDIRECT_PATH.length) + INSTALL_PATH;
  const isSecure = redirectUrl.startsWith('https:');
  // Browsers let no other host, and no page without encryption, set a cookie of such a name.
  const cookie = isSecure ? '__Host-letta_slack_install' : 'letta_slack_install';
  const options = { scopes: [...scopes], redirectUri: redirectUrl };
  const stateStore = createInstallState({ ...parts, options });
  const provider = new InstallProvider({
    clientId,
    clientSecret,
    stateStore,
    stateCookieName: cookie,
    installationStore: {
      storeInstallation: (installation) => store(installation as SlackInstallation<'v2', boolean>),
      fetchInstallation: async () => {
        throw new BridgeError('internal', 'installations are not read in this way');
      },
    },
    installUrlOptions: options,
    authorizationUrl: new URL('../oauth/v2/authorize', slackApiUrl).href,
    // Anybody can cause an error here: each is logged once, as a warning, below.
    logger: { ...boltLogger(log), error() {} },
    // One try: a code can be exchanged once.
    clientOptions: { slackApiUrl, retryConfig: { retries: 0 }, timeout: EXCHANGE_MS, rejectRateLimitedCalls: true },
  });
  let atOnce = 0;
  const recent: number[] = [];

  async function store(installation: SlackInstallation<'v2', boolean>): Promise<void> {
    const { record, tokens } = readInstallation(installation, clock.now());
    await parts.installations.store(record, tokens);
  }

  async function showStart(response: ServerResponse): Promise<void> {
    const state = await stateStore.generateStateParam(options, new Date(clock.now()));
    const secure = isSecure ? ' Secure;' : '';
    response.setHeader(
      'set-cookie',
      `${cookie}=${state};${secure} HttpOnly; SameSite=Lax; Path=/; Max-Age=${STATE_MS / 1_000}`,
    );
    const href = await provider.generateInstallUrl(options, true, state);
    sendPage(response, 200, { ...INSTALL.start, href, list: { head: INSTALL.scopes, items: scopes } });
  }

  /** @returns whether the installation may be stored; else the page is shown already */
  async function admit(installation: SlackInstallation<'v2', boolean>, response: ServerResponse): Promise<boolean> {
    const { record, tokens } = readInstallation(installation, clock.now());
    const { workspace, enterpriseId } = record;
    if (parts.isConfigured(workspace)) {
      // Not uninstalled: the token in the settings may be the very same.
      log.info({ workspace }, 'an installation was not taken: SLACK_BOT_TOKEN serves this workspace');
      sendPage(response, 409, INSTALL.isConfigured);
      return false;
    }
    if (parts.mayInstall(workspace, enterpriseId)) return true;
    log.warn(
      { workspace, enterprise: enterpriseId, by: record.installedBy },
      'a workspace that is not allowed installed the app; uninstalling it there',
    );
    await parts.oauth.uninstall(tokens.bot).catch((error: unknown) => {
      log.warn({ workspace, error: asBridgeError(error).message }, 'could not uninstall the app');
    });
    sendPage(response, 403, {
      ...INSTALL.notAllowed,
      detail: enterpriseId ? `${workspace} (${enterpriseId})` : workspace,
    });
    return false;
  }

  async function takeAnswer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const query = new URL(request.url ?? '/', redirectUrl).searchParams;
    const refusal = query.get('error');
    if (refusal !== null) return sendPage(response, ...pageOfRefusal(refusal, installUrl));
    const now = clock.monotonic();
    while (recent[0] !== undefined && recent[0] < now - 60_000) recent.shift();
    if (atOnce >= AT_ONCE || recent.length >= PER_MINUTE) {
      response.setHeader('retry-after', '60');
      return sendPage(response, 429, { ...INSTALL.busy, href: installUrl });
    }
    recent.push(now);
    atOnce += 1;
    try {
      await provider.handleCallback(request, response, {
        afterInstallation: (installation) => admit(installation as SlackInstallation<'v2', boolean>, response),
        success: (installation) =>
          sendPage(response, 200, pageOfSuccess(installation as SlackInstallation<'v2', boolean>)),
        failure: (error) => {
          log.warn(
            { code: error.code, error: wordOf(error) ?? asBridgeError(error).message },
            'an installation failed',
          );
          sendPage(response, ...pageOfFailure(error, installUrl));
        },
      });
    } finally {
      atOnce -= 1;
    }
  }

  return {
    url: installUrl,
    handle(request, response) {
      const path = (request.url ?? '').split('?', 1)[0];
      if (path !== INSTALL_PATH && path !== REDIRECT_PATH) return false;
      if (request.method !== 'GET') {
        response.writeHead(405, { allow: 'GET' }).end();
        return true;
      }
      const answered = path === INSTALL_PATH ? showStart(response) : takeAnswer(request, response);
      answered.catch((error: unknown) => {
        log.error({ err: asBridgeError(error) }, 'a page of the installation failed');
        if (response.headersSent) response.destroy();
        else sendPage(response, 500, { ...INSTALL.notStored, href: installUrl });
      });
      return true;
    },
  };
}

type Answer = [status: number, page: InstallPage];

/** Slack's own word for why it sends somebody back without a code. */
function pageOfRefusal(error: string, href: string): Answer {
  if (error === 'access_denied') return [403, { ...INSTALL.denied, href }];
  // It comes from the address, so anybody can have written it.
  return [400, { ...INSTALL.slackRefused, href, ...(isSlackWord(error) && { detail: error }) }];
}

/** What only the operator can put right: Slack's words, which name the setting. */
const SETTINGS_WRONG: Readonly<Record<string, string>> = {
  invalid_client_id: 'SLACK_CLIENT_ID (invalid_client_id)',
  bad_client_secret: 'SLACK_CLIENT_SECRET (bad_client_secret)',
  bad_redirect_uri: 'SLACK_REDIRECT_URL (bad_redirect_uri)',
};
const CODE_REFUSED: ReadonlySet<string> = new Set(['invalid_code', 'code_already_used', 'code_expired']);
const STALE: ReadonlySet<string> = new Set([
  ErrorCode.MissingStateError,
  ErrorCode.InvalidStateError,
  ErrorCode.MissingCodeError,
]);

function pageOfFailure(error: Error & { code?: string }, href: string): Answer {
  if (error.code !== undefined && STALE.has(error.code)) return [400, { ...INSTALL.stale, href }];
  const word = wordOf(error);
  if (word !== null) {
    const setting = SETTINGS_WRONG[word];
    if (setting !== undefined) return [500, { ...INSTALL.wrongSettings, detail: setting }];
    if (CODE_REFUSED.has(word)) return [400, { ...INSTALL.codeRefused, href }];
    return [502, { ...INSTALL.slackRefused, detail: word, href }];
  }
  if (error instanceof BridgeError) return [503, { ...INSTALL.notStored, href }];
  return [502, { ...INSTALL.slackAway, href }];
}

/** Slack's word, where Slack refused a call. */
function wordOf(error: unknown): string | null {
  if (!(error instanceof WebAPIPlatformError)) return null;
  const word: unknown = error.data.error;
  return isSlackWord(word) ? word : null;
}

function pageOfSuccess({
  isEnterpriseInstall,
  enterprise,
  team,
  appId,
}: SlackInstallation<'v2', boolean>): InstallPage {
  const id = encodeURIComponent(appId ?? '');
  if (isEnterpriseInstall) {
    const manage = `https://app.slack.com/manage/${encodeURIComponent(enterprise?.id ?? '')}`;
    return { ...INSTALL.doneForAll, href: `${manage}/integrations/profile/${id}/workspaces/add` };
  }
  return {
    ...INSTALL.done,
    href: `https://slack.com/app_redirect?app=${id}&team=${encodeURIComponent(team?.id ?? '')}`,
  };
}

type NewRecord = Omit<InstallationRecord, 'sealed' | 'refreshingSince' | 'isRefreshLost'>;

/** What `@slack/oauth` makes of Slack's answer, as we store it. @throws BridgeError slack_failed */
function readInstallation(
  { team, enterprise, isEnterpriseInstall = false, bot, user, appId }: SlackInstallation<'v2', boolean>,
  now: number,
): { record: NewRecord; tokens: Tokens } {
  const workspace = isEnterpriseInstall ? enterprise?.id : team?.id;
  if (workspace === undefined || !bot) throw new BridgeError('slack_failed', 'Slack named no workspace or no bot');
  return {
    record: {
      workspace,
      teamId: isEnterpriseInstall ? null : workspace,
      teamName: team?.name ?? null,
      enterpriseId: enterprise?.id ?? null,
      enterpriseName: enterprise?.name ?? null,
      isEnterpriseInstall,
      appId: appId ?? null,
      botId: bot.id,
      botUserId: bot.userId,
      scopes: bot.scopes,
      installedBy: user.id,
      installedAt: now,
    },
    tokens: {
      bot: bot.token,
      refresh: bot.refreshToken ?? null,
      expiresAt: bot.expiresAt === undefined ? null : bot.expiresAt * 1_000,
    },
  };
}
