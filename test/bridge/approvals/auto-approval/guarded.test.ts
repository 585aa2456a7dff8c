import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeGuarded } from '../../../../src/bridge/approvals/auto-approval/guarded.ts';
import { isInside } from '../../../../src/bridge/approvals/auto-approval/paths.ts';
import { pathsRead, plainWords } from '../../../../src/bridge/approvals/auto-approval/read-only-shell.ts';

const HOME = '/home/agent/project';
const asked = (tool: string, input: Record<string, unknown>, folder: string | null = HOME) =>
  judgeGuarded({ tool, input }, folder).asks;
const bash = (command: string) => asked('Bash', { command, description: 'looks' });

describe('the guarded mode passes without asking', () => {
  it.each([
    ['Read', { file_path: 'src/main.ts', offset: 1, limit: 20 }],
    ['Read', { file_path: `${HOME}/README.md` }],
    ['LS', { path: '.', ignore: ['node_modules'] }],
    ['LS', { path: HOME }],
    ['Glob', { pattern: '**/*.ts' }],
    ['Glob', { pattern: '*.md', path: `${HOME}/docs` }],
    ['Grep', { pattern: 'TODO', path: 'src/main.ts', output_mode: 'content', '-n': true, '-C': 2 }],
    ['Grep', { pattern: 'a -b --pre', '-i': true, path: `${HOME}/README.md` }],
    ['Grep', { pattern: 'build', path: 'Makefile' }],
    ['Read', { file_path: '.github/workflows/ci.yml' }],
    ['Read', { file_path: '.git/HEAD' }],
    ['Read', { file_path: '.git/refs/heads/main' }],
    ['Read', { file_path: 'src/password-reset.ts' }],
    ['Read', { file_path: 'src/tokens/parse.py' }],
    ['Read', { file_path: 'keys/id_rsa.pub' }],
    ['Read', { file_path: '.gitignore' }],
  ])('%s %j', (tool, input) => {
    expect(asked(tool, input)).toBe(false);
  });

  it.each([
    'pwd',
    'ls',
    'ls -la src',
    'ls -R --color=never docs',
    'cat README.md',
    `cat ${HOME}/package.json`,
    'head -n 20 src/main.ts',
    'head -20 src/main.ts',
    'tail -n +5 log.txt',
    'wc -l src/a.ts src/b.ts',
    "grep -n 'two words' src/main.ts",
    'grep -in "TODO: $" src/main.ts'.replace('$', 'x'),
    "find . -name '*.ts' -type f",
    'find src -maxdepth 2',
    'du -sh .',
    'stat package.json',
  ])('%s', (command) => {
    expect(bash(command)).toBe(false);
  });
});

