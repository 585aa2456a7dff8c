import { describe, expect, test } from 'vitest';
import { SlackError } from '../../../src/slack/api/slack-api.ts';
import { cleanName } from '../../../src/slack/people/clean-name.ts';
import { createPeople, readPerson } from '../../../src/slack/people/people.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createFakeApi } from '../fake-api.ts';

const anna = { id: 'U1', team_id: 'T1', real_name: 'Anna B', profile: { display_name: 'anna' } };

describe('the kind of a person', () => {
  const kind = (fields: object, enterprise: string | null = null) =>
    readPerson({ ...anna, ...fields }, 'U1', 'T1', enterprise).kind;

  test.each([
    ['member', {}],
    ['bot', { is_bot: true, deleted: true }],
    ['bot', { id: 'USLACKBOT' }],
    ['deactivated', { deleted: true }],
    ['external', { is_stranger: true }],
    ['external', { team_id: 'T2' }],
    ['external', { team_id: 'T2', is_restricted: true }],
    ['guest', { is_restricted: true }],
    ['guest', { is_ultra_restricted: true }],
    ['member', { team_id: 'T2', enterprise_user: { enterprise_id: 'E9', teams: ['T1', 'T2'] } }],
    ['external', { team_id: 'T2', enterprise_user: { enterprise_id: 'E9', teams: ['T2'] } }],
  ])('is %s for %o', (expected, fields) => {
    expect(kind(fields)).toBe(expected);
  });

  test('is member in every workspace of our organisation', () => {
    const elsewhere = { team_id: 'T2', enterprise_user: { enterprise_id: 'E1', teams: [] } };
    expect(kind(elsewhere, 'E1')).toBe('member');
    expect(kind(elsewhere, 'E2')).toBe('external');
  });

  test('is external when Slack’s answer cannot be read', () => {
    expect(readPerson(undefined, 'U1', 'T1', null)).toEqual({ id: 'U1', team: 'T1', kind: 'external', name: 'U1' });
  });
});

describe('a person’s name', () => {
  test('is one short line without control or invisible characters', () => {
    expect(cleanName(' a\u0000b\n\u202ec\u200b  d ')).toBe('a b c d');
    expect(Array.from(cleanName('😀'.repeat(200)))).toHaveLength(80);
    const nameless = { ...anna, real_name: '', profile: { display_name: ' \n' } };
    expect(readPerson(nameless, 'U1', 'T1', null).name).toBe('U1');
    expect(readPerson({ ...anna, profile: { display_name: '' } }, 'U1', 'T1', null).name).toBe('Anna B');
  });
});

describe('the cache of people', () => {
  test('shares one request between simultaneous callers, and expires after ten minutes', async () => {
    const clock = createFakeClock();
    const { api, calls } = createFakeApi(() => ({ user: anna }));
    const people = createPeople({ api, clock });
    const [first, second] = await Promise.all([people.getPerson('U1', 'T1'), people.getPerson('U1', 'T1')]);
    expect(first).toEqual({ id: 'U1', team: 'T1', kind: 'member', name: 'anna' });
    expect(second).toEqual(first);
    expect(calls).toEqual(['users.info U1']);
    await clock.advance(10 * 60_000);
    await people.getPerson('U1', 'T1');
    expect(calls).toHaveLength(2);
  });

  test('forgets the least recently used person', async () => {
    const { api, calls } = createFakeApi((_method, { user }) => ({ user: { ...anna, id: user } }));
    const people = createPeople({ api, clock: createFakeClock() });
    await people.getPerson('U1', 'T1');
    await people.getPerson('U2', 'T1');
    for (let n = 0; n < 4_998; n += 1) await people.getPerson(`UX${n}`, 'T1');
    await people.getPerson('U1', 'T1');
    await people.getPerson('UNEW', 'T1');
    calls.length = 0;
    await people.getPerson('U1', 'T1');
    await people.getPerson('U2', 'T1');
    expect(calls).toEqual(['users.info U2']);
  });

  test('does not keep a failure', async () => {
    let failure: Error | null = new SlackError('users.info', 'unknown', 'timeout');
    const { api, calls } = createFakeApi(() => failure ?? { user: anna });
    const people = createPeople({ api, clock: createFakeClock() });
    await expect(people.getPerson('U1', 'T1')).rejects.toMatchObject({ code: 'slack_failed', retry: true });
    failure = null;
    expect((await people.getPerson('U1', 'T1')).name).toBe('anna');
    expect(calls).toHaveLength(2);
  });
});

