import { describe, expect, it } from 'vitest';
import type { AgentEvent, CommandEnd, DeviceOffers } from '../../../src/bridge/agent-event.ts';
import { OTHER_CLIENT } from '../../../src/bridge/ids.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createRunning, type Middle, ROOT, TEAM } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

type Loop = AgentEvent & { type: 'loop' };

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

  it('while it runs: status and Stop say so', async () => {
    const middle = await quiet();
    const { promise, resolve } = Promise.withResolvers<CommandEnd>();
    middle.connection.onCommand = () => promise;
    await middle.write('!run hello');
    await middle.write('!status');
    expect(whispered(middle).at(-1)).toMatch(/^A command is running on the agent’s machine/);
    await middle.write('!stop');
    expect(whispered(middle).at(-1)).toContain('I can’t stop that.');
    await middle.write('and now?');
    await middle.write('!stop');
    expect(whispered(middle).at(-1)).toMatch(/^Stopping\. A command is running/);
    resolve({ ok: true, output: '' });
    await middle.clock.settle();
    await middle.write('!status');
    expect(whispered(middle).at(-1)).toMatch(/^Idle/);
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

describe('!run of a command that gives the agent a task', () => {
  const busy: Loop = { type: 'loop', status: 'busy', activeRunIds: [], clientMessageIdsByRun: {} };
  const told = {
    type: 'command-ended',
    command: 'hello',
    line: '/hello bob',
    ok: true,
    output: 'Running /hello...',
  } as const;
  const failed = { ...told, ok: false, output: 'Failed: Cannot begin a turn while lifecycle is active' } as const;
  const running = (runId: string, ids: string[] = []): Loop => ({
    ...busy,
    activeRunIds: [runId],
    clientMessageIdsByRun: ids.length > 0 ? { [runId]: ids } : {},
  });

  /** Bob runs it in a thread that Alice began; the machine says that it is over, or nothing yet. */
  async function run(): Promise<Middle & { over(): void }> {
    const middle = await quiet();
    const { promise, resolve } = Promise.withResolvers<CommandEnd>();
    middle.connection.onCommand = () => promise;
    await middle.write('!run hello bob', { user: 'U02BOB', mention: true });
    await middle.clock.settle();
    const over = () => {
      middle.connection.emit({ ...told, begins: true });
      resolve({ ok: true, output: told.output, begins: true });
    };
    return Object.assign(middle, { over });
  }
  const above = ({ surface }: Middle) => surface.last.begunBy;

  it('begins a turn of whoever ran it, and says so', async () => {
    const middle = await run();
    middle.over();
    middle.connection.emit(busy, running('run-c'));
    middle.connection.say('Hello, Bob.', 'run-c', 'm-c');
    await middle.clock.settle();
    expect(above(middle)).toEqual(['Begun by `!run hello bob`.']);
    expect(middle.record()).toMatchObject({ turn: { origin: 'agent', requester: 'U02BOB', command: 'hello bob' } });
    expect(middle.record().run).toBeUndefined();
    middle.connection.end('end_turn', 'run-c');
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.connection.commands).toHaveLength(1);
    expect(said(middle)).toEqual([]);
  });

  it('told first, begun a moment later: is theirs all the same', async () => {
    const middle = await run();
    middle.over();
    await middle.clock.advance(1_000);
    middle.connection.emit(busy);
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ requester: 'U02BOB', command: 'hello bob' });
  });

  it('asks: whoever ran it decides, others do not', async () => {
    const middle = await run();
    middle.over();
    middle.connection.emit(busy, running('run-c'));
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    expect(await click(middle, 'U01ALICE')).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'U02BOB')).toMatchObject({ result: 'decided' });
  });

  it('a message meanwhile: runs after it', async () => {
    const middle = await run();
    await middle.write('and now?');
    middle.over();
    middle.connection.emit(busy, running('run-c'));
    middle.connection.say('Hello.', 'run-c', 'm-c');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.record().inbox).toHaveLength(1);
    middle.connection.end('end_turn', 'run-c');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
    expect(middle.record().turn).toMatchObject({ origin: 'people', requester: 'U01ALICE' });
  });

  it('another client was first: its turn stays its own', async () => {
    const middle = await run();
    middle.connection.emit(busy);
    middle.over();
    middle.connection.emit(failed, running('run-f', ['prog-1']));
    middle.connection.say('Noon.', 'run-f', 'm-f');
    await middle.clock.advance(5_000);
    expect(middle.record().turn).toMatchObject({ requester: OTHER_CLIENT });
    expect(said(middle)).toHaveLength(1);
    expect(said(middle)[0]).toContain('and it failed');
  });

  it('another client’s turn goes on behind it: stays its own', async () => {
    const middle = await run();
    middle.connection.emit(busy);
    middle.over();
    middle.connection.emit(running('run-f'));
    middle.connection.say('Noon.', 'run-f', 'm-f');
    await middle.clock.advance(5_000);
    expect(middle.record().turn).toMatchObject({ requester: OTHER_CLIENT });
    expect(middle.record().run).toBeUndefined();
  });

  it('another client ran one of that name: its turn stays its own', async () => {
    const middle = await run();
    middle.connection.emit({ ...told, line: '/hello eve', begins: true });
    middle.connection.emit(busy, running('run-f'));
    middle.connection.say('Hello, Eve.', 'run-f', 'm-f');
    await middle.clock.advance(5_000);
    expect(middle.record().turn).toMatchObject({ requester: OTHER_CLIENT });
  });

  it('its run tied to another client: no one in Slack alone decides', async () => {
    const middle = await run();
    middle.over();
    middle.connection.emit(busy, running('run-f', ['prog-1']));
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    expect(await click(middle, 'U02BOB')).toMatchObject({ result: 'refused' });
  });

  it('no turn follows: says that it ran, messages go on', async () => {
    const middle = await run();
    await middle.write('and now?');
    middle.over();
    await middle.clock.advance(5_000);
    expect(said(middle)[0]).toContain('ran `hello bob`');
    expect(middle.connection.submitted).toHaveLength(2);
    expect(middle.record().run).toBeUndefined();
  });

  it('the bridge ends before the turn begins: not known as theirs', async () => {
    const middle = await run();
    middle.over();
    await middle.restart();
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-c'], offers: OFFERS });
    middle.connection.say('Hello.', 'run-c', 'm-c');
    await middle.clock.advance(4 * 60_000);
    expect(middle.record().turn).toMatchObject({ requester: OTHER_CLIENT });
    expect(middle.connections.flatMap(({ commands }) => commands)).toHaveLength(1);
  });

  it('the bridge ends in the turn: goes on as theirs', async () => {
    const middle = await run();
    middle.over();
    middle.connection.emit(busy, running('run-c'));
    middle.connection.say('Hello', 'run-c', 'm-c');
    await middle.clock.settle();
    await middle.restart();
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-c'], offers: OFFERS });
    middle.connection.say(', Bob.', 'run-c', 'm-c');
    await middle.clock.settle();
    expect(above(middle)).toEqual(['Begun by `!run hello bob`.']);
    expect(middle.record().turn?.requester).toBe('U02BOB');
  });

  it('says nothing: is not taken for an unheard turn later', async () => {
    const middle = await run();
    const { connection } = middle;
    middle.over();
    connection.past = [{ kind: 'user', id: 'u-c', clientMessageId: 'uuid-c', text: 'say hello' }];
    connection.emit(busy);
    await middle.clock.advance(3_000);
    expect(middle.record()).toMatchObject({ turn: { input: 'uuid-c' }, clients: { shown: ['m-1', 'uuid-c'] } });
  });

  it('its secrets: are hidden above the answer', async () => {
    const middle = await quiet();
    const key = `xoxb-${'1'.repeat(12)}-${'a'.repeat(24)}`;
    middle.connection.onCommand = () => new Promise(() => undefined);
    await middle.write(`!run hello ${key}`);
    middle.connection.emit({ ...told, line: `/hello ${key}`, begins: true }, busy);
    await middle.clock.settle();
    expect(above(middle)?.[0]).toContain('!run hello');
    expect(JSON.stringify(middle.record())).not.toContain('xoxb');
  });
});

function click(middle: Middle, user: string) {
  const [token] = middle.record().approvals.map((each) => each.token);
  if (!token) throw new Error('no card is shown');
  const at = { channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT } as const;
  return middle.intake.handleAction({
    name: 'approve',
    token,
    choice: null,
    actor: { user, team: TEAM },
    team: TEAM,
    ...at,
  });
}
