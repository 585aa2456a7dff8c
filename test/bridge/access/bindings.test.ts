import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bindings } from '../../../src/bridge/access/bindings.ts';
import { closedPolicy, type PlaceSettings, type Policy, settingsOf } from '../../../src/bridge/access/policy.ts';
import { parseAgent, parseMode } from '../../../src/bridge/commands/binding-requests.ts';
import { createMiddle, type Middle, mapChoices, silentLog, TEAM } from '../../support/middle.ts';

const ADMIN = 'U09ADMIN';
const defaults: PlaceSettings = { ...closedPolicy.defaults, permissions: 'standard' };
const policy = { admins: { ids: [ADMIN], groups: [] }, defaults };

async function slash(middle: Middle, text: string, user = ADMIN) {
  const command = { team: TEAM, channel: 'C01GEN', channelKind: 'channel' as const, text };
  const answer = await middle.intake.handleCommand({ ...command, actor: { user, team: TEAM } });
  await middle.clock.settle();
  return answer;
}

async function rested(middle: Middle): Promise<void> {
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  middle.connection.end();
  await middle.clock.settle();
}

describe('!mode', () => {
  it('by an admin: applies from the next turn, also after a restart', async () => {
    const middle = createMiddle({ policy });
    await middle.write('list');
    expect(middle.connection.options.mode).toBe('standard');
    await rested(middle);
    expect(await slash(middle, 'mode strict')).toContain('permissions strict');
    await middle.write('again');
    expect(middle.connection.options.mode).toBe('strict');
    expect(middle.connections[0]?.isClosed).toBe(true);
    await middle.restart();
    expect(middle.connection.options.mode).toBe('strict');
  });

  it('is announced in the thread only once Letta has confirmed it', async () => {
    const middle = createMiddle({ policy });
    await middle.write('list');
    await rested(middle);
    await middle.write('!mode strict', { user: ADMIN, mention: false });
    expect(middle.surface.whispered.at(-1)?.text).toContain('when Letta has confirmed it');
    expect(middle.surface.said).toEqual([]);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.surface.said.map(({ text }) => text)).toEqual([
      `<@${ADMIN}> changed the permissions here to strict, directory \`/project\`. Letta has confirmed it.`,
    ]);
  });

  it('during a turn: applies once the turn has ended', async () => {
    const middle = createMiddle({ policy });
    await middle.write('list');
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    await middle.clock.settle();
    await middle.write('!mode strict', { user: ADMIN, mention: false });
    expect(middle.surface.whispered.at(-1)?.text).toContain('when the running turn has ended');
    expect(middle.connections).toHaveLength(1);
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.connections).toHaveLength(2);
    expect(middle.connection.options.mode).toBe('strict');
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.surface.said.at(-1)?.text).toContain('Letta has confirmed it');
  });

  it('by another person: shows the mode but changes nothing', async () => {
    const middle = createMiddle({ policy });
    expect(await slash(middle, 'mode strict', 'U01ALICE')).toContain('Only admins can do this.');
    expect(await slash(middle, 'mode', 'U01ALICE')).toContain('permissions standard');
  });

  it("default: returns to the policy's mode", async () => {
    const middle = createMiddle({ policy });
    await slash(middle, 'mode strict');
    expect(await slash(middle, 'mode default')).toContain('permissions standard');
  });
});

