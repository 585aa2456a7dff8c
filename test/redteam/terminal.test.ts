import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { ConfigError, formatProblems, loadConfig } from '../../src/config/config.ts';
import { runDoctor } from '../../src/doctor/doctor.ts';
import { endingText, findingText, fine, trouble } from '../../src/doctor/report.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { readManifest } from '../../src/manifest/file.ts';
import { line, printable, printableJson, printableLine } from '../../src/printable.ts';
import { openFiles } from '../../src/setup/files.ts';
import { runSetup } from '../../src/setup/setup.ts';
import { createTerminal } from '../../src/setup/terminal.ts';
import { createMemoryLog } from '../support/log.ts';
import { temporaryFolder } from '../support/whole.ts';

/** Whatever somebody may have called an agent, a device, a bot, a workspace or a channel. */
const HOSTILE = [
  '\u001b]0;owned\u0007\u001b[2J',
  '\u009b2K\u009d52;c;ZXZpbA==\u009c',
  '\u202eexe.cod\u2066\u2069\u061c',
  'a\n✓ everything      fine.\n  2  Safe Agent',
  'b\r✓ agent\u0085next\u2028line\u2029para\u000b\u000c',
  'c\u200b\u2060\ufeff\u00ad\u{e0061}d',
];
const NAME = HOSTILE.join(' ');
/** What a terminal obeys, turns around or does not show; line breaks are looked at on their own. */
const UNSAFE = /(?![\n\t])\p{Cc}|[\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/u;
const TOKENS = { SLACK_BOT_TOKEN: 'xoxb-1-2', SLACK_APP_TOKEN: 'xapp-1-A0X-2' };

function expectSafe(text: string): void {
  expect(text).not.toMatch(UNSAFE);
  // No name begins a line of its own.
  for (const each of text.split('\n')) expect(each).not.toMatch(/^(✓ (everything|agent$)| {2}2 {2}Safe Agent)/);
}

/** A Slack in which everything is called that, also what it says is wrong. */
async function hostileSlack(context: Pick<TestContext, 'onTestFinished'>): Promise<string> {
  const scopes = [...readManifest().oauth_config.scopes.bot, 'made:up'].join(',');
  const server: Server = createServer((request, response) => {
    const answers: Record<string, object> = {
      '/auth.test': { ok: true, team_id: 'T1', team: NAME, user_id: 'U1', user: NAME, bot_id: 'B1' },
      '/bots.info': { ok: true, bot: { id: 'B1', app_id: 'A0X' } },
      '/conversations.info': { ok: true, channel: { id: 'C1', name: NAME, is_member: true } },
      '/conversations.list': { ok: true, channels: [{ id: 'C1', name: NAME, is_member: false }] },
      '/users.info': { ok: true, user: { id: 'U1', name: NAME } },
      '/apps.connections.open': { ok: true, url: 'ws://127.0.0.1:1/' },
      '/api.test': { ok: true },
      '/usergroups.list': { ok: true, usergroups: [{ id: 'S1', handle: 'all', name: NAME }] },
      '/users.list': { ok: true, members: [] },
    };
    const answer = answers[(request.url ?? '').split('?', 1)[0] ?? ''] ?? { ok: false, error: NAME };
    response.writeHead(200, { 'content-type': 'application/json', 'x-oauth-scopes': scopes });
    response.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function hostileLetta(context: Pick<TestContext, 'onTestFinished'>, count: number): Promise<string> {
  const agents = Array.from({ length: count }, (_, at) => ({ id: `agent-${at}`, name: NAME }));
  const letta = await startScriptedLetta({
    surface: 'hosted',
    token: 'key',
    seed: { connectionName: NAME, deviceId: 'device-1', agents },
  });
  context.onTestFinished(() => letta.close());
  return letta.url;
}

const world = {
  clock: systemClock,
  random: systemRandom,
  log: createMemoryLog(),
  dial: createSocketDialer(systemClock),
  fetch: globalThis.fetch,
};

describe('foreign names in a terminal', () => {
  it.each([1, 3])('doctor: prints no control characters (agents: %i)', async (count) => {
    const context = { onTestFinished };
    const env = {
      ...TOKENS,
      SLACK_API_URL: await hostileSlack(context),
      SLACK_ALLOWED_USERS: 'members',
      SLACK_ALLOWED_CHANNELS: 'C1',
      LETTA_API_KEY: 'key',
      LETTA_BASE_URL: await hostileLetta(context, count),
      STORE: 'memory://',
    };
    const report = await runDoctor({
      ...world,
      loadConfig: () => loadConfig(env),
      manifest: readManifest(),
      channel: null,
      connectMs: 300,
      waits: { eventMs: 100, clickMs: 0 },
      onFinding: () => undefined,
      onPosted: () => undefined,
    });
    const shown = [...report.findings.map(findingText), endingText(report)].join('\n');
    expect(shown).toContain('exe.cod');
    expectSafe(shown);
    expect(shown.split('\n').length).toBeLessThanOrEqual(report.findings.length * 2 + 2);
    expect(printableJson(JSON.stringify(report))).not.toMatch(UNSAFE);
  });

  it('setup: prints no control characters', async (context) => {
    const folder = temporaryFolder(context);
    const files = openFiles(folder, {
      SLACK_API_URL: await hostileSlack(context),
      LETTA_BASE_URL: await hostileLetta(context, 3),
    });
    const [input, output] = [new PassThrough(), new PassThrough()];
    let shown = '';
    output.on('data', (chunk) => {
      shown += String(chunk);
    });
    const terminal = createTerminal(input, output, false);
    const said = [
      '',
      TOKENS.SLACK_BOT_TOKEN,
      TOKENS.SLACK_APP_TOKEN,
      '1',
      'key',
      '1',
      '@nobody',
      'U0123',
      '@nobody',
      'U0123',
      '#none',
      'C1',
      'yes',
      '1',
    ];
    input.write(`${said.join('\n')}\n`);
    await runSetup({
      ...{ ...world, isInteractive: false, isForSeveral: false, newKey: () => '' },
      ...{ terminal, files, manifest: readManifest() },
    });
    terminal.close();
    expect(shown).toContain('exe.cod');
    expectSafe(shown);
  });

  it('report of wrong settings: prints no control characters', () => {
    for (const name of ['LOG_LEVEL', 'PERMISSIONS', 'STORE', 'APPROVERS', 'LETTA_AGENT_ID', 'PORT']) {
      try {
        loadConfig({ [name]: NAME });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        expect(formatProblems(error.problems)).not.toMatch(UNSAFE);
      }
    }
  });
});

describe('printable text', () => {
  const any = fc.string({ unit: 'binary', maxLength: 40 });

  it('has no control characters, for any input', () => {
    fc.assert(
      fc.property(any, any, (one, other) => {
        expect(printable(one)).not.toMatch(UNSAFE);
        expect(printableLine(one)).not.toMatch(/[\n\t]/);
        expect(line`  ${one} in ${other}`).not.toMatch(/\n/);
        expect(findingText(fine('agent', one)).split('\n')).toHaveLength(1);
        expect(findingText(trouble('agent_unknown', { agent: one, agents: other })).split('\n')).toHaveLength(2);
        expect(JSON.parse(printableJson(JSON.stringify({ [one]: other })))).toEqual({ [one]: other });
        expect(printableJson(JSON.stringify([one]))).not.toMatch(UNSAFE);
      }),
    );
  });

  it('keeps accents, scripts, emoji of several parts and line breaks', () => {
    const text = 'Zoë 日本語 עברית 👩‍👩‍👧 ⚠️\n\tmore';
    expect(printable(text)).toBe(text);
  });
});
