import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'vitest';
import { freePort } from '../../sandbox/free-port.ts';
import type { OAuthOptions, SlackOptions, SmallSlack } from '../../sandbox/slack/server.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { startApp } from '../../src/app.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createPromMetrics } from '../../src/ops/metrics.ts';
import { InstallingBrowser, oauthSettings, redirectUrl } from '../support/installing.ts';
import { createMemoryLog } from '../support/log.ts';
import { until } from '../support/until.ts';
import { startWhole, temporaryFolder, type WholeOptions } from '../support/whole.ts';

const SECOND = 'T02SECOND';
const ORG = { id: 'E01ORG', name: 'Organisation' };

interface Options {
  oauth?: OAuthOptions;
  slack?: SlackOptions;
  env?: Record<string, string>;
  policy?: string;
}

/** A bridge that people install in the workspaces of a small Slack, and a clock that a test can set forward. */
async function start(context: TestContext, { oauth, slack = {}, env = {}, policy }: Options = {}) {
  const port = await freePort();
  const folder = temporaryFolder(context);
  let aheadMs = 0;
  const clock = {
    ...systemClock,
    now: () => systemClock.now() + aheadMs,
    monotonic: () => systemClock.monotonic() + aheadMs,
  };
  const base: WholeOptions = {
    clock,
    slack: {
      isInstalled: false,
      now: clock.now,
      workspaces: [{ id: SECOND, suffix: 'B', name: 'Second' }],
      oauth: { redirectUrls: [redirectUrl(port)], ...oauth },
      ...slack,
    },
  };
  if (policy !== undefined) writeFileSync(join(folder, 'policy.yml'), policy);
  const more = {
    STORE: `sqlite://${join(folder, 'bridge.db')}`,
    SLACK_ALLOWED_CHANNELS: '*',
    ...(policy !== undefined && { POLICY: join(folder, 'policy.yml') }),
    ...env,
  };
  const whole = await startWhole(context, {
    ...base,
    env: (started) => ({ ...oauthSettings(started, port), ...more }),
  });
  const { app, slack: small } = whole;
  const installUrl = app.installUrl ?? '';
  const suffixOf = (team: string) => (team === SECOND ? 'B' : '');
  const control = (team = 'T01SANDBOX') => {
    const found = small.workspaces.get(team);
    if (!found) throw new Error(`no ${team}`);
    return found.control;
  };
  const seen = (team: string, thread?: string) => {
    const at = { control: control(team) } as SmallSlack;
    return transcript(at, `C02ENG${suffixOf(team)}`, {
      user: `U01ALICE${suffixOf(team)}`,
      bot: true,
      ...(thread && { thread }),
    });
  };
  const say = async (team: string, text: string) => {
    const at = suffixOf(team);
    return (await control(team).message({ channel: `C02ENG${at}`, user: `U01ALICE${at}`, text })).ts;
  };
  const answered = async (team: string, word: string) => {
    await until(
      () => seen(team).includes(word),
      () => `${seen(team)}\n${whole.logged.slice(-30).join('')}`,
    );
  };
  return {
    ...whole,
    installUrl,
    control,
    seen,
    say,
    answered,
    database: join(folder, 'bridge.db'),
    pass: (ms: number) => {
      aheadMs += ms;
    },
    install: (team: string, answer: 'allow' | 'cancel' = 'allow') =>
      new InstallingBrowser().install(installUrl, team, answer),
  };
}

const workspacesIn = (database: string) => {
  const store = new DatabaseSync(database, { readOnly: true });
  const rows = store.prepare('SELECT namespace, key, value FROM rows').all() as Record<string, string>[];
  store.close();
  return rows;
};

