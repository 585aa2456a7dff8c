import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, type TestContext } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { startSlack } from '../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { readManifest } from '../../src/manifest/file.ts';
import { withSettings } from '../../src/setup/env-file.ts';
import { openFiles } from '../../src/setup/files.ts';
import { nextStep } from '../../src/setup/next-step.ts';
import { policyText } from '../../src/setup/policy-text.ts';
import { runSetup } from '../../src/setup/setup.ts';
import { createTerminal, type Terminal } from '../../src/setup/terminal.ts';
import { createMemoryLog } from '../support/log.ts';
import { MARKED, temporaryFolder } from '../support/whole.ts';

const manifest = readManifest();
const { bot, bot_optional = [] } = manifest.oauth_config.scopes;

/** Somebody who answers in this order, and a transcript of what they saw; secrets stand in it as `***`. */
function createPerson(answers: string[]): Terminal & { seen: string[]; left: string[] } {
  const seen: string[] = [];
  return {
    seen,
    left: answers,
    say: (text) => void seen.push(text),
    async ask(question, secret) {
      const answer = answers.shift();
      seen.push(`${question} ${secret ? '***' : (answer ?? '')}`);
      if (answer === undefined) throw new Error('the input has ended');
      return answer;
    },
    close: () => undefined,
  };
}

interface Agent {
  id: string;
  name: string;
}

async function stage(
  context: TestContext,
  { surface = 'app-server', agents }: { surface?: 'app-server' | 'hosted'; agents?: Agent[] } = {},
) {
  const slack = await startSlack({
    limits: 'off',
    scopes: [...bot, ...bot_optional],
    tokens: { bot: MARKED.bot, app: MARKED.app },
  });
  context.onTestFinished(() => slack.close());
  const seed = { connectionName: 'build-box', deviceId: 'device-1', ...(agents && { agents }) };
  const letta = await startScriptedLetta({ surface, token: MARKED.letta, seed });
  context.onTestFinished(() => letta.close());
  const folder = temporaryFolder(context);
  const files = openFiles(folder, {
    SLACK_API_URL: slack.url,
    ...(surface === 'hosted' && { LETTA_BASE_URL: letta.url }),
  });
  const runWith = async (isInteractive: boolean, answers: string[], isForSeveral = false) => {
    const person = createPerson(answers);
    const outcome = await runSetup({
      terminal: person,
      isInteractive,
      files,
      manifest,
      dial: createSocketDialer(systemClock),
      fetch: globalThis.fetch,
      clock: systemClock,
      random: systemRandom,
      log: createMemoryLog(),
      isForSeveral,
      newKey: () => NEW_KEY,
    }).then(
      ({ testChannel }) => ({ outcome: 'done', testChannel }),
      (error: Error) => ({ outcome: error.message, testChannel: null }),
    );
    return { ...outcome, left: person.left, seen: person.seen.join('\n') };
  };
  const run = (...answers: string[]) => runWith(false, answers);
  const runForSeveral = (...answers: string[]) => runWith(false, answers, true);
  const runAtTerminal = (...answers: string[]) => runWith(true, answers);
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const policy = () => loadConfig(files.readEnv(), (path) => readFileSync(join(folder, path), 'utf8')).policies.usual;
  return { slack, letta, folder, files, run, runAtTerminal, runForSeveral, read, policy };
}

const NEW_KEY = Buffer.from('0123456789abcdef0123456789ABCDEF').toString('base64');

const TWO: Agent[] = [
  { id: 'agent-1', name: 'Builder' },
  { id: 'agent-2', name: 'Private' },
];

