import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closedPolicy, settingsOf } from '../../src/bridge/access/policy.ts';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { type PolicedWorkspace, policyIn, policyOfToken } from '../../src/config/policies.ts';
import { reloadPolicies } from '../../src/config/policy-reload.ts';
import { createMemoryLog } from '../support/log.ts';

const ENV = {
  SLACK_CLIENT_ID: '1234567890.9876543210',
  SLACK_CLIENT_SECRET: '0123456789abcdef0123456789abcdef',
  SLACK_REDIRECT_URL: 'https://bridge.example.com',
  SLACK_APP_TOKEN: 'xapp-1-abc',
  ENCRYPTION_KEY: Buffer.from('0123456789abcdef0123456789ABCDEF').toString('hex'),
  PORT: '3000',
  LETTA_API_KEY: 'sk-let-key',
};
const BASE = 'users: [members]\nchannels:\n  C01GEN: { listen: all }\n  dm: { agent: agent-dm }\npermissions: strict\n';
const AGENT = 'agent-3b4f1d4e-6f0c-4a52-9b6e-0d7f4e0b2a11';

type Env = Record<string, string>;
const files = (text: string | null) => (path: string) => (path === './policy.yml' ? text : null);
const load = (text: string | null, env: Env = ENV) => loadConfig(env, files(text)).policies;
const workspace = (id: string, over: Partial<PolicedWorkspace> = {}): PolicedWorkspace => ({
  ...{ workspace: id, enterpriseId: null, source: 'oauth' },
  ...over,
});

function problemsOf(text: string | null, env: Env = ENV): string[] {
  try {
    load(text, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ setting, problem, fix }) => `${setting} ${problem}. ${fix}`);
  }
  return [];
}

describe('the workspaces that may have the app', () => {
  it('are those of setting and file; others find it closed', () => {
    const policies = load(`${BASE}workspaces:\n  T02: {}\n`, { ...ENV, SLACK_ALLOWED_WORKSPACES: 'T01,E01' });
    expect(policies.workspaces).toEqual({ everyone: false, ids: ['T01', 'E01', 'T02'] });
    for (const id of ['T01', 'T02', 'E01']) expect(policyIn(policies, workspace(id)).users.members).toBe(true);
    expect(policyIn(policies, workspace('T04', { enterpriseId: 'E01' })).users.members).toBe(true);
    expect(policyIn(policies, workspace('T03'))).toEqual(closedPolicy);
    expect(policyIn(policies, workspace('T03', { enterpriseId: 'E02' }))).toEqual(closedPolicy);
  });

  it('are all of them with a star in either', () => {
    const all = [load(BASE, { ...ENV, SLACK_ALLOWED_WORKSPACES: '*' }), load(`${BASE}workspaces:\n  "*":\n`)];
    for (const policies of all) expect(policyIn(policies, workspace('T03')).users.members).toBe(true);
  });

  it('must be named, or nothing could be installed', () => {
    expect(problemsOf(BASE)).toEqual([
      expect.stringMatching(/^SLACK_ALLOWED_WORKSPACES is missing, so the app may not/),
    ]);
    const bad = problemsOf(BASE, { ...ENV, SLACK_ALLOWED_WORKSPACES: 'T01,acme' });
    expect(bad).toEqual([expect.stringMatching(/^SLACK_ALLOWED_WORKSPACES .*acme/)]);
  });

  it('do not concern the workspace of the bot token', () => {
    const policies = load(BASE, { ...ENV, SLACK_ALLOWED_WORKSPACES: 'T01' });
    expect(policyOfToken(policies, 'T99').users.members).toBe(true);
  });
});

