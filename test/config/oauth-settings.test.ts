import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, formatProblems, loadConfig, secretsOf } from '../../src/config/config.ts';

type Env = Record<string, string>;

const KEY = randomBytes(32);
const OAUTH: Env = {
  SLACK_CLIENT_ID: '1234567890.9876543210',
  SLACK_CLIENT_SECRET: '0123456789abcdef0123456789abcdef',
  SLACK_REDIRECT_URL: 'https://bridge.example.com/slack/oauth_redirect',
  SLACK_ALLOWED_WORKSPACES: '*',
  ENCRYPTION_KEY: KEY.toString('base64'),
  SLACK_SIGNING_SECRET: '0123456789abcdef',
  SLACK_ALLOWED_USERS: 'members',
  SLACK_ALLOWED_CHANNELS: '*',
  LETTA_API_KEY: 'sk-let-key',
};

const slackOf = (over: Env = {}) => loadConfig({ ...OAUTH, ...over }).slack;

function problemsOf(over: Env): string[] {
  try {
    slackOf(over);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ setting, problem, fix }) => `${setting} ${problem}. ${fix}`);
  }
  return [];
}

describe('the settings of OAuth', () => {
  it('stand in for the bot token, or beside it', () => {
    expect(slackOf()).toMatchObject({
      botToken: null,
      mode: { kind: 'http', port: 3000 },
      oauth: {
        clientId: '1234567890.9876543210',
        redirectUrl: 'https://bridge.example.com/slack/oauth_redirect',
        oldKey: null,
        isAgent: false,
      },
    });
    expect(Buffer.from(slackOf().oauth?.key ?? [])).toEqual(KEY);
    expect(slackOf({ SLACK_BOT_TOKEN: 'xoxb-1-a', SLACK_AGENT: 'on' })).toMatchObject({
      botToken: 'xoxb-1-a',
      oauth: { isAgent: true },
    });
  });

  it('exclude machines that dial several processes', () => {
    const listen = {
      LETTA_API_KEY: '',
      LETTA_LISTEN: '127.0.0.1:4600',
      LETTA_LISTEN_TOKEN: 'a'.repeat(12) + 'B1'.repeat(8),
    };
    expect(problemsOf(listen)).toEqual([]);
    expect(problemsOf({ ...listen, STORE: 'postgres://bridge@127.0.0.1/bridge' })).toEqual([
      expect.stringMatching(/^LETTA_LISTEN cannot be used with both/),
    ]);
  });

  it('are needed all together, each with where to find it', () => {
    const missing = { SLACK_CLIENT_SECRET: '', SLACK_REDIRECT_URL: '', ENCRYPTION_KEY: '' };
    expect(problemsOf(missing)).toEqual([
      expect.stringMatching(/^SLACK_CLIENT_SECRET is missing\. Copy it from your Slack app/),
      expect.stringMatching(/^SLACK_REDIRECT_URL is missing.*https:\/\/bridge\.example\.com\/slack\/oauth_redirect/),
      expect.stringMatching(/^ENCRYPTION_KEY is missing.*openssl rand -base64 32/),
    ]);
    expect(problemsOf({ SLACK_CLIENT_ID: '' })).toEqual([expect.stringMatching(/^SLACK_CLIENT_ID is missing/)]);
    expect(problemsOf({ SLACK_CLIENT_ID: '', SLACK_CLIENT_SECRET: '', SLACK_BOT_TOKEN: 'xoxb-1' })).toEqual([
      expect.stringMatching(/^SLACK_REDIRECT_URL needs OAuth/),
    ]);
  });

  it('with Socket Mode need a port for the pages', () => {
    const socket = { SLACK_SIGNING_SECRET: '', SLACK_APP_TOKEN: 'xapp-1-a' };
    expect(problemsOf(socket)).toEqual([expect.stringMatching(/^PORT is missing: with Socket Mode, too/)]);
    expect(problemsOf({ ...socket, PORT: '3000' })).toEqual([]);
  });

  it('name the client as Slack does', () => {
    for (const id of ['A0123ABCD', '123', 'a.b', '1.2.3', '1. 2']) {
      expect(problemsOf({ SLACK_CLIENT_ID: id })).toEqual([
        expect.stringMatching(/^SLACK_CLIENT_ID is not a client id/),
      ]);
    }
    for (const secret of ['xoxb-1-2-3-abcdefgh', 'xapp-1-abcdefghijkl', 'abc123', 'two words in one secret']) {
      const [problem, ...others] = problemsOf({ SLACK_CLIENT_SECRET: secret });
      expect(problem).toMatch(/^SLACK_CLIENT_SECRET /);
      expect([others, problem?.includes(secret)]).toEqual([[], false]);
    }
  });
});

