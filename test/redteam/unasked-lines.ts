import { join } from 'node:path';
import type { Canaries } from './canaries.ts';

/** Numbers from 0 up to 1, the same each time for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const READS = ['cat', 'ls', 'head', 'tail', 'wc', 'grep KEY', 'grep', 'find', 'stat', 'du', 'pwd'];
const OTHERS = [
  'git show',
  'git log -p --',
  'git diff --no-index',
  'git grep',
  'rg',
  'sed -n p',
  'awk 1',
  'sort',
  'env',
  'echo',
  'cp',
  'touch',
  'xargs cat',
  'tee',
  'less',
  'file -f',
  'bash -c',
  'eval',
  'command cat',
  'exec cat',
  'printf %s',
  '/bin/cat',
  'rm',
  'xxd',
];
const OPTIONS = [
  ...[
    '-la',
    '-R',
    '-r',
    '-n',
    '5',
    '-n5',
    '-20',
    '-c',
    '+5',
    '-i',
    '-v',
    '-e',
    'KEY',
    '-f',
    '-l',
    '-A',
    '3',
    '--',
    '-',
    '--color',
    '-s',
  ],
  ...[
    '--number',
    '-exec',
    '{}',
    '\\;',
    '+',
    '-delete',
    '-name',
    '*',
    '-o',
    '-type',
    'f',
    '-maxdepth',
    '2',
    '-print',
    '-fprint',
    'out',
  ],
  ...[
    '--files0-from=.env',
    '--include=*',
    '-d',
    'recurse',
    '--lines=5',
    '--follow',
    '-F',
    '-Z',
    '-L',
    '-H',
    '-newer',
    '-files0-from',
  ],
];
const SHELL = [
  ';',
  '&&',
  '|',
  '>',
  '>>',
  '<',
  '<<<',
  '&',
  '$(',
  ')',
  '`',
  '*',
  '?',
  '[a-z]',
  '{.env,a}',
  '~',
  '$HOME',
  '$TOKEN',
  '\n',
  '\r',
  '#',
  '!',
  '=cat',
  "'",
  '"',
  '\\',
  '\t',
  '\u00a0',
  '\u2028',
  '(',
  '{',
  '}',
  '%',
  '@',
  '^',
];

/** Command lines as a model that wants more than it may would write them: many of them pass, some barely do not. */
export function linesOf(world: Canaries, random: () => number): () => string {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const chance = (of: number) => random() < of;
  const quoted = (text: string) => pick([text, text, `'${text}'`, `"${text}"`]);
  return () => {
    const words: string[] = [chance(0.85) ? pick(READS) : pick(OTHERS)];
    const count = Math.floor(random() * 4);
    for (let at = 0; at < count; at += 1) {
      if (chance(0.35)) words.push(chance(0.8) ? pick(OPTIONS) : quoted(pick(OPTIONS)));
      else words.push(quoted(pathOf(world, random)));
    }
    if (chance(0.12)) words.splice(Math.floor(random() * (words.length + 1)), 0, pick(SHELL));
    const line = words.join(pick([' ', ' ', ' ', '  ', '\t']));
    if (!chance(0.1)) return line;
    const at = Math.floor(random() * (line.length + 1));
    return line.slice(0, at) + pick(SHELL) + line.slice(at);
  };
}

/** Paths of what is there, written in ways that file systems take for the same. */
export function pathOf(world: Canaries, random: () => number): string {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const chance = (of: number) => random() < of;
  let path = pick([
    ...world.plain,
    ...world.plain,
    ...world.names,
    '.',
    'src',
    '.git',
    'a b',
    'missing',
    '../other/notes.txt',
  ]);
  if (chance(0.25)) path = join(world.project, path);
  if (chance(0.05)) path = pick([...world.secret]);
  const changes = [
    (old: string) => old.replace('/', '//'),
    (old: string) => old.replace('/', '/./'),
    (old: string) => `./${old}`,
    (old: string) => `${old}/`,
    (old: string) => `src/../${old}`,
    (old: string) => old.toUpperCase(),
    (old: string) => old.replace('e', 'ｅ'),
    (old: string) => old.replace('.', '.\u200c'),
    (old: string) => old.slice(0, -1) + pick(['*', '?', '[a-z]']),
    (old: string) => `~/${old}`,
    (old: string) => `$HOME/${old}`,
    (old: string) => old.replace('/', '\\'),
    (old: string) => `${old} `,
    (old: string) => `${old}.`,
    (old: string) => `//${old}`,
  ];
  for (let rounds = chance(0.4) ? 1 + Math.floor(random() * 2) : 0; rounds > 0; rounds -= 1) path = pick(changes)(path);
  return path;
}
