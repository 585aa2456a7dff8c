import { LogLevel, WebClient } from '@slack/web-api';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EnvelopeEntry } from '../../../sandbox/slack/log.ts';
import { type SlackOptions, type SmallSlack, startSlack } from '../../../sandbox/slack/server.ts';

const ORG = { id: 'E01ORG', name: 'Organisation' };
const TWO: SlackOptions = {
  limits: 'off',
  retryDelaysMs: [],
  workspaces: [{ id: 'T02SECOND', suffix: 'B', token: 'xoxb-second' }],
};

async function start(options: SlackOptions = TWO): Promise<SmallSlack> {
  const slack = await startSlack(options);
  onTestFinished(() => slack.close());
  return slack;
}

const clientOf = ({ url }: SmallSlack, token: string) =>
  new WebClient(token, {
    slackApiUrl: url,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    logLevel: LogLevel.ERROR,
  });

function second(slack: SmallSlack) {
  const workspace = slack.workspaces.get('T02SECOND');
  if (!workspace) throw new Error('no second workspace');
  return workspace;
}

const events = (slack: SmallSlack) =>
  slack.control.log({ type: 'envelope' }).map((entry) => (entry as EnvelopeEntry).payload as Record<string, unknown>);

describe('a small Slack with two workspaces', () => {
  it('tells each token where it is, and as whom', async () => {
    const slack = await start();
    expect(await clientOf(slack, slack.tokens.bot).auth.test()).toMatchObject({
      team_id: 'T01SANDBOX',
      user_id: 'U0BOT',
    });
    expect(await clientOf(slack, 'xoxb-second').auth.test()).toMatchObject({ team_id: 'T02SECOND', user_id: 'U0BOTB' });
    await expect(clientOf(slack, 'xoxb-other').auth.test()).rejects.toThrow('invalid_auth');
  });

  it('keeps channels, people, messages and views apart', async () => {
    const slack = await start();
    const there = clientOf(slack, 'xoxb-second');
    await there.chat.postMessage({ channel: 'C01GENB', text: 'hello' });
    expect(second(slack).control.messages('C01GENB')).toHaveLength(1);
    expect(slack.control.messages('C01GEN')).toEqual([]);
    await expect(there.chat.postMessage({ channel: 'C01GEN', text: 'x' })).rejects.toThrow('channel_not_found');
    await expect(there.users.info({ user: 'U01ALICE' })).rejects.toThrow('user_not_found');
    await expect(clientOf(slack, slack.tokens.bot).users.info({ user: 'U01ALICEB' })).rejects.toThrow('user_not_found');
  });

  it('names the workspace in every delivery', async () => {
    const slack = await start();
    const { control } = second(slack);
    await control.message({ channel: 'C01GENB', user: 'U01ALICEB', text: 'hi' });
    await control.command({ channel: 'C01GENB', user: 'U01ALICEB', command: '/agent', text: 'help' });
    await clientOf(slack, 'xoxb-second').chat.postMessage({
      channel: 'C01GENB',
      text: 'a button',
      blocks: [
        { type: 'actions', elements: [{ type: 'button', action_id: 'go', text: { type: 'plain_text', text: 'Go' } }] },
      ],
    });
    const messageTs = control.messages('C01GENB').at(-1)?.ts ?? '';
    await control.interact({ channel: 'C01GENB', messageTs, user: 'U01ALICEB', action: 'go' });
    const teams = events(slack).map(({ team_id, team }) => team_id ?? (team as { id: string }).id);
    expect(new Set(teams)).toEqual(new Set(['T02SECOND']));
    expect(teams.length).toBeGreaterThanOrEqual(4);
  });

  it('counts the limits of each workspace for itself', async () => {
    const slack = await start({ ...TWO, limits: 'on' });
    const [here, there] = [clientOf(slack, slack.tokens.bot), clientOf(slack, 'xoxb-second')];
    for (let n = 0; n < 20; n += 1) await here.usergroups.list();
    await expect(here.usergroups.list()).rejects.toThrow();
    expect((await there.usergroups.list()).ok).toBe(true);
  });

  it('gives files and response URLs to the workspace that they are from', async () => {
    const slack = await start();
    const { control } = second(slack);
    const bytes = { name: 'a.txt', content: 'abc' };
    await control.message({ channel: 'C01GENB', user: 'U01ALICEB', text: 'file', files: [bytes] });
    const url = String(control.messages('C01GENB').at(-1)?.files[0]?.url_private);
    const load = async (token: string) => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).text();
    expect(await load('xoxb-second')).toBe('abc');
    expect(await load(slack.tokens.bot)).toContain('Sign in');
  });

  it('is quiet where the app is not installed', async () => {
    const slack = await start({ ...TWO, workspaces: [{ id: 'T02SECOND', suffix: 'B' }] });
    await second(slack).control.message({ channel: 'C01GENB', user: 'U01ALICEB', text: 'hi' });
    expect(events(slack)).toEqual([]);
    const { access_token } = slack.install('T02SECOND');
    expect(slack.install('T02SECOND').access_token).toBe(access_token);
    await second(slack).control.message({ channel: 'C01GENB', user: 'U01ALICEB', text: 'hi again' });
    expect(events(slack)).toHaveLength(1);
  });

  it('uninstalled: tells the app, refuses its token, is quiet', async () => {
    const slack = await start();
    slack.uninstall('T02SECOND');
    const told = events(slack).map(({ team_id, event }) => [team_id, (event as { type: string }).type]);
    expect(told.sort()).toEqual([
      ['T02SECOND', 'app_uninstalled'],
      ['T02SECOND', 'tokens_revoked'],
    ]);
    await expect(clientOf(slack, 'xoxb-second').auth.test()).rejects.toThrow('account_inactive');
    expect((await clientOf(slack, slack.tokens.bot).auth.test()).ok).toBe(true);
    await second(slack).control.message({ channel: 'C01GENB', user: 'U01ALICEB', text: 'hi' });
    expect(events(slack)).toHaveLength(2);
  });
});

