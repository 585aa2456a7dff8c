import { describe, expect, it } from 'vitest';
import { joinInstallations, staticInstallation } from '../../../src/slack/installations/static.ts';

const identity = { teamId: 'T1', botUserId: 'UB', botId: 'B1', enterpriseId: 'E1', url: null };
const installations = joinInstallations(staticInstallation('xoxb-1', identity), null);

describe('the installation of SLACK_BOT_TOKEN', () => {
  it('is found by its team, and always served', async () => {
    const found = await installations.find({ teamId: 'T1', enterpriseId: 'E1', isEnterpriseInstall: false });
    expect(found).toMatchObject({ workspace: 'T1', source: 'static' });
    expect(installations.static).toBe(found);
    expect(await installations.get('T1')).toBe(found);
    expect(await found?.openToken(() => true).get()).toBe('xoxb-1');
  });

  it('is not the installation of another team, or of the whole organisation', async () => {
    expect(await installations.find({ teamId: 'T2', enterpriseId: 'E1', isEnterpriseInstall: false })).toBeNull();
    expect(await installations.find({ teamId: null, enterpriseId: 'E1', isEnterpriseInstall: true })).toBeNull();
    expect(await installations.get('E1')).toBeNull();
  });
});
