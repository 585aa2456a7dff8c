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
  ['src/bridge/record/tasks.ts', 'the prompt of a turn that ends background tasks: the agent reads it'],
  ['src/bridge/tools/catalogue.ts', 'what each tool of ours does: models read it'],
  ['src/bridge/tools/params.ts', 'what is wrong with a call: models read it'],
  ['src/bridge/turn/file-notes.ts', 'the lines of a prompt about files: the agent reads them'],
  ['src/bridge/turn/prompt.ts', 'the envelope of a prompt: the agent reads it'],
  ['src/slack/api/token-watch.ts', 'a token that Slack no longer accepts: on the terminal of who runs the bridge'],
  ['src/storage/postgres/uri.ts', 'what is wrong with a setting: setup and the start print it'],
  ['src/storage/store-uri.ts', 'the same, of other stores'],
]);

interface Node {
  type?: unknown;
  callee?: { name?: string; property?: { name?: string } };
  key?: { name?: string };
}

function isLog({ type, callee }: Node): boolean {
  const name = callee?.property?.name ?? callee?.name ?? '';
  return type === 'CallExpression' && /^(?:debug|info|warn|error|log)$/.test(name);
}

function isError({ type, callee }: Node): boolean {
  return type === 'NewExpression' && /Error$/.test(callee?.name ?? '');
}

/** The same tree without what is for the log; of an error only its `notice` is for people. */
function withoutLog(node: unknown, isInError = false): unknown {
  if (typeof node !== 'object' || node === null) return isInError ? null : node;
  if (Array.isArray(node)) return node.map((each) => withoutLog(each, isInError));
  if (isLog(node)) return null;
  const isForLog = isError(node) || (isInError && (node as Node).key?.name !== 'notice');
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, withoutLog(value, isForLog)]));
}

/** The templates under a node, each as one text with `X` for every value. */
function templatesIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  if (Array.isArray(node)) return node.flatMap(templatesIn);
  const { type, quasis } = node as { type?: unknown; quasis?: { value?: { cooked?: string | null } | null }[] };
  const own = type === 'TemplateLiteral' ? [(quasis ?? []).map((part) => part.value?.cooked ?? '').join('X')] : [];
  return [...own, ...Object.values(node).flatMap(templatesIn)];
}

const SENTENCE = /^(?:\p{Extended_Pictographic}\uFE0F? )?\p{Lu}\S*(?: \S+){2,}[.!?…:]$/u;

/** Whole sentences that a source says to people: a capital letter or a value, three words, a mark at the end. */
function sentencesIn(path: string, source: string): string[] {
  const tree = withoutLog(parseSync(path, source).program);
  const words = (text: string) => text.match(/\p{L}[\p{L}’]+/gu) ?? [];
  return [...wordsIn(tree).map(({ text }) => text), ...templatesIn(tree)]
    .map((text) => text.trim())
    .filter((text) => SENTENCE.test(text) && words(text).length > 2);
}

describe('sentences that people read', () => {
  const files = globSync(['src/**/*.ts', 'sandbox/**/*.{ts,tsx}'], {
    exclude: (path) => /(^|\/)node_modules$/.test(path),
  }).sort();

  it('in src/ and sandbox/: use plain words', () => {
    expect(files.length).toBeGreaterThan(300);
    expect(files.flatMap((path) => complaints(path, readFileSync(path, 'utf8')))).toEqual([]);
  });

  it('of each side: are in its words/', () => {
    const sides = files.filter((path) => /^src\/(?:slack|bridge|letta|storage)\/(?!words\/)/.test(path));
    const holders = sides.filter((path) => sentencesIn(path, readFileSync(path, 'utf8')).length > 0);
    expect(holders.filter((path) => !OWN_SENTENCES.has(path))).toEqual([]);
    expect([...OWN_SENTENCES.keys()].filter((path) => !holders.includes(path))).toEqual([]);
  });

  it.each([
    ["[f('Write it again.'), log.warn('It did not work.'), 'ok']", ['Write it again.']],
    [`\`\${who} may not do this.\``, ['X may not do this.']],
    ["new BridgeError('code', 'It is not for people.', { notice: 'It is for people.' })", ['It is for people.']],
  ])('are found in %s', (source, found) => {
    expect(sentencesIn('one.ts', `const a = ${source};`)).toEqual(found);
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
