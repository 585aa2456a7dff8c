import { describe, expect, it } from 'vitest';
import { Door } from '../../../src/bridge/access/door.ts';
import { closedPolicy } from '../../../src/bridge/access/policy.ts';
import type { InboundJoin } from '../../../src/bridge/inbound.ts';
import { Notices } from '../../../src/bridge/intake/notices.ts';
import { RecentKeys } from '../../../src/bridge/intake/recent-keys.ts';
import { Welcomes } from '../../../src/bridge/intake/welcomes.ts';
import { createFakeClock } from '../../support/clock.ts';
import { BOT, HandSurface, mapChoices, people, silentLog, TEAM } from '../../support/middle.ts';

const join: InboundJoin = { team: TEAM, channel: 'C01GEN', channelKind: 'channel', inviter: 'U01ALICE' };

function stage() {
  const clock = createFakeClock();
  const choices = mapChoices();
  const surface = new HandSurface();
  const policy = { ...closedPolicy, channels: { ...closedPolicy.channels, ids: ['C01GEN'] } };
  const policies = { current: () => policy };
  const begin = () =>
    new Welcomes({
      door: new Door({ people, policies }),
      policies,
      notices: new Notices({ surface, log: silentLog }),
      botUser: BOT,
      welcomed: new RecentKeys({ choices, clock, log: silentLog, name: 'welcomed', parse: (key) => key, limit: 10 }),
    });
  return { begin, surface, choices };
}

describe('a welcome', () => {
  it('is said once, also across a restart', async () => {
    const { begin, surface } = stage();
    expect(await begin().welcomeChannel(join)).toBe('welcomed');
    expect(await begin().welcomeChannel(join)).toBe('repeated');
    expect(surface.said).toHaveLength(1);
    expect(surface.said[0]).toMatchObject({ address: { channel: 'C01GEN', threadTs: null } });
  });

  it('on a failing disk: is not said, so that Slack delivers again', async () => {
    const { begin, surface, choices } = stage();
    const { set } = choices;
    choices.set = () => Promise.reject(new Error('disk'));
    const welcomes = begin();
    await expect(welcomes.welcomeChannel(join)).rejects.toThrow('disk');
    expect(surface.said).toEqual([]);
    choices.set = set;
  });

  it('without leave to work there: goes to the inviter alone', async () => {
    const { begin, surface } = stage();
    const other = { ...join, channel: 'C02ENG' };
    expect(await begin().welcomeChannel(other)).toBe('refused');
    expect(surface.said).toEqual([]);
    expect(surface.whispered).toMatchObject([{ user: 'U01ALICE' }]);
    expect(await begin().welcomeChannel({ ...other, inviter: null })).toBe('refused');
    expect(surface.whispered).toHaveLength(1);
  });
});