describe('the guarded mode asks', () => {
  it.each([
    ['about files outside the folder', 'Read', { file_path: '/etc/passwd' }],
    ['about a neighbour with the same beginning', 'Read', { file_path: `${HOME}-secret/key.txt` }],
    ['about paths that climb', 'Read', { file_path: 'src/../../other' }],
    ['about `..` even where it seems to stay inside: src may be a link', 'Read', { file_path: 'src/../README.md' }],
    ['about homes, which Read expands', 'Read', { file_path: '~/.ssh/id_rsa' }],
    ['about variables, which Read expands', 'Read', { file_path: '$HOME/notes' }],
    ['about variables in braces', 'Read', { file_path: ['$', '{SECRET_DIR}/notes'].join('') }],
    ['about an empty path', 'Read', { file_path: '' }],
    ['about a path that is no text', 'Read', { file_path: ['a'] }],
    ['about no path', 'Read', {}],
    ['about a field that it does not know', 'Read', { file_path: 'a', follow: '/etc' }],
    ['about files that usually hold secrets', 'Read', { file_path: 'config/.env.production' }],
    ['about keys', 'Read', { file_path: 'certs/server.pem' }],
    ['about credentials of git', 'Read', { file_path: '.git/config' }],
    ['about Letta settings', 'Read', { file_path: '.letta/settings.json' }],
    ['about another folder', 'LS', { path: '/' }],
    ['about a pattern that leads elsewhere', 'Glob', { pattern: '/etc/*' }],
    ['about a pattern that climbs', 'Glob', { pattern: '../*' }],
    ['about a search in all files', 'Grep', { pattern: 'KEY' }],
    ['about a search in a folder, where keys and settings lie', 'Grep', { pattern: 'KEY', path: 'src', type: 'ts' }],
    ['about a search in a folder with a dot', 'Grep', { pattern: 'KEY', path: 'conf.d', glob: '**/*.ts' }],
    ['about a search in a folder, named with a slash', 'Grep', { pattern: 'KEY', path: 'a.ts/' }],
    ['about a search in a file that may hold secrets', 'Grep', { pattern: 'KEY', path: 'prod.env' }],
    [
      'about a pattern that ripgrep takes for an option, as some run programs',
      'Grep',
      { pattern: '--pre=sh', path: 'a.ts' },
    ],
    ['about numbers that are options', 'Grep', { pattern: 'x', '-A': '--pre=sh', path: 'a.ts' }],
    ['about a type that is no word', 'Grep', { pattern: 'x', type: '--pre', path: 'a.ts' }],
    ['about a glob that names hidden files', 'Grep', { pattern: 'KEY', glob: '.env', path: 'a.ts' }],
    ['about a glob that names all files, hidden ones too', 'Grep', { pattern: 'KEY', glob: '*', path: 'a.ts' }],
    ['about a glob for secrets', 'Grep', { pattern: 'KEY', glob: '**/*.{ts,pem}', path: 'a.ts' }],
    ['about writing', 'Write', { file_path: 'a', content: '' }],
    ['about editing', 'Edit', { file_path: 'a', old_string: 'a', new_string: 'b' }],
    ['about unknown tools', 'ReadEverything', { path: '.' }],
    ['about names that every object has', 'constructor', {}],
    ['about the web', 'WebFetch', { url: 'https://example.com' }],
  ])('%s', (_, tool, input) => {
    expect(asked(tool, input)).toBe(true);
  });

  it.each([
    'cat /etc/passwd',
    'cat ../other',
    'cat ~/.ssh/id_rsa',
    'cat $HOME/x',
    'cat "$HOME/x"',
    'cat `pwd`/x',
    'cat $(pwd)/x',
    'cat a; rm -rf .',
    'cat a && env',
    'cat a || env',
    'cat a | sh',
    'cat a & env',
    'cat a > b',
    'cat < /etc/passwd',
    'cat <<EOF',
    'cat a\nenv',
    'cat a\r\nenv',
    'cat *',
    'cat [ab]',
    'cat {a,b}',
    'cat a\\ b',
    'cat # comment',
    'cat !$',
    'cat -',
    'cat',
    'cat .env',
    "cat 'a",
    'ls =ls',
    'A=1 cat a',
    'env',
    'printenv',
    'export',
    '/bin/cat a',
    './cat a',
    'sudo cat a',
    'exec cat a',
    'command cat a',
    'eval cat a',
    'bash -c "cat a"',
    'xargs cat',
    'tail -f log',
    'tail -F log',
    'tail --follow log',
    'head --files0-from=x a',
    'wc --files0-from=list a',
    'sort -o out a',
    'sort a',
    'find . -exec rm {} +',
    'find . -delete',
    'find . -fprint out',
    'find . -newer /etc/passwd',
    'find / -name x',
    'find -L . -name x',
    'find . -name x -o -delete',
    'grep -r KEY .',
    'grep -f /etc/passwd a',
    'grep --include=x KEY .',
    'grep KEY',
    'grep -e KEY a',
    'ls --hyperlink /',
    'ls -Z',
    'git status',
    'git log --oneline',
    'git -c core.pager=sh diff',
    'rg --pre sh x .',
    'less a',
    'vi a',
    'sed -n 1p a',
    "awk '{print}' a",
    'cat\u00a0a',
    'cat a\u2028env',
    'cat caf\u00e9',
    'сat a',
    'pwd extra/../..',
    '',
    ' ',
  ])('about the command %j', (command) => {
    expect(bash(command)).toBe(true);
  });

  it('about a command in the background, or with unknown fields', () => {
    expect(asked('Bash', { command: 'ls', run_in_background: true })).toBe(true);
    expect(asked('Bash', { command: 'ls', cwd: '/' })).toBe(true);
    expect(asked('Bash', { command: ['ls'] })).toBe(true);
    expect(asked('Bash', { cmd: 'ls' })).toBe(true);
  });

  it.each([null, '', 'project', '/', '//', '/etc', '/proc/self', '/home/../etc', 'C:\\project', '/home/$USER'])(
    'about everything when the working directory is %j',
    (folder) => {
      expect(asked('Read', { file_path: 'a' }, folder)).toBe(true);
      expect(asked('Bash', { command: 'pwd' }, folder)).toBe(true);
      expect(asked('Glob', { pattern: '*' }, folder)).toBe(true);
    },
  );
});

describe('the guarded mode with random input', () => {
  const nasty = fc.string({
    unit: fc.constantFrom(...`abc./-~$\`"'\\;&|<>(){}[]*?!#=%^ \t\n\r\0é—`, '..', ' -', '--', 'cat ', '/etc'),
    maxLength: 24,
  });

  it('a passing command has no shell syntax outside of quotes', () => {
    fc.assert(
      fc.property(fc.constantFrom('cat ', 'ls ', 'grep a ', 'find '), nasty, (command, rest) => {
        if (bash(command + rest)) return;
        const bare = (command + rest).replace(/'[^']*'|"[^"]*"/g, '');
        expect(bare).toMatch(/^[A-Za-z0-9_@%+:,./= \t-]*$/);
      }),
      { numRuns: 3_000 },
    );
  });

  it('a passing path does not climb, expand or leave the folder', () => {
    fc.assert(
      fc.property(nasty, (path) => {
        if (!isInside(path, HOME)) return;
        expect(path.split('/')).not.toContain('..');
        expect(path).not.toMatch(/[$~`\\\n\0]/);
        if (path.startsWith('/')) expect(`${path}/`.replace(/\/(?:\.?\/)+/g, '/')).toContain(`${HOME}/`);
      }),
      { numRuns: 3_000 },
    );
  });

  it('quoted words are split as a shell splits them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[A-Za-z0-9_./*? $-]{1,8}$/), { minLength: 1, maxLength: 5 }),
        (words) => {
          expect(plainWords(words.map((word) => `'${word}'`).join(' '))).toEqual(words);
        },
      ),
    );
  });

  it('unknown options need approval', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('cat', 'head', 'wc', 'grep'),
        fc.stringMatching(/^--[a-z-]{1,20}$/),
        (name, option) => {
          const known = ['--number', '--show-all', '--squeeze-blank', '--lines', '--bytes', '--words', '--chars'];
          fc.pre(![...known, '--count', '--ignore-case'].includes(option));
          expect(pathsRead(`${name} ${option} a b`)).toBe(null);
        },
      ),
    );
  });
});
