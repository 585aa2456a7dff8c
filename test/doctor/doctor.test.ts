import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, type TestContext } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { type SlackOptions, startSlack } from '../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { type DoctorParts, runDoctor } from '../../src/doctor/doctor.ts';
import { exitCode, type Finding, type Report } from '../../src/doctor/report.ts';
import { TROUBLES, type TroubleName } from '../../src/doctor/troubles.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { readManifest } from '../../src/manifest/file.ts';
import { controlPath } from '../../src/ops/control.ts';
import { openStore } from '../../src/storage/open.ts';
import { openHouse } from '../../src/storage/open-house.ts';
import { openDatabase } from '../../src/storage/sqlite.ts';
import { oauthSettings, redirectUrl } from '../support/installing.ts';
import { createMemoryLog } from '../support/log.ts';
import { createSchema, findServer, type Schema } from '../support/postgres/schema.ts';
import { until } from '../support/until.ts';
import { LISTENING, MARKED, settingsFor, startWhole, temporaryFolder } from '../support/whole.ts';

const manifest = readManifest();
const SCOPES = [...manifest.oauth_config.scopes.bot, 'reactions:write'];
const CHANNEL = 'C01GEN';
const server = await findServer();
/** What the stories below have shown. */
const shown = new Set<TroubleName>();

type Examine = Partial<DoctorParts> & { env?: Record<string, string | undefined> };

async function examine(env: Record<string, string | undefined>, wanted: Partial<DoctorParts> = {}): Promise<Report> {
  const report = await runDoctor({
    loadConfig: () => loadConfig(env),
    manifest,
    fetch: globalThis.fetch,
    dial: createSocketDialer(systemClock),
    clock: systemClock,
    random: systemRandom,
    log: createMemoryLog(),
    channel: null,
    connectMs: 5_000,
    waits: { eventMs: 5_000, clickMs: 0 },
    onFinding: () => undefined,
    onPosted: () => undefined,
    ...wanted,
  });
  for (const { trouble } of report.findings) if (trouble) shown.add(trouble);
  return report;
}

/** A Slack and a Letta in which all is well, and a doctor for them. */
async function ward(context: Pick<TestContext, 'onTestFinished'>, options: SlackOptions = {}) {
  const { onTestFinished } = context;
  const slack = await startSlack({ limits: 'off', scopes: SCOPES, ...options });
  onTestFinished(() => slack.close());
  const letta = await startScriptedLetta({ token: MARKED.letta });
  onTestFinished(() => letta.close());
  const folder = temporaryFolder(context);
  const env = settingsFor(slack, letta, folder);
  return {
    slack,
    letta,
    folder,
    env,
    examine: ({ env: other = {}, ...wanted }: Examine = {}) => examine({ ...env, ...other }, wanted),
  };
}

/** Stores what a bridge had chosen. */
async function choose(uri: string | undefined, chosen: Record<string, string>): Promise<void> {
  const store = await openStore(uri ?? '', { clock: systemClock, log: createMemoryLog() });
  for (const [name, value] of Object.entries(chosen)) await store.choices.set(name, value);
  await store.close();
}

/** The same with a device behind the hosted relay. */
async function cloudWard(context: Pick<TestContext, 'onTestFinished'>, agents?: { id: string; name: string }[]) {
  const well = await ward(context);
  const letta = await startScriptedLetta({
    surface: 'hosted',
    token: MARKED.letta,
    seed: { connectionName: 'build-box', deviceId: 'device-1', ...(agents && { agents }) },
  });
  context.onTestFinished(() => letta.close());
  const cloud = {
    LETTA_APP_SERVER_URL: undefined,
    LETTA_APP_SERVER_TOKEN: undefined,
    LETTA_API_KEY: MARKED.letta,
    LETTA_BASE_URL: letta.url,
  };
  return {
    ...well,
    letta,
    examine: ({ env = {}, ...wanted }: Examine = {}) => well.examine({ env: { ...cloud, ...env }, ...wanted }),
  };
}

const named = ({ findings }: Report, name: TroubleName): Finding | undefined =>
  findings.find(({ trouble }) => trouble === name);
const troublesOf = ({ findings }: Report) => findings.flatMap(({ trouble }) => trouble ?? []);
const textOf = ({ findings }: Report, check: string) =>
  findings.filter((finding) => finding.check === check).map(({ text }) => text);

