import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BridgeError } from '../../src/errors.ts';
import { createHider, createLog, type LogOptions } from '../../src/ops/log.ts';

function capture(options: Partial<LogOptions> = {}) {
  const written: string[] = [];
  const to = { write: (line: string) => void written.push(line) };
  const log = createLog({ level: 'debug', pretty: false, to, ...options });
  const lines = (): Record<string, unknown>[] => written.map((line) => JSON.parse(line));
  return { log, written, lines };
}

describe('createLog', () => {
  it('writes one JSON object per line: level, time, fields, message', () => {
    const { log, lines, written } = capture();
    log.child({ thread: 'T:C:1' }).info({ turn: 'turn-1' }, 'a turn began');
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.+Z$/),
        thread: 'T:C:1',
        turn: 'turn-1',
        msg: 'a turn began',
      },
    ]);
    expect(written[0]).toMatch(/\n$/);
  });

  it('leaves out lines below its level', () => {
    const { log, lines } = capture({ level: 'warn' });
    log.debug({}, 'one');
    log.info({}, 'two');
    log.warn({}, 'three');
    log.error({}, 'four');
    expect(lines().map((line) => line.msg)).toEqual(['three', 'four']);
  });

  it('writes lines for people in pretty mode', () => {
    const { log, written } = capture({ pretty: true, secrets: ['a-secret-value'] });
    log.warn({ thread: 'T:C:1', note: 'a-secret-value' }, 'something odd');
    const text = written.join('');
    expect(text).toContain('something odd');
    expect(text).toContain('T:C:1');
    expect(text).toContain('WARN');
    expect(text).not.toContain('a-secret-value');
  });

  it('writes an error with its code and cause', () => {
    const { log, lines } = capture();
    const disk = Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR' });
    const error = new BridgeError('store_failed', 'could not write threads/T:C:1', { cause: disk });
    log.error({ error }, 'the store failed');
    expect(lines()[0]?.error).toEqual({
      type: 'BridgeError',
      code: 'store_failed',
      message: 'could not write threads/T:C:1',
      stack: expect.stringContaining('log.test.ts'),
      cause: { type: 'Error', code: 'ERR_SQLITE_ERROR', message: 'disk I/O error' },
    });
  });

  it('bounds the size of what it writes', () => {
    const { log, written, lines } = capture();
    const loop: Record<string, unknown> = {};
    loop.loop = loop;
    const chain = new Error('first');
    chain.cause = chain;
    log.info({ text: 'x'.repeat(1e6), list: Array(1e5).fill(1), loop, chain, bytes: new Uint8Array(9), n: 5n }, 'big');
    expect(written[0]?.length).toBeLessThan(20_000);
    expect(lines()[0]).toMatchObject({ bytes: '[9 bytes]', n: '5' });
  });

  it('hides secrets in fields, bindings, errors and messages', () => {
    const { log, written } = capture({ secrets: ['sk-let-"quoted"', 'short'] });
    const error = new Error('fetch failed: Bearer abc.def-ghi', { cause: new Error('token=query-secret&x=1') });
    log
      .child({ bound: 'xoxb-123-456-abcdef', headers: { Authorization: 'whatever-it-is' } })
      .error({ error, deep: [{ botToken: 'plain' }], key: 'it was sk-let-"quoted"!' }, 'got xapp-1-A1-99-ffff');
    const text = written.join('');
    for (const secret of ['123-456', 'whatever-it-is', 'abc.def', 'query-secret', '"plain"', 'quoted', '99-ffff']) {
      expect(text).not.toContain(secret);
    }
    expect(text).toContain('x=1');
  });
});

/** What a terminal obeys, or shows in another order; line breaks aside. */
const UNSAFE = /(?![\n\t])\p{Cc}|[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\u{e0001}/u;
const HOSTILE = '\u001b[2J\u009b31m\u0085\u2028\u202eevil\u2066\u200b\u061c\ufeff\u{e0001}\r\n{"level":"error"}\u007f';

describe('hostile text in the log', () => {
  const everywhere = (log: ReturnType<typeof createLog>) => {
    const error = Object.assign(new Error(HOSTILE, { cause: new Error(HOSTILE) }), { code: HOSTILE });
    log
      .child({ bound: HOSTILE })
      .warn({ name: HOSTILE, [HOSTILE]: 1, deep: [{ x: HOSTILE }], err: error, error }, 'said');
  };

  it('is escaped in one line of JSON, and reads back unchanged', () => {
    const { log, written, lines } = capture();
    everywhere(log);
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^[^\n]*\n$/);
    expect(written[0]).not.toMatch(UNSAFE);
    expect(lines()[0]).toMatchObject({ bound: HOSTILE, name: HOSTILE, deep: [{ x: HOSTILE }] });
  });

  it('is made visible in pretty mode, and starts no line', () => {
    const { log, written } = capture({ pretty: true });
    everywhere(log);
    const text = written.join('');
    expect(text).not.toMatch(UNSAFE);
    expect(text).toContain('⟨U+202E⟩evil');
    // Only the lines of a stack, which are set in.
    for (const each of text.split('\n').slice(1)) expect(each).toMatch(/^( {4}|$)/);
    expect(text).not.toMatch(/^ *\{"level":"error"\}/m);
  });

  it('never reaches a terminal unescaped, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, value) => {
        for (const pretty of [false, true]) {
          const { log, written } = capture({ pretty });
          log.info({ [name]: value, err: new Error(value) }, 'said');
          expect(written.join('')).not.toMatch(UNSAFE);
        }
      }),
    );
  });
});

describe('hider', () => {
  const hide = createHider([]);

  it.each([
    ['xoxb-1234-5678-abc', '[hidden]'],
    ['xoxe.xoxp-1-Mi0yLTEyMy00NTY', '[hidden]'],
    ['authorization: Bearer sk-let-abc.def=', 'authorization: Bearer [hidden]'],
    ['https://files.slack.com/x?token=abc&v=1', 'https://files.slack.com/x?token=[hidden]&v=1'],
    ['wss://wss-primary.slack.com/link/?ticket=abc-def&app_id=1', 'wss://wss-primary.slack.com/[hidden]'],
    ['wss://api.letta.com/v1/environments/conn-1/status/ws?agentId=a', 'wss://api.letta.com/[hidden]'],
    ['ws://user:pass@127.0.0.1:4500/ws', 'ws://127.0.0.1:4500/[hidden]'],
    ['https://user:pass@example.com/', 'https://[hidden]@example.com/'],
  ])('takes the secret out of %s', (text, instead) => {
    expect(hide(`before ${text} after`)).toBe(`before ${instead} after`);
  });

  it('leaves ordinary text alone', () => {
    const text = 'the token of thread T01:C02:1.5 was used at https://example.com/a?b=c, ws://127.0.0.1:4500';
    expect(hide(text)).toBe(text);
  });
});

describe('the level of a log', () => {
  it('can be changed while running, for existing children too', () => {
    const { log, lines } = capture({ level: 'info' });
    const child = log.child({ thread: 'T:C:1' });
    child.debug({}, 'one');
    log.setLevel('debug');
    child.debug({}, 'two');
    expect(log.level).toBe('debug');
    log.setLevel('error');
    child.warn({}, 'three');
    expect(lines().map((line) => line.msg)).toEqual(['two']);
  });
});
