import { globSync, readFileSync } from 'node:fs';
import { type ESTree, parseSync, Visitor } from 'vite';
import { describe, expect, it } from 'vitest';

const LONGEST = 12;

/** A title begins with what is tested, or does it; "that", "of which" or "whoever" would leave the reader to guess. */
const RELATIVE =
  /^(?:(?:about|after|at|before|by|during|for|from|in|of|on|to|under|with)\s+)?(?:that|what|who|whom|whose|which|where|whether)(?:ever)?\b/i;

const BANNED = /\b(?:nobody|unasked|stands|shall|mend(?:s|ed|ing)?|can not)\b/i;

/** What `each` fills in (`%s`, `$name`, `$turn.id`); what a template literal fills in is read as `%s`. */
const PLACEHOLDER = /%[sdifjoOc#$]|\$[A-Za-z_][\w.]*/g;

interface Title {
  where: string;
  text: string;
}

/** Titles side by side: those of a file, or of one `describe`. */
type Group = Title[];

/** `it` of `it('…')`, `it.skipIf(…)('…')` and `it.each(…)('…')`. */
function callerOf(callee: ESTree.Expression | ESTree.Super): string | null {
  if (callee.type === 'Identifier') return callee.name;
  if (callee.type === 'MemberExpression') return callerOf(callee.object);
  return callee.type === 'CallExpression' ? callerOf(callee.callee) : null;
}

function textOf(argument: ESTree.Argument | undefined): string | null {
  if (argument?.type === 'Literal') return typeof argument.value === 'string' ? argument.value : null;
  return argument?.type === 'TemplateLiteral' ? argument.quasis.map(({ value }) => value.cooked).join('%s') : null;
}

function groupsOf(file: string, code: string): Group[] {
  const open: Group[] = [[]];
  const groups = [...open];
  const titled = (call: ESTree.CallExpression) => {
    const caller = callerOf(call.callee);
    if (caller !== 'it' && caller !== 'test' && caller !== 'describe') return null;
    const text = textOf(call.arguments[0]);
    return text === null ? null : { text, isDescribe: caller === 'describe' };
  };
  new Visitor({
    CallExpression(call) {
      const title = titled(call);
      if (!title) return;
      const line = code.slice(0, call.start).split('\n').length;
      open.at(-1)?.push({ where: `${file}:${line}`, text: title.text });
      if (!title.isDescribe) return;
      open.push([]);
      groups.push(...open.slice(-1));
    },
    'CallExpression:exit'(call) {
      if (titled(call)?.isDescribe) open.pop();
    },
  }).visit(parseSync(file, code).program);
  return groups;
}

const groups = globSync('test/**/*.ts')
  .sort()
  .flatMap((file) => groupsOf(file, readFileSync(file, 'utf8')));

const wrong = (isWrong: (text: string) => boolean) =>
  groups.flat().flatMap(({ where, text }) => (isWrong(text) ? [`${where} ${text}`] : []));

const wordsOf = (text: string) =>
  text
    .replace(PLACEHOLDER, ' ')
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));

describe('test titles', () => {
  it('are found behind each, skipIf and templates, in nested describes', () => {
    const code = `
      describe.each(a)('b', () => {
        it.skipIf(c)('d', e);
        test.each<F>([1])(\`g \${h} i\`, j);
      });
      it('k', l);
      m.it('n');`;
    const found = groupsOf('some.ts', code).map((group) => group.map(({ text }) => text));
    expect(found).toEqual([
      ['b', 'k'],
      ['d', 'g %s i'],
    ]);
  });

  it(`have at most ${LONGEST} words`, () => {
    expect(wrong((text) => wordsOf(text).length > LONGEST)).toEqual([]);
  });

  it('begin with no relative clause', () => {
    expect(wrong((text) => RELATIVE.test(text))).toEqual([]);
  });

  it('use plain words', () => {
    expect(wrong((text) => BANNED.test(text))).toEqual([]);
  });

  it('differ under one describe', () => {
    const twice = groups.flatMap((group) =>
      group.filter(({ text }, at) => group.findIndex((title) => title.text === text) < at),
    );
    expect(twice).toEqual([]);
  });
});