describe('a person that Slack does not return', () => {
  test('is external when Slack does not know them', async () => {
    const { api } = createFakeApi(() => new SlackError('users.info', 'refused', 'user_not_found'));
    const people = createPeople({ api, clock: createFakeClock() });
    expect((await people.getPerson('U1', 'T1')).kind).toBe('external');
  });

  test('is an error not worth a retry when a scope is missing', async () => {
    const { api } = createFakeApi(() => new SlackError('users.info', 'refused', 'missing_scope'));
    const people = createPeople({ api, clock: createFakeClock() });
    await expect(people.getPerson('U1', 'T1')).rejects.toMatchObject({ code: 'slack_failed', retry: false });
  });
});

describe('a channel', () => {
  test('is a group direct message only where Slack says so', async () => {
    let answer: object | Error = { channel: { name: 'mpdm-alice--bob-1', is_mpim: true } };
    const { api } = createFakeApi(() => answer);
    const people = createPeople({ api, clock: createFakeClock() });
    expect(await people.isGroupDm('C1', 'T1')).toBe(true);
    // Anybody may name a channel like this.
    answer = { channel: { name: 'mpdm-alice--bob-2' } };
    expect(await people.isGroupDm('C2', 'T1')).toBe(false);
    answer = new SlackError('conversations.info', 'refused', 'missing_scope');
    expect(await people.isGroupDm('C3', 'T1')).toBe(false);
  });

  test('counts as shared with another organisation, an invitation, or a refusal', async () => {
    let answer: object | Error = { channel: { name: 'general', is_ext_shared: false } };
    const { api, calls } = createFakeApi(() => answer);
    const people = createPeople({ api, clock: createFakeClock() });
    expect(await people.isShared('C1', 'T1')).toBe(false);
    answer = { channel: { name: 'partners', is_ext_shared: true } };
    expect(await people.isShared('C2', 'T1')).toBe(true);
    answer = { channel: { name: 'soon', is_pending_ext_shared: true } };
    expect(await people.isShared('C3', 'T1')).toBe(true);
    answer = new SlackError('conversations.info', 'refused', 'channel_not_found');
    expect(await people.isShared('C4', 'T1')).toBe(true);
    answer = new SlackError('conversations.info', 'unknown', 'timeout');
    await expect(people.isShared('C5', 'T1')).rejects.toMatchObject({ code: 'slack_failed', retry: true });
    answer = { channel: { name: 'late' } };
    expect(await people.isShared('C5', 'T1')).toBe(false);
    expect(await people.getChannelName('C1', 'T1')).toBe('general');
    expect(calls).toHaveLength(6);
  });

  test('without a known name is called by its id', async () => {
    let answer: object | Error = {
      channel: { name: 'general', topic: { value: 'see <https://x.example|docs> &amp; ask' } },
    };
    const { api } = createFakeApi(() => answer);
    const people = createPeople({ api, clock: createFakeClock() });
    expect(await people.getChannelName('C1', 'T1')).toBe('general');
    expect(await people.getChannelTopic('C1', 'T1')).toBe('see docs (https://x.example) & ask');
    answer = { channel: { is_im: true } };
    expect(await people.getChannelName('D1', 'T1')).toBe('D1');
    expect(await people.getChannelTopic('D1', 'T1')).toBe('');
    answer = new SlackError('conversations.info', 'unknown', 'timeout');
    expect(await people.getChannelName('C2', 'T1')).toBe('C2');
    expect(await people.getChannelTopic('C2', 'T1')).toBe('');
    answer = { channel: { name: 'late' } };
    expect(await people.getChannelName('C2', 'T1')).toBe('late');
  });
});
