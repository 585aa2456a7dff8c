import { Refusal } from '../../../sandbox/slack/refusal.ts';
import { type Grant, Tokens, type TokensOptions } from '../../../sandbox/slack/tokens.ts';
import { SlackError } from '../../../src/slack/api/slack-api.ts';
import type { OAuthApi } from '../../../src/slack/installations/oauth-api.ts';
import type { InstallationRecord } from '../../../src/slack/installations/record.ts';
import { createSealer, type Sealer } from '../../../src/slack/installations/seal.ts';
import { StoredInstallations } from '../../../src/slack/installations/stored.ts';
import type { KeyedRows } from '../../../src/storage/house.ts';
import { openHouse } from '../../../src/storage/open-house.ts';
import { createFakeClock, type FakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

/** What happens to a call: it is answered, its answer is lost after it had its effect, or it does not arrive. */
export type Fate = 'answered' | 'answer lost' | 'not sent';

export const KEY = new Uint8Array(32).fill(7);

const grantOf = (id: string): Grant => ({ id, scopes: ['chat:write'], by: 'U1' });

function recordOf(workspace: string): Omit<InstallationRecord, 'sealed' | 'refreshingSince' | 'isRefreshLost'> {
  const isEnterpriseInstall = workspace.startsWith('E');
  return {
    workspace,
    teamId: isEnterpriseInstall ? null : workspace,
    teamName: 'Team',
    enterpriseId: isEnterpriseInstall ? workspace : null,
    enterpriseName: null,
    isEnterpriseInstall,
    appId: 'A1',
    botId: 'B1',
    botUserId: 'UB',
    scopes: ['chat:write'],
    installedBy: 'U1',
    installedAt: 1_000,
  };
}

export const sealerOf = (key: Uint8Array, oldKey: Uint8Array | null = null): Sealer =>
  createSealer({ key, oldKey, purpose: 'installation' });

/** Slack's tokens behind the calls of the bridge. */
function slackSide(clock: FakeClock, options: Partial<TokensOptions> = {}) {
  const tokens = new Tokens({ now: clock.now, ...options });
  const side = {
    tokens,
    refreshes: 0,
    fate: (): Fate => 'answered',
    /** Slack's word for the next refreshes; `null`: they work. */
    refusal: null as string | null,
    isAway: false,
    uninstalled: [] as string[],
  };
  const oauth: OAuthApi = {
    async refresh(refreshToken) {
      side.refreshes += 1;
      const method = 'oauth.v2.access';
      const fate = side.fate();
      // As on a network: the request takes a moment, and so does its answer.
      await Promise.resolve();
      if (side.isAway || fate === 'not sent') throw new SlackError(method, 'unknown', 'ECONNREFUSED');
      if (side.refusal !== null) throw new SlackError(method, 'refused', side.refusal);
      const issued = refusable(method, () => tokens.refresh(refreshToken));
      await Promise.resolve();
      if (fate === 'answer lost') throw new SlackError(method, 'unknown', 'timeout');
      const { access_token: bot, refresh_token: refresh = null, expires_in } = issued;
      return { bot, refresh, expiresInMs: expires_in === undefined ? null : expires_in * 1_000 };
    },
    async ask(botToken) {
      if (side.isAway) throw new SlackError('auth.test', 'unknown', 'ECONNREFUSED');
      return tokens.find(botToken)?.state === 'live' ? 'accepted' : 'refused';
    },
    async uninstall(botToken) {
      side.uninstalled.push(botToken);
      tokens.uninstall(tokens.find(botToken)?.grant.id ?? '');
    },
  };
  return { ...side, side, oauth, isLive: (token: string) => tokens.find(token)?.state === 'live' };
}

function refusable<Value>(method: string, run: () => Value): Value {
  try {
    return run();
  } catch (error) {
    throw error instanceof Refusal ? new SlackError(method, 'refused', error.error) : error;
  }
}

export async function memoryRows(): Promise<KeyedRows> {
  const house = await openHouse('memory://', { clock: createFakeClock(), log: createMemoryLog() });
  return house.installations;
}

export interface StageOptions extends Partial<TokensOptions> {
  sealer?: Sealer;
  rows?: KeyedRows;
}

/** Stored installations over Slack's tokens, on a clock that the test moves. */
export async function installationsStage({ sealer = sealerOf(KEY), rows, ...options }: StageOptions = {}) {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const { side, oauth, tokens, isLive } = slackSide(clock, options);
  const stored = rows ?? (await memoryRows());
  const make = (over: KeyedRows = stored, by: Sealer = sealer) =>
    new StoredInstallations({
      rows: over,
      sealer: by,
      oauth,
      clock,
      random: { next: () => 0.5, id: () => 'x' },
      log,
    });
  const installations = make();
  const install = async (workspace: string, at = installations) => {
    const issued = tokens.install(grantOf(workspace));
    const expiresAt = issued.expires_in === undefined ? null : clock.now() + issued.expires_in * 1_000;
    await at.store(recordOf(workspace), {
      bot: issued.access_token,
      refresh: issued.refresh_token ?? null,
      expiresAt,
    });
    return issued.access_token;
  };
  return { clock, log, side, oauth, tokens, isLive, rows: stored, make, installations, install };
}