describe('setup of an app that people install', () => {
  const REDIRECT = 'https://bridge.example.com/slack/oauth_redirect';
  const rest = ({ url }: { url: string }) => ['2', url, MARKED.letta, 'members', 'none', '*', 'yes'];

  it('asks for client and address, makes a key, and loads', async (context) => {
    const { slack, letta, runForSeveral, files, read } = await stage(context);
    const { outcome, left, seen } = await runForSeveral(
      'bridge.example.com',
      'https://bridge.example.com',
      'Prod',
      slack.client.id,
      'wrong-client-secret',
      slack.client.secret,
      'T0123ABCD, E0123CORP',
      MARKED.app,
      ...rest(letta),
    );
    expect([outcome, left]).toEqual(['done', []]);
    expect(decodeURIComponent(seen)).toContain(`"redirect_urls":["${REDIRECT}"]`);
    expect(seen).toContain('Slack refuses it (bad_client_secret)');
    expect(seen).toContain('https://bridge.example.com/slack/install');
    for (const secret of [slack.client.secret, NEW_KEY, MARKED.app]) expect(seen).not.toContain(secret);
    expect(read('.env')).toContain(`ENCRYPTION_KEY=${NEW_KEY}`);
    expect(files.readConfig()).toMatchObject({
      port: 3000,
      slack: { botToken: null, oauth: { clientId: slack.client.id, redirectUrl: REDIRECT } },
      policies: {
        workspaces: { everyone: false, ids: ['T0123ABCD', 'E0123CORP'] },
        usual: { users: { members: true }, channels: { everywhere: true, directMessages: true } },
      },
    });
  });

  it('again: keeps what works, and the key', async (context) => {
    const { slack, letta, run, runForSeveral, files } = await stage(context);
    const key = Buffer.from('ABCDEF0123456789abcdef0123456789').toString('base64');
    files.writeEnv({ ENCRYPTION_KEY: key, SLACK_REDIRECT_URL: REDIRECT, SLACK_CLIENT_ID: slack.client.id });
    await runForSeveral(slack.client.secret, '*', MARKED.app, ...rest(letta));
    const { outcome, left, seen } = await run('', 'yes');
    expect([outcome, left]).toEqual(['done', []]);
    for (const name of ['SLACK_REDIRECT_URL', 'SLACK_CLIENT_ID', 'SLACK_CLIENT_SECRET', 'ENCRYPTION_KEY'])
      expect(seen).toContain(`✓ ${name} is set`);
    expect(files.readEnv().ENCRYPTION_KEY).toBe(key);
  });

  it('with a mistyped key: says so, and does not replace it', async (context) => {
    const { slack, letta, runForSeveral, files } = await stage(context);
    files.writeEnv({ ENCRYPTION_KEY: 'short', SLACK_REDIRECT_URL: REDIRECT, SLACK_CLIENT_ID: slack.client.id });
    const { seen } = await runForSeveral(slack.client.secret, '*', MARKED.app, ...rest(letta));
    expect(seen).toContain('✗ ENCRYPTION_KEY is not a key of 32 bytes');
    expect(files.readEnv().ENCRYPTION_KEY).toBe('short');
  });

  it('without a bot token: people and channels by id only', async (context) => {
    const { slack, letta, runForSeveral, policy, files } = await stage(context);
    files.writeEnv({ SLACK_REDIRECT_URL: REDIRECT, SLACK_CLIENT_ID: slack.client.id });
    const { seen, left } = await runForSeveral(
      ...[slack.client.secret, '*', MARKED.app, '2', letta.url, MARKED.letta],
      ...['@alice', 'U01ALICE', 'none', '#general', 'C01GEN', 'no'],
    );
    expect(left).toEqual([]);
    expect(seen).toContain('@alice: without a bot token only ids count');
    expect(policy()).toMatchObject({ users: { ids: ['U01ALICE'] }, channels: { ids: ['C01GEN'] } });
  });
});

