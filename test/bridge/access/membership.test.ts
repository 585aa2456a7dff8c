import { describe, expect, it } from 'vitest';
import type { Policy } from '../../../src/bridge/access/policy.ts';
import { createMiddle, createRunning, type Middle, ROOT, TEAM } from '../../support/middle.ts';
import { ALICE, ask, bash, click } from '../thread/approvals/asking-people.ts';

const nobody = { everyone: false, members: false, ids: [], groups: [] };
/** Only the group may use the agent, and administer it. */
const byGroup: Partial<Policy> = { users: { ...nobody, groups: ['S1'] }, admins: { ids: [], groups: ['S1'] } };
const CANNOT_CHECK = /^Slack can’t tell me right now who is in a user group.*Try again in a minute\.$/;

async function asking(policy: Partial<Policy>): Promise<Middle> {
  const middle = createMiddle({ policy });
  middle.groups.members = { S1: [ALICE] };
  await middle.write('publish it');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  await ask(middle, bash('npm publish'));
  return middle;
}

describe('Slack does not tell who is in a user group', () => {
  it('click by a member: decides nothing and says why', async () => {
    const middle = await asking(byGroup);
    middle.groups.failing = true;
    expect(await click(middle, 'approve')).toMatchObject({
      result: 'refused',
      notice: expect.stringMatching(CANNOT_CHECK),
    });
    expect(middle.connection.answers).toEqual([]);
    middle.groups.failing = false;
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
  });

  it('command by a member: administers nothing and says why', async () => {
    const middle = await asking(byGroup);
    middle.groups.failing = true;
    const command = { text: 'pause', actor: { user: 'U01ALICE', team: TEAM }, team: TEAM };
    const text = await middle.intake.handleCommand({ ...command, channel: 'C01GEN', channelKind: 'channel' });
    expect(text).toMatch(CANNOT_CHECK);
    expect(middle.connection.aborts).toBe(0);
  });

  it('message by a person allowed without the group: accepted', async () => {
    const middle = createMiddle({ policy: { ...byGroup, users: { ...nobody, members: true, groups: ['S1'] } } });
    middle.groups.failing = true;
    expect(await middle.write('hi')).toEqual({ outcome: 'accepted' });
  });

  it('message by a guest, whom no group lets in: refused', async () => {
    const middle = createMiddle({ policy: byGroup });
    middle.groups.failing = true;
    expect(await middle.write('hi', { user: 'U04GUEST' })).toEqual({ outcome: 'refused', reason: 'user_is_guest' });
  });

  it('message by a member: redelivered later, its author told once', async () => {
    const middle = createMiddle({ policy: byGroup });
    middle.groups.members = { S1: ['U01ALICE'] };
    middle.groups.failing = true;
    await expect(middle.write('hi', { ts: ROOT })).rejects.toMatchObject({ retry: true });
    await expect(middle.write('hi', { ts: ROOT, mention: true, thread: null })).rejects.toMatchObject({ retry: true });
    expect(middle.surface.whispered).toMatchObject([
      { user: 'U01ALICE', text: expect.stringContaining('you don’t need to send your message again') },
    ]);
    middle.groups.failing = false;
    expect(await middle.write('hi', { ts: ROOT, mention: true, thread: null })).toEqual({ outcome: 'accepted' });
  });
});

describe('Slack does not tell who a person is', () => {
  it('message: its author hears after a second, later it is accepted', async () => {
    const middle = createMiddle();
    const slack = Promise.withResolvers<void>();
    middle.people.gate = slack.promise;
    const written = middle.write('hi');
    await middle.clock.advance(999);
    expect(middle.surface.whispered).toEqual([]);
    await middle.clock.advance(1);
    expect(middle.surface.whispered).toMatchObject([{ user: 'U01ALICE' }]);
    await middle.clock.advance(95_000);
    slack.resolve();
    expect(await written).toEqual({ outcome: 'accepted' });
    expect(middle.surface.whispered).toHaveLength(1);
  });

  it('click: refused in time, and decides nothing later', async () => {
    const middle = await asking({});
    const slack = Promise.withResolvers<void>();
    middle.people.gate = slack.promise;
    const clicked = click(middle, 'approve');
    await middle.clock.advance(2_000);
    expect(await clicked).toMatchObject({ result: 'refused', why: 'unreachable' });
    slack.resolve();
    await middle.clock.advance(1_000);
    expect(middle.connection.answers).toEqual([]);
    expect(middle.record().approvals[0]?.state).toEqual({ state: 'open' });
  });

  it("bystander's message: fails without a notice", async () => {
    const middle = await createRunning();
    middle.people.failing = 2;
    await expect(middle.write('aside', { user: 'U02BOB', mention: false })).rejects.toThrow();
    expect(middle.surface.whispered).toEqual([]);
    expect(middle.record().context).toEqual([]);
  });
});
