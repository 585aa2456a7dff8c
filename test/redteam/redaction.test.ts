import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fullText, shownRequest } from '../../src/bridge/approvals/shown.ts';
import { FAMILIES } from '../../src/bridge/text/secrets/families.ts';
import { hideSecrets } from '../../src/bridge/text/secrets/hide.ts';
import { REDACTED } from '../../src/bridge/text/secrets/mark.ts';
import { keysOf } from '../support/keys.ts';
import { runs } from '../support/runs.ts';
import { lex } from './shell-lexer.ts';

/** Redaction may hide a key from those who read a card, and nothing of what would run. */

const keys = fc.oneof(...FAMILIES.map(keysOf));
const names = fc.constantFrom(
  ...['password=', 'TOKEN=', 'DB_PASS=', "secret='", 'api_key: "', '"token": "', '--password ', 'AccountKey='],
  ...[
    'Authorization: Bearer ',
    'cookie: a=',
    'https://a:',
    '://',
    ' -u a:',
    '?sig=',
    'hooks.slack.com/services/T0/B0/',
  ],
  ...['-----BEGIN PRIVATE KEY-----', '-----END RSA PRIVATE KEY-----'].map((mark) => `${mark}\n`),
);
const code = fc.constantFrom(
  ...[
    ';',
    '|',
    '&',
    '&&',
    '||',
    '>',
    '<',
    '<<',
    '(',
    ')',
    '$(',
    '${',
    '}',
    '`',
    '"',
    "'",
    '\\',
    '\n',
    '\r\n',
    ' ',
    '\t',
  ],
  ...['$X', '$TOKEN', '$((', '<(', '..', '/', '../', '/etc/passwd', '*', '?', '~', '#', '!', '{', ',', '@h', '=', '+'],
  ...[
    'rm -rf ~',
    'touch PWNED',
    'reboot',
    'sh',
    'python3',
    'eval ',
    'abc',
    'a1',
    'hunter2',
    REDACTED,
    '«',
    '\\n',
    '\\"',
  ],
);
const base64 = fc.stringMatching(/^[A-Za-z0-9+/]{40,64}={0,2}$/);
const commands = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: code },
      { weight: 2, arbitrary: names },
      keys,
      base64,
      fc.string({ maxLength: 6 }),
    ),
    {
      maxLength: 24,
    },
  )
  .map((parts) => parts.join(''));

/** What was hidden, piece by piece; `null` where the shown text is not the true one with marks in it. */
function hiddenPieces(text: string, shown: string): string[] | null {
  const literal = shown.split(REDACTED).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const found = new RegExp(`^${literal.join('([A-Za-z0-9_+.-]+?|«redacted»)')}$`).exec(text);
  return found?.slice(1) ?? null;
}

describe('redaction of a command', () => {
  it('hides only unbroken runs of key characters, never two dots', () => {
    fc.assert(
      fc.property(commands, fc.constantFrom('', '', 'token'), (text, name) => {
        const { open, own } = hideSecrets(text, name);
        for (const shown of [open, own]) {
          const pieces = hiddenPieces(text, shown);
          expect(pieces).not.toBeNull();
          for (const piece of pieces ?? []) expect(piece).not.toContain('..');
        }
      }),
      { numRuns: runs(4_000) },
    );
  });

  it('keeps operators, quotes, substitutions, lines and word borders', () => {
    fc.assert(
      fc.property(commands, (text) => {
        const { open, own } = hideSecrets(text);
        // A mark is a word like the run that stood there.
        const structure = (shown: string) => lex(shown.replaceAll(REDACTED, 'KEY'));
        const original = lex(text.replaceAll(REDACTED, 'KEY'));
        expect(structure(open)).toEqual(original);
        expect(structure(own)).toEqual(original);
      }),
      { numRuns: runs(4_000) },
    );
  });

  it('changes nothing the second time and at most triples the length', () => {
    fc.assert(
      fc.property(commands, (text) => {
        const { open } = hideSecrets(text);
        expect(hideSecrets(open).open).toBe(open);
        expect(open.length).toBeLessThanOrEqual(3 * text.length);
      }),
      { numRuns: runs(1_000) },
    );
  });

  it('leaves everything but certain keys readable for the decider', () => {
    fc.assert(
      fc.property(commands, (command) => {
        const request = { requestId: 'r', callId: null, tool: 'Bash', input: { command }, diffs: [] };
        const asked = { ...request, suggestions: [], questions: null };
        const shown = shownRequest(asked);
        if (shown.isWithheld) expect(shown.isPartlyShown).toBe(true);
        if (command !== '') expect(fullText(asked, null, 'own')).toContain(hideSecrets(command).own);
      }),
      { numRuns: runs(500) },
    );
  });
});