describe.concurrent('installing the app by OAuth', () => {
  it('somebody installs it and mentions the agent: it answers there', async (context) => {
    const { install, say, answered, seen, database, logged } = await start(context);
    const { status, page } = await install(SECOND);
    context.expect([status, page]).toEqual([200, context.expect.stringContaining('The agent is installed')]);
    await say(SECOND, '@agent say: hello');
    await answered(SECOND, 'hello');
    context.expect(seen('T01SANDBOX')).not.toContain('hello');
    const rows = JSON.stringify(workspacesIn(database));
    context.expect(rows).toContain('T02SECOND/threads');
    context.expect(rows).not.toContain('xoxb-');
    context.expect(logged.join('')).not.toContain('xoxb-');
  });

  it('two workspaces: each has its own threads, people and answers', async (context) => {
    const { install, say, answered, seen } = await start(context);
    await install('T01SANDBOX');
    await install(SECOND);
    await Promise.all([say('T01SANDBOX', '@agent say: one'), say(SECOND, '@agent say: two')]);
    await Promise.all([answered('T01SANDBOX', 'one'), answered(SECOND, 'two')]);
    context.expect([seen('T01SANDBOX').includes('two'), seen(SECOND).includes('one')]).toEqual([false, false]);
  });

  it('installed again: goes on as before', async (context) => {
    const { install, say, answered } = await start(context);
    await install(SECOND);
    await say(SECOND, '@agent say: first');
    await answered(SECOND, 'first');
    context.expect((await install(SECOND)).status).toBe(200);
    await say(SECOND, '@agent say: second');
    await answered(SECOND, 'second');
  });

  it('somebody says no: nothing is installed, and the page says how on', async (context) => {
    const { install, slack, installUrl } = await start(context);
    const { status, page } = await install(SECOND, 'cancel');
    context.expect([status, page]).toEqual([403, context.expect.stringContaining('You did not allow it')]);
    context.expect(page).toContain(`href="${installUrl}"`);
    context.expect(slack.control.log({ method: 'oauth.v2.access' })).toEqual([]);
  });

  it('a stolen answer of Slack: refused in another browser, and unspent', async (context) => {
    const { slack, installUrl } = await start(context);
    const own = new InstallingBrowser();
    const back = await own.answer(await own.begin(installUrl), SECOND);
    const thief = new InstallingBrowser();
    context.expect((await thief.open(back)).page).toContain('This page is too old');
    await thief.begin(installUrl);
    context.expect((await thief.open(back)).status).toBe(400);
    context.expect(slack.control.log({ method: 'oauth.v2.access' })).toEqual([]);
    context.expect((await own.open(back)).status).toBe(200);
  });

  it('an answer that is opened twice: installs once, and says so', async (context) => {
    const { installUrl, slack } = await start(context);
    const own = new InstallingBrowser();
    const back = await own.answer(await own.begin(installUrl), SECOND);
    context.expect((await own.open(back)).status).toBe(200);
    context.expect(await own.open(back)).toMatchObject({ status: 400 });
    context.expect(slack.control.log({ method: 'oauth.v2.access' })).toHaveLength(1);
  });

  it('a workspace that is not allowed: the app is removed there again', async (context) => {
    const { install, slack, say, seen } = await start(context, { env: { SLACK_ALLOWED_WORKSPACES: 'T01SANDBOX' } });
    const { status, page } = await install(SECOND);
    context.expect([status, page]).toEqual([403, context.expect.stringContaining(SECOND)]);
    context.expect(slack.control.log({ method: 'apps.uninstall' })).toHaveLength(1);
    await say(SECOND, '@agent say: hello');
    context
      .expect(slack.control.log({ type: 'envelope' }).some((entry) => JSON.stringify(entry).includes('hello')))
      .toBe(false);
    context.expect(seen(SECOND)).not.toContain('agent: hello');
  });

  it('beside a bot token: its workspace keeps it, others install the app', async (context) => {
    const { install, say, answered, slack } = await start(context, {
      slack: { isInstalled: true },
      env: { SLACK_BOT_TOKEN: 'xoxb-MARKED-1-bot-token' },
    });
    await say('T01SANDBOX', '@agent say: one');
    await answered('T01SANDBOX', 'one');
    context.expect((await install('T01SANDBOX')).page).toContain('already serves this workspace');
    context.expect(slack.control.log({ method: 'apps.uninstall' })).toEqual([]);
    await install(SECOND);
    await say(SECOND, '@agent say: two');
    await answered(SECOND, 'two');
    await say('T01SANDBOX', '@agent say: three');
    await answered('T01SANDBOX', 'three');
  });

  it('a whole organisation: one installation serves all its workspaces', async (context) => {
    const { install, say, answered, seen, database } = await start(context, {
      oauth: { isOrgWide: true },
      slack: { enterprise: ORG, workspaces: [{ id: SECOND, suffix: 'B', enterprise: ORG }] },
      env: { SLACK_ALLOWED_WORKSPACES: 'E01ORG' },
    });
    const { status, page } = await install('E01ORG');
    context.expect([status, page]).toEqual([200, context.expect.stringContaining('for your organisation')]);
    await say('T01SANDBOX', '@agent say: one');
    await say(SECOND, '@agent say: two');
    await answered('T01SANDBOX', 'one');
    await answered(SECOND, 'two');
    context.expect(seen(SECOND)).not.toContain('one');
    context.expect(JSON.stringify(workspacesIn(database))).toContain('E01ORG/threads');
  });
});

