import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settingsOf } from '../../src/bridge/access/policy.ts';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { readPolicyFile } from '../../src/config/policy-file.ts';
import { reloadPolicies } from '../../src/config/policy-reload.ts';
import { createMemoryLog } from '../support/log.ts';

const ENV = {
  SLACK_BOT_TOKEN: 'xoxb-1-abc',
  SLACK_APP_TOKEN: 'xapp-1-abc',
  LETTA_API_KEY: 'sk-let-key',
};

const files = (text: string | null) => (path: string) => (path === './policy.yml' ? text : null);
const policyOf = (text: string, env: Record<string, string> = ENV) => loadConfig(env, files(text)).policies.usual;

function problemsOf(text: string | null, env: Record<string, string> = ENV): string[] {
  try {
    loadConfig(env, files(text));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ setting, problem, fix }) => `${setting} ${problem}. ${fix}`);
  }
  return [];
}

describe('models in a policy file', () => {
  it('model and toolset: of new conversations in that channel alone', () => {
    const policy = policyOf(
      'users: members\nchannels:\n  C01GEN: { model: lab/two high, toolset: codex }\n  C02ENG: {}',
    );
    expect(settingsOf(policy, 'C01GEN').binding).toMatchObject({
      model: { handle: 'lab/two', effort: 'high' },
      toolset: 'codex',
    });
    expect(settingsOf(policy, 'C02ENG').binding).toBeNull();
    expect(problemsOf('users: members\nchannels:\n  C01GEN: { toolset: [] }').join()).toContain('toolset');
  });

  it('device_commands: closed unless a place opens it', () => {
    const policy = policyOf('users: members\nchannels:\n  C01GEN: { device_commands: admins }\n  C02ENG: {}');
    expect(settingsOf(policy, 'C01GEN').deviceCommands).toBe('admins');
    expect(settingsOf(policy, 'C02ENG').deviceCommands).toBe('none');
    expect(problemsOf('users: members\nchannels: [C01GEN]\ndevice_commands: all').join()).toMatch(
      /device_commands.*none, admins or everyone/,
    );
  });

  it('are chosen by admins, and by starters of threads where named', () => {
    const policy = policyOf('users: members\nchannels:\n  C01GEN: { models: starter }\n  C02ENG: {}');
    expect(settingsOf(policy, 'C01GEN').models).toBe('starter');
    expect(settingsOf(policy, 'C02ENG').models).toBe('admins');
    expect(problemsOf('users: members\nchannels: [C01GEN]\nmodels: everyone').join()).toMatch(
      /models.* is neither starter nor admins/,
    );
  });
});

describe('tools in a policy file', () => {
  const base = 'users: members\nchannels:\n  C01GEN: { tools: off }\n  C02ENG: ';
  const settings = (more: string) => settingsOf(policyOf(`${base}${more}`), 'C02ENG');

  it('are the ones that stay in the thread where none are named', () => {
    expect(settings('{}').tools).toContain('slack_react');
    expect(settings('{}').tools).not.toContain('slack_post_message');
    expect(settings('{}')).toMatchObject({ postUnasked: [], mayMention: 'requester' });
    expect(settingsOf(policyOf(`${base}{}`), 'C01GEN').tools).toEqual([]);
  });

  it('are those that a channel names, with what they may do', () => {
    const named = '{ tools: [slack_post_message, slack_react], post_unasked: [C03DEP], may_mention: [U04ANN] }';
    expect(settings(named)).toMatchObject({
      tools: ['slack_react', 'slack_post_message'],
      postUnasked: ['C03DEP'],
      mayMention: ['U04ANN'],
    });
    expect(settings('{ tools: slack_react, may_mention: thread }')).toMatchObject({
      tools: ['slack_react'],
      mayMention: 'thread',
    });
  });

  it.each([
    ['{ tools: [slack_dance] }', /tools.* is not a tool of the bridge/],
    ['{ post_unasked: [deploys] }', /post_unasked.* is not a channel id/],
    ['{ may_mention: everyone }', /may_mention.* must be requester, thread or a list of user ids/],
    ['{ may_mention: [S01GROUP] }', /may_mention.* is not a user id/],
  ])('are refused as %s', (text, problem) => {
    expect(problemsOf(`${base}${text}`).join()).toMatch(problem);
  });
});