describe('doctor where all is well', () => {
  it('reports each part, and says in one sentence who may do what', async (context) => {
    const { examine, letta } = await ward(context);
    const report = await examine({ channel: CHANNEL });
    expect(troublesOf(report)).toEqual([]);
    expect(exitCode(report)).toBe(0);
    expect(report.findings.map(({ check }) => check)).toEqual([
      'configuration',
      'store',
      'clock',
      'bot token',
      'scopes',
      'app token',
      'channels',
      'socket',
      'events',
      'letta',
      'letta',
      'agent',
      'permissions',
    ]);
    expect(textOf(report, 'bot token')).toEqual(['@agent in Sandbox (T01SANDBOX)']);
    expect(textOf(report, 'channels')).toEqual(['the bot is in #general, #eng']);
    const us = (await import('node:os')).userInfo().username;
    const { host } = new URL(letta.url);
    expect(report.access).toBe(
      `Every full member of Sandbox can, in #general, #eng and direct messages, make the agent Sandbox Agent read files ` +
        `and run tools on ${host}, as the operating-system user ${us}; the person who asked must approve everything but ` +
        'reads inside the working directory (guarded).',
    );
  });

  it('waits for a click in its self-test, and removes the button', async (context) => {
    const { examine, slack } = await ward(context);
    const { control } = slack;
    const click = async () => {
      const [message] = control.messages(CHANNEL);
      const text = JSON.stringify(message?.blocks);
      expect(text).toContain('please click');
      await control.interact({ user: 'U01ALICE', channel: CHANNEL, messageTs: message?.ts ?? '', action: 'It works' });
    };
    const report = await examine({
      channel: CHANNEL,
      waits: { eventMs: 5_000, clickMs: 5_000 },
      onPosted: () => void click(),
    });
    expect(troublesOf(report)).toEqual([]);
    expect(textOf(report, 'events')).toEqual(['the bot’s own message came back', 'a click arrived']);
    expect(JSON.stringify(control.messages(CHANNEL)[0]?.blocks)).not.toContain('It works');
  });

  it('listens on the bridge’s port in HTTP mode', async (context) => {
    const { createServer } = await import('node:net');
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const address = probe.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    const { examine, slack } = await ward(context, { delivery: { http: `http://127.0.0.1:${port}/slack/events` } });
    const env = { SLACK_APP_TOKEN: undefined, SLACK_SIGNING_SECRET: slack.signingSecret, PORT: String(port) };
    const report = await examine({ env, channel: CHANNEL });
    expect(troublesOf(report)).toEqual([]);
    expect(textOf(report, 'events')).toEqual(['the bot’s own message came back']);
    expect(troublesOf(await examine({ env }))).toEqual(['not_tried']);
  });

  it('lists the online devices in the cloud', async (context) => {
    const { examine } = await cloudWard(context);
    const report = await examine({ channel: CHANNEL });
    expect(troublesOf(report)).toEqual([]);
    expect(textOf(report, 'letta')).toEqual([
      'works on build-box (device-1); known: build-box (device-1, online)',
      'Letta Code 0.32.18, known to work',
    ]);
    expect(report.access).toContain('on build-box, as the user who started letta server there');
  });
});

describe('doctor beside a running bridge', () => {
  it('opens no socket of its own, and messages are still answered', async (context) => {
    const whole = await startWhole(context, { slack: { scopes: SCOPES } });
    const { control } = whole.slack;
    const connections = () => control.state().connections.length;
    expect(connections()).toBe(1);
    let most = 1;
    const onPosted = () => {
      most = Math.max(most, connections());
      void control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent say 3 words' });
    };
    const report = await examine(whole.env, { channel: CHANNEL, onPosted });
    expect(troublesOf(report)).toEqual([]);
    expect(textOf(report, 'socket')[0]).toMatch(/^the running bridge \(pid \d+ .+\) is connected$/);
    expect(textOf(report, 'events')).toEqual(['the bot’s own message came back']);
    expect(most).toBe(1);
    const answered = () => control.messages(CHANNEL).some(({ text }) => text.includes('word3'));
    const replied = () =>
      control
        .messages(CHANNEL)
        .some(({ ts }) =>
          control.messages(CHANNEL, { thread_ts: ts }).some((reply) => JSON.stringify(reply.blocks).includes('word3')),
        );
    await until(
      () => answered() || replied(),
      () => JSON.stringify(control.messages(CHANNEL)),
    );
  }, 60_000);

  it('reports bridge_unreachable, and takes no deliveries, when the bridge is silent', async (context) => {
    const whole = await startWhole(context, { slack: { scopes: SCOPES } });
    const { rmSync } = await import('node:fs');
    rmSync(controlPath(whole.env.STORE?.replace('sqlite://', '') ?? ''));
    const report = await examine(whole.env, { channel: CHANNEL });
    expect(troublesOf(report)).toEqual(['bridge_unreachable']);
    expect(whole.slack.control.state().connections).toHaveLength(1);
  });

  it('on another machine reports the other connection, and tries no self-test', async (context) => {
    const whole = await startWhole(context, { slack: { scopes: SCOPES } });
    const elsewhere = `sqlite://${join(temporaryFolder(context), 'other.db')}`;
    const report = await examine({ ...whole.env, STORE: elsewhere }, { channel: CHANNEL });
    expect(troublesOf(report)).toEqual(['foreign_connections']);
    expect(named(report, 'foreign_connections')?.text).toContain('1 other connection');
    expect(whole.slack.control.messages(CHANNEL)).toEqual([]);
  });
});

