import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REDACTED, redact, redactCommand, redactField } from '../../../src/bridge/text/redact.ts';

/** Put together here, so that no scanner takes this file for a leak. */
const key = (...pieces: string[]) => pieces.join('');

const SECRETS: Record<string, string> = {
  'a bot token of Slack': key('xoxb-', '123456789012-abcdefABCDEF'),
  'an app token of Slack': key('xapp-', '1-A0123-456-abcdef0123'),
  'a token of GitHub': key('ghp_', 'abcdefghijklmnopqrstuvwxyz0123456789'),
  'a fine-grained token of GitHub': key('github_pat_', '11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz'),
  'a key of a model provider': key('sk-', 'proj-abcDEF0123456789abcdef'),
  'a key of AWS': key('AKIA', 'IOSFODNN7EXAMPLE'),
  'a key of Google': key('AIza', 'SyA1234567890abcdefghijklmnopqrstuv'),
  'a JSON Web Token': key('eyJ', 'hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P'),
};

const body = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6d\n';
const begin = key('-----BEGIN ', 'RSA PRIVATE KEY-----');
const end = key('-----END ', 'RSA PRIVATE KEY-----');

describe('redacting a text', () => {
  it.each(Object.entries(SECRETS))('hides %s in any surrounding text', (_, secret) => {
    for (const [before, after] of [
      ['', ''],
      ['first\n', '\nlast'],
      ['"', '"'],
      ['(', ').'],
      ['x=', '&y=1'],
      ['`', '`'],
    ]) {
      const { text, isRedacted } = redact(`${before}${secret}${after}`);
      expect(text).toContain(REDACTED);
      expect(text).not.toContain(secret.slice(8));
      expect(isRedacted).toBe(true);
    }
  });

  it.each([
    ['password=hunter2 next', `password=${REDACTED} next`],
    ['DB_PASSWORD="correct horse battery" next', `DB_PASSWORD="${REDACTED}" next`],
    ['{"api_key": "abc123", "name": "Ada"}', `{"api_key": "${REDACTED}", "name": "Ada"}`],
    ['access_token: abcdef', `access_token: ${REDACTED}`],
    ['Server=db;Password=pa55;Trusted=no', `Server=db;Password=${REDACTED};Trusted=no`],
    ['Authorization: Bearer abc.def-1', `Authorization: Bearer ${REDACTED}`],
    ['-H "Authorization: Basic dXNlcjpwYXNz" https://x', `-H "Authorization: Basic ${REDACTED}" https://x`],
    ['Cookie: session=abcd1234; theme=dark', `Cookie: session=${REDACTED} theme=dark`],
    ['postgres://ada:pa55@db:5432/app', `postgres://ada:${REDACTED}@db:5432/app`],
    ['https://ada:p@ss:w0rd@host/x', `https://ada:${REDACTED}@host/x`],
    ['https://0123456789abcdef0123@github.com/a/b', `https://${REDACTED}@github.com/a/b`],
    ['https://s3.example/a?X-Amz-Signature=abcdef0123&b=1', `https://s3.example/a?X-Amz-Signature=${REDACTED}&b=1`],
    ['curl -u ada:pa55 https://x', `curl -u ada:${REDACTED} https://x`],
    ['mysql --password pa55 --host db', `mysql --password ${REDACTED} --host db`],
  ])('%s', (text, clean) => {
    expect(redact(text)).toEqual({ text: clean, isRedacted: true });
  });

  it('hides a private key: whole, without its end, without its beginning', () => {
    expect(redact(`a\n${begin}\n${body}${end}\nb`).text).toBe(`a\n${REDACTED}\nb`);
    expect(redact(`a\n${begin}\n${body}`).text).toBe(`a\n${REDACTED}`);
    expect(redact(`# a key:\n${body}${end}\nb`).text).toBe(`# a key:${REDACTED}\nb`);
    const json = JSON.stringify({ key: `${begin}\n${body}${end}\n`, name: 'Ada' });
    expect(redact(json).text).toBe(`{"key":"${REDACTED}\\n","name":"Ada"}`);
  });

  it.each([
    'The password is checked by the server. Tokens: 4000.',
    'max_tokens=4000 token_count: 12',
    'function login(password: string, token: string | null) {}',
    'const token = readToken(env);',
    'password=$PASSWORD and --token "$TOKEN" and {{ password }}',
    'docker run -u 1000:1000 image',
    'see https://example.com/a:b@c and mail ada@example.com',
    '.sk-some-long-class-name { color: red }',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
    'The secret: none.',
  ])('keeps: %s', (text) => {
    expect(redact(text)).toEqual({ text, isRedacted: false });
  });

  const pieces = [
    ...Object.values(SECRETS),
    ...['password=', '"token": "', "secret='", 'api_key:', '--password ', 'Authorization: ', 'Bearer ', 'cookie: a='],
    ...['://', 'user:', '@', '@host/', '?sig=', ' -u a:', begin, end, body, '"', "'", ' ', '\n', '\\n', '\\', '/', ':'],
    ...[REDACTED, '«', 'abc', 'A1', '-', '_', '.', '$', '$(', '`', ';', 'eyJ', 'AKIA'],
  ];
  const texts = fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 12 })), { maxLength: 30 })
    .map((parts) => parts.join(''));

  it('changes nothing the second time and at most triples the length', () => {
    fc.assert(
      fc.property(texts, (text) => {
        for (const clean of [redact, redactCommand]) {
          const once = clean(text);
          expect(clean(once.text)).toEqual({ text: once.text, isRedacted: false });
          expect(once.text.length).toBeLessThanOrEqual(3 * text.length);
          expect(once.isRedacted).toBe(once.text !== text);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('hides each known kind of secret in random text', () => {
    const others = pieces.filter((piece) => !Object.values(SECRETS).includes(piece));
    const around = fc.array(fc.oneof(fc.constantFrom(...others), fc.string({ maxLength: 8 })), { maxLength: 8 });
    fc.assert(
      fc.property(around, fc.constantFrom(...Object.values(SECRETS)), around, (before, secret, after) => {
        const text = `${before.join('')} ${secret} ${after.join('')}`;
        expect(redact(text).text).not.toContain(secret.slice(0, 24));
      }),
    );
  });

  it('reads long hostile texts in linear time', () => {
    // Read again from each beginning, these would take minutes.
    for (const piece of [...pieces, '-eyJaaaaaaaa', '://a:b', 'password="', "token=\\'", '--a-token', '-----BEGIN ']) {
      const long = piece.repeat(Math.ceil(200_000 / piece.length));
      expect(redact(long).text.length).toBeLessThanOrEqual(3 * long.length);
    }
  }, 60_000);
});

describe('redacting a command for the people who decide', () => {
  it('reads blanks before the end of a private key in linear time', () => {
    const text = `${' '.repeat(60_000)}x\n-----END PRIVATE KEY-----`;
    const before = process.cpuUsage();
    expect(redactCommand(text).text).toBe(text);
    const { user, system } = process.cpuUsage(before);
    // They took 10 s.
    expect((user + system) / 1_000).toBeLessThan(2_000);
  });

  it('hides one word after a telling name, never what would run', () => {
    expect(redactCommand('PASSWORD=hunter2 ./deploy').text).toBe(`PASSWORD=${REDACTED} ./deploy`);
    for (const hostile of [
      'FOO="password=" rm -rf ~ "x"',
      'password=x;rm -rf ~',
      'password=x&&rm -rf ~',
      'password=$(rm -rf ~)',
      'password=`rm -rf ~`',
      'password=abc|sh rm -rf ~',
      "X=''token': ' rm -rf ~ ''",
    ]) {
      expect(redactCommand(hostile).text).toMatch(/rm -rf ~/);
    }
  });

  it('never hides a blank or an operator', () => {
    const operators = (text: string) => text.match(/[\s;|&<>()`]/g)?.join('') ?? '';
    const line = fc.array(
      fc.constantFrom(
        'password=',
        'token: ',
        '"',
        "'",
        ';',
        '|',
        '&',
        '(',
        ')',
        '$(',
        '`',
        ' ',
        'a1b2',
        'rm -rf ~',
        '<',
        '>',
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(line, (parts) => {
        const text = parts.join('');
        expect(operators(redactCommand(text).text)).toBe(operators(text));
      }),
    );
  });
});

describe('redacting a field of an input', () => {
  it('telling field name: hides the whole value; else only secrets in it', () => {
    const token = SECRETS['a token of GitHub'] ?? '';
    expect(redactField(`git push ${token}`, 'command').text).toBe(`git push ${REDACTED}`);
    expect(redactField('correct horse', 'DB_PASSWORD').text).toBe(`${REDACTED} ${REDACTED}`);
    expect(redactField('a', 'apiKey')).toEqual({ text: REDACTED, isRedacted: true });
    expect(redactField('', 'token')).toEqual({ text: '', isRedacted: false });
  });
});
