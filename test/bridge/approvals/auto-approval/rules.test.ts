import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findCoveringGrants, makeGrant } from '../../../../src/bridge/approvals/auto-approval/grants.ts';
import { matchingRule, problemOfRule } from '../../../../src/bridge/approvals/auto-approval/rules.ts';

const HOME = '/work/app';
const bashRequest = {
  requestId: 'r',
  callId: null,
  tool: 'Bash',
  input: {},
  diffs: [],
  suggestions: [],
  questions: null,
};
const allows = (rule: string, tool: string, input: Record<string, unknown>) =>
  matchingRule([rule], { tool, input }, HOME) !== null;
const bash = (rule: string, command: string) => allows(rule, 'Bash', { command });

describe('a rule of auto_approve', () => {
  it.each([
    ['Bash(npm test)', 'npm test'],
    ['Bash(npm test)', ' npm  test '],
    ['Bash(npm run *)', 'npm run build'],
    ['Bash(npm run *)', "npm run 'a b'"],
    ['Bash(git status)', 'git status'],
    ['Bash(git log --oneline *)', 'git log --oneline main'],
    ['Bash(npm run build -- --watch)', 'npm run build -- --watch'],
    ['Bash(npm view *)', 'npm view @types/node@24'],
    ['Bash(npm run *)', 'npm run lint:fix'],
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
    ['Bash(npm run *)', 'npm run --script-shell=./x build'],
    ['Bash(npm run *)', 'npm run build --script-shell ./x'],
    ['Bash(npm run *)', 'npm run build -- --watch'],
    ['Bash(npm run *)', "npm run '--script-shell=./x'"],
    ['Bash(npm run *)', 'npm run -s build'],
    ['Bash(npm run *)', 'npm run env'],
    ['Bash(git log *)', 'git log --output=x'],
    ['Bash(git show *)', 'git show HEAD:.env'],
    ['Bash(git show *)', 'git show HEAD:a/../.git/config'],
    ['Bash(vim *)', 'vim +x'],
    ['Bash(make *)', 'make SHELL=./x all'],
    ['Bash(gcc *)', 'gcc @x'],
    ['Bash(cat *)', 'cat .env'],
    ['Bash(cat *)', 'cat /etc/passwd'],
    ['Bash(cat *)', 'cat ../x'],
    ['Bash(cat *)', 'cat .git/config'],
    ['Bash(npm run *)', 'sudo npm run build'],
    ['Bash(npm run *)', ''],
  ])('%s does not allow %j', (rule, command) => {
    expect(bash(rule, command)).toBe(false);
  });

  it('for paths: allows files in the working directory, never usual secrets', () => {
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

  it.each([
    ...[
      '.git/hooks/pre-commit',
      '.git/config',
      '.git',
      '.GIT/hooks/x',
      '.git//hooks/x',
      './.git/x',
      'lib/.git/hooks/x',
    ],
    ...['.env', 'id_rsa_work', 'config/database.yml', '.envrc', '.vscode/tasks.json', '.husky/pre-commit', '.mcp.json'],
    ...['.github/workflows/ci.yml', '.letta/settings.json', '.bashrc', '../x', '~/.bashrc', ''],
  ])('never allows writing %j, nor does a grant for the turn', (file_path) => {
    for (const rule of ['Write(**)', 'Write', 'Write(.github/**)', 'Write(config/**)', `Write(${file_path})`]) {
      expect(allows(rule, 'Write', { file_path })).toBe(false);
      expect(allows(rule, 'Write', { file_path: `${HOME}/${file_path}` })).toBe(false);
    }
    expect(allows('Write', 'Write', { file_path: '/etc/cron.d/x' })).toBe(false);
    const request = { ...bashRequest, tool: 'Write', input: { file_path, content: '' } };
    const grant = makeGrant(request, {
      kind: 'edits',
      by: { id: 'U1', kind: 'member', groups: [] },
      at: 1,
      directory: HOME,
    });
    expect(findCoveringGrants([grant], request, HOME)).toEqual([]);
  });

  it('for a file tool: allows files in the working directory', () => {
    expect(allows('Write', 'Write', { file_path: 'src/a.ts' })).toBe(true);
    expect(allows('Read', 'Read', { file_path: '/etc/passwd' })).toBe(false);
    expect(allows('Read', 'Read', { file_path: '.github/workflows/ci.yml' })).toBe(true);
  });

  it('for another tool: allows all its calls, and no other tool', () => {
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
    'exec_command',
    'Monitor',
    'write_stdin',
    'ApplyPatch',
    'Write(.git/**)',
    'Write(.git/hooks/pre-commit)',
    'Edit(.env)',
    'Write(.github/workflows/**)',
    'Read(.ssh/**)',
  ])('%j is refused with a reason, and allows nothing', (rule) => {
    expect(problemOfRule(rule)).toMatch(/\w/);
    expect(bash(rule, 'npm test')).toBe(false);
    expect(allows(rule, 'Write', { file_path: 'a' })).toBe(false);
  });

  it('any text and any call: never throws', () => {
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