describe('doctor with missing or wrong settings', () => {
  it('lists all with their fixes, and exits with 2', async () => {
    const report = await examine({ SLACK_BOT_TOKEN: 'xapp-1-A-2', STORE: 'mysql://x' });
    expect(exitCode(report)).toBe(2);
    expect(report.findings.length).toBeGreaterThan(4);
    expect(new Set(troublesOf(report))).toEqual(new Set(['setting']));
    const store = report.findings.find(({ text }) => text.startsWith('STORE'));
    expect(store?.text).toContain('mysql://');
    expect(store?.fix).toContain('sqlite://');
    expect(JSON.stringify(report)).not.toContain('xapp-1-A-2');
  });
});

describe.concurrent('doctor’s look at Slack', () => {
  const answers = (date: string): DoctorParts['fetch'] =>
    (async (url: string) => {
      if (url.endsWith('api.test')) return { headers: new Headers({ date }) };
      throw new Error('not asked');
    }) as never;

  it('reports a clock that differs', async (context) => {
    const { examine } = await ward(context);
    const late = await examine({ fetch: answers(new Date(Date.now() - 120_000).toUTCString()) });
    expect(named(late, 'clock_off')?.text).toMatch(/by 1(19|20|21) s/);
    expect(named(late, 'clock_off')?.fix).toContain('timedatectl');
    const close = await examine({ fetch: answers(new Date(Date.now() - 10_000).toUTCString()) });
    expect(troublesOf(close)).toEqual(['not_tried']);
  });

  it('reports Slack as unreachable, with host and fix', async (context) => {
    const { examine, slack } = await ward(context);
    const host = new URL(slack.url).host;
    await slack.close();
    const report = await examine();
    expect(troublesOf(report)).toEqual(['slack_unreachable']);
    expect(named(report, 'slack_unreachable')?.text).toContain('ECONNREFUSED');
    expect(named(report, 'slack_unreachable')?.fix).toContain(host);
    expect(exitCode(report)).toBe(1);
    expect(report.access).toBeNull();
  }, 60_000);

  it('reports a refused or revoked bot token', async (context) => {
    const { examine, slack } = await ward(context);
    const refused = await examine({ env: { SLACK_BOT_TOKEN: 'xoxb-of-yesterday' } });
    expect(named(refused, 'bot_token_refused')?.text).toBe('Slack refuses SLACK_BOT_TOKEN (invalid_auth)');
    await slack.control.revoke({ error: 'account_inactive' });
    expect(named(await examine(), 'bot_token_refused')?.text).toContain('account_inactive');
  });

  it('reports a bot token without a bot', async (context) => {
    const { env } = await ward(context);
    const { createServer } = await import('node:http');
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ok: true, team_id: 'T1', user_id: 'U1' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    expect(troublesOf(await examine({ ...env, SLACK_API_URL: `http://127.0.0.1:${port}/api/` }))).toContain(
      'not_a_bot',
    );
  });

  it('names each missing scope, and how to grant it', async (context) => {
    const lacks = ['channels:history', 'groups:read'];
    const { examine } = await ward(context, { scopes: SCOPES.filter((scope) => !lacks.includes(scope)) });
    const report = await examine({ env: { SLACK_ALLOWED_CHANNELS: 'C01GEN' } });
    expect(named(report, 'scopes_missing')?.text).toBe('The bot token lacks channels:history, groups:read');
    expect(named(report, 'scopes_missing')?.fix).toContain('Reinstall to Workspace');
    expect(named(report, 'threads_unread')?.text).toContain('Without channels:history the agent does not see threads');
    expect(exitCode(report)).toBe(1);
  });

  it('remarks on an optional scope only where the policy needs it', async (context) => {
    const { examine } = await ward(context);
    expect(troublesOf(await examine())).not.toContain('scopes_wanted');
    const POLICY = join(temporaryFolder(context), 'policy.yml');
    writeFileSync(POLICY, 'reactions: { eyes: Look at this. }\n');
    const report = await examine({ env: { POLICY } });
    expect(named(report, 'scopes_wanted')?.text).toContain('lacks reactions:read: the reactions that the policy names');
    expect(exitCode(report)).toBe(0);
  });

  it('names the tools that a missing scope takes from the agent', async (context) => {
    const { examine } = await ward(context, { scopes: SCOPES.filter((scope) => scope !== 'reactions:write') });
    const report = await examine();
    expect(named(report, 'tools_limited')?.text).toBe(
      'Without reactions:write these tools of the agent do not work: slack_react',
    );
    expect(exitCode(report)).toBe(0);
  });

  it('remarks on unused scopes, except those for agents and setup', async (context) => {
    const { examine } = await ward(context, { scopes: [...SCOPES, 'assistant:write', 'files:remote'] });
    const report = await examine();
    expect(named(report, 'scopes_extra')?.text).toMatch(/: files:remote$/);
    expect(exitCode(report)).toBe(0);
  });

  it('reports a refused app token', async (context) => {
    const { examine } = await ward(context);
    const report = await examine({ env: { SLACK_APP_TOKEN: 'xapp-1-A0SANDBOX-of-yesterday' } });
    expect(named(report, 'app_token_refused')?.text).toBe('Slack refuses SLACK_APP_TOKEN (invalid_auth)');
    expect(named(report, 'app_token_refused')?.fix).toContain('connections:write');
    expect(troublesOf(report)).not.toContain('socket_closed');
  });

  it('reports tokens of two different apps', async (context) => {
    const { examine } = await ward(context);
    const report = await examine({ env: { SLACK_APP_TOKEN: 'xapp-1-A0OTHER-1234' } });
    expect(named(report, 'other_app')?.text).toBe(
      'SLACK_APP_TOKEN belongs to the app A0OTHER, SLACK_BOT_TOKEN to the app A0SANDBOX',
    );
  });

  it('reports a socket that does not open', async (context) => {
    const { examine, slack } = await ward(context);
    await slack.control.faults({ socket: 'no_hello', ms: 60_000 });
    const report = await examine({ connectMs: 300 });
    expect(named(report, 'socket_closed')?.fix).toContain('Turn on Socket Mode');
  });

  it('reports unknown and archived channels, and those without the bot', async (context) => {
    const { examine, slack } = await ward(context);
    await slack.control.archive({ channel: 'C02ENG' });
    const report = await examine({ env: { SLACK_ALLOWED_CHANNELS: 'C01GEN,C02ENG,C03OUT,C0NONE,dm' } });
    expect(named(report, 'not_in_channel')?.text).toBe('The bot is not in #outside (C03OUT)');
    expect(named(report, 'not_in_channel')?.fix).toBe('Write /invite @agent in #outside.');
    expect(named(report, 'channel_unknown')?.text).toContain('C0NONE');
    expect(named(report, 'channel_archived')?.text).toBe('#eng (C02ENG) is archived');
    expect(textOf(report, 'channels')).toContain('the bot is in #general');
  });

  it('reports events that do not arrive', async (context) => {
    const { examine } = await ward(context, { events: ['app_mention'] });
    const report = await examine({ channel: CHANNEL, waits: { eventMs: 300, clickMs: 0 } });
    expect(named(report, 'no_event')?.fix).toContain('message.channels');
    expect(exitCode(report)).toBe(1);
  });

  it('remarks when the self-test gets no click', async (context) => {
    const { examine, slack } = await ward(context);
    const report = await examine({ channel: CHANNEL, waits: { eventMs: 5_000, clickMs: 300 } });
    expect(troublesOf(report)).toEqual(['no_click']);
    expect(exitCode(report)).toBe(0);
    expect(slack.control.messages(CHANNEL)[0]?.text).toContain('no click came');
  });

  it('reports a self-test that cannot be posted', async (context) => {
    const { examine } = await ward(context);
    const report = await examine({ channel: 'C03OUT' });
    expect(named(report, 'post_refused')?.text).toBe('The bot could not post the self-test in C03OUT (not_in_channel)');
  });

  it.for(['#general', 'general', '#General'])(
    'finds the self-test’s channel by its name: %s',
    async (channel, context) => {
      const { examine } = await ward(context);
      const report = await examine({ channel });
      expect(troublesOf(report)).toEqual([]);
      expect(textOf(report, 'events')).toContain('the bot’s own message came back');
    },
  );

  it('reports a self-test’s channel that it cannot find, and posts nothing', async (context) => {
    const { examine, slack } = await ward(context);
    const report = await examine({ channel: '#nowhere' });
    expect(named(report, 'test_channel_unknown')?.text).toContain('#nowhere');
    expect(named(report, 'test_channel_unknown')?.fix).toContain('/invite @agent');
    expect(exitCode(report)).toBe(1);
    expect(slack.control.messages(CHANNEL)).toEqual([]);
  });

  it('asks for an id where Slack does not list channels', async (context) => {
    const { examine } = await ward(context, { scopes: SCOPES.filter((scope) => !scope.endsWith(':read')) });
    const report = await examine({ channel: '#general' });
    expect(troublesOf(report)).toContain('scopes_missing');
    expect(named(report, 'channels_unlisted')?.text).toContain('missing_scope');
    expect(named(report, 'channels_unlisted')?.fix).toContain('id');
  });

  it('leaves messages of people unacknowledged, so that Slack delivers them again', async (context) => {
    const { examine, slack } = await ward(context, { retryDelaysMs: [0, 200, 200], ackTimeoutMs: 300 });
    const onPosted = () => void slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent hello' });
    await examine({ channel: CHANNEL, waits: { eventMs: 5_000, clickMs: 1_000 }, onPosted });
    const outcomes = () =>
      slack.control.log().flatMap((entry) => {
        const ours = entry.type === 'envelope' && JSON.stringify(entry.payload).includes('hello');
        return ours ? [entry.outcome] : [];
      });
    await until(
      () => outcomes().length >= 4,
      () => outcomes().join(),
    );
    expect(outcomes()).not.toContain('acked');
  });
});

