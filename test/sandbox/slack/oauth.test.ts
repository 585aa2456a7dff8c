import { WebClient } from '@slack/web-api';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type OAuthOptions, type SlackOptions, type SmallSlack, startSlack } from '../../../sandbox/slack/server.ts';

const REDIRECT = 'https://bridge.example.com/slack/oauth_redirect';
const HOUR_MS = 60 * 60_000;

async function start(oauth: OAuthOptions = {}, options: SlackOptions = {}) {
  let passed = 0;
  const slack = await startSlack({
    limits: 'off',
    retryDelaysMs: [],
    isInstalled: false,
    now: () => 1_800_000_000_000 + passed,
    oauth: { redirectUrls: [REDIRECT], ...oauth },
    ...options,
  });
  onTestFinished(() => slack.close());
  const client = new WebClient(undefined, { slackApiUrl: slack.url, retryConfig: { retries: 0 } });
  const { id: client_id, secret: client_secret } = slack.client;
  return {
    slack,
    pass: (ms: number) => {
      passed += ms;
    },
    access: (args: object) => client.oauth.v2.access({ client_id, client_secret, ...args }),
    withToken: (token: string) => new WebClient(token, { slackApiUrl: slack.url, retryConfig: { retries: 0 } }),
  };
}

/** Opens the page as a browser does and answers its form. */
async function authorize(
  slack: SmallSlack,
  over: Record<string, string> = {},
  answer = 'allow',
  team = 'T01SANDBOX',
): Promise<{ status: number; page: string; to: URL | null }> {
  const query = new URLSearchParams({
    client_id: slack.client.id,
    scope: 'chat:write,commands',
    state: 'the-state',
    redirect_uri: REDIRECT,
    ...over,
  });
  const url = `${new URL(slack.url).origin}/oauth/v2/authorize?${query}`;
  const page = await fetch(url);
  if (!page.ok) return { status: page.status, page: await page.text(), to: null };
  const posted = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ team, answer }),
  });
  const location = posted.headers.get('location');
  return { status: posted.status, page: await page.text(), to: location === null ? null : new URL(location) };
}

const codeOf = async (slack: SmallSlack) => (await authorize(slack)).to?.searchParams.get('code') ?? '';

describe('the page of the small Slack that asks for consent', () => {
  it('lists what is asked, and sends back a code and the state', async () => {
    const { slack } = await start();
    const { page, to } = await authorize(slack);
    expect(page).toContain('chat:write');
    expect(page).toContain('Sandbox');
    expect(`${to?.origin}${to?.pathname}`).toBe(REDIRECT);
    expect([to?.searchParams.get('state'), to?.searchParams.has('code')]).toEqual(['the-state', true]);
  });

  it('cancelled: sends back access_denied and no code', async () => {
    const { slack } = await start();
    const { to } = await authorize(slack, {}, 'cancel');
    expect([to?.searchParams.get('error'), to?.searchParams.has('code')]).toEqual(['access_denied', false]);
  });

  it.each([
    [{ client_id: '1.1' }, 'invalid_client_id'],
    [{ scope: '' }, 'no_scopes'],
    [{ redirect_uri: 'https://elsewhere.example.com/slack/oauth_redirect' }, 'bad_redirect_uri'],
    [{ redirect_uri: `${REDIRECT}.evil.example.com` }, 'bad_redirect_uri'],
  ])('asked with %j: refuses with %s, without a redirect', async (over, word) => {
    const { slack } = await start();
    const { status, page, to } = await authorize(slack, over);
    expect([status, to]).toEqual([400, null]);
    expect(page).toContain(word);
  });
});

describe('oauth.v2.access', () => {
  it('gives a token for a code, once', async () => {
    const { slack, access, withToken } = await start();
    const code = await codeOf(slack);
    const answer = await access({ code, redirect_uri: REDIRECT });
    expect(answer).toMatchObject({
      app_id: 'A0SANDBOX',
      token_type: 'bot',
      scope: 'chat:write,commands',
      bot_user_id: 'U0BOT',
      team: { id: 'T01SANDBOX' },
      enterprise: null,
      is_enterprise_install: false,
      authed_user: { id: 'U01ALICE' },
    });
    expect((await withToken(String(answer.access_token)).auth.test()).team_id).toBe('T01SANDBOX');
    await expect(access({ code, redirect_uri: REDIRECT })).rejects.toThrow('code_already_used');
  });

  it('refuses a stolen code with another redirect address, and spends it', async () => {
    const { slack, access } = await start();
    const code = await codeOf(slack);
    await expect(access({ code, redirect_uri: `${REDIRECT}/x` })).rejects.toThrow('bad_redirect_uri');
    await expect(access({ code, redirect_uri: REDIRECT })).rejects.toThrow('code_already_used');
  });

  it('refuses wrong ids, secrets, grants and old codes', async () => {
    const { slack, access, pass } = await start();
    const code = await codeOf(slack);
    await expect(access({ client_id: '1.1', code })).rejects.toThrow('invalid_client_id');
    await expect(access({ client_secret: 'x', code })).rejects.toThrow('bad_client_secret');
    await expect(access({ grant_type: 'password', code })).rejects.toThrow('invalid_grant_type');
    await expect(access({ code: 'x' })).rejects.toThrow('invalid_code');
    pass(11 * 60_000);
    await expect(access({ code, redirect_uri: REDIRECT })).rejects.toThrow('invalid_code');
  });

  it('takes id and secret by HTTP Basic, too', async () => {
    const { slack } = await start();
    const basic = Buffer.from(`${slack.client.id}:${slack.client.secret}`).toString('base64');
    const answer = await fetch(`${slack.url}oauth.v2.access`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ code: await codeOf(slack), redirect_uri: REDIRECT }),
    });
    expect(await answer.json()).toMatchObject({ ok: true });
  });

  it('for an organisation: names it, and no team', async () => {
    const enterprise = { id: 'E01ORG', name: 'Organisation' };
    const { slack, access } = await start({ isOrgWide: true }, { enterprise });
    const { to } = await authorize(slack, {}, 'allow', 'E01ORG');
    const answer = await access({ code: to?.searchParams.get('code') ?? '', redirect_uri: REDIRECT });
    expect(answer).toMatchObject({ team: null, enterprise, is_enterprise_install: true });
  });
});

