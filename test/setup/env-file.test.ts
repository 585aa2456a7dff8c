import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { envLines, envProblems } from '../../src/config/env-lines.ts';
import { withSettings } from '../../src/setup/env-file.ts';

/** Pieces that matter to readers of `.env`, in any order. */
const piece = fc.constantFrom(
  'A',
  'B=',
  'C=1',
  "='",
  '"',
  "'",
  '`',
  '#',
  ' #',
  '\n',
  '\n',
  ' ',
  '\t',
  '\\n',
  '\\',
  '$A',
  'export ',
  'x y',
  '=',
  '\r\n',
  'ä',
  '# A=',
  'A=',
  '\nA=',
);
const anyText = fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join(''));
/** What a setting may be: anything on one line. */
const anyValue = fc
  .oneof(
    fc
      .array(fc.constantFrom('a', '#', ' ', "'", '"', '`', '\\', '\\n', '$', '{', '}', '=', 'ü', '!', '/'), {
        minLength: 1,
        maxLength: 12,
      })
      .map((parts) => parts.join('')),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  )
  .filter((value) => !/\p{Cc}/u.test(value));

function attempt(text: string, value: string): string | null {
  try {
    return withSettings(text, { A: value }, parseEnv);
  } catch {
    return null;
  }
}

/** `docker run --env-file`: everything behind the `=`, as it stands. */
function readByDocker(text: string, name: string): string | undefined {
  return text
    .split('\n')
    .findLast((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** `env_file` of Docker Compose (compose-go): quotes; interpolation and escapes, but for single quotes; ` #` is a comment. */
function readByCompose(text: string, name: string): string | undefined | 'unsure' {
  const raw = readByDocker(text, name);
  if (raw === undefined) return undefined;
  const quoted = /^'([^']*)'$/.exec(raw);
  if (quoted) return quoted[1];
  if (/[$\\`]/.test(raw)) return 'unsure';
  return /^"([^"]*)"$/.exec(raw)?.[1] ?? raw.replace(/\s#.*$/, '').trim();
}

describe('a setting written to .env', () => {
  it.each([
    ['plain', 'A=plain\n'],
    ['build box', 'A=build box\n'],
    ['to#ken', "A='to#ken'\n"],
    ['#token', "A='#token'\n"],
    ['a$b', "A='a$b'\n"],
    ['a\\nb', "A='a\\nb'\n"],
    [' blanks ', "A=' blanks '\n"],
    ["it's", 'A="it\'s"\n'],
    ["it's $5", "A=`it's $5`\n"],
    ['say "hi"', 'A=\'say "hi"\'\n'],
    [`'"`, 'A=`\'"`\n'],
  ])('is quoted as needed: %s', (value, written) => {
    expect(withSettings('', { A: value }, parseEnv)).toBe(written);
    expect(parseEnv(written)).toEqual({ A: value });
  });

  it('is read back by Node, and the other settings stay', () => {
    fc.assert(
      fc.property(anyText, anyValue, (text, value) => {
        const next = attempt(text, value);
        if (next === null) return;
        const { A, ...others } = parseEnv(next);
        const { A: _before, ...before } = parseEnv(text);
        expect(A).toBe(value);
        expect(others).toEqual(before);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is refused only with all quotes or a control character in it', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        if (attempt('', value) !== null) return;
        expect(value).toContain("'");
        expect(value).toContain('`');
        expect(value.includes('"') || value.includes('\\n')).toBe(true);
      }),
      { numRuns: 1_000 },
    );
    for (const value of ['two\nlines', 'a\u0000b', 'a\rb', '\u0085']) {
      expect(() => withSettings('', { A: value }, parseEnv)).toThrow('control character');
    }
  });

  it('is read back by Docker Compose, and by docker run without quotes', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const next = attempt('', value);
        if (next === null) return;
        if (!/[#$\\'"`]/.test(value) && value === value.trim()) expect(readByDocker(next, 'A')).toBe(value);
        const compose = readByCompose(next, 'A');
        if (!value.includes("'")) expect(compose).toBe(value);
        else if (compose !== 'unsure') expect(compose).toBe(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it('replaces or switches off every earlier line for it', () => {
    expect(parseEnv(withSettings('A=1\nB=x\nexport A=2\n', { A: '3' }, parseEnv))).toEqual({ A: '3', B: 'x' });
    expect(parseEnv(withSettings("A='1\n2'\n  A = 3\nB=x", { A: null }, parseEnv))).toEqual({ B: 'x' });
    expect(withSettings("B='\n# A=old\n'\n", { A: '1' }, parseEnv)).toBe("B='\n# A=old\n'\nA=1\n");
    expect(parseEnv(withSettings("B='open\n", { A: 'a#b' }, parseEnv))).toEqual({ A: 'a#b', B: "'open" });
  });
});

describe('the lines of a .env', () => {
  /** As people write them: names, values in quotes or not, comments. */
  const anyLine = fc
    .tuple(
      fc.constantFrom('', '  ', 'export ', '\t'),
      fc.constantFrom('A', 'B', 'LONG_NAME'),
      fc.constantFrom('=', ' = ', '= '),
      fc.constantFrom(
        '',
        'x',
        'a b',
        "it's",
        'a#b',
        "'q'",
        "'q#q'",
        '"two\nlines"',
        '"a\\nb"',
        '`"\'`',
        '$A',
        'ü\\',
        '=',
        "'q' more",
      ),
      fc.constantFrom('', ' ', ' # comment', '\r'),
    )
    .map((parts) => parts.join(''))
    // Node takes `export A` for the name of one without a value.
    .filter((line) => !/^export [^=]*=\s*$/.test(line));
  const wellFormed = fc
    .array(fc.oneof(anyLine, fc.constantFrom('', '# comment', '# A=off', 'no setting', '  ')), { maxLength: 8 })
    .map((lines) => `${lines.join('\n')}\n`);

  it('are read as Node reads them', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(Object.fromEntries(envLines(text).map(({ name, value }) => [name, value]))).toEqual(parseEnv(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('allow writing and removing a setting, whatever else they hold', () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(parseEnv(withSettings(text, { A: 'to#ken' }, parseEnv)).A).toBe('to#ken');
        expect(parseEnv(withSettings(text, { A: null }, parseEnv)).A).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a value cut off in .env', () => {
  const problemsOf = (text: string) => envProblems(text).map(({ setting }) => setting);

  it.each([
    'LETTA_API_KEY=sk-let-abc#def',
    'export LETTA_API_KEY=sk-let-abc#def',
    '  LETTA_API_KEY = sk-let-abc#',
    'LETTA_API_KEY=a b#c # and a comment',
    "LETTA_API_KEY='it's'",
    'LETTA_API_KEY="a"b"',
    'LETTA_API_KEY=good\nLETTA_API_KEY=b#d\n',
    'LETTA_API_KEY=b#d\r\n',
    'LETTA_API_KEY= \nPERMISSIONS=strict',
  ])('is reported: %j', (text) => {
    expect(problemsOf(text)).toEqual(['LETTA_API_KEY']);
  });

  it.each([
    "LETTA_API_KEY='sk-let-abc#def'",
    'LETTA_API_KEY="a#b" # comment',
    'LETTA_API_KEY=sk-let-abc # the one of Alice',
    'LETTA_API_KEY=sk-let-abc\t# tab',
    'LETTA_API_KEY=# none yet',
    'LETTA_API_KEY=#none',
    '# LETTA_API_KEY=a#b',
    'OTHER=a#b',
    'LETTA_API_KEY=b#d\nLETTA_API_KEY=good\n',
    '',
  ])('is not reported for a whole value: %j', (text) => {
    expect(problemsOf(text)).toEqual([]);
  });

  it('is not reported when the environment has the setting', () => {
    expect(envProblems('LETTA_API_KEY=a#b', (name) => name === 'LETTA_API_KEY')).toEqual([]);
  });

  it('stops the start, with its fix, once', () => {
    const text = 'SLACK_BOT_TOKEN=xoxb-1#2\n';
    const start = () => loadConfig(parseEnv(text), () => null, envProblems(text));
    const [first] = problemsThrown(start).filter(({ setting }) => setting === 'SLACK_BOT_TOKEN');
    expect(first).toEqual({
      setting: 'SLACK_BOT_TOKEN',
      problem: 'is cut off in .env: everything after a # is ignored',
      fix: "Put the value in single quotes: SLACK_BOT_TOKEN='…#…'. A comment needs a space before its #.",
    });
    expect(problemsThrown(start).filter(({ setting }) => setting === 'SLACK_BOT_TOKEN')).toHaveLength(1);
  });
});

function problemsThrown(work: () => unknown) {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