describe.concurrent('doctor’s look at Letta', () => {
  it('reports Letta as unreachable, with its setting', async (context) => {
    const { examine, letta } = await ward(context);
    await letta.close();
    const report = await examine();
    expect(named(report, 'letta_unreachable')?.text).toContain(new URL(letta.url).host);
    expect(named(report, 'letta_unreachable')?.fix).toContain('LETTA_APP_SERVER_URL');
    expect(exitCode(report)).toBe(1);
  });

  it('reports a refused token or key', async (context) => {
    const { examine } = await ward(context);
    const wrong = await examine({ env: { LETTA_APP_SERVER_TOKEN: 'of-yesterday' } });
    expect(named(wrong, 'letta_unauthorized')?.text).toBe('Letta refuses LETTA_APP_SERVER_TOKEN');
    const cloud = await cloudWard(context);
    const key = await cloud.examine({ env: { LETTA_API_KEY: 'of-yesterday' } });
    expect(named(key, 'letta_unauthorized')?.text).toBe('Letta refuses LETTA_API_KEY');
  });

  it('names the machines that dial the bridge, and their command', async (context) => {
    const whole = await startWhole(context, { slack: { scopes: SCOPES }, env: LISTENING });
    const command = /LETTA_BASE_URL=(\S+) LETTA_API_KEY=(\S+) .* --computer-name NAME/;
    const before = await examine(whole.env);
    expect(named(before, 'no_dialled_device')?.text).toBe('The machine has not dialled in (none is known yet)');
    const [, url = '', token = ''] = command.exec(textOf(before, 'letta').join('\n')) ?? [];
    const device = await startScriptedLetta({ dials: { url, token, name: 'laptop' }, seed: { deviceId: 'd1' } });
    context.onTestFinished(() => device.close());
    await until(
      () => device.state().online === true,
      () => JSON.stringify(device.state()),
    );
    const after = await examine(whole.env);
    expect(named(after, 'no_dialled_device')).toBeUndefined();
    expect(textOf(after, 'letta').join()).toContain('works on laptop (d1), which has dialled in');
    await whole.app.stop();
    expect(textOf(await examine(whole.env), 'letta').join()).toContain('laptop (d1, offline');
  });

  it('reports a device that is offline, unknown, or one of several', async (context) => {
    const { examine, letta } = await cloudWard(context);
    const unknown = await examine({ env: { LETTA_ENVIRONMENT: 'laptop' } });
    expect(named(unknown, 'device_unknown')?.text).toContain('build-box (device-1, online)');
    // A second device, as the relay would list it.
    const two = (async (url: string, init: RequestInit) => {
      const answer = await fetch(url, init);
      if (!url.includes('/v1/environments')) return answer;
      const body = (await answer.json()) as { connections: Record<string, unknown>[] };
      const [first] = body.connections;
      const second = { ...first, id: 'env-2', deviceId: 'device-2', connectionName: 'laptop' };
      return Response.json({ ...body, connections: [first, second] });
    }) as DoctorParts['fetch'];
    const several = await examine({ fetch: two });
    expect(named(several, 'several_devices')?.text).toContain('laptop (device-2, online)');
    expect(troublesOf(await examine({ fetch: two, env: { LETTA_ENVIRONMENT: 'laptop' } }))).toEqual(['not_tried']);
    letta.addFault({ kind: 'offline', ms: 60_000 });
    const offline = await examine({ env: { LETTA_ENVIRONMENT: 'build-box' } });
    expect(named(offline, 'device_offline')?.text).toBe('Letta device build-box is offline');
    const none = await examine();
    expect(named(none, 'no_device')?.text).toBe('No Letta device is online (build-box (device-1, offline))');
  });

  it('reports versions older or newer than those tested', async (context) => {
    const { examine } = await cloudWard(context);
    const version = (lettaCodeVersion: string) =>
      (async (url: string, init: RequestInit) => {
        const answer = await fetch(url, init);
        if (!url.includes('/v1/environments')) return answer;
        const body = (await answer.json()) as { connections: Record<string, unknown>[] };
        return Response.json({
          ...body,
          connections: body.connections.map((row) => ({ ...row, metadata: { lettaCodeVersion } })),
        });
      }) as DoctorParts['fetch'];
    expect(named(await examine({ fetch: version('0.31.2') }), 'version_old')?.fix).toContain('on build-box');
    expect(troublesOf(await examine({ fetch: version('0.33.0') }))).toContain('version_new');
    expect(troublesOf(await examine({ fetch: version('0.32.1') }))).toEqual(['not_tried']);
  });

  it('reports an agent that is unknown or missing, or several agents', async (context) => {
    const agents = [
      { id: 'agent-1', name: 'One' },
      { id: 'agent-2', name: 'Two\n✓ agent  fine' },
    ];
    const { examine } = await cloudWard(context, agents);
    const several = await examine();
    expect(named(several, 'several_agents')?.text).toBe(
      'Letta has several agents: agent-1 (One), agent-2 (Two ✓ agent  fine)',
    );
    const unknown = await examine({ env: { LETTA_AGENT_ID: 'agent-3' } });
    expect(named(unknown, 'agent_unknown')?.fix).toContain('agent-1 (One)');
    expect(textOf(await examine({ env: { LETTA_AGENT_ID: 'agent-2' } }), 'agent')).toEqual([
      'Two ✓ agent  fine (agent-2)',
    ]);
    const empty = await cloudWard(context, []);
    expect(troublesOf(await empty.examine())).toContain('no_agent');
  });

  it('accepts the agent chosen before, as long as it exists', async (context) => {
    const agents = [
      { id: 'agent-1', name: 'One' },
      { id: 'agent-2', name: 'Two' },
    ];
    const { examine, letta, env } = await cloudWard(context, agents);
    await choose(env.STORE, { agent: 'agent-2' });
    const well = await examine();
    expect(troublesOf(well)).toEqual(['not_tried']);
    expect(textOf(well, 'agent')).toEqual(['Two (agent-2), chosen earlier']);
    letta.deleteStored({ agent: 'agent-2' });
    const gone = await examine();
    expect(named(gone, 'agent_gone')?.text).toContain('agent-2');
    expect(textOf(gone, 'agent').at(-1)).toBe('One (agent-1)');
    letta.addAgent('Three');
    const several = await examine();
    expect(troublesOf(several)).toEqual(expect.arrayContaining(['agent_gone', 'several_agents']));
    expect(several.ok).toBe(false);
  });

  it('reports a channel’s bound agent that Letta does not have', async (context) => {
    const { examine, env, folder, letta } = await ward(context);
    const policy = join(folder, 'policy.yml');
    writeFileSync(policy, 'users:\n  - members\nchannels:\n  C01GEN:\n    agent: agent-nowhere\n  C02ENG:\n');
    await choose(env.STORE, { bindings: JSON.stringify([['C02ENG', { agentId: 'agent-gone' }]]) });
    const settings = { POLICY: policy, SLACK_ALLOWED_USERS: undefined, SLACK_ALLOWED_CHANNELS: undefined };
    const report = await examine({ env: settings });
    expect(report.findings.filter(({ trouble }) => trouble === 'bound_agent_unknown').map(({ text }) => text)).toEqual([
      'C01GEN uses the agent agent-nowhere, which Letta does not have',
      'C02ENG uses the agent agent-gone, which Letta does not have',
    ]);
    expect(report.ok).toBe(false);
    const [agent] = letta.state().agents as { id: string }[];
    await choose(env.STORE, {
      bindings: JSON.stringify([
        ['C01GEN', { agentId: agent?.id }],
        ['C02ENG', {}],
      ]),
    });
    expect(troublesOf(await examine({ env: settings }))).toEqual(['not_tried']);
  });

  it('asks an App Server for the configured agent by id', async (context) => {
    const { examine, letta } = await ward(context);
    const [agent] = letta.state().agents as { id: string }[];
    expect(troublesOf(await examine({ env: { LETTA_AGENT_ID: agent?.id } }))).toEqual(['not_tried']);
    expect(troublesOf(await examine({ env: { LETTA_AGENT_ID: 'agent-none' } }))).toContain('agent_unknown');
  });

  it('remarks on unrestricted permissions', async (context) => {
    const { examine } = await ward(context);
    const report = await examine({ env: { PERMISSIONS: 'unrestricted', ALLOW_UNRESTRICTED: '*' } });
    expect(troublesOf(report)).toContain('unrestricted');
    expect(report.access).toContain('run anything without asking');
    expect(report.access).toContain('the agent asks no one first');
  });
});

