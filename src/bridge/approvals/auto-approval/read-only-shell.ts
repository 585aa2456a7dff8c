/** The options with which a command only reads. With any other, people are asked. */
interface ReadOnlyOptions {
  /** One-letter options without a value: they may be put together (`-la`). */
  flags: string;
  /** One-letter options whose value is a number (`-n 20`, `-n20`). */
  numbers?: string;
  /** Long options without a value, or with a plain word behind `=`. */
  long?: readonly string[];
  /** Words with a minus that are no letters put together, and how many plain words follow each (`find -name x`). */
  predicates?: Readonly<Record<string, 0 | 1>>;
  /** How many words before the paths are not paths (a pattern). */
  words?: number;
  /** What it does without a path: it waits for input (`needed`), reads its folder (`here`), or reads nothing (left out). */
  path?: 'needed' | 'here';
}

/**
 * Commands that only read, with their options that only read. Left out on purpose: everything that can run
 * something else or write by an option or by configuration (`git` with its aliases, pagers, diff drivers and monitors;
 * `sort -o`, `find -exec`, `rg --pre`, `file -C`), what prints the environment, and what waits (`tail -f`).
 */
const COMMANDS: Readonly<Record<string, ReadOnlyOptions>> = {
  pwd: { flags: '' },
  ls: {
    flags: '1aAdFghilnoprRsStu',
    long: ['all', 'almost-all', 'color', 'human-readable', 'recursive', 'reverse'],
    path: 'here',
  },
  cat: { flags: 'AbeEnstTv', long: ['number', 'show-all', 'squeeze-blank'], path: 'needed' },
  head: { flags: 'qv', numbers: 'nc', long: ['lines', 'bytes'], path: 'needed' },
  tail: { flags: 'qv', numbers: 'nc', long: ['lines', 'bytes'], path: 'needed' },
  wc: { flags: 'clmwL', long: ['lines', 'words', 'bytes', 'chars'], path: 'needed' },
  stat: { flags: 't', path: 'needed' },
  du: { flags: 'achks', numbers: 'd', long: ['max-depth', 'summarize', 'human-readable'], path: 'here' },
  // Not recursive: that would read files that people are asked about when they are named (`.env`).
  grep: { flags: 'chiHlLnoqsvwxEFG', numbers: 'ABCm', long: ['count', 'ignore-case'], words: 1, path: 'needed' },
  find: {
    flags: '',
    predicates: { '-name': 1, '-iname': 1, '-type': 1, '-maxdepth': 1, '-mindepth': 1, '-empty': 0, '-print': 0 },
    path: 'here',
  },
};

/** One word: of letters without a meaning to any shell, or quoted whole; with the blanks before it. */
const WORD = /[ \t]*(?:([A-Za-z0-9_@%+:,./=-]+)|'([^'\p{C}]*)'|"([^"$`\\!\p{C}]*)")(?=[ \t]|$)/uy;

/**
 * The words of a command line that means the same in every shell: no operators, substitution, redirection, patterns,
 * expansion, escapes, comments or line ends. `null` for any other.
 */
export function plainWords(command: string): string[] | null {
  if (command.length > 2_000) return null;
  const line = command.replace(/[ \t]+$/, '');
  const words: string[] = [];
  for (let at = 0; at < line.length; at = WORD.lastIndex) {
    WORD.lastIndex = at;
    const found = WORD.exec(line);
    if (!found) return null;
    // In zsh `=name` is where that command lies.
    if (found[1]?.startsWith('=')) return null;
    words.push(found[1] ?? found[2] ?? found[3] ?? '');
  }
  return words;
}

/**
 * The paths that a command reads, as it writes them, or `.` when it names none; `null` when it may do more than read.
 */
export function pathsRead(command: string): string[] | null {
  const [name, ...args] = plainWords(command) ?? [];
  const harmless = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!harmless) return null;
  const operands: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (!arg.startsWith('-')) {
      operands.push(arg);
      continue;
    }
    const taken = optionLength(harmless, arg, args[at + 1]);
    if (taken === null) return null;
    at += taken - 1;
  }
  const words = harmless.words ?? 0;
  if (operands.length < words) return null;
  const paths = operands.slice(words);
  if (paths.includes('') || (harmless.path === 'needed' && paths.length === 0)) return null;
  return harmless.path === 'here' && paths.length === 0 ? ['.'] : paths;
}

/** How many words an option takes, itself included; `null` when the option may do more than read. */
function optionLength(harmless: ReadOnlyOptions, option: string, next: string | undefined): 1 | 2 | null {
  const { predicates, numbers = '', long = [], flags } = harmless;
  if (predicates) {
    const values = Object.hasOwn(predicates, option) ? predicates[option] : undefined;
    if (values === undefined) return null;
    if (values === 0) return 1;
    return next !== undefined && /^[^-]/.test(next) && !next.includes('/') ? 2 : null;
  }
  if (option.startsWith('--')) {
    const found = /^--([a-z-]+)(?:=([A-Za-z0-9]*))?$/.exec(option);
    return found?.[1] !== undefined && long.includes(found[1]) ? 1 : null;
  }
  const letter = option.charAt(1);
  if (letter !== '' && numbers.includes(letter)) {
    const glued = option.slice(2);
    if (glued !== '') return /^\+?\d{1,9}$/.test(glued) ? 1 : null;
    return next !== undefined && /^\+?\d{1,9}$/.test(next) ? 2 : null;
  }
  // `head -20`
  if (numbers.includes('n') && /^-\d{1,9}$/.test(option)) return 1;
  return option.length > 1 && [...option.slice(1)].every((flag) => flags.includes(flag)) ? 1 : null;
}
