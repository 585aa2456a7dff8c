import { describe, expect, it } from 'vitest';
import { createMiddle, type Middle, ROOT, TEAM } from '../../support/middle.ts';

const stop = async (bridge: Middle, user = 'U01ALICE') => {
  await bridge.intake.handleSessionStop({ team: TEAM, channel: 'C01GEN', threadTs: ROOT, user });
  await bridge.clock.settle();
};

async function begun(users?: string[]): Promise<Middle> {
  const bridge = createMiddle(users ? { users } : {});
  await bridge.write('go');
  bridge.connection.ready();
  await bridge.clock.settle();
  bridge.connection.begin();
  await bridge.clock.settle();
  return bridge;
}

describe('Slack’s own Stop button', () => {
  it('stops the turn once, in the name of the person who clicked', async () => {
    const bridge = await begun();
    await stop(bridge, 'U02BOB');
    await stop(bridge, 'U02BOB');
    expect(bridge.connection.aborts).toBe(1);
    bridge.connection.end('cancelled');
    await bridge.clock.settle();
    expect(bridge.surface.last.ending).toMatchObject({ outcome: 'stopped', by: 'U02BOB' });
    expect(bridge.surface.clearedStatuses).toEqual([]);
  });

  it('person without access: stops nothing and says why', async () => {
    const bridge = await begun(['U01ALICE']);
    await stop(bridge, 'U02BOB');
    expect(bridge.connection.aborts).toBe(0);
    expect(bridge.surface.whispered).toMatchObject([{ user: 'U02BOB' }]);
  });

  it('no turn runs: ends the session that Slack still shows', async () => {
    const bridge = await begun();
    bridge.connection.end();
    await bridge.clock.settle();
    await stop(bridge);
    expect(bridge.connection.aborts).toBe(0);
    expect(bridge.surface.clearedStatuses).toEqual([{ team: TEAM, channel: 'C01GEN', threadTs: ROOT }]);
  });

  it('disk fails: is not acknowledged', async () => {
    const bridge = await begun();
    bridge.threads.failing = 5;
    await expect(stop(bridge)).rejects.toThrow('disk full');
  });
});
