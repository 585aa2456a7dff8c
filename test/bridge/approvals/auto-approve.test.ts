import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchingRule, problemOfRule } from '../../../src/bridge/approvals/auto-approve.ts';

const HOME = '/work/app';
const allows = (rule: string, tool: string, input: Record<string, unknown>) =>
  matchingRule([rule], { tool, input }, HOME) !== null;
const bash = (rule: string, command: string) => allows(rule, 'Bash', { command });

describe('a rule that approves by itself', () => {
  it.each([
    ['Bash(npm test)', 'npm test'],
    ['Bash(npm test)', ' npm  test '],
    ['Bash(npm run *)', 'npm run build'],
    ['Bash(npm run *)', "npm run 'a b'"],
    ['Bash(git status)', 'git status'],
  ])('%s allows %s', (rule, command) => {
    expect(bash(rule, command)).toBe(true);
  });

  it.each([
    ['Bash(npm test)', 'npm test -- --watch'],
    ['Bash(npm test)', 'npm tests'],
    ['Bash(npm run *)', 'npm run build && env'],
    ['Bash(npm run *)', 'npm run $(env)'],
    ['Bash(npm run *)', 'npm run build > out'],
    ['Bash(npm run *)', 'npm run build\nenv'],
    ['Bash(npm run *)', 'npm install'],
    ['Bash(npm run *)', 'sudo npm run build'],
    ['Bash(npm run *)', ''],
  ])('%s does not allow %j', (rule, command) => {
    expect(bash(rule, command)).toBe(false);
  });

  it('for files allows those of the working directory, and never what usually holds secrets', () => {
    expect(allows('Write(docs/**)', 'Write', { file_path: 'docs/a/b.md' })).toBe(true);
    expect(allows('Write(docs/**)', 'Write', { file_path: `${HOME}/docs/a.md` })).toBe(true);
    expect(allows('Write(**)', 'Write', { file_path: 'src/a.ts' })).toBe(true);
    expect(allows('Edit(README.md)', 'Edit', { file_path: './README.md' })).toBe(true);
    for (const file_path of ['docsx/a', 'docs/../src/a', '/etc/docs/a', '~/docs/a', 'docs/.env', 'docs/$X']) {
      expect(allows('Write(docs/**)', 'Write', { file_path })).toBe(false);
    }
    expect(allows('Write(docs/**)', 'Edit', { file_path: 'docs/a' })).toBe(false);
    expect(matchingRule(['Write(docs/**)'], { tool: 'Write', input: { file_path: 'docs/a' } }, null)).toBe(null);
  });

  it('for a tool allows each of its calls and no other tool’s', () => {
    expect(allows('WebSearch', 'WebSearch', { query: 'x' })).toBe(true);
    expect(allows('WebSearch', 'WebFetch', { url: 'x' })).toBe(false);
  });

  it.each([
    '',
    'Bash',
    'Bash()',
    'Bash(npm test; env)',
    'Bash(*)',
    'Bash($X)',
    'Write(/etc/**)',
    'Write(../x)',
    'Write(a*b)',
  ])('%j is none, says why, and allows nothing', (rule) => {
    expect(problemOfRule(rule)).toMatch(/\w/);
    expect(bash(rule, 'npm test')).toBe(false);
    expect(allows(rule, 'Write', { file_path: 'a' })).toBe(false);
  });

  it('of any text says whether it is one, and with any call whether it allows it, without throwing', () => {
    const rule = fc.oneof(
      fc.string(),
      fc.string().map((inside) => `Bash(${inside})`),
    );
    fc.assert(
      fc.property(rule, fc.string(), fc.dictionary(fc.string(), fc.anything()), (text, tool, input) => {
        problemOfRule(text);
        matchingRule([text], { tool, input }, HOME);
      }),
    );
  });
});
