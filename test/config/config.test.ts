import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closedPolicy } from '../../src/bridge/access/policy.ts';
import { ConfigError, type ConfigProblem, formatProblems, loadConfig, secretsOf } from '../../src/config/config.ts';
import { SETTINGS } from '../../src/config/settings.ts';

type Env = Record<string, string>;

const SOCKET: Env = {
  SLACK_BOT_TOKEN: 'xoxb-1-abc',
  SLACK_APP_TOKEN: 'xapp-1-abc',
  SLACK_ALLOWED_USERS: 'members',
  SLACK_ALLOWED_CHANNELS: 'C01GEN,dm',
  LETTA_APP_SERVER_URL: 'ws://127.0.0.1:4500/ws',
};
const CLOUD: Env = {
  SLACK_BOT_TOKEN: 'xoxb-1-abc',
  SLACK_SIGNING_SECRET: '0123456789abcdef',
  SLACK_ALLOWED_USERS: '*',
  SLACK_ALLOWED_CHANNELS: '*',
  LETTA_API_KEY: 'sk-let-key',
};

function problemsOf(env: Env): readonly ConfigProblem[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The one problem that an otherwise good configuration has with these values. */
function complaint(over: Env, base = SOCKET): string {
  const problems = problemsOf({ ...base, ...over });
  expect(problems.map((problem) => problem.setting)).toHaveLength(1);
  return problems.map(({ setting, problem, fix }) => `${setting} ${problem}. ${fix}`).join();
}

describe('loadConfig', () => {
  it('needs five settings for Socket Mode with an App Server', () => {
    expect(loadConfig(SOCKET)).toEqual({
      sharedFiles: null,
      recordThreads: null,
      slack: {
        botToken: 'xoxb-1-abc',
        oauth: null,
        apiUrl: 'https://slack.com/api/',
        mode: { kind: 'socket', appToken: 'xapp-1-abc' },
      },
      letta: { mode: 'app-server', url: 'ws://127.0.0.1:4500/ws', token: null },
      agentId: null,
      policies: {
        usual: {
          ...closedPolicy,
          users: { everyone: false, members: true, ids: [], groups: [] },
          channels: { everywhere: false, directMessages: true, ids: ['C01GEN'] },
        },
        workspaces: { everyone: false, ids: [] },
        own: new Map(),
      },
      store: 'sqlite://./data/bridge.db',
      postgres: { connections: 10, heartbeatMs: 5_000, expiryMs: 15_000 },
      staleAfterMs: 15 * 60_000,
      approvals: { timeoutMs: 86_400_000, auditKeptForMs: 90 * 86_400_000 },
      catchUp: { tier: 'full', maxAgeMs: 86_400_000, threads: 200, threadAgeMs: 7 * 86_400_000 },
      past: { tier: 'full', mostMessages: 50 },
      logLevel: 'info',
      notifyAfterMs: 120_000,
      retentionMs: 7 * 86_400_000,
      maxMessages: 5,
      nativeStreams: true,
      queue: { perThread: 50, total: 1_000 },
      turnSilenceMs: 30 * 60_000,
      drainMs: 20_000,
      port: null,
      metricsByWorkspace: false,
    });
  });

  it('reads bounds and durations', () => {
    const set = { QUEUE_PER_THREAD: '5', QUEUE_TOTAL: '70', TURN_SILENCE: '2h', DRAIN_TIMEOUT: '0s' };
    expect(loadConfig({ ...SOCKET, ...set })).toMatchObject({
      queue: { perThread: 5, total: 70 },
      turnSilenceMs: 7_200_000,
      drainMs: 0,
    });
    expect(loadConfig({ ...SOCKET, MAX_MESSAGES: '12' }).maxMessages).toBe(12);
    expect(complaint({ MAX_MESSAGES: '0' })).toContain('from 1 to 99');
    expect(loadConfig({ ...SOCKET, DRAIN_TIMEOUT: '5m' }).drainMs).toBe(300_000);
    const wrong = { QUEUE_PER_THREAD: '0', QUEUE_TOTAL: 'many', TURN_SILENCE: '0s', DRAIN_TIMEOUT: '20' };
    expect(problemsOf({ ...SOCKET, ...wrong }).map(({ setting }) => setting)).toEqual(Object.keys(wrong));
  });

  it('reads the settings for catching up', () => {
    const config = loadConfig({ ...SOCKET, STALE_AFTER: '1h', HISTORY: 'limited', CATCH_UP_THREADS: '20' });
    expect(config.staleAfterMs).toBe(3_600_000);
    expect(config.catchUp).toMatchObject({ tier: 'limited', threads: 20 });
    expect(config.past).toEqual({ tier: 'limited', mostMessages: 50 });
    expect(loadConfig({ ...SOCKET, HISTORY: 'off' })).toMatchObject({ catchUp: null, past: { tier: 'full' } });
    expect(loadConfig({ ...SOCKET, CONTEXT_MESSAGES: '0' }).past.mostMessages).toBe(0);
    expect(complaint({ CATCH_UP_MAX_AGE: '2d' })).toContain('at most 24h');
    expect(complaint({ STALE_AFTER: '15' })).toContain('such as 15m');
    expect(complaint({ HISTORY: 'some' })).toContain('limited');
    expect(complaint({ CATCH_UP_THREADS: '5000' })).toContain('1000');
  });

  it('reads HTTP mode and the cloud', () => {
    const config = loadConfig({ ...CLOUD, LETTA_ENVIRONMENT: 'my laptop', LETTA_RELAY: 'pair' });
    expect(config.slack.mode).toEqual({ kind: 'http', signingSecret: '0123456789abcdef', port: 3000 });
    expect(config.letta).toEqual({
      mode: 'cloud',
      baseUrl: 'https://api.letta.com',
      apiKey: 'sk-let-key',
      environment: 'my laptop',
      relay: 'pair',
      webUrl: null,
    });
    expect(loadConfig(CLOUD).letta).toMatchObject({ environment: null, relay: 'single' });
    expect(config.port).toBeNull();
    expect(loadConfig({ ...CLOUD, PORT: '8080' })).toMatchObject({ port: 8080, slack: { mode: { port: 8080 } } });
    expect(loadConfig({ ...SOCKET, PORT: '0' }).port).toBe(0);
  });

  it('takes an encrypted web app, for the cloud alone', () => {
    const { letta } = loadConfig({ ...CLOUD, LETTA_WEB_URL: 'https://chat.example.com/app/' });
    expect(letta).toMatchObject({ webUrl: 'https://chat.example.com/app' });
    expect(complaint({ LETTA_WEB_URL: 'http://127.0.0.1:8080' }, CLOUD)).toContain('begins with https://');
    expect(complaint({ LETTA_WEB_URL: 'https://me:secret@chat.example.com' }, CLOUD)).toContain('contains a password');
    expect(complaint({ LETTA_WEB_URL: 'https://chat.example.com' })).toContain('without LETTA_API_KEY');
  });

  it('reads every other setting', () => {
    const config = loadConfig({
      ...SOCKET,
      SLACK_API_URL: 'http://localhost:9000/api',
      SLACK_ALLOWED_USERS: ' U01ALICE , members,U02BOB,U01ALICE,',
      SLACK_ALLOWED_CHANNELS: '*',
      LETTA_APP_SERVER_URL: 'wss://letta.example.com/ws',
      LETTA_APP_SERVER_TOKEN: 'secret',
      LETTA_AGENT_ID: 'agent-local-12ab',
      PERMISSIONS: 'acceptEdits',
      STORE: 'memory://',
      LOG_LEVEL: 'DEBUG',
    });
    expect(config.slack.apiUrl).toBe('http://localhost:9000/api/');
    expect(config.policies.usual.users).toEqual({
      everyone: false,
      members: true,
      ids: ['U01ALICE', 'U02BOB'],
      groups: [],
    });
    expect(config.policies.usual.channels).toEqual({ everywhere: true, directMessages: false, ids: [] });
    expect(config.letta).toEqual({ mode: 'app-server', url: 'wss://letta.example.com/ws', token: 'secret' });
    expect(config).toMatchObject({ agentId: 'agent-local-12ab', store: 'memory://' });
    expect(config.logLevel).toBe('debug');
  });

  it('reads approvers, admins and verbosity', () => {
    const set = {
      APPROVERS: 'requester, S01SEC,U02BOB',
      SELF_APPROVAL: 'deny',
      ADMINS: 'U03CARA',
      SHOW_REASONING: 'on',
    };
    const { usual: policy } = loadConfig({
      ...SOCKET,
      ...set,
      PERMISSIONS: 'acceptEdits',
      VERBOSITY: 'quiet',
    }).policies;
    expect(policy.defaults).toEqual({
      listen: 'thread',
      context: 'thread',
      permissions: 'acceptEdits',
      verbosity: 'quiet',
      showReasoning: true,
      approvers: { requester: true, ids: ['U02BOB'], groups: ['S01SEC'] },
      selfApproval: false,
      subagents: false,
      models: 'admins',
      deviceCommands: 'none',
      resume: 'ask',
      autoApprove: [],
      reactions: {},
      tools: closedPolicy.defaults.tools,
      postUnasked: [],
      mayMention: 'requester',
      binding: null,
    });
    expect(policy.admins).toEqual({ ids: ['U03CARA'], groups: [] });
    expect(loadConfig({ ...SOCKET, SLACK_ALLOWED_USERS: 'S01ONCALL' }).policies.usual.users).toEqual({
      ...closedPolicy.users,
      groups: ['S01ONCALL'],
    });
    expect(complaint({ SELF_APPROVAL: 'deny' })).toMatch(/^APPROVERS and SELF_APPROVAL leave no one/);
    expect(complaint({ APPROVERS: 'alice' })).toContain('"alice", which is not a user id or a user group id');
    expect(complaint({ ADMINS: 'requester' })).toContain('not a user id or a user group id');
    expect(complaint({ SHOW_REASONING: 'yes' })).toContain('neither on nor off');
  });

  it('reports all missing settings at once', () => {
    expect(problemsOf({}).map((problem) => problem.setting)).toEqual([
      'SLACK_BOT_TOKEN',
      'SLACK_APP_TOKEN or SLACK_SIGNING_SECRET',
      'SLACK_ALLOWED_USERS',
      'SLACK_ALLOWED_CHANNELS',
      'LETTA_API_KEY, LETTA_APP_SERVER_URL or LETTA_LISTEN',
    ]);
  });

  describe('for machines that dial the bridge', () => {
    const token = 'a-token-of-24-characters';
    const { LETTA_APP_SERVER_URL: _, ...slack } = SOCKET;
    const LISTEN: Env = { ...slack, LETTA_LISTEN: '127.0.0.1:4600', LETTA_LISTEN_TOKEN: token };
    const tokens = (text: string | null) => {
      const { LETTA_LISTEN_TOKEN: __, ...env } = LISTEN;
      return loadConfig({ ...env, LETTA_LISTEN_TOKENS: 'machines' }, (path) => (path === 'machines' ? text : null));
    };
    const wrongTokens = (text: string | null): string => {
      try {
        tokens(text);
      } catch (error) {
        if (error instanceof ConfigError) return formatProblems(error.problems);
      }
      return '';
    };

    it('listens on an address of its own, or on a path', () => {
      const own = { mode: 'listen', url: null, tokens: { kind: 'shared', token }, environment: null };
      expect(loadConfig(LISTEN).letta).toEqual({ ...own, at: { host: '127.0.0.1', port: 4600 } });
      expect(loadConfig({ ...LISTEN, LETTA_LISTEN: '[::1]:80' }).letta).toMatchObject({
        at: { host: '::1', port: 80 },
      });
      const url = 'https://bridge.example.com/letta';
      const path = { ...LISTEN, LETTA_LISTEN: '/devices/', PORT: '8080', LETTA_LISTEN_URL: `${url}/` };
      expect(loadConfig(path).letta).toMatchObject({ at: { path: '/devices' }, url });
    });

    it('adds the path to a bare address for the machines', () => {
      const path = { ...LISTEN, LETTA_LISTEN: '/devices', PORT: '8080' };
      for (const bare of ['https://bridge.example.com', 'https://bridge.example.com/']) {
        const { letta } = loadConfig({ ...path, LETTA_LISTEN_URL: bare });
        expect(letta).toMatchObject({ url: 'https://bridge.example.com/devices' });
        expect(loadConfig({ ...LISTEN, LETTA_LISTEN_URL: bare }).letta).toMatchObject({
          url: 'https://bridge.example.com',
        });
      }
    });

    it('reads one token for each machine from a file', () => {
      const config = tokens(`# ours\n\nlaptop ${token}1\r\nbuild-box   ${token}2\n`);
      expect(config.letta).toMatchObject({
        tokens: {
          kind: 'named',
          tokens: new Map([
            ['laptop', `${token}1`],
            ['build-box', `${token}2`],
          ]),
        },
      });
      expect(secretsOf(config)).toEqual(expect.arrayContaining([`${token}1`, `${token}2`]));
    });

    it('names what is wrong with that file, never a token', () => {
      expect(wrongTokens(null)).toContain('does not exist');
      expect(wrongTokens('# nothing\n')).toContain('without any token');
      expect(wrongTokens('laptop\n')).toContain('line 1 is not a name and a token');
      expect(wrongTokens('laptop short\n')).toContain('line 1 has a token that is shorter than 24 characters');
      expect(wrongTokens(`a ${token}\na ${token}2\n`)).toContain('line 2 repeats a name');
      expect(wrongTokens(`a ${token}\nb ${token}\n`)).toContain('line 2 repeats a token');
      expect(wrongTokens(`a ${token} more\n`)).not.toContain(token);
    });

    it('says what is missing, or does not fit', () => {
      const less = ({ LETTA_LISTEN_TOKEN: __, ...env }: Env) => env;
      expect(complaint({}, less(LISTEN))).toContain('openssl rand -hex 32');
      expect(complaint({ LETTA_LISTEN: '0.0.0.0:4600' }, LISTEN)).toContain('LETTA_LISTEN_URL is missing');
      expect(complaint({ LETTA_LISTEN: '/healthz', PORT: '1' }, LISTEN)).toContain('a path of the bridge itself');
      for (const wrong of ['4600', 'localhost', 'http://x:1', '127.0.0.1:99999', '//x']) {
        expect(complaint({ LETTA_LISTEN: wrong }, LISTEN)).toContain('is neither host:port nor a path');
      }
      const path = { LETTA_LISTEN: '/devices', LETTA_LISTEN_URL: 'https://x.example' };
      expect(complaint(path, LISTEN)).toContain('PORT is not set');
      expect(complaint({ LETTA_LISTEN_URL: 'http://bridge.example' }, LISTEN)).toContain('unencrypted');
      expect(complaint({ LETTA_LISTEN_TOKENS: 'machines' }, LISTEN)).toContain('are both set');
      expect(complaint({ LETTA_LISTEN_TOKEN: 'short' }, LISTEN)).toContain('shorter than 24 characters');
      expect(complaint({ LETTA_RELAY: 'pair' }, LISTEN)).toContain('exclude each other');
      expect(complaint({ LETTA_API_KEY: 'k' }, LISTEN)).toContain('LETTA_API_KEY and LETTA_LISTEN are both set');
      expect(complaint({ LETTA_LISTEN_URL: 'https://x.example' }, SOCKET)).toContain('is set without LETTA_LISTEN');
    });
  });

  it('treats an empty value as missing, and trims values', () => {
    expect(
      loadConfig({ ...SOCKET, SLACK_SIGNING_SECRET: '', LETTA_API_KEY: '  ', PORT: '', LETTA_AGENT_ID: '' }),
    ).toEqual(loadConfig(SOCKET));
    expect(loadConfig({ ...SOCKET, SLACK_BOT_TOKEN: ' xoxb-1-abc\n' })).toEqual(loadConfig(SOCKET));
    expect(problemsOf({ ...SOCKET, SLACK_ALLOWED_USERS: ' ' })).toHaveLength(1);
  });

  it('names both settings that contradict each other', () => {
    expect(complaint({ SLACK_SIGNING_SECRET: 'abcdef' })).toMatch(
      /^SLACK_APP_TOKEN and SLACK_SIGNING_SECRET are both set/,
    );
    expect(complaint({ LETTA_API_KEY: 'key' })).toMatch(/^LETTA_API_KEY and LETTA_APP_SERVER_URL are both set/);
    expect(complaint({ LETTA_ENVIRONMENT: 'laptop' })).toMatch(/^LETTA_ENVIRONMENT and LETTA_APP_SERVER_URL/);
    expect(complaint({ LETTA_APP_SERVER_TOKEN: 'token' }, CLOUD)).toMatch(/^LETTA_APP_SERVER_TOKEN is set without/);
    expect(complaint({ LETTA_APP_SERVER_URL: 'ws://letta:4500/ws', LETTA_APP_SERVER_TOKEN: 'token' })).toMatch(
      /^LETTA_APP_SERVER_TOKEN and LETTA_APP_SERVER_URL would send the token over the network unencrypted/,
    );
  });

  it('refuses a store that it does not offer', () => {
    expect(complaint({ STORE: 'redis://localhost' })).toMatch(/may lose/);
    expect(complaint({ STORE: 'postgres://localhost/bridge?ssl=1' })).toMatch(/sslmode=verify-full/);
  });

  it.each<[string, Env, string]>([
    ['a user token', { SLACK_BOT_TOKEN: 'xoxp-1-abc' }, 'is a user token'],
    ['an app token in its place', { SLACK_BOT_TOKEN: 'xapp-1-abc' }, 'belongs in SLACK_APP_TOKEN'],
    ['a bot token in its place', { SLACK_APP_TOKEN: 'xoxb-1-abc' }, 'belongs in SLACK_BOT_TOKEN'],
    ['a rotation token', { SLACK_BOT_TOKEN: 'xoxe.xoxb-1-abc' }, 'rotation'],
    ['a bare prefix', { SLACK_BOT_TOKEN: 'xoxb-' }, 'is a bot token'],
    ['a broken token', { SLACK_BOT_TOKEN: 'xoxb-1 abc' }, 'space or a line break'],
    ['quotes', { SLACK_BOT_TOKEN: '"xoxb-1-abc"' }, 'quotes'],
    ['half a quote', { LETTA_AGENT_ID: 'agent-1’' }, 'quotes'],
    ['a user name', { SLACK_ALLOWED_USERS: 'U01ALICE,@bob' }, '"@bob", which is not a user id or a user group id'],
    ['an email address', { SLACK_ALLOWED_USERS: 'bob@example.com' }, 'not a user id or a user group id'],
    ['only a comma', { SLACK_ALLOWED_USERS: ',' }, 'is an empty list'],
    ['a channel name', { SLACK_ALLOWED_CHANNELS: '#general' }, '"#general", which is not a channel id'],
    ['an unencrypted Slack', { SLACK_API_URL: 'http://slack.example.com/api/' }, 'unencrypted'],
    ['a Slack that is no address', { SLACK_API_URL: 'slack.com' }, 'is not a web address'],
    ['an http address', { LETTA_APP_SERVER_URL: 'http://127.0.0.1:4500' }, 'Write ws://'],
    ['a bare host', { LETTA_APP_SERVER_URL: '127.0.0.1:4500' }, 'is not a WebSocket address'],
    ['a token in an address', { LETTA_APP_SERVER_URL: 'ws://127.0.0.1:4500/ws?token=x' }, 'LETTA_APP_SERVER_TOKEN'],
    ['a token for a signing secret', { SLACK_APP_TOKEN: '', SLACK_SIGNING_SECRET: 'xoxb-1' }, 'not a signing secret'],
    ['no agent id', { LETTA_AGENT_ID: 'my agent' }, 'is not an agent id'],
    ['an unknown mode', { PERMISSIONS: 'yolo' }, 'PERMISSIONS is "yolo", which is not a mode. Use guarded, standard'],
    ['a path for a store', { STORE: './data/bridge.db' }, 'is not a URI'],
    ['a word for a port', { PORT: 'http' }, 'is not a port number'],
    ['a port too high', { PORT: '65536' }, 'is not a port number'],
    ['an unknown level', { LOG_LEVEL: 'verbose' }, 'is not a log level'],
  ])('says what to do about %s', (_, over, words) => {
    expect(complaint(over)).toContain(words);
  });

  it('allows http:// on loopback only, however it is written', () => {
    for (const host of ['localhost', '127.0.0.1', '127.3.2.1', '[::1]']) {
      expect(problemsOf({ ...SOCKET, SLACK_API_URL: `http://${host}:9/api/` })).toEqual([]);
    }
    for (const host of ['127.0.0.1.example.com', 'localhost.example.com', '0.0.0.0', '10.0.0.1']) {
      expect(problemsOf({ ...SOCKET, SLACK_API_URL: `http://${host}:9/api/` })).toHaveLength(1);
    }
  });

  it('never repeats a secret, whatever is wrong with it', () => {
    const secrets = SETTINGS.filter((setting) => 'secret' in setting).map((setting) => setting.name);
    expect(secrets).toHaveLength(9);
    fc.assert(
      fc.property(fc.string({ minLength: 6 }), fc.constantFrom(...secrets), (text, name) => {
        const secret = `S3CR3T${text}`;
        const problems = problemsOf({ ...SOCKET, ...CLOUD, [name]: secret });
        expect(formatProblems(problems)).not.toContain('S3CR3T');
      }),
    );
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', '?ssl=1', '?sslmode=no', '#x'), (text, rest) => {
        const problems = problemsOf({ ...SOCKET, STORE: `postgres://bridge:S3CR3T${text}@db/bridge${rest}` });
        expect(formatProblems(problems)).not.toContain('S3CR3T');
      }),
    );
  });

  it('takes the password and the trust of Postgres from its own variables', () => {
    const env = { PGPASSWORD: 'p@ss word', PGSSLMODE: 'require', PGSSLROOTCERT: '/ca.pem' };
    const config = loadConfig({ ...SOCKET, ...env, STORE: 'postgres://bridge@db/bridge?sslmode=verify-full' });
    expect(Object.fromEntries(new URL(config.store).searchParams)).toEqual({
      password: 'p@ss word',
      sslmode: 'verify-full',
      sslrootcert: '/ca.pem',
    });
    expect(secretsOf(config)).toEqual(expect.arrayContaining(['p@ss word', 'p%40ss%20word']));
    expect(loadConfig({ ...SOCKET, ...env }).store).toBe('sqlite://./data/bridge.db');
  });

  it.each([
    [{ LEASE_EXPIRY: '5s' }],
    [{ LEASE_HEARTBEAT: '10s' }],
    [{ LEASE_HEARTBEAT: '1s', LEASE_EXPIRY: '2s' }],
    [{ STORE_CONNECTIONS: '0' }],
    [{ STORE_CONNECTIONS: 'many' }],
  ])('refuses %o, which cannot work', (env) => {
    expect(problemsOf({ ...SOCKET, ...env })).toHaveLength(1);
  });

  it('returns a configuration or problems for any input, each with a fix', () => {
    const env = fc.dictionary(fc.constantFrom(...SETTINGS.map((setting) => setting.name)), fc.string());
    fc.assert(
      fc.property(env, (given) => {
        for (const problem of problemsOf(given)) {
          expect(problem.setting).not.toBe('');
          expect(problem.problem).not.toBe('');
          expect(problem.fix).toMatch(/\.$/);
        }
      }),
    );
  });
});

describe('secretsOf', () => {
  it('returns the tokens and keys of the configuration', () => {
    expect(secretsOf(loadConfig(CLOUD))).toEqual(['xoxb-1-abc', '0123456789abcdef', 'sk-let-key']);
    expect(secretsOf(loadConfig(SOCKET))).toEqual(['xoxb-1-abc', 'xapp-1-abc']);
  });
});

describe('formatProblems', () => {
  it('makes one report of all problems, and mentions the sandbox', () => {
    expect(
      formatProblems(problemsOf({ ...SOCKET, PORT: 'x', LOG_LEVEL: 'x' })),
    ).toBe(`The bridge cannot start. 2 settings need attention:

  PORT is not a port number.
      Use a number from 0 to 65535.
  LOG_LEVEL is not a log level.
      Use debug, info, warn or error.

The bridge reads its settings from the environment and from a file named .env (see .env.example and docs/settings.md).
To try the bridge without accounts, run: npm run sandbox
`);
  });
});