describe('a policy file', () => {
  it('says what reactions ask, under one name for each emoji', () => {
    const text = 'users: [members]\nchannels:\n  C01GEN:\n  C02ENG: { reactions: {} }\n';
    const policy = policyOf(`${text}reactions: { ":eyes:": Look at this., thumbsup: Do it. }\n`);
    expect(settingsOf(policy, 'C01GEN').reactions).toEqual({ eyes: 'Look at this.', '+1': 'Do it.' });
    expect(settingsOf(policy, 'C02ENG').reactions).toEqual({});
    expect(settingsOf(policyOf(text), 'C01GEN').reactions).toEqual({});
    expect(problemsOf(`${text}reactions: { two words: x, eyes: "", "+1": a, thumbsup: b }\n`)).toEqual([
      expect.stringContaining('reactions.eyes is empty'),
    ]);
    expect(problemsOf(`${text}reactions: { two words: x, "+1": a, thumbsup: b }\n`)).toEqual([
      expect.stringContaining('reactions.two words is not the name of an emoji'),
      expect.stringContaining('reactions.thumbsup is the same emoji as another one (+1)'),
    ]);
    expect(problemsOf(`${text}reactions: [eyes]\n`)[0]).toContain('Write it like {eyes: "Look at this."}.');
  });

  it('sets people, places and behaviour; settings give the defaults', () => {
    const policy = policyOf(
      `users: [members, U04GUEST, S01ONCALL]
admins: U03CARA
channels:
  C01GEN:
  C02ENG: { listen: all, permissions: strict, approvers: [requester, S02SEC], self_approval: deny, verbosity: quiet }
  dm: { agent: agent-2, working_directory: /srv/dm }
bots: { allow: [B0OTHER], in_a_row: 2 }
limits:
  user: { turns: 30 per 1h, at_once: 3 }
  workspace: { at_once: 2000, schedules: 0 }
listen: mention
show_reasoning: on
auto_approve: ["Bash(npm test)"]
`,
      { ...ENV, PERMISSIONS: 'acceptEdits' },
    );
    expect(policy.users).toEqual({ everyone: false, members: true, ids: ['U04GUEST'], groups: ['S01ONCALL'] });
    expect(policy.channels).toEqual({ everywhere: false, directMessages: true, ids: ['C01GEN', 'C02ENG'] });
    expect(policy.admins).toEqual({ ids: ['U03CARA'], groups: [] });
    expect(policy.bots).toEqual({ ids: ['B0OTHER'], inARow: 2, rate: { turns: 30, perMs: 3_600_000 } });
    expect(policy.limits).toEqual({
      user: { rate: { turns: 30, perMs: 3_600_000 }, atOnce: 3 },
      channel: { rate: null, atOnce: null },
      workspace: { rate: null, atOnce: 2000, schedules: 0 },
    });
    expect(settingsOf(policy, 'C01GEN')).toMatchObject({
      listen: 'mention',
      permissions: 'acceptEdits',
      showReasoning: true,
      autoApprove: ['Bash(npm test)'],
      binding: null,
    });
    expect(settingsOf(policy, 'C02ENG')).toMatchObject({
      listen: 'all',
      permissions: 'strict',
      approvers: { requester: true, ids: [], groups: ['S02SEC'] },
      selfApproval: false,
      verbosity: 'quiet',
    });
    expect(settingsOf(policy, 'D01ALICE').binding).toEqual({
      agentId: 'agent-2',
      device: null,
      workingDirectory: '/srv/dm',
    });
  });

  it('dm covers group direct messages; group_dm names or closes them', () => {
    const channels = (text: string) => policyOf(`users: [members]\nchannels: ${text}`).channels;
    expect(channels('[dm]')).toEqual({ everywhere: false, directMessages: true, ids: [] });
    expect(channels('[group_dm]')).toMatchObject({ directMessages: false, groupDirectMessages: true, ids: [] });
    expect(channels('{ dm: , group_dm: off }')).toMatchObject({ directMessages: true, groupDirectMessages: false });
    const policy = policyOf('users: [members]\nchannels: { dm: , group_dm: { listen: mention } }');
    expect(policy.channels).toMatchObject({ directMessages: true, groupDirectMessages: true });
    expect(policy.places.get('group_dm')).toEqual({ listen: 'mention' });
  });

  it('needs no policy setting in the environment', () => {
    expect(policyOf('users: [U01ALICE]\nchannels: ["*"]').channels.everywhere).toBe(true);
  });

  it('may be missing unless POLICY names it', () => {
    const env = { ...ENV, SLACK_ALLOWED_USERS: 'members', SLACK_ALLOWED_CHANNELS: 'dm' };
    expect(problemsOf(null, env)).toEqual([]);
    expect(problemsOf(null, { ...env, POLICY: '/etc/bridge/policy.yml' })).toEqual([
      'POLICY names "/etc/bridge/policy.yml", which does not exist. Correct the path, or remove the setting.',
    ]);
  });

  it('conflicts with a setting for the same thing', () => {
    const env = { ...ENV, SLACK_ALLOWED_USERS: 'members', VERBOSITY: 'quiet' };
    const [users, verbosity, ...more] = problemsOf('users: [members]\nchannels: [dm]\nverbosity: verbose', env);
    expect(users).toMatch(/^SLACK_ALLOWED_USERS and policy.yml:1 users set the same thing twice/);
    expect(verbosity).toMatch(/^VERBOSITY and policy.yml:3 verbosity set the same thing twice/);
    expect(more).toEqual([]);
  });

  it('without people and channels is refused with the lines to write', () => {
    expect(problemsOf('listen: all')).toEqual([
      expect.stringMatching(/SLACK_ALLOWED_USERS .*members.*users: \[members\]/),
      expect.stringMatching(/SLACK_ALLOWED_CHANNELS .*dm.*channels: \[dm\]/),
    ]);
  });

  it('gets every problem reported at once, with its line', () => {
    const wrong = `users: [members]
channels:
  general: {}
  C01GEN:
    listen: always
    verbose: true
  C02ENG: { permissions: root, self_approval: never }
limits:
  user: { turns: 30/h }
  team: 3
bots: { allow: [someone], in_a_row: 0 }
adminz: [U1]
`;
    const problems = problemsOf(wrong);
    const places = [
      'policy.yml:3 channels.general is not a channel id',
      'policy.yml:5 channels.C01GEN.listen must be mention, thread or all',
      'policy.yml:6 channels.C01GEN.verbose is not a setting',
      'policy.yml:7 channels.C02ENG.permissions is "root", which is not a mode',
      'policy.yml:7 channels.C02ENG.self_approval is neither allow nor deny',
      'policy.yml:9 limits.user.turns is not a rate',
      'policy.yml:10 limits.team is not a setting',
      'policy.yml:11 bots.allow.0 is not a bot id',
      'policy.yml:11 bots.in_a_row is less than 1',
      'policy.yml:12 adminz is not a setting',
    ];
    for (const place of places) expect(problems.filter((problem) => problem.startsWith(place))).toHaveLength(1);
    expect(problems).toHaveLength(places.length);
    for (const problem of problems) expect(problem).toMatch(/\. [A-Z].*[.]$/);
  });

  it.each([
    ['users: [members\nchannels: [dm]', /^policy.yml:\d is not valid YAML/],
    ['- users\n- channels', /^policy.yml:1 is not a policy/],
    ['users: [members]\nusers: [U1]\nchannels: [dm]', /^policy.yml:2 is not valid YAML/],
    ['users: [members]\nchannels: { "*": { listen: all } }', /^policy.yml:2 channels.\* has its own settings/],
    ['users: [members]\nchannels: {}', /^policy.yml:2 channels is an empty list/],
    ['users: []\nchannels: [dm]', /^policy.yml:1 users is an empty list/],
    ['users: [members]\nchannels: [dm]\nself_approval: deny', /leave no one to decide about approvals/],
    ['users: [members]\nchannels:\n  C1:\n    self_approval: deny', /^policy.yml:3 channels.C1: its approvers/],
    ['users: [members]\nchannels: [dm]\nbots: { allow: [B1] }', /^policy.yml:3 bots leaves no one to decide/],
    ['users: [members]\nchannels: 7', /^policy.yml:2 channels names no channels/],
    [
      'users: [members]\nchannels: [dm]\nlimits: { user: { turns: 0 per 1h } }',
      /^policy.yml:3 limits.user.turns is outside the allowed range/,
    ],
  ])('with %j is refused', (text, words) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(words);
  });

  it('may name a device in the cloud only', () => {
    const text = 'users: [members]\nchannels:\n  C1: { device: build-box }';
    expect(problemsOf(text)).toEqual([]);
    const { LETTA_API_KEY: _, ...slack } = ENV;
    expect(problemsOf(text, { ...slack, LETTA_APP_SERVER_URL: 'ws://127.0.0.1:1/ws' })).toEqual([
      expect.stringMatching(/^policy.yml:3 channels.C1.device names a device, but an App Server has none/),
    ]);
  });

  it('gives a policy or problems for any text, never an exception', () => {
    const word = fc.constantFrom(
      'users',
      'channels',
      'limits',
      'user',
      'dm',
      'C1',
      '*',
      'agent',
      '&a',
      '*a',
      '<<',
      'on',
      '7',
      '~',
      '{',
      '[',
    );
    const yaml = fc.array(fc.tuple(fc.nat({ max: 3 }), word, fc.constantFrom(': ', ':\n', '\n', ', ', '- '), word), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(yaml, fc.string(), (lines, noise) => {
        const text = lines
          .map(([depth, key, between, value]) => `${'  '.repeat(depth)}${key}${between}${value}`)
          .join('\n');
        for (const each of [text, `${text}\n${noise}`]) {
          const read = readPolicyFile('policy.yml', each);
          if ('problems' in read) expect(read.problems.length).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('is refused when its aliases expand without end', () => {
    const bomb = [
      'a: &a [1,2,3,4,5,6,7,8,9]',
      ...'bcdefghij'.split('').map((name, at) => {
        const before = 'abcdefghij'[at];
        return `${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]`;
      }),
    ].join('\n');
    expect(problemsOf(bomb)[0]).toContain('refers to itself without end');
  });
});

describe('policy.example.yml', () => {
  it('loads, and shows every key', () => {
    const text = readFileSync('policy.example.yml', 'utf8');
    const read = readPolicyFile('policy.example.yml', text);
    expect(read).toHaveProperty('file');
    expect(problemsOf(text)).toEqual([]);
    const words = [
      'users',
      'admins',
      'listen',
      'verbosity',
      'show_reasoning',
      'permissions',
      'approvers',
      'self_approval',
      'subagents',
    ];
    const more = [
      'auto_approve',
      'channels',
      'agent',
      'device',
      'working_directory',
      'bots',
      'limits',
      'turns',
      'at_once',
    ];
    for (const word of [...words, ...more]) expect(text).toMatch(new RegExp(`\\b${word}:`));
  });
});

describe('reloading the policy', () => {
  it('returns the new one', () => {
    const log = createMemoryLog();
    const policy = reloadPolicies(ENV, log, files('users: [U01ALICE]\nchannels: [dm]'))?.usual;
    expect(policy?.users.ids).toEqual(['U01ALICE']);
    expect(log.lines).toMatchObject([{ level: 'info', fields: { users: 1, channels: 0 } }]);
  });

  it('keeps the old one and logs every problem with its fix', () => {
    const log = createMemoryLog();
    expect(reloadPolicies(ENV, log, files('users: [bob]\nchannels: [general]'))).toBeNull();
    expect(log.lines.map(({ level, fields }) => [level, fields.setting])).toEqual([
      ['error', 'policy.yml:1 users'],
      ['error', 'policy.yml:2 channels'],
    ]);
    for (const { fields } of log.lines) expect(fields.fix).toMatch(/^Use /);
  });
});

describe('prompts of a policy file', () => {
  const base = 'users: [members]\nchannels: [dm]\n';

  it('are lines, or titles with messages; left out: four of our own', () => {
    const text = `${base}prompts:\n  - Run the tests.\n  - { title: Build, message: Is the build green? }\n`;
    expect(policyOf(text).prompts).toEqual([
      { title: 'Run the tests.', message: 'Run the tests.' },
      { title: 'Build', message: 'Is the build green?' },
    ]);
    expect(policyOf(base).prompts).toHaveLength(4);
    expect(policyOf(`${base}prompts: []\n`).prompts).toEqual([]);
  });

  it('of a long line: have a short title', () => {
    const [prompt] = policyOf(`${base}prompts: [${'x'.repeat(200)}]\n`).prompts;
    expect([prompt?.title.length, prompt?.message.length]).toEqual([60, 200]);
  });

  it.each([
    ['five', `prompts: [a, b, c, d, e]`, 'names more than 4. Slack shows only 4'],
    ['an empty one', `prompts: ['']`, 'is empty'],
    ['no list', `prompts: Run the tests`, 'is not a list'],
    ['a number', `prompts: [7]`, 'is not a prompt'],
    ['a long message', `prompts: [{ title: a, message: ${'x'.repeat(301)} }]`, 'is longer than 300 characters'],
  ])('%s: reported with the line', (_, line, problem) => {
    const [first = ''] = problemsOf(`${base}${line}\n`);
    expect(first).toContain(problem);
    expect(first).toMatch(/policy\.yml:3/);
  });
});