describe('tokens that are rotated', () => {
  async function installed(oauth: OAuthOptions = {}) {
    const stage = await start({ isRotated: true, ...oauth });
    const answer = await stage.access({ code: await codeOf(stage.slack), redirect_uri: REDIRECT });
    const refresh = (refresh_token: unknown) =>
      stage.access({ grant_type: 'refresh_token', refresh_token: String(refresh_token) });
    return { ...stage, answer, refresh };
  }

  it('expire after twelve hours; the refresh token gives the next pair', async () => {
    const { answer, refresh, pass, withToken } = await installed();
    expect(answer.access_token).toMatch(/^xoxe\.xoxb-/);
    expect(answer.refresh_token).toMatch(/^xoxe-1-/);
    expect(answer.expires_in).toBe(43_200);
    pass(12 * HOUR_MS);
    await expect(withToken(String(answer.access_token)).auth.test()).rejects.toThrow('token_expired');
    const next = await refresh(answer.refresh_token);
    expect((await withToken(String(next.access_token)).auth.test()).ok).toBe(true);
  });

  it('refresh token used twice: its first successor is no longer taken', async () => {
    const { answer, refresh, pass } = await installed();
    const first = await refresh(answer.refresh_token);
    const second = await refresh(answer.refresh_token);
    await expect(refresh(first.refresh_token)).rejects.toThrow('invalid_refresh_token');
    await refresh(second.refresh_token);
    pass(61_000);
    await expect(refresh(answer.refresh_token)).rejects.toThrow('invalid_refresh_token');
  });

  it('more than two access tokens: the oldest is revoked', async () => {
    const { answer, refresh, withToken } = await installed();
    const next = await refresh(answer.refresh_token);
    expect((await withToken(String(answer.access_token)).auth.test()).ok).toBe(true);
    await refresh(next.refresh_token);
    await expect(withToken(String(answer.access_token)).auth.test()).rejects.toThrow('token_revoked');
    expect((await withToken(String(next.access_token)).auth.test()).ok).toBe(true);
  });

  it('uninstalled: neither token is taken', async () => {
    const { slack, answer, refresh, withToken } = await installed();
    await withToken(String(answer.access_token)).apps.uninstall({
      client_id: slack.client.id,
      client_secret: slack.client.secret,
    });
    await expect(refresh(answer.refresh_token)).rejects.toThrow('invalid_refresh_token');
    await expect(withToken(String(answer.access_token)).auth.test()).rejects.toThrow('account_inactive');
  });

  it('a token without an end is exchanged for a pair, once', async () => {
    const { slack, withToken } = await start({ isRotated: true }, { isInstalled: true });
    const args = { client_id: slack.client.id, client_secret: slack.client.secret, token: slack.tokens.bot };
    const exchange = () => withToken('').oauth.v2.exchange(args);
    expect(await exchange()).toMatchObject({ expires_in: 43_200, bot_user_id: 'U0BOT' });
    await expect(exchange()).rejects.toThrow('token_already_exchanged');
    const { slack: plain } = await start({}, { isInstalled: true });
    const other = new WebClient(undefined, { slackApiUrl: plain.url, retryConfig: { retries: 0 } });
    await expect(other.oauth.v2.exchange(args)).rejects.toThrow('token_rotation_not_enabled');
  });

  it('auth.revoke: ends this token, and the app is told', async () => {
    const { slack, answer, withToken } = await installed();
    expect(await withToken(String(answer.access_token)).auth.revoke()).toMatchObject({ revoked: true });
    await expect(withToken(String(answer.access_token)).auth.test()).rejects.toThrow('token_revoked');
    const [told] = slack.control.log({ type: 'envelope' });
    expect(told).toMatchObject({ payload: { event: { type: 'tokens_revoked', tokens: { bot: ['U0BOT'] } } } });
  });
});
