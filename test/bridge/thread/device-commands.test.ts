import { describe, expect, it } from 'vitest';
import type { CommandEnd, DeviceOffers } from '../../../src/bridge/agent-event.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createRunning, type Middle } from '../../support/middle.ts';

const OFFERS: DeviceOffers = {
  skills: [{ name: 'deploying', description: 'Ships the *shop*\nto <!channel>' }],
  commands: [{ name: 'hello', description: 'greets', args: '<name>' }],
};

/** A thread whose first turn is over, on a machine with a skill and a command, where everyone may use them. */
async function quiet(deviceCommands: 'none' | 'admins' | 'everyone' = 'everyone', isTold = true): Promise<Middle> {
  const middle = await createRunning();
  middle.policy.defaults = { ...middle.policy.defaults, deviceCommands };
  middle.connection.say('a.txt');
  middle.connection.end();
  if (isTold) middle.connection.emit({ type: 'device', mode: 'strict', workingDirectory: '/project', offers: OFFERS });
  await middle.clock.settle();
  return middle;
}

const said = ({ surface }: Middle) => surface.said.map(({ text }) => text);
const whispered = ({ surface }: Middle) => surface.whispered.map(({ text }) => text);

describe('!skills', () => {
  it('lists skills and commands, foreign words without marks', async () => {
    const middle = await quiet();
    await middle.write('!skills');
    const text = whispered(middle).at(-1) ?? '';
    expect(text).toContain('- `deploying`: Ships the shop to !channel');
    expect(text).toContain('- `hello  name`: greets');
  });

  it('policy says nothing: refuses, admins too', async () => {
    const middle = await quiet('none');
    middle.policy.admins = { ids: ['U01ALICE'], groups: [] };
    await middle.write('!skills');
    expect(whispered(middle).at(-1)).toContain('switched off here');
  });

  it('for admins: refuses others', async () => {
    const middle = await quiet('admins');
    middle.policy.admins = { ids: ['U02BOB'], groups: [] };
    await middle.write('!skills');
    expect(whispered(middle).at(-1)).toContain('Only admins can do this.');
    await middle.write('!skills', { user: 'U02BOB', mention: true });
    expect(whispered(middle).at(-1)).toContain('`deploying`');
  });

  it('not connected: connects, then lists', async () => {
    const middle = await quiet('everyone', false);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!skills');
    expect(whispered(middle).at(-1)).toContain('asking the agent’s machine');
    middle.connection.ready({ reconnected: true, offers: OFFERS });
    await middle.clock.settle();
    expect(whispered(middle).at(-1)).toContain('`deploying`');
  });
});

describe('!skills while the machine is away', () => {
  it('of two people: both get the list', async () => {
    const middle = await quiet('everyone', false);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!skills');
    await middle.write('!skills', { user: 'U02BOB', mention: true });
    middle.connection.ready({ reconnected: true, offers: OFFERS });
    await middle.clock.settle();
    const lists = middle.surface.whispered.filter(({ text }) => text.includes('`deploying`'));
    expect(lists.map(({ user }) => user)).toEqual(['U01ALICE', 'U02BOB']);
  });

  it('never comes back: says so, and the thread rests', async () => {
    const middle = await quiet('everyone', false);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!skills');
    middle.connection.emit({ type: 'unavailable', code: 'no_environment', notice: 'It is gone.', retryInMs: null });
    await middle.clock.settle();
    expect(whispered(middle).at(-1)).toContain('there is no list. Try again later.');
    await middle.clock.advance(10 * 60_000);
    expect(middle.workers.live).toBe(0);
  });
});

describe('!run', () => {
  it('while Letta summarises: says what it waits for', async () => {
    const middle = await quiet();
    middle.connection.onCompact = () => new Promise(() => undefined);
    await middle.write('!compact');
    await middle.write('!run hello bob');
    expect(whispered(middle).at(-1)).toContain('summarising');
  });

  it('runs a command of the machine once, and says what it said', async () => {
    const middle = await quiet();
    middle.connection.onCommand = () => Promise.resolve({ ok: true, output: 'hi bob ```' });
    await middle.write('!run hello bob');
    await middle.clock.settle();
    expect(middle.connection.commands).toEqual([['hello', 'bob']]);
    expect(said(middle).at(-1)).toContain("ran `hello bob` on the agent’s machine.\n```\nhi bob '''\n```");
    expect(middle.record().run).toBeUndefined();
  });

  it('a command of Letta’s own, or an unknown one: is not run', async () => {
    const middle = await quiet();
    for (const name of ['clear', 'nope']) await middle.write(`!run ${name}`);
    expect(middle.connection.commands).toEqual([]);
    expect(whispered(middle).at(-1)).toContain('has no command `nope`. It has `hello`.');
  });

  it('its secrets and those of its output: are hidden', async () => {
    const middle = await quiet();
    const key = `xoxb-${'1'.repeat(12)}-${'a'.repeat(24)}`;
    middle.connection.onCommand = () => Promise.resolve({ ok: false, output: `no: ${key}` });
    await middle.write(`!run hello ${key}`);
    await middle.clock.settle();
    expect(middle.connection.commands).toEqual([['hello', key]]);
    expect(said(middle).at(-1)).toContain('and it failed');
    expect(said(middle).join()).not.toContain('xoxb');
  });

  it('while a turn runs: refuses', async () => {
    const middle = await createRunning();
    middle.policy.defaults = { ...middle.policy.defaults, deviceCommands: 'everyone' };
    await middle.write('!run hello');
    expect(middle.connection.commands).toEqual([]);
    expect(whispered(middle).at(-1)).toContain('when I’m done');
  });

  it('a message meanwhile: waits until it is over', async () => {
    const middle = await quiet();
    const { promise, resolve } = Promise.withResolvers<CommandEnd>();
    middle.connection.onCommand = () => promise;
    await middle.write('!run hello');
    await middle.write('and now?');
    await middle.clock.advance(20_000);
    expect(middle.connection.submitted).toHaveLength(1);
    resolve({ ok: true, output: '' });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('killed or its answer lost: never runs twice, its author is told', async () => {
    const middle = await quiet();
    middle.connection.onCommand = () =>
      Promise.reject(new BridgeError('link_lost', 'lost', { certain: false, retry: true }));
    await middle.write('!run hello');
    await middle.clock.settle();
    await middle.restart();
    middle.connection.ready({ offers: OFFERS });
    await middle.clock.advance(4 * 60_000);
    expect(middle.connections.flatMap(({ commands }) => commands)).toHaveLength(1);
    expect(whispered(middle).at(-1)).toContain('didn’t say whether it ran');
    expect(middle.record().run).toBeUndefined();
  });

  it('its author lost the right meanwhile: does not run', async () => {
    const middle = await quiet();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!run hello');
    middle.policy.defaults = { ...middle.policy.defaults, deviceCommands: 'none' };
    middle.connection.ready({ reconnected: true, offers: OFFERS });
    await middle.clock.settle();
    expect(middle.connection.commands).toEqual([]);
    expect(whispered(middle).at(-1)).toContain('switched off here');
  });
});