describe.concurrent('doctor’s look at the store', () => {
  it('reports a path that cannot be used', async (context) => {
    const { examine, folder } = await ward(context);
    writeFileSync(join(folder, 'file'), '');
    const report = await examine({ env: { STORE: `sqlite://${folder}/file/bridge.db` } });
    expect(named(report, 'store_unusable')?.text).toContain('ENOTDIR');
  });

  it('reports a database of another program or a newer bridge', async (context) => {
    const { examine, folder } = await ward(context);
    const make = (name: string, pragmas: string) => {
      const database = new DatabaseSync(join(folder, name));
      database.exec(`CREATE TABLE t (a); ${pragmas}`);
      database.close();
      return `sqlite://${join(folder, name)}`;
    };
    expect(troublesOf(await examine({ env: { STORE: make('other.db', '') } }))).toContain('store_foreign');
    const newer = make('newer.db', `PRAGMA application_id = ${0x4c534272}; PRAGMA user_version = 99`);
    expect(named(await examine({ env: { STORE: newer } }), 'store_newer')?.text).toContain('layout 99');
  });

  it('reports a file deleted under a running bridge', async (context) => {
    const whole = await startWhole(context, { slack: { scopes: SCOPES } });
    const path = whole.env.STORE?.replace('sqlite://', '') ?? '';
    rmSync(path);
    await until(
      () =>
        whole
          .lines()
          .some(({ msg }) => String(msg).startsWith('someone deleted, moved or replaced the file of the store')),
      () => whole.logged.join(''),
      30_000,
    );
    const report = await examine(whole.env);
    expect(named(report, 'store_gone')?.text).toContain(`bridge uses ${path}`);
    expect(named(report, 'store_failing')?.text).toContain('cannot write its store: file is gone');
    expect(report.ok).toBe(false);
  }, 40_000);

  it.skipIf(process.getuid?.() !== 0)('reports a file of another user', async (context) => {
    const whole = await startWhole(context, { slack: { scopes: SCOPES } });
    await whole.app.stop();
    const path = whole.env.STORE?.replace('sqlite://', '') ?? '';
    chmodSync(path, 0o666);
    chownSync(path, 12_345, 12_345);
    const report = await examine(whole.env);
    expect(named(report, 'store_owner')?.text).toContain('belongs to the user 12345');
  });

  it('remarks on a file that other users can open', async (context) => {
    const { examine, folder } = await ward(context);
    const path = join(folder, 'loose.db');
    openDatabase(path).close();
    chmodSync(path, 0o640);
    const report = await examine({ env: { STORE: `sqlite://${path}` } });
    expect(named(report, 'store_loose')).toMatchObject({
      text: expect.stringContaining('mode 0640'),
      fix: expect.stringContaining(`chmod 600 ${path}`),
    });
    expect(report.ok).toBe(true);
  });

  it('remarks on a store in memory', async (context) => {
    const { examine } = await ward(context);
    expect(troublesOf(await examine({ env: { STORE: 'memory://' } }))).toContain('store_memory');
  });

  it('makes no folder when it is missing: the first start does', async (context) => {
    const { examine, folder } = await ward(context);
    mkdirSync(join(folder, 'a'));
    const report = await examine({ env: { STORE: `sqlite://${folder}/a/b/c/bridge.db` } });
    expect(textOf(report, 'store')[0]).toContain('will be made by the first start');
    const { existsSync } = await import('node:fs');
    expect(existsSync(join(folder, 'a', 'b'))).toBe(false);
  });
});