describe('setup', () => {
  it('with an App Server writes settings and a policy that load', async (context) => {
    const { letta, folder, run, read, policy } = await stage(context);
    const { outcome, left, seen } = await run(
      'Prod',
      MARKED.bot,
      MARKED.app,
      '2',
      letta.url,
      MARKED.letta,
      'members, @oncall',
      '@alice, @oncall',
      '#general, #outside',
      'yes',
    );
    expect(outcome).toBe('done');
    expect(left).toEqual([]);
    expect(seen).toContain('https://api.slack.com/apps?new_app=1&manifest_json=');
    expect(decodeURIComponent(seen)).toContain('"display_information":{"name":"Prod"');
    expect(seen).toContain('@agent in Sandbox');
    expect(seen).toContain('the agent is Sandbox Agent');
    expect(seen).toContain('write /invite @agent in #outside');
    for (const secret of [MARKED.bot, MARKED.app, MARKED.letta]) expect(seen).not.toContain(secret);
    expect(read('.env')).toContain(`SLACK_BOT_TOKEN=${MARKED.bot}\n`);
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
    expect(policy()).toMatchObject({
      users: { members: true, ids: [], groups: ['S01ONCALL'] },
      admins: { ids: ['U01ALICE'], groups: ['S01ONCALL'] },
      channels: { everywhere: false, directMessages: true, ids: ['C01GEN', 'C03OUT'] },
    });
    expect(statSync(join(folder, 'policy.yml')).mode & 0o777).toBe(0o644);
    expect(read('policy.yml')).toContain('C01GEN: # #general');
  });

  it('with the cloud lists devices and agents, and binds direct messages separately', async (context) => {
    const { run, files, policy } = await stage(context, { surface: 'hosted', agents: TWO });
    const { outcome, seen } = await run(
      '',
      MARKED.bot,
      MARKED.app,
      '1',
      MARKED.letta,
      '1',
      'bob@example.com',
      '',
      '*',
      'y',
      '3',
    );
    expect(outcome).toBe('done');
    expect(seen).toContain('● build-box (device-1) online');
    expect(seen).toContain('Builder (agent-1)');
    expect(files.readEnv()).toMatchObject({ LETTA_API_KEY: MARKED.letta, LETTA_AGENT_ID: 'agent-1' });
    expect(policy()).toMatchObject({
      users: { members: false, ids: ['U02BOB'] },
      admins: { ids: [], groups: [] },
      channels: { everywhere: true, directMessages: true },
    });
    expect(policy().places.get('dm')?.binding).toMatchObject({ agentId: 'agent-2' });
  });

  it('offers the channels that the bot is in; Enter takes them', async (context) => {
    const { letta, run, policy } = await stage(context);
    const answers = ['', MARKED.bot, MARKED.app, '2', letta.url, MARKED.letta, '', '', '', ''];
    const { outcome, seen } = await run(...answers);
    expect(outcome).toBe('done');
    expect(seen).toContain('[#general, ');
    expect(policy()?.channels).toMatchObject({ everywhere: false, ids: expect.arrayContaining(['C01GEN']) });
    expect(policy()?.channels.ids).not.toContain('C03OUT');
  });

  it('asks again after every wrong answer, and says why', async (context) => {
    const { run, letta, slack } = await stage(context);
    const { outcome, left, seen } = await run(
      'x'.repeat(36),
      'Prod',
      MARKED.app,
      'xoxb-of-yesterday',
      MARKED.bot,
      'xapp-1-A0OTHER-1',
      MARKED.app,
      '7',
      '2',
      'http://127.0.0.1:1',
      letta.url,
      'wrong-token',
      letta.url,
      MARKED.letta,
      '@nobody',
      '@bob',
      'members',
      '@bob',
      '#nowhere',
      '#eng',
      'perhaps',
      'no',
    );
    expect(outcome).toBe('done');
    expect(left).toEqual([]);
    expect(seen).toContain('1 to 35 characters');
    expect(seen).toContain('belongs in SLACK_APP_TOKEN');
    expect(seen).toContain('Slack refuses it (invalid_auth)');
    expect(seen).toContain('it belongs to the app A0OTHER, the bot token to the app A0SANDBOX');
    expect(seen).toContain('a number from 1 to 4');
    expect(seen).toContain('ws:// instead of http://');
    expect(seen).toContain('the App Server answered 401');
    expect(seen).toContain('no person and no user group is called @nobody');
    expect(seen).toContain('no person and no user group is called @members');
    expect(seen).toContain('the bot cannot find the channel #nowhere');
    expect(seen).toContain('yes or no');
    expect(slack.control.log().filter((entry) => entry.type === 'call' && entry.method.startsWith('chat.'))).toEqual(
      [],
    );
  });

  it('names the scopes a token lacks, and does not store it', async (context) => {
    const { onTestFinished } = context;
    const slack = await startSlack({ limits: 'off', scopes: bot.filter((scope) => scope !== 'im:history') });
    onTestFinished(() => slack.close());
    const person = createPerson(['Prod', slack.tokens.bot]);
    const files = openFiles(temporaryFolder(context), { SLACK_API_URL: slack.url });
    const world = { clock: systemClock, random: systemRandom, log: createMemoryLog() };
    const parts = {
      ...world,
      isInteractive: false,
      isForSeveral: false,
      newKey: () => NEW_KEY,
      terminal: person,
      files,
      manifest,
      dial: createSocketDialer(systemClock),
      fetch,
    };
    await expect(runSetup(parts)).rejects.toThrow('the input has ended');
    expect(person.seen.join('\n')).toContain('it lacks im:history');
    expect(person.seen.join('\n')).toContain('Reinstall to Workspace');
    expect(files.readEnv().SLACK_BOT_TOKEN).toBeUndefined();
  });

  it('interrupted continues later with what already works', async (context) => {
    const { run, letta, files, policy } = await stage(context);
    expect((await run('Prod', MARKED.bot)).outcome).toBe('the input has ended');
    expect(files.readEnv()).toMatchObject({ SLACK_BOT_TOKEN: MARKED.bot });
    const second = await run(MARKED.app, '2', letta.url, MARKED.letta);
    expect(second.outcome).toBe('the input has ended');
    expect(second.seen).toContain('SLACK_BOT_TOKEN is set and works: kept');
    const third = await run(letta.url, '', '', '#general', '');
    expect(third.outcome).toBe('done');
    expect(third.seen).not.toContain('***');
    expect(policy().users.members).toBe(true);
    const fourth = await run('', 'yes');
    expect(fourth).toMatchObject({ outcome: 'done', left: [] });
  });

  it('asks for a new token when the stored one is refused', async (context) => {
    const { run, files, folder } = await stage(context);
    writeFileSync(join(folder, '.env'), 'SLACK_BOT_TOKEN=xoxb-of-yesterday\n', { mode: 0o644 });
    const { seen } = await run(MARKED.bot);
    expect(seen).toContain('SLACK_BOT_TOKEN is set, but Slack refuses it (invalid_auth)');
    expect(files.readEnv().SLACK_BOT_TOKEN).toBe(MARKED.bot);
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
  });
});