describe('the section of a workspace', () => {
  it('goes before the rest, key by key; channels as a whole', () => {
    const own = 'workspaces:\n  T01:\n    users: [U01]\n    listen: mention\n  T02:\n    channels: [C09]\n  T03:\n';
    const policies = load(`${BASE}${own}`);
    const [first, second, third] = ['T01', 'T02', 'T03'].map((id) => policyIn(policies, workspace(id)));
    expect(first?.users).toMatchObject({ members: false, ids: ['U01'] });
    expect(first?.defaults).toMatchObject({ listen: 'mention', permissions: 'strict' });
    expect(first && settingsOf(first, 'C01GEN').listen).toBe('all');
    expect(second?.channels).toMatchObject({ directMessages: false, ids: ['C09'] });
    expect(second?.places).toEqual(new Map());
    expect(second?.users.members).toBe(true);
    expect(third).toEqual(policies.usual);
  });

  it('of a star is for workspaces without one of their own', () => {
    const policies = load(`${BASE}workspaces:\n  "*": { users: [U07] }\n  T01: { listen: mention }\n`);
    expect(policyIn(policies, workspace('T05')).users.ids).toEqual(['U07']);
    expect(policyIn(policies, workspace('T01')).users.members).toBe(true);
  });

  it('may name an agent, which channels keep unless they name another', () => {
    const channels = `channels: { C01: { device: box }, C02: { agent: ${AGENT.replace('3', '4')} }, C03: {} }`;
    const policies = load(`${BASE}workspaces:\n  T01: { agent: ${AGENT} }\n  T02: { agent: ${AGENT}, ${channels} }\n`);
    const first = policyIn(policies, workspace('T01'));
    for (const place of ['C01GEN', 'dm']) expect(settingsOf(first, place).binding?.agentId).toBe(AGENT);
    const second = policyIn(policies, workspace('T02'));
    expect(settingsOf(second, 'C01').binding).toMatchObject({ agentId: AGENT, device: 'box' });
    expect(settingsOf(second, 'C02').binding?.agentId).not.toBe(AGENT);
    expect(settingsOf(second, 'C03').binding?.agentId).toBe(AGENT);
    expect(settingsOf(policies.usual, 'C01GEN').binding).toBeNull();
  });

  it('may hold users and channels alone, where no bot token needs others', () => {
    const alone = 'workspaces:\n  T01: { users: [U01], channels: [C01] }\n';
    const policies = load(alone);
    expect(policyIn(policies, workspace('T01')).channels.ids).toEqual(['C01']);
    expect(problemsOf(alone, { ...ENV, SLACK_BOT_TOKEN: 'xoxb-1' })).toHaveLength(2);
    expect(problemsOf(`${alone}  T02: { users: [U01] }\n`)).toEqual([
      expect.stringMatching(/^SLACK_ALLOWED_CHANNELS is missing/),
    ]);
  });

  it('takes the place of no setting of the environment: both count', () => {
    const env = { ...ENV, SLACK_ALLOWED_USERS: 'members', SLACK_ALLOWED_CHANNELS: '*' };
    const policies = load('workspaces:\n  T01: { users: [U01] }\n', env);
    expect(policyIn(policies, workspace('T01'))).toMatchObject({
      users: { ids: ['U01'] },
      channels: { everywhere: true },
    });
  });

  it('is refused with the line and the path of what is wrong', () => {
    const wrong = [
      'workspaces:',
      '  T01:',
      '    users: [bob]',
      '    permissions: loose',
      '    channels:',
      '      C01: { listen: never }',
      '  acme: {}',
      '  T02: { workspaces: {} }',
      '  T03: [U01]',
      '  T04: { permissions: unrestricted }',
    ].join('\n');
    const line = (n: number) => `policy.yml:${n + 5}`;
    expect(problemsOf(`${BASE}${wrong}\n`)).toEqual([
      expect.stringMatching(new RegExp(`^${line(3)} workspaces\\.T01\\.users(\\.0)? `)),
      expect.stringMatching(new RegExp(`^${line(4)} workspaces\\.T01\\.permissions `)),
      expect.stringMatching(new RegExp(`^${line(6)} workspaces\\.T01\\.channels\\.C01\\.listen `)),
      expect.stringMatching(new RegExp(`^${line(7)} workspaces\\.acme is not the id of a workspace`)),
      expect.stringMatching(new RegExp(`^${line(8)} workspaces\\.T02\\.workspaces is not a setting`)),
      expect.stringMatching(new RegExp(`^${line(9)} workspaces\\.T03 is not a policy`)),
    ]);
    expect(problemsOf(`${BASE}workspaces:\n  T04: { permissions: unrestricted }\n`)).toEqual([
      expect.stringMatching(/^policy\.yml:7 workspaces\.T04\.permissions is unrestricted/),
    ]);
    const stuck = '  T04: { self_approval: deny, bots: { allow: [B01] } }\n';
    expect(problemsOf(`${BASE}workspaces:\n${stuck}`)).toEqual([
      expect.stringMatching(/^policy\.yml:7 workspaces\.T04: its approvers and self_approval leave no one/),
      expect.stringMatching(/^policy\.yml:7 workspaces\.T04\.bots leaves no one to decide/),
    ]);
    expect(problemsOf(`${BASE}workspaces: T01\n`)).toEqual([
      expect.stringMatching(/^policy\.yml:6 workspaces names no workspaces/),
    ]);
  });

  it('is read or refused with problems, for any content', () => {
    const value = fc.anything({ maxDepth: 3 });
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('T01', 'E01', '*', 'x'), value), (sections) => {
        let text: string;
        try {
          text = `${BASE}workspaces: ${JSON.stringify(sections) ?? '{}'}\n`;
        } catch {
          return;
        }
        for (const problem of problemsOf(text)) expect(problem).toMatch(/^(policy\.yml|SLACK_ALLOWED_WORKSPACES)/);
      }),
    );
  });

  it('is read again with the rest', () => {
    const log = createMemoryLog();
    const next = reloadPolicies(ENV, log, files(`${BASE}workspaces:\n  T01: { users: [U09] }\n`));
    expect(next && policyIn(next, workspace('T01')).users.ids).toEqual(['U09']);
    expect(log.lines).toMatchObject([{ level: 'info', fields: { workspaces: 1 } }]);
    expect(reloadPolicies(ENV, log, files(`${BASE}workspaces:\n  T01: { users: [ann] }\n`))).toBeNull();
    expect(log.lines[1]).toMatchObject({ level: 'error', fields: { setting: expect.stringMatching(/T01/) } });
  });
});
