import type { SmallSlack } from '../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createOAuthApi } from '../../src/slack/installations/oauth-api.ts';
import { createSealer } from '../../src/slack/installations/seal.ts';
import { StoredInstallations } from '../../src/slack/installations/stored.ts';
import { openHouse } from '../../src/storage/open-house.ts';
import { SILENT } from '../pace/clock.ts';

/** Written at the same time. */
const AT_ONCE = 8;

export interface InstalledWorkspace {
  id: string;
  token: string;
}

/** Stores installations as the page of OAuth does. @param env settings of the bridge: its store, key and client */
export async function storeInstallations(
  slack: SmallSlack,
  env: Record<string, string>,
  workspaces: readonly InstalledWorkspace[],
): Promise<void> {
  const config = loadConfig(env);
  const { oauth } = config.slack;
  if (!oauth) throw new Error('OAuth is off');
  const house = await openHouse(config.store, { clock: systemClock, log: SILENT });
  const installations = new StoredInstallations({
    rows: house.installations,
    sealer: createSealer({ key: oauth.key, oldKey: oauth.oldKey, purpose: 'installation' }),
    oauth: createOAuthApi({
      clientId: slack.client.id,
      clientSecret: slack.client.secret,
      apiWith: () => ({ call: () => Promise.reject(new Error('nothing is asked')) }),
    }),
    ...{ clock: systemClock, random: systemRandom, log: SILENT },
  });
  await installations.checkKey();
  const left = [...workspaces];
  const storeNext = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { id, token } = next;
      await installations.store(
        {
          ...{ workspace: id, teamId: id, teamName: id, enterpriseId: null, enterpriseName: null },
          ...{ isEnterpriseInstall: false, appId: null, botId: 'B1', botUserId: 'U1', scopes: [] },
          ...{ installedBy: 'U1', installedAt: 0 },
        },
        { bot: token, refresh: null, expiresAt: null },
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, storeNext));
  await house.close();
}