describe('SLACK_REDIRECT_URL', () => {
  const redirectOf = (url: string) => slackOf({ SLACK_REDIRECT_URL: url }).oauth?.redirectUrl;

  it('is a public address; without a path it gets the usual one', () => {
    const full = 'https://bridge.example.com/slack/oauth_redirect';
    for (const url of ['https://bridge.example.com', 'https://bridge.example.com/', `${full}/`, full]) {
      expect(redirectOf(url)).toBe(full);
    }
    expect(redirectOf('https://example.com/letta/slack/oauth_redirect')).toBe(
      'https://example.com/letta/slack/oauth_redirect',
    );
    expect(redirectOf('http://127.0.0.1:3000')).toBe('http://127.0.0.1:3000/slack/oauth_redirect');
  });

  it('is encrypted but on this machine, and has nothing else in it', () => {
    const base = 'bridge.example.com/slack/oauth_redirect';
    const bad = [
      `http://${base}`,
      `https://u:p@${base}`,
      `https://${base}?x=1`,
      `https://${base}#x`,
      base,
      'https://a.b/c',
    ];
    for (const url of bad)
      expect(problemsOf({ SLACK_REDIRECT_URL: url })).toEqual([expect.stringMatching(/^SLACK_RED/)]);
  });
});

describe('ENCRYPTION_KEY', () => {
  const keyOf = (text: string) => Buffer.from(slackOf({ ENCRYPTION_KEY: text }).oauth?.key ?? []);

  it('is 32 bytes in hex or base64, as tools print them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        fc.pre(new Set(bytes).size >= 16);
        const key = Buffer.from(bytes);
        const [hex, base64] = [key.toString('hex'), key.toString('base64')];
        for (const text of [hex, hex.toUpperCase(), base64, base64.replace('=', ''), key.toString('base64url')]) {
          expect(keyOf(text)).toEqual(key);
        }
      }),
    );
  });

  it('of another length, or not drawn at random: refused', () => {
    const bad = ['hunter2', 'x'.repeat(64), KEY.toString('hex').slice(1), randomBytes(16).toString('base64')];
    const dull = ['0'.repeat(64), Buffer.alloc(32, 'ab').toString('base64'), `${'A'.repeat(43)}=`];
    for (const text of [...bad, ...dull, randomBytes(33).toString('base64')]) {
      const [problem = '', ...others] = problemsOf({ ENCRYPTION_KEY: text });
      expect(problem).toMatch(/^ENCRYPTION_KEY is not .*openssl rand -base64 32/);
      expect([others, problem.includes(text)]).toEqual([[], false]);
    }
  });

  it('may have an older one beside it, which is another key', () => {
    const old = randomBytes(32);
    expect(Buffer.from(slackOf({ ENCRYPTION_KEY_OLD: old.toString('hex') }).oauth?.oldKey ?? [])).toEqual(old);
    expect(problemsOf({ ENCRYPTION_KEY_OLD: KEY.toString('hex') })).toEqual([
      'ENCRYPTION_KEY and ENCRYPTION_KEY_OLD are the same key. Remove ENCRYPTION_KEY_OLD.',
    ]);
    expect(problemsOf({ ENCRYPTION_KEY_OLD: 'short' })).toEqual([expect.stringMatching(/^ENCRYPTION_KEY_OLD /)]);
  });

  it('is hidden in the log, like the client secret', () => {
    const env: Env = { ...OAUTH, ENCRYPTION_KEY_OLD: randomBytes(32).toString('hex') };
    const secrets = secretsOf(loadConfig(env));
    for (const name of ['ENCRYPTION_KEY', 'ENCRYPTION_KEY_OLD', 'SLACK_CLIENT_SECRET'] as const) {
      expect(secrets).toContain(env[name]);
    }
    expect(formatProblems([])).not.toContain(env.ENCRYPTION_KEY);
  });
});