describe('!agent', () => {
  it('binds conversations that begin in this channel, and in no other', async () => {
    const middle = createMiddle({ policy });
    await slash(middle, 'agent agent-reviewer');
    await slash(middle, 'agent on build-box');
    expect(await slash(middle, 'agent in /srv/app')).toBe(
      'In this channel: agent `agent-reviewer` on `build-box` in `/srv/app`, permissions standard.',
    );
    await middle.write('list');
    const binding = { agentId: 'agent-reviewer', device: 'build-box', workingDirectory: '/srv/app' };
    expect(middle.connection.options.binding).toEqual(binding);
    await middle.write('list', { channel: 'C02ENG', thread: null, ts: '1000.000900', mention: true });
    expect(middle.connection.options.binding).toBeNull();
  });

  it('refuses words it does not understand', () => {
    for (const words of ['reviewer', 'agent-x y', 'on', 'in app', `in /${'x'.repeat(500)}`, 'on a\u202eb', 'in /a\nb'])
      expect(parseAgent(words)).toMatchObject({ kind: 'wrong' });
    expect(parseMode('yolo')).toMatchObject({ kind: 'wrong' });
    expect(parseMode('unrestricted')).toMatchObject({
      kind: 'wrong',
      notice: expect.stringContaining('configuration'),
    });
    expect(parseMode('ACCEPTEDITS')).toEqual({ kind: 'bind', change: { permissions: 'acceptEdits' } });
  });

  it('takes every bound value from the words it was given', () => {
    fc.assert(
      fc.property(fc.string(), (words) => {
        const order = parseAgent(words);
        if (order.kind !== 'bind') return;
        for (const value of Object.values(order.change)) if (value !== undefined) expect(words).toContain(value);
      }),
    );
  });
});

describe('bindings', () => {
  const fresh = (choices = mapChoices(), base: Policy = { ...closedPolicy, defaults }) =>
    new Bindings({ policies: { current: () => base }, choices, log: silentLog });

  it('override the policy; what is not bound follows it', async () => {
    const choices = mapChoices();
    const binding = { agentId: 'agent-base', device: null, workingDirectory: '/base' };
    const base = { ...closedPolicy, defaults, places: new Map([['C1', { verbosity: 'quiet' as const, binding }]]) };
    const bindings = fresh(choices, base);
    await bindings.bindChannel({ channel: 'C1', channelKind: 'channel' }, { device: 'box' });
    expect(settingsOf(bindings.current(), 'C1')).toMatchObject({
      verbosity: 'quiet',
      permissions: 'standard',
      binding: { agentId: 'agent-base', device: 'box', workingDirectory: '/base' },
    });
    expect(bindings.current()).toBe(bindings.current());
  });

  it('of a group direct message: what is not bound follows dm', async () => {
    const choices = mapChoices();
    const binding = { agentId: 'agent-dm', device: null, workingDirectory: '/dm' };
    const base = { ...closedPolicy, defaults, places: new Map([['dm' as const, { binding }]]) };
    const place = { channel: 'C08TRIO', channelKind: 'mpim' as const };
    await fresh(choices, base).bindChannel(place, { device: 'box' });
    const again = fresh(choices, base);
    await again.load();
    expect(settingsOf(again.current(), place).binding).toEqual({ ...binding, device: 'box' });
    await again.bindChannel(place, { device: undefined });
    expect(again.getBound('C08TRIO')).toEqual({});
  });

  it('stay as they were when the disk fails', async () => {
    const choices = { ...mapChoices(), set: () => Promise.reject(new Error('disk full')) };
    const bindings = fresh(choices);
    await expect(
      bindings.bindChannel({ channel: 'C1', channelKind: 'channel' }, { permissions: 'strict' }),
    ).rejects.toThrow('disk full');
    expect(settingsOf(bindings.current(), 'C1').permissions).toBe('standard');
  });

  it('unreadable in the store: are ignored', async () => {
    for (const stored of ['', 'no json', '{}', '[1]', '[["C1"]]', '[["C1",{"permissions":"unrestricted","x":1}]]']) {
      const choices = mapChoices();
      await choices.set('bindings', stored);
      const bindings = fresh(choices);
      await bindings.load();
      expect(settingsOf(bindings.current(), 'C1').permissions).toBe('standard');
    }
  });

  it('beyond the limit: the oldest channel is forgotten', async () => {
    const bindings = fresh();
    for (let n = 0; n <= 500; n += 1)
      await bindings.bindChannel({ channel: `C${n}`, channelKind: 'channel' }, { permissions: 'strict' });
    expect(bindings.getBound('C0')).toEqual({});
    expect(bindings.getBound('C1')).toEqual({ permissions: 'strict' });
  });
});
