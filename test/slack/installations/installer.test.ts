import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, type TestContext } from 'vitest';
import { type SlackOptions, startSlack } from '../../../sandbox/slack/server.ts';
import { systemRandom } from '../../../src/clock.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createInstaller, type InstallerParts } from '../../../src/slack/installations/installer.ts';
import { createSealer } from '../../../src/slack/installations/seal.ts';
import { createFakeClock } from '../../support/clock.ts';
import { InstallingBrowser } from '../../support/installing.ts';
import { createMemoryLog } from '../../support/log.ts';
import { KEY } from './stage.ts';

const TEAM = 'T01SANDBOX';

/** The pages on a port of their own, before a small Slack, with a clock that stands. */
async function pages(context: TestContext, over: Partial<InstallerParts> = {}, slack: SlackOptions = {}) {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const stored: string[] = [];
  let handle = (_request: never, _response: never): boolean => false;
  const server = createServer((request, response) => {
    if (!handle(request as never, response as never)) response.writeHead(404).end('elsewhere');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.onTestFinished(() => void server.close());
  const redirectUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/oauth_redirect`;
  const small = await startSlack({
    limits: 'off',
    isInstalled: false,
    oauth: { redirectUrls: [redirectUrl] },
    ...slack,
  });
  context.onTestFinished(() => small.close());
  const parts: InstallerParts = {
    ...{ clientId: small.client.id, clientSecret: small.client.secret, redirectUrl, slackApiUrl: small.url },
    ...{ scopes: ['chat:write'], sealer: createSealer({ key: KEY, oldKey: null, purpose: 'install state' }) },
    installations: {
      store: async (record) => {
        stored.push(record.workspace);
      },
    },
    oauth: { uninstall: async () => undefined },
    mayInstall: () => true,
    isConfigured: () => false,
    ...{ clock, random: systemRandom, log },
    ...over,
  };
  const installer = createInstaller(parts);
  handle = installer.handle as unknown as typeof handle;
  return { installer, clock, log, stored, small, redirectUrl };
}

describe('the page on which an installation begins', () => {
  it('leads to Slack, with its state in a hidden cookie', async (context) => {
    const { installer, small } = await pages(context);
    const response = await fetch(installer.url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const [cookie = '', ...others] = response.headers.getSetCookie();
    expect(others).toEqual([]);
    expect(cookie).toMatch(/^letta_slack_install=s1\.[^;]+; HttpOnly; SameSite=Lax; Path=\/; Max-Age=600$/);
    const href = (/href="([^"]+)"/.exec(await response.text())?.[1] ?? '').replaceAll('&amp;', '&');
    const url = new URL(href);
    expect(url.origin).toBe(new URL(small.url).origin);
    expect(url.searchParams.get('scope')).toBe('chat:write');
    expect(cookie).toContain(url.searchParams.get('state') ?? 'none');
    expect(href).not.toContain(small.client.secret);
  });

  it('over https: its cookie is for this host alone', async (context) => {
    const { installer } = await pages(context, { redirectUrl: 'https://bridge.example.com/slack/oauth_redirect' });
    expect(installer.url).toBe('https://bridge.example.com/slack/install');
    const server = createServer((request, response) => void installer.handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.onTestFinished(() => void server.close());
    const { headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/slack/install`);
    expect(headers.getSetCookie()[0]).toMatch(
      /^__Host-letta_slack_install=.*; Secure; HttpOnly; SameSite=Lax; Path=\//,
    );
  });

  it('is read only; other paths are for others', async (context) => {
    const { installer, redirectUrl } = await pages(context);
    for (const url of [installer.url, redirectUrl]) {
      const response = await fetch(url, { method: 'POST', body: 'x' });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET']);
    }
    expect(await (await fetch(`${installer.url}/more`)).text()).toBe('elsewhere');
  });
});

describe('the answer of Slack', () => {
  it('after ten minutes: too old, and its code is not used', async (context) => {
    const { installer, clock, small, stored } = await pages(context);
    const browser = new InstallingBrowser();
    const back = await browser.answer(await browser.begin(installer.url), TEAM);
    await clock.advance(10 * 60_000 + 1);
    const { status, page } = await browser.open(back);
    expect([status, page]).toEqual([400, expect.stringContaining('This page is too old')]);
    expect(small.control.log({ method: 'oauth.v2.access' })).toEqual([]);
    expect(stored).toEqual([]);
  });

  it('with a state that we did not make: refused', async (context) => {
    const { redirectUrl, small } = await pages(context);
    for (const state of ['x', 's1.abc.def', '']) {
      const headers = { cookie: `letta_slack_install=${state}` };
      const response = await fetch(`${redirectUrl}?code=1.2.3&state=${state}`, { headers });
      expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('too old')]);
    }
    expect(small.control.log({ method: 'oauth.v2.access' })).toEqual([]);
  });

  it('an error in the address: shown only as a word of Slack', async (context) => {
    const { redirectUrl, installer } = await pages(context);
    const read = async (error: string) => (await fetch(`${redirectUrl}?error=${encodeURIComponent(error)}`)).text();
    expect(await read('access_denied')).toContain('You did not allow it');
    expect(await read('invalid_scope')).toContain('<code>invalid_scope</code>');
    const hostile = await read('<a href="https://evil.example">Call us</a>');
    expect(hostile).not.toContain('evil');
    expect([...hostile.matchAll(/href="([^"]+)"/g)].map(([, href]) => href)).toEqual([installer.url]);
  });

  it('with wrong settings: names the setting, not its value', async (context) => {
    const { installer, log } = await pages(context, { clientSecret: 'f'.repeat(32) });
    const { status, page } = await new InstallingBrowser().install(installer.url, TEAM);
    expect([status, page]).toEqual([500, expect.stringContaining('SLACK_CLIENT_SECRET (bad_client_secret)')]);
    expect(page + JSON.stringify(log.lines)).not.toContain('ffffff');
  });

  it('while the store is away: says so, without a token', async (context) => {
    const away = { store: () => Promise.reject(new BridgeError('store_failed', 'no', { retry: true })) };
    const { installer, log } = await pages(context, { installations: away });
    const { status, page } = await new InstallingBrowser().install(installer.url, TEAM);
    expect([status, page]).toEqual([503, expect.stringContaining('could not be stored')]);
    expect(page + JSON.stringify(log.lines)).not.toContain('xoxb-');
  });

  it('from too many at once: some are asked to come again', async (context) => {
    const { installer, small, clock, redirectUrl } = await pages(context);
    const statuses: number[] = [];
    for (let n = 0; n < 125; n += 1) statuses.push((await fetch(`${redirectUrl}?code=1&state=x`)).status);
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    expect(small.control.log({ method: 'oauth.v2.access' })).toEqual([]);
    await clock.advance(61_000);
    expect((await new InstallingBrowser().install(installer.url, TEAM)).status).toBe(200);
  });
});
