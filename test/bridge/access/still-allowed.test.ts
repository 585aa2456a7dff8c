import { describe, expect, it } from 'vitest';
import type { Policy } from '../../../src/bridge/access/policy.ts';
import { createMiddle, createRunning, type Middle, ROOT } from '../../support/middle.ts';
import { ALICE, ask, BOB, bash, cards, click, lastCard, told } from '../thread/approvals/asking-people.ts';

const nobody = { everyone: false, members: false, ids: [], groups: [] };
const READ = { ...bash('ls'), requestId: 'perm-read' };

/** Alice's turn runs, Bob's message waits. */
async function queued(policy: Partial<Policy> = {}): Promise<Middle> {
  const middle = await createRunning({ policy });
  await middle.write('and then mine', { user: BOB, mention: true });
  expect(middle.record().inbox).toHaveLength(1);
  return middle;
}

/** Alice's turn ends, so that Bob's would begin. */
async function next(middle: Middle): Promise<void> {
  middle.connection.end();
  await middle.clock.advance(1_000);
}

const texts = (middle: Middle) =>
  middle.connections.flatMap(({ submitted }) => submitted.map(({ content }) => content));
const whispers = (middle: Middle) => middle.surface.whispered.map(({ user, text }) => `${user}: ${text}`);

describe('a queued message whose author lost access', () => {
  it.each([
    ['was deactivated', (middle: Middle) => Object.assign(middle.people.kinds, { [BOB]: 'deactivated' })],
    ['became a guest', (middle: Middle) => Object.assign(middle.people.kinds, { [BOB]: 'guest' })],
    ['is named no more', (middle: Middle) => Object.assign(middle.policy, { users: { ...nobody, ids: [ALICE] } })],
    [
      'has the channel closed',
      (middle: Middle) =>
        Object.assign(middle.policy, { channels: { everywhere: false, directMessages: false, ids: [] } }),
    ],
  ])('author %s: does not run; author and thread are told', async (_what, happens) => {
    const middle = await queued();
    happens(middle);
    await next(middle);
    expect(texts(middle).join()).not.toContain('and then mine');
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
    expect(middle.surface.last.ending?.line).toContain('not run: its author may no longer use the agent');
    expect(whispers(middle).at(-1)).toMatch(/^U02BOB: I won’t run your queued message\. ./);
  });

  it('author left the user group: does not run', async () => {
    const middle = await createMiddle({ policy: { users: { ...nobody, ids: [ALICE], groups: ['S1'] } } });
    middle.groups.members = { S1: [BOB] };
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    await middle.write('and then mine', { user: BOB, mention: true });
    middle.groups.members = { S1: [] };
    await next(middle);
    expect(texts(middle).join()).not.toContain('and then mine');
  });

  it('does not block the next person’s message', async () => {
    const middle = await queued();
    await middle.write('mine, too', { user: 'U03CARA', mention: true });
    middle.people.kinds[BOB] = 'deactivated';
    await next(middle);
    await next(middle);
    const all = texts(middle).join();
    expect(all).not.toContain('and then mine');
    expect(all).toContain('mine, too');
  });

  it('access unknown while Slack is away: waits and says so', async () => {
    const middle = createMiddle({ policy: { users: { ...nobody, groups: ['S1'] } } });
    middle.groups.members = { S1: [ALICE] };
    await middle.write('list the files');
    middle.groups.failing = true;
    middle.connection.ready();
    await middle.clock.advance(5_000);
    expect(texts(middle)).toEqual([]);
    expect(middle.surface.last.live?.activity).toMatchObject({ notice: expect.stringContaining('so it waits') });
    middle.groups.failing = false;
    await middle.clock.advance(60_000);
    expect(texts(middle)).toHaveLength(1);
    expect(middle.surface.last.live?.activity).not.toMatchObject({ notice: expect.anything() });
  });
});

describe('a turn whose requester lost access', () => {
  it('gets no approval without a click', async () => {
    const middle = await createRunning();
    await ask(middle, READ);
    await middle.clock.settle();
    expect(told(middle)).toHaveLength(1);
    middle.people.kinds[ALICE] = 'deactivated';
    await ask(middle, { ...READ, requestId: 'perm-2', input: { command: 'ls src' } });
    await middle.clock.settle();
    expect(told(middle)).toHaveLength(1);
    expect(lastCard(middle).state).toEqual({ state: 'open' });
  });

  it('access unknown while Slack is away: posts a card', async () => {
    const middle = await createRunning();
    middle.people.failing = 2;
    await ask(middle, READ);
    await middle.clock.settle();
    expect(told(middle)).toEqual([]);
    expect(cards(middle)).toHaveLength(1);
  });
});

describe('a consent for the whole turn', () => {
  it('ends when its giver may not decide any more', async () => {
    const approvers = { requester: false, ids: [], groups: ['S9'] };
    const middle = createMiddle();
    Object.assign(middle.policy, { defaults: { ...middle.policy.defaults, approvers } });
    middle.groups.members = { S9: [BOB] };
    await middle.write('publish', { ts: ROOT });
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    await ask(middle, bash('npm publish'));
    expect(await click(middle, 'allow_command', { user: BOB })).toEqual({ result: 'decided' });
    await ask(middle, bash('npm publish', { requestId: 'perm-2' }));
    await middle.clock.settle();
    expect(told(middle)).toHaveLength(2);
    middle.groups.members = { S9: [] };
    await ask(middle, bash('npm publish', { requestId: 'perm-3' }));
    await middle.clock.settle();
    expect(told(middle)).toHaveLength(2);
    expect(lastCard(middle).state).toEqual({ state: 'open' });
  });
});

describe('a decision that did not reach Letta', () => {
  it('its maker lost access: is not sent; the card opens again', async () => {
    for (const gone of [false, true]) {
      const middle = await createRunning({ turnsDieWithLink: false });
      const request = bash('rm -rf build');
      await ask(middle, request);
      middle.connection.onAnswer = () => new Promise<never>(() => {});
      expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
      middle.connection.emit({ type: 'lost', reason: 'closed' });
      await middle.clock.settle();
      if (gone) middle.people.kinds[ALICE] = 'deactivated';
      middle.connection.onAnswer = () => Promise.resolve('accepted');
      middle.connection.answers.length = 0;
      const id = middle.connections.flatMap(({ submitted }) => submitted)[0]?.clientMessageId ?? '';
      const runs = { activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } };
      middle.connection.ready({ reconnected: true, loop: 'waiting_on_approval', approvals: [request], ...runs });
      await middle.clock.advance(1_000);
      expect(middle.connection.answers).toHaveLength(gone ? 0 : 1);
      if (gone) expect(lastCard(middle).state).toEqual({ state: 'open' });
    }
  });
});