describe('setup’s way to Letta and to the first message', () => {
  it('explains how to get Letta to who has none, and asks again', async (context) => {
    const { run, letta } = await stage(context);
    const { seen, outcome } = await run('', MARKED.bot, MARKED.app, '4', '2', letta.url, MARKED.letta);
    expect(seen).toContain('npm install -g @letta-ai/letta-code\n');
    expect(seen).toContain('letta --backend local connect anthropic YOUR_KEY\n');
    expect(seen.match(/Where does the agent run/g)).toHaveLength(2);
    expect(seen).toContain('Letta Code 0.32.18 answers');
    expect(outcome).toBe('the input has ended');
  });

  it('makes a token for machines that dial in, and shows their command', async (context) => {
    const { run, files } = await stage(context);
    const { seen } = await run('', MARKED.bot, MARKED.app, '3', '/healthz', '', '', 'wrong name', 'laptop', 'members');
    expect(seen).toContain('is a path of the bridge itself');
    const env = files.readEnv();
    expect(env).toMatchObject({ LETTA_LISTEN: '127.0.0.1:4600', LETTA_LISTEN_URL: 'http://127.0.0.1:4600' });
    expect(env.LETTA_LISTEN_TOKEN).toMatch(/^\S{24,}$/);
    const command = `LETTA_API_KEY=${env.LETTA_LISTEN_TOKEN} IGNORE_SELF_HOSTED_LISTENER_ERROR=1 letta server`;
    expect(seen).toContain(`LETTA_BASE_URL=http://127.0.0.1:4600 ${command} --backend local --computer-name laptop`);
  });

  it('adds the path where machines dial in to their address', async (context) => {
    const { run, files } = await stage(context);
    const bare = 'https://bridge.example.com';
    const { seen } = await run('', MARKED.bot, MARKED.app, '3', '/devices', bare, 'laptop', 'members');
    expect(files.readEnv()).toMatchObject({ LETTA_LISTEN: '/devices', LETTA_LISTEN_URL: `${bare}/devices` });
    expect(seen).toContain(`LETTA_BASE_URL=${bare}/devices `);
  });

  it('moves ADMINS of .env into the policy when Enter accepts it', async (context) => {
    const { run, letta, files, folder, policy } = await stage(context);
    writeFileSync(join(folder, '.env'), 'ADMINS=U01ALICE\n');
    await run('', MARKED.bot, MARKED.app, '2', letta.url, MARKED.letta, '', '', '#general', '');
    expect(policy().admins.ids).toEqual(['U01ALICE']);
    expect(files.readEnv().ADMINS).toBeUndefined();
  });

  it('offers a test in allowed channels that the bot is in', async (context) => {
    const { runAtTerminal, letta } = await stage(context);
    const access = ['', '', '#general, #outside', ''];
    const first = await runAtTerminal('', MARKED.bot, MARKED.app, '2', letta.url, MARKED.letta, ...access, 'yes');
    expect(first).toMatchObject({ outcome: 'done', testChannel: 'C01GEN', left: [] });
    expect(first.seen).toContain('Post a test with a button in #general');
    expect(await runAtTerminal('', '', 'no')).toMatchObject({ outcome: 'done', testChannel: null, left: [] });
    const changed = await runAtTerminal('', 'no', '', '', '#general, #eng', '', 'yes', '2');
    expect(changed).toMatchObject({ outcome: 'done', testChannel: 'C02ENG', left: [] });
  });

  it('without a terminal posts nothing and asks about no test', async (context) => {
    const { run, letta } = await stage(context);
    const answers = ['', MARKED.bot, MARKED.app, '2', letta.url, MARKED.letta, '', '', '#general', ''];
    const { testChannel, seen } = await run(...answers);
    expect(testChannel).toBeNull();
    expect(seen).not.toContain('Post a test');
  });

  it('ends with the next step in one line', () => {
    expect(nextStep(true, 'agent')).toBe(
      'Next: start the bridge with npm start, and write in Slack: @agent what can you do?',
    );
    expect(nextStep(false, 'agent')).toBe('Next: fix what has a ✗ above, then run npm run doctor again.');
    expect(nextStep(true, 'a\n\u001b[2J').split('\n')).toHaveLength(1);
  });
});

