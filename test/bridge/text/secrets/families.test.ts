import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REDACTED, redact } from '../../../../src/bridge/text/redact.ts';
import { FAMILIES } from '../../../../src/bridge/text/secrets/families.ts';
import { hideSecrets } from '../../../../src/bridge/text/secrets/hide.ts';
import { keysOf } from '../../../support/keys.ts';

const AROUND = [
  ['', ''],
  ['first\n', '\nlast'],
  ['"', '"'],
  ['x=', '&y=1'],
  ['(', ').'],
  ['\u001b[31m', '\u001b[0m'],
  ['\u001b[1;32m', ''],
  ['\\u001b[0m', ''],
  ['\\033[31m', ''],
  ['[0;31m', ''],
  ['line\\n', '\\nnext'],
  ['a%20', '%20b'],
] as const;

describe.each(FAMILIES.map((family) => [family.id, family] as const))('a key of %s', (_, family) => {
  it('is hidden in any surrounding text', () => {
    fc.assert(
      fc.property(keysOf(family), fc.constantFrom(...AROUND), (key, [before, after]) => {
        const text = `${before}${key}${after}`;
        for (const shown of [redact(text).text, hideSecrets(text).open, hideSecrets(text).own]) {
          expect(shown).toContain(REDACTED);
          expect(shown).not.toContain(key);
          expect(shown.startsWith(before)).toBe(true);
        }
      }),
      { numRuns: 12 },
    );
  });
});

describe('a value after a name', () => {
  const value = '3fA9c0De71bB42e6a8D05f9C';

  it.each([
    ...[
      'DB_PASS=',
      'MYSQL_PASS: ',
      'SECRET_KEY_BASE=',
      'SECRET_KEY=',
      'AccountKey=',
      'SharedAccessKey=',
      'master_key: ',
    ],
    ...['AUTH_KEY=', 'webhook-secret: ', 'MAIL_PASSCODE=', 'dbPass=', 'api_secret=', 'CONNECTION_STRING=', 'creds='],
    ...[
      'DATADOG_API=',
      'heroku: ',
      'LINKEDIN_CLIENT_ID=',
      'sonar.login=',
      'okta_value := ',
      'STRIPE_KEY=',
      'NEW_RELIC = ',
    ],
    ...['X-Api-Key: ', 'access-token: ', 'client_secret=', '"privateKey": "', 'Authorization: Bearer ', '?sig='],
  ])('telling name: the value is hidden: %s', (name) => {
    const text = `a ${name}${value} b`;
    expect(redact(text).text).not.toContain(value);
    expect(hideSecrets(text).open).not.toContain(value);
    expect(redact(`DefaultEndpointsProtocol=https;${name}${value}==;x`).text).not.toContain(value);
  });

  it.each([
    ...[
      'bypass=yes',
      'compass: north',
      'PASS: all 12 tests',
      'sort_key=name',
      'primary_key: user_id',
      'keyboard=qwerty',
    ],
    ...['max_tokens=4000', 'tokenizer=gpt', 'author: Ada', 'linear-gradient(90deg)', 'monkey: see', 'travis: yes'],
    ...['key: value', 'jira: PROJ-12', 'cache-key: linux', 'sha: abc', 'const key = makeKey(thread);'],
  ])('harmless name: the text is kept: %s', (text) => {
    expect(redact(text)).toEqual({ text, isRedacted: false });
    expect(hideSecrets(text)).toEqual({ open: text, own: text });
  });
});