describe('doctor, where people install the app', () => {
  async function installed(context: TestContext, well = true) {
    const page = createServer((request, response) => {
      response.writeHead(request.url === '/slack/install' && well ? 200 : 404).end();
    });
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    context.onTestFinished(() => void page.close());
    const { port } = page.address() as AddressInfo;
    const there = await ward(context, { isInstalled: false, oauth: { redirectUrls: [redirectUrl(port)] } });
    return { ...there, oauth: { ...oauthSettings(there.slack, port), LETTA_APP_SERVER_TOKEN: MARKED.letta } };
  }

  it('asks Slack for the app, and the page whether it answers', async (context) => {
    const { examine, oauth } = await installed(context);
    const report = await examine({ env: oauth });
    expect(troublesOf(report)).toEqual([]);
    expect(textOf(report, 'installing')).toEqual([
      'Slack knows the app; every workspace may install it',
      expect.stringMatching(/^people install the app at http:.*\/slack\/install$/),
    ]);
  });

  it('names settings that Slack does not know, and a page away', async (context) => {
    const { examine, oauth } = await installed(context, false);
    const wrong = { SLACK_CLIENT_SECRET: 'f'.repeat(32), ENCRYPTION_KEY_OLD: randomBytes(32).toString('hex') };
    const report = await examine({ env: { ...oauth, ...wrong, SLACK_ALLOWED_WORKSPACES: 'T02SECOND' } });
    expect(troublesOf(report)).toEqual(['oauth_client', 'install_page', 'old_key']);
    expect(named(report, 'oauth_client')?.text).toContain('bad_client_secret');
    expect(JSON.stringify(report)).not.toContain('ffffff');
  });

  it('says when Slack does not answer', async (context) => {
    const { examine, oauth, slack } = await installed(context);
    await slack.close();
    expect(troublesOf(await examine({ env: oauth }))).toContain('oauth_unknown');
  });
});