describe('the setup terminal', () => {
  it.each([true, false])('shows nothing of a typed secret (a terminal: %s)', async (isTty) => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let shown = '';
    output.on('data', (chunk) => {
      shown += String(chunk);
    });
    const terminal = createTerminal(input, output, isTty);
    const secret = terminal.ask('Token:', true);
    input.write('hush-hush\n');
    expect(await secret).toBe('hush-hush');
    const open = terminal.ask('Name:');
    input.write('Prod\n');
    expect(await open).toBe('Prod');
    terminal.close();
    expect(shown).toContain('Token:');
    expect(shown).not.toContain('hush');
    if (isTty) expect(shown).toContain('Prod');
    await expect(terminal.ask('More?')).rejects.toThrow('the input has ended');
  });

  it('keeps lines typed ahead', async () => {
    const input = new PassThrough();
    const terminal = createTerminal(input, new PassThrough(), false);
    input.write('one\ntwo\n');
    await new Promise((resolve) => setImmediate(resolve));
    expect([await terminal.ask('1'), await terminal.ask('2')]).toEqual(['one', 'two']);
    terminal.close();
  });
});

describe('the files that setup writes', () => {
  it('change a setting in its line, and no other line', () => {
    const example = '# Slack.\nA=1\n# B=2\n# about B=x\n';
    expect(withSettings(example, { A: '3', B: '4', C: '5' }, parseEnv)).toBe('# Slack.\nA=3\nB=4\n# about B=x\nC=5\n');
    expect(withSettings('A=1\n', { A: null, B: null }, parseEnv)).toBe('# A=\n');
    expect(withSettings('', { A: '1' }, parseEnv)).toBe('A=1\n');
  });

  it('make a policy of ids alone, whatever the names are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (channel, person) => {
        const text = policyText({
          users: [{ id: 'U1', name: person }],
          admins: [{ id: 'S1', name: person }],
          channels: [{ id: 'C1', name: channel }],
          directMessages: true,
          directAgent: null,
        });
        const env = { ...loadable, POLICY: 'policy.yml' };
        const { usual: policy } = loadConfig(env, () => text).policies;
        expect(policy.users.ids).toEqual(['U1']);
        expect(policy.admins).toEqual({ ids: [], groups: ['S1'] });
        expect(policy.channels).toEqual({ everywhere: false, directMessages: true, ids: ['C1'] });
      }),
      { numRuns: 200 },
    );
  });
});

const loadable = {
  SLACK_BOT_TOKEN: 'xoxb-1',
  SLACK_APP_TOKEN: 'xapp-1',
  LETTA_APP_SERVER_URL: 'ws://127.0.0.1:4500/ws',
};
