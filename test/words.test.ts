import { globSync, readFileSync } from 'node:fs';
import { parseSync } from 'vite';
import { describe, expect, it } from 'vitest';

/** Forms that a reader stumbles over, each with what to write instead. */
const BANNED: readonly [form: RegExp, instead: string][] = [
  [/\bcan not\b/i, 'cannot, or can’t'],
  [/\bshall\b/i, 'should, or will'],
  [/\bmend(?:ed|ing|s)?\b/i, 'fix'],
  [/\bunasked\b/i, 'without asking'],
  [/\bunsaid\b/i, 'who could not be told what'],
  [/\b(?:nobody|anybody|somebody|everybody)\b/i, 'no one, anyone, someone, everyone; better: who it is'],
  [/\bstands?\b/i, 'is'],
  [/\b(?:is|are) none\b/i, 'is not a …'],
  [/(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b)/i, 'is not a …'],
  [/\btaken in\b|\btook in\b/i, 'accepted'],
  [/\banew\b/i, 'again'],
  [/\bany more\b/i, 'no longer'],
  [/\bas it were\b/i, 'nothing at all'],
  [/\bat work\b/i, 'working'],
];

/** What may stay although a form above fits. */
const ALLOWED: readonly [words: RegExp, reason: string][] = [
  [/\(\?<nobody>/g, 'the name of a group in a pattern, not a sentence'],
];

interface Words {
  text: string;
  at: number;
}

/** The texts of string literals, templates and JSX under a node of a syntax tree. */
function wordsIn(node: unknown): Words[] {
  if (typeof node !== 'object' || node === null) return [];
  if (Array.isArray(node)) return node.flatMap(wordsIn);
  const { type, start: at, value, source } = node as Record<string, unknown>;
  if (typeof type === 'string' && typeof at === 'number') {
    // The path of a module is no sentence.
    if (/^(?:Import|Export(?:All|Named))Declaration$/.test(type) && source) return [];
    if ((type === 'Literal' || type === 'JSXText') && typeof value === 'string') return [{ text: value, at }];
    if (type === 'TemplateElement') return [{ text: (value as { cooked: string | null }).cooked ?? '', at }];
  }
  return Object.values(node).flatMap(wordsIn);
}

/** Complaints about the sentences of one source. A literal of one word is a value, not a sentence. */
function complaints(path: string, source: string): string[] {
  return wordsIn(parseSync(path, source).program)
    .filter(({ text }) => /\S\s+\S/.test(text))
    .flatMap(({ text, at }) => {
      const judged = ALLOWED.reduce((rest, [words]) => rest.replace(words, ''), text);
      const line = source.slice(0, at).split('\n').length;
      return BANNED.flatMap(([form, instead]) => {
        const found = form.exec(judged)?.[0];
        return found === undefined ? [] : [`${path}:${line} "${found}" → ${instead}: ${text.trim().slice(0, 120)}`];
      });
    });
}

/** The signs that lines in Slack begin with, and those of feedback; every other thing is said in words. */
const SIGNS = new Set(['⏳', '🔧', '⚠️', '✅', '⛔', '👍', '👎']);

function foreignSigns(path: string, source: string): string[] {
  const found = wordsIn(parseSync(path, source).program).flatMap(({ text }) => [
    ...text.matchAll(/\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F/gu),
  ]);
  return found.flatMap(([sign]) => (SIGNS.has(sign) ? [] : [`${path}: ${sign}`]));
}

/** Files outside of `words/` with sentences that no person reads in Slack, each with who does. */
const OWN_SENTENCES: ReadonlyMap<string, string> = new Map([
  [
    'src/bridge/metric-table.ts',
    'the help lines of the metrics: operators read them, and docs/metrics.md is made of them',
  ],
  ['src/bridge/tools/catalogue.ts', 'what each tool of ours does: models read it'],
  ['src/bridge/turn/prompt.ts', 'the envelope of a prompt: the agent reads it'],
]);

/** Calls and errors whose words are for the log. */
function isForLog({ type, callee }: { type?: unknown; callee?: { name?: string; property?: { name?: string } } }) {
  if (type === 'NewExpression') return /Error$/.test(callee?.name ?? '');
  return (
    type === 'CallExpression' && /^(?:debug|info|warn|error|log)$/.test(callee?.property?.name ?? callee?.name ?? '')
  );
}

/** The same tree without what is for the log. */
function withoutLog(node: unknown): unknown {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map(withoutLog);
  if (isForLog(node)) return null;
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, withoutLog(value)]));
}

/** Whole sentences that a source says to people: a capital letter, three words, a mark at the end. */
function sentencesIn(path: string, source: string): string[] {
  const texts = wordsIn(withoutLog(parseSync(path, source).program)).map(({ text }) => text.trim());
  return texts.filter((text) => /^(?:\p{Extended_Pictographic}\uFE0F? )?\p{Lu}\S*(?: \S+){2,}[.!?…]$/u.test(text));
}

describe('sentences that people read', () => {
  const files = globSync(['src/**/*.ts', 'sandbox/**/*.{ts,tsx}'], {
    exclude: (path) => /(^|\/)node_modules$/.test(path),
  }).sort();

  it('in src/ and sandbox/: use plain words', () => {
    expect(files.length).toBeGreaterThan(300);
    expect(files.flatMap((path) => complaints(path, readFileSync(path, 'utf8')))).toEqual([]);
  });

  it('of the bridge and of the Slack side: are in words/', () => {
    const sides = files.filter((path) => /^src\/(?:slack|bridge)\/(?!words\/)/.test(path));
    const holders = sides.filter((path) => sentencesIn(path, readFileSync(path, 'utf8')).length > 0);
    expect(holders.filter((path) => !OWN_SENTENCES.has(path))).toEqual([]);
    expect([...OWN_SENTENCES.keys()].filter((path) => !holders.includes(path))).toEqual([]);
    expect(sentencesIn('one.ts', "const a = [f('Write it again.'), log.warn('It did not work.'), 'ok'];")).toEqual([
      'Write it again.',
    ]);
  });

  it('in Slack: use few signs', () => {
    const ours = files.filter((path) => /^src\/(?:slack|bridge)\//.test(path));
    expect(ours.flatMap((path) => foreignSigns(path, readFileSync(path, 'utf8')))).toEqual([]);
    expect(foreignSigns('one.ts', "const a = '⏳ ⚠️ 🙋 ✂️';")).toEqual(['one.ts: 🙋', 'one.ts: ✂️']);
  });

  it.each([
    ['a string', "const a = 'This can not be read.';"],
    ['a template', `const a = \`Nobody has \${b} here\`;`],
    ['a sentence split by a value', `const a = \`\${b} shall not run\`;`],
    ['an attribute', 'const a = <p title="It stands here">ok</p>;'],
    ['text between tags', 'const a = <p>It is none of them</p>;'],
  ])('finds a banned form in %s', (_, source) => {
    expect(complaints('one.tsx', source)).toHaveLength(1);
  });

  it.each([
    ['a comment', '// nobody can not say this\nconst a = 1;'],
    ['a value of one word', "const by = 'nobody';"],
    ['an import', "import { a } from './not shall.ts';"],
    ['a form like a banned one', "const a = 'There is no rule to save.';"],
    ['another form like one', "const a = 'Letta has no agent, and that is no longer a problem.';"],
  ])('leaves %s alone', (_, source) => {
    expect(complaints('one.tsx', source)).toEqual([]);
  });
});