describe.skipIf(server === null)('doctor’s look at a store on Postgres', () => {
  async function database({ onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
    const schema = await createSchema(server ?? '');
    onTestFinished(() => schema.drop());
    return schema;
  }
  const withOptions = (uri: string, options: string) => {
    const url = new URL(uri);
    url.searchParams.set('options', `${url.searchParams.get('options')} ${options}`);
    return url.href;
  };
  /** The throw-away server has fsync off, which is the first thing that doctor would tell. */
  const isSafe = async ({ run }: Schema) =>
    JSON.stringify(await run('SHOW fsync')).includes('on') ? [] : ['store_unsafe'];

  it('tells version, place, layout and who uses it, but no password', async (context) => {
    const { examine } = await ward(context);
    const schema = await database(context);
    const before = await examine({ env: { STORE: schema.uri } });
    const unsafe = await isSafe(schema);
    if (unsafe.length === 0) expect(textOf(before, 'store')[0]).toContain('will be made by the first start');
    expect(troublesOf(before)).toEqual([...unsafe, 'not_tried']);
    const house = await openHouse(schema.uri, { clock: systemClock, log: createMemoryLog() });
    context.onTestFinished(() => house.close());
    const report = await examine({ env: { STORE: schema.uri } });
    if (unsafe.length === 0) expect(textOf(report, 'store')[0]).toMatch(/layout 1, 1 process uses it/);
    const { password } = new URL(schema.uri);
    expect(JSON.stringify([before, report])).not.toContain(password);
    shown.add('store_unsafe');
  });

  it('tells which process serves what, and opens no connection beside them', async (context) => {
    const { examine, slack } = await ward(context);
    const schema = await database(context);
    const open = async () => {
      const house = await openHouse(schema.uri, { clock: systemClock, log: createMemoryLog() });
      context.onTestFinished(() => house.close());
      return house;
    };
    const [owner, standby] = [await open(), await open()];
    await owner.leases.take('T01SANDBOX');
    await (await owner.leases.take('T02SECOND'))?.keepServed(true);
    await owner.replicas.announce({ sockets: 2, workspaces: 2 });
    await standby.replicas.announce({ sockets: 0, workspaces: 0 });
    const env = { STORE: schema.uri };
    const report = await examine({ env });
    const stores = textOf(report, 'store').join('\n');
    expect(stores).toMatch(/pid \d+ on \S+, started \S+: serves T01SANDBOX, T02SECOND/);
    expect(stores).toContain(': serves no workspace now');
    expect(textOf(report, 'socket')).toEqual([
      'running processes: 2, with connections: 2',
      expect.stringMatching(/^No connection to Slack: pid \d+ on \S+, started /),
    ]);
    expect(named(report, 'not_tried_shared')?.text).toContain('2 running process(es)');
    expect(slack.control.state().connections).toEqual([]);
    expect(slack.control.log({ method: 'apps.connections.open' })).toHaveLength(1);
    await schema.run(
      `UPDATE bridge_leases SET expires_at = clock_timestamp() - interval '6 seconds' WHERE workspace LIKE 'T0%'`,
    );
    expect(named(await examine({ env }), 'store_unserved')?.text).toContain('No process serves T02SECOND,');
    for (const name of ['process_unconnected', 'not_tried_shared', 'store_unserved'] as const) shown.add(name);
  });

  it('finds what keeps the bridge from using it', async (context) => {
    const { examine } = await ward(context);
    const schema = await database(context);
    const why = async (uri: string) => named(await examine({ env: { STORE: uri } }), 'store_database')?.text;
    expect(await why(schema.uri.replace(/:\d+\//, ':9/'))).toContain('nothing listens');
    expect(await why(schema.uri.replace(/:[^:@]+@/, ':wrong@'))).toContain('refuses the password');
    expect(await why(withOptions(schema.uri, '-csynchronous_commit=off'))).toContain('ALTER ROLE');
    await schema.run('CREATE TABLE bridge_layouts (layout integer); INSERT INTO bridge_layouts VALUES (99)');
    expect(named(await examine({ env: { STORE: schema.uri } }), 'store_newer')?.text).toContain('layout 99');
  });

  it('finds a clock that is off, and deliveries that were given up', async (context) => {
    const { examine } = await ward(context);
    const schema = await database(context);
    if ((await isSafe(schema)).length > 0) {
      // The server's word for it, so that the next findings are looked for.
      await schema.run(
        `CREATE FUNCTION current_setting(name text) RETURNS text LANGUAGE sql AS $$
           SELECT CASE name WHEN 'fsync' THEN 'on' ELSE pg_catalog.current_setting(name) END $$`,
      );
    }
    const first = `${new URL(schema.uri).searchParams.get('options')},pg_catalog`;
    const url = new URL(schema.uri);
    url.searchParams.set('options', first);
    const env = { STORE: url.href };
    await (await openHouse(url.href, { clock: systemClock, log: createMemoryLog() })).close();
    const clock = { ...systemClock, now: () => systemClock.now() - 60_000 };
    expect(named(await examine({ env, clock }), 'store_clock')?.text).toMatch(/is (59|60|61) s ahead/);
    await schema.run(
      `INSERT INTO bridge_inbound (token, workspace, delivery, failed_at) VALUES ('t', 'T1', '{}', clock_timestamp())`,
    );
    expect(named(await examine({ env }), 'store_deliveries')?.text).toContain('1 deliveries');
    shown.add('store_deliveries');
  });

  it('finds the agent that was chosen in its only workspace', async (context) => {
    const { examine } = await ward(context);
    const schema = await database(context);
    const house = await openHouse(schema.uri, { clock: systemClock, log: createMemoryLog() });
    context.onTestFinished(() => house.close());
    const lease = await house.leases.take('T01SANDBOX');
    if (!lease) throw new Error('the lease was refused');
    const store = await house.openWorkspace('T01SANDBOX', lease);
    await store.choices.set('agent', 'agent-gone');
    expect(named(await examine({ env: { STORE: schema.uri } }), 'agent_gone')?.text).toContain('agent-gone');
  });
});

describe('doctor’s troubles', () => {
  it('are all shown by the tests above', () => {
    const unseen = Object.keys(TROUBLES).filter((name) => !shown.has(name as TroubleName));
    // Only the superuser can give a file to somebody else.
    const unable = process.getuid?.() === 0 ? [] : ['store_owner'];
    const onPostgres = [
      ...['process_unconnected', 'not_tried_shared', 'store_database', 'store_unsafe', 'store_clock'],
      ...['store_deliveries', 'store_unserved'],
    ];
    expect(unseen.toSorted()).toEqual([...unable, ...(server === null ? onPostgres : [])].toSorted());
  });
});
