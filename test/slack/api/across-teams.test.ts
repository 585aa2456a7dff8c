import { describe, expect, it, onTestFinished } from 'vitest';
import { startSlack } from '../../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import { acrossTeams } from '../../../src/slack/api/across-teams.ts';
import type { SlackApi } from '../../../src/slack/api/slack-api.ts';
import { createSlackApi } from '../../../src/slack/api/web-api.ts';
import { createMemoryLog } from '../../support/log.ts';

const ORG = { id: 'E01ORG', name: 'Organisation' };
const live = { client: 'live' } as const;

/** An app that is installed for an organisation of two workspaces. */
async function organisation() {
  const slack = await startSlack({
    limits: 'off',
    isInstalled: false,
    enterprise: ORG,
    workspaces: [{ id: 'T02SECOND', suffix: 'B', enterprise: ORG }],
    oauth: { isOrgWide: true },
  });
  onTestFinished(() => slack.close());
  const token = slack.install('E01ORG').access_token;
  const inner = createSlackApi({
    ...{ token, slackApiUrl: slack.url, clock: systemClock, random: systemRandom, log: createMemoryLog() },
  });
  return { slack, inner, api: acrossTeams(inner, systemClock) };
}

async function listAll(api: SlackApi, method: string, rows: string, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor = '';
  do {
    const answer = await api.call(method, { limit, ...(cursor !== '' && { cursor }) }, live);
    ids.push(...(answer[rows] as { id: string }[]).map(({ id }) => id));
    cursor = (answer.response_metadata as { next_cursor?: string }).next_cursor ?? '';
  } while (cursor !== '');
  return ids;
}

describe('the Web API of an org-wide installation', () => {
  it('lists people and channels of all its workspaces, page by page', async () => {
    const { api, inner } = await organisation();
    await expect(inner.call('users.list', {}, live)).rejects.toMatchObject({ error: 'missing_argument' });
    for (const limit of [1, 2, 5, 100]) {
      const people = await listAll(api, 'users.list', 'members', limit);
      expect(people).toContain('U01ALICE');
      expect(people).toContain('U01ALICEB');
      // Only our bot is in both of them.
      expect(people.length - new Set(people).size).toBe(1);
      expect(await listAll(api, 'conversations.list', 'channels', limit)).toEqual([
        ...['C01GEN', 'C03OUT', 'C01GENB', 'C03OUTB'],
      ]);
    }
  });

  it('finds a user group wherever it is, and lists all', async () => {
    const { api } = await organisation();
    const groups = await api.call('usergroups.list', {}, live);
    expect((groups.usergroups as { id: string }[]).map(({ id }) => id)).toEqual(['S01ONCALL', 'S01ONCALLB']);
    const there = await api.call('usergroups.users.list', { usergroup: 'S01ONCALLB' }, live);
    expect(there.users).toEqual(['U01ALICEB', 'U02BOBB']);
    await expect(api.call('usergroups.users.list', { usergroup: 'S09' }, live)).rejects.toMatchObject({
      error: 'no_such_subteam',
    });
  });

  it('asks for the workspaces once, and leaves other calls alone', async () => {
    const { api, slack } = await organisation();
    await api.call('usergroups.list', {}, live);
    await api.call('usergroups.list', {}, live);
    await api.call('chat.postMessage', { channel: 'C01GENB', text: 'hi' }, live);
    await api.call('users.list', { team_id: 'T02SECOND' }, live);
    expect(slack.control.log({ method: 'auth.teams.list' })).toHaveLength(1);
    expect(slack.control.log({ method: 'users.list' })).toHaveLength(1);
  });
});