describe.concurrent('the key of the installations', () => {
  const other = Buffer.from('ZYXWVUTSRQPONMLKJIHGFEDCBA987654').toString('hex');

  async function restart(context: TestContext, env: Record<string, string>, more: Record<string, string>) {
    const log = createMemoryLog();
    const config = loadConfig({ ...env, PORT: '0', ...more });
    const world = { clock: systemClock, random: systemRandom, log, metrics: createPromMetrics() };
    const app = await startApp(config, world, new AbortController().signal);
    context.onTestFinished(() => app.stop());
    return log;
  }

  it('wrong: refused at a start; with the old one: goes on', async (context) => {
    const { install, app, env, say, answered } = await start(context);
    await install(SECOND);
    await app.stop();
    const { ENCRYPTION_KEY: old = '' } = env;
    await context
      .expect(restart(context, env, { ENCRYPTION_KEY: other }))
      .rejects.toMatchObject({ code: 'config_invalid' });
    const log = await restart(context, env, { ENCRYPTION_KEY: other, ENCRYPTION_KEY_OLD: old });
    await until(
      () => log.lines.some(({ message }) => message.includes('remove ENCRYPTION_KEY_OLD')),
      () => JSON.stringify(log.lines),
    );
    await say(SECOND, '@agent say: hello');
    await answered(SECOND, 'hello');
  });
});

describe.concurrent('over HTTP', () => {
  it('the pages are on the port of Slack’s events', async (context) => {
    const { install, slack } = await start(context, {
      env: { SLACK_APP_TOKEN: '', SLACK_SIGNING_SECRET: '0123456789abcdef0123456789abcdef' },
    });
    context.expect((await install(SECOND)).status).toBe(200);
    context.expect(slack.control.log({ method: 'apps.connections.open' })).toEqual([]);
  });
});

describe.concurrent('a policy by workspace', () => {
  it('lets other people in, in each workspace', async (context) => {
    const policy = `users: [U02BOB]\nchannels: ["*"]\nworkspaces:\n  T01SANDBOX: {}\n  ${SECOND}:\n    users: members\n`;
    const { install, say, answered, seen } = await start(context, {
      policy,
      env: { SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '', SLACK_ALLOWED_WORKSPACES: '' },
    });
    await install('T01SANDBOX');
    await install(SECOND);
    await say(SECOND, '@agent say: two');
    await answered(SECOND, 'two');
    await say('T01SANDBOX', '@agent say: one');
    await answered('T01SANDBOX', 'You can’t use this agent yet.');
    context.expect(seen('T01SANDBOX')).not.toContain('agent: one');
  });
});

describe.concurrent('tokens that Slack rotates', () => {
  const HOUR_MS = 60 * 60_000;

  it('expires in mid-turn: the turn goes on with the next token', async (context) => {
    const { install, say, answered, pass, slack, seen } = await start(context, { oauth: { isRotated: true } });
    await install(SECOND);
    await say(SECOND, '@agent slow 60 words');
    await answered(SECOND, 'word1');
    pass(13 * HOUR_MS);
    await answered(SECOND, 'word60');
    await until(
      () => !seen(SECOND).includes('[Stop]'),
      () => seen(SECOND),
    );
    const refreshed = slack.control.log({ method: 'oauth.v2.access' }).slice(1);
    context.expect(refreshed).toHaveLength(1);
    context.expect(seen(SECOND).match(/word60/g)).toHaveLength(1);
  });
});

describe.concurrent('an app that is uninstalled', () => {
  it('in mid-turn: calls end, and all of the workspace is deleted', async (context) => {
    const { install, say, answered, slack, database, control, lines } = await start(context);
    await install('T01SANDBOX');
    await install(SECOND);
    await say('T01SANDBOX', '@agent say: stays');
    await answered('T01SANDBOX', 'stays');
    await say(SECOND, '@agent slow 300 words');
    await answered(SECOND, 'word1');
    slack.uninstall(SECOND);
    const left = () => workspacesIn(database).filter(({ namespace, key }) => `${namespace} ${key}`.includes(SECOND));
    await until(
      () => left().length === 0,
      () => JSON.stringify(left()),
    );
    await until(
      () =>
        lines().some(({ workspace, msg }) => workspace === SECOND && msg === 'a workspace is no longer served here'),
      () => JSON.stringify(lines().slice(-20)),
    );
    const calls = () => control().log({ type: 'call' }).length;
    const before = calls();
    await new Promise((resolve) => setTimeout(resolve, 300));
    context.expect(calls() - before).toBeLessThan(3);
    context.expect(JSON.stringify(workspacesIn(database))).toContain('T01SANDBOX/threads');
    await say('T01SANDBOX', '@agent say: still');
    await answered('T01SANDBOX', 'still');
    // Installed again, it begins anew.
    context.expect((await install(SECOND)).status).toBe(200);
    await say(SECOND, '@agent say: again');
    await answered(SECOND, 'again');
  });
});

it('the pages of the installation lead to no other place', () => {
  // Every address in a page is our own, Slack's, or made from Slack's answer: none comes from the request.
  const code = readFileSync('src/slack/installations/installer.ts', 'utf8');
  const addresses = [...code.matchAll(/https?:\/\/[a-z.]+/g)].map(([address]) => address);
  if (addresses.some((address) => !/^https:\/\/(app\.)?slack\.com$/.test(address))) throw new Error(addresses.join());
});
