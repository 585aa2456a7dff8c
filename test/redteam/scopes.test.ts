import { describe, expect, it, type TestContext } from 'vitest';
import { startSlack } from '../../sandbox/slack/server.ts';
import { startApp } from '../../src/app.ts';
import { closedPolicy, type Policy } from '../../src/bridge/access/policy.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { missingScopes, SCOPES } from '../../src/doctor/scopes.ts';
import { readManifest } from '../../src/manifest/file.ts';
import { noMetrics } from '../../src/ops/metrics.ts';
import { createMemoryLog } from '../support/log.ts';
import { until } from '../support/until.ts';
import { startWhole } from '../support/whole.ts';

const ALL = readManifest().oauth_config.scopes.bot;
const EVERYWHERE = { SLACK_ALLOWED_CHANNELS: '*' };
const NAMED = { SLACK_ALLOWED_CHANNELS: 'C01GEN' };
const IN_DM = { SLACK_ALLOWED_CHANNELS: 'dm' };
const GROUP = { ...NAMED, SLACK_ALLOWED_USERS: 'S01TEAM' };

async function startWithout(
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  scope: string,
  env: Record<string, string>,
) {
  const slack = await startSlack({ limits: 'off', scopes: ALL.filter((each) => each !== scope) });
  onTestFinished(() => slack.close());
  const config = loadConfig({
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    SLACK_APP_TOKEN: slack.tokens.app,
    SLACK_ALLOWED_USERS: 'members',
    LETTA_APP_SERVER_URL: 'ws://127.0.0.1:9/ws',
    STORE: 'memory://',
    ...env,
  });
  const log = createMemoryLog();
  const world = { clock: systemClock, random: systemRandom, log, metrics: noMetrics };
  const app = await startApp(config, world, new AbortController().signal);
  onTestFinished(() => app.stop());
  return log.lines.find(({ message }) => message === 'the bot token lacks scopes');
}

describe.concurrent('the table of scopes', () => {
  it('has each scope of the manifest', () => {
    expect(Object.keys(SCOPES).sort()).toEqual([...ALL].sort());
  });
});

describe.concurrent('a start without a scope', () => {
  it.for([
    ['chat:write', NAMED],
    ['users:read', NAMED],
    ['channels:history', NAMED],
    ['channels:history', EVERYWHERE],
    ['groups:history', { SLACK_ALLOWED_CHANNELS: 'G01PRIVATE' }],
    ['groups:history', EVERYWHERE],
    ['im:history', IN_DM],
    ['im:history', EVERYWHERE],
    ['mpim:history', EVERYWHERE],
    ['channels:read', EVERYWHERE],
    ['usergroups:read', GROUP],
  ] as const)('%s needed for a promise: refused with instructions: %o', async ([scope, env], context) => {
    await expect(startWithout(context, scope, env)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(new RegExp(`^The bot token lacks ${scope}: .*Reinstall to Workspace`)),
    });
  });

  it.for([
    ['commands', EVERYWHERE],
    ['files:write', EVERYWHERE],
    ['app_mentions:read', EVERYWHERE],
    ['im:history', NAMED],
    ['groups:history', NAMED],
    ['channels:history', IN_DM],
    ['usergroups:read', NAMED],
    ['channels:read', NAMED],
  ] as const)('%s needed for one feature: only a warning: %o', async ([scope, env], context) => {
    expect(await startWithout(context, scope, env)).toMatchObject({
      level: 'warn',
      fields: { scopes: [scope], without: SCOPES[scope]?.without },
    });
  });
});

describe.concurrent('missing scopes', () => {
  it('channel of unknown kind: needs both kinds of history', () => {
    const policy: Policy = { ...closedPolicy, channels: { everywhere: false, directMessages: false, ids: ['C1'] } };
    expect(missingScopes([], policy).breaking).toEqual([
      'channels:history',
      'chat:write',
      'groups:history',
      'users:read',
    ]);
    expect(missingScopes([], policy, new Map([['C1', 'private']])).breaking).not.toContain('channels:history');
  });

  it('scope lost while running: not ready until Slack grants it again', async (context) => {
    const whole = await startWhole(context);
    const { control } = whole.slack;
    const ready = async () => JSON.parse(await whole.get('/readyz')) as { ok: boolean };
    expect(await ready()).toMatchObject({ ok: true });
    await control.faults({ method: 'chat.postMessage', kind: 'ok_false', error: 'missing_scope', times: 3 });
    await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent slow 3 words' });
    let seen = '';
    let wasRed = false;
    const look = async () => {
      seen = await whole.get('/readyz');
      wasRed ||= seen.includes('the bot token lacks chat:write') && seen.includes('"ok":false');
    };
    await until(
      () => {
        void look();
        return wasRed;
      },
      () => seen,
    );
    // Slack grants it again: the answer is shown, and readiness is back.
    await until(
      () => {
        void look();
        return JSON.stringify(control.messages('C01GEN')).includes('word3') && seen.includes('"ok":true,"checks"');
      },
      () => seen,
      60_000,
    );
  }, 90_000);
});