describe('a small Slack with an organisation', () => {
  const GRID: SlackOptions = {
    limits: 'off',
    retryDelaysMs: [],
    isInstalled: false,
    enterprise: ORG,
    workspaces: [{ id: 'T02SECOND', suffix: 'B', enterprise: ORG }],
    oauth: { isOrgWide: true },
  };

  it('has one token for all its workspaces', async () => {
    const slack = await start(GRID);
    const client = clientOf(slack, slack.install('E01ORG').access_token);
    expect(await client.auth.test()).toMatchObject({
      team_id: 'E01ORG',
      enterprise_id: 'E01ORG',
      is_enterprise_install: true,
    });
    await client.chat.postMessage({ channel: 'C01GEN', text: 'here' });
    await client.chat.postMessage({ channel: 'C01GENB', text: 'there' });
    expect(second(slack).control.messages('C01GENB')).toHaveLength(1);
    await expect(client.usergroups.list()).rejects.toThrow('missing_argument');
    expect((await client.usergroups.list({ team_id: 'T02SECOND' })).usergroups?.[0]?.id).toBe('S01ONCALLB');
    await expect(client.usergroups.list({ team_id: 'T09OTHER' })).rejects.toThrow('team_access_not_granted');
  });

  it('says in deliveries that the installation is org-wide', async () => {
    const slack = await start(GRID);
    slack.install('E01ORG');
    const { control } = second(slack);
    await control.message({ channel: 'C01GENB', user: 'U01ALICEB', text: 'hi' });
    await control.command({ channel: 'C01GENB', user: 'U01ALICEB', command: '/agent', text: 'help' });
    const [event, command] = events(slack);
    expect(event).toMatchObject({
      team_id: 'T02SECOND',
      context_enterprise_id: 'E01ORG',
      authorizations: [{ enterprise_id: 'E01ORG', team_id: null, is_enterprise_install: true }],
    });
    expect(command).toMatchObject({ team_id: 'T02SECOND', enterprise_id: 'E01ORG', is_enterprise_install: 'true' });
  });
});
