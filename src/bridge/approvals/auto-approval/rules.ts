import { isEditable, isInside, relativeTo } from './paths.ts';
import { plainWords } from './read-only-shell.ts';
import { looksSecret } from './secret-names.ts';
import { startsAgent } from './starts-agent.ts';

/** A tool call as Letta asks about it. */
interface Call {
  tool: string;
  input: Readonly<Record<string, unknown>>;
}

const RULE = /^([A-Za-z][\w-]{0,99})(?:\((.{1,500})\))?$/u;
/** Tools whose rules name files: the field with the path, and whether the tool changes the file. */
const FILE_TOOLS: Readonly<Record<string, { path: string; changes: boolean }>> = {
  Read: { path: 'file_path', changes: false },
  LS: { path: 'path', changes: false },
  Write: { path: 'file_path', changes: true },
  Edit: { path: 'file_path', changes: true },
  MultiEdit: { path: 'file_path', changes: true },
};
/** Tools with which the agent could do everything if a rule allowed every call of theirs (Letta Code 0.32.18). */
const EVERYTHING: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['Bash', 'exec_command', 'write_stdin', 'Monitor', 'shell', 'Shell', 'shell_command', 'ShellCommand'].map(
      (tool) => [tool, 'every command'],
    ),
  ),
  ApplyPatch: 'changes of every file',
};

/**
 * What is wrong with a rule of `AUTO_APPROVE`, or `null`. `Bash(npm test)` allows exactly that command; `Bash(npm run *)`
 * also plain words after it, but no options; `Write(docs/**)` files under a folder of the working directory; `WebSearch`
 * every call of that tool, for a file tool only on files inside of the working directory.
 */
export function problemOfRule(rule: string): string | null {
  const [, tool, of] = RULE.exec(rule.trim()) ?? [];
  if (tool === undefined) return `${JSON.stringify(rule.slice(0, 60))} is not of the form Tool or Tool(what)`;
  if (tool === 'AskUserQuestion') return 'only people can answer questions';
  if (startsAgent(tool)) return `${tool} starts an agent that never asks for approval, so a person must decide`;
  if (of === undefined) {
    const all = Object.hasOwn(EVERYTHING, tool) ? EVERYTHING[tool] : undefined;
    return all ? `${tool} alone would allow ${all}: that is PERMISSIONS=unrestricted` : null;
  }
  if (tool === 'Bash') {
    const words = plainWords(of.replace(/ \*$/, ''));
    return words === null || words.length === 0 ? `${of} contains more than plain words` : null;
  }
  const files = Object.hasOwn(FILE_TOOLS, tool) ? FILE_TOOLS[tool] : undefined;
  if (!files) return `a rule for ${tool} can only be its name`;
  const base = of.replace(/\/?\*\*$/, '') || '.';
  if (!isInside(base, '/project') || of.startsWith('/') || /\*(?!\*?$)/.test(of)) {
    return `${of} is not a path inside the working directory, or such a folder and /**`;
  }
  return base === '.' || mayCover(base, '/project', files.changes)
    ? null
    : `${of} can hold secrets or run by itself, so a person must always decide`;
}

/** Whether any rule may cover this file. */
function mayCover(path: string, folder: string, changes: boolean): boolean {
  return changes ? isEditable(path, folder) : isInside(path, folder) && !looksSecret(relativeTo(path, folder));
}

/**
 * The first rule that allows this call; `null` when none does. An invalid rule allows nothing.
 * @param mayMove whether the working directory may be another one by the time the call runs: then commands are not
 * allowed, and files only by their whole path.
 */
export function matchingRule(
  rules: readonly string[],
  call: Call,
  workingDirectory: string | null,
  { mayMove = false }: { mayMove?: boolean } = {},
): string | null {
  const allow = (rule: string) => problemOfRule(rule) === null && allows(rule.trim(), call, workingDirectory, mayMove);
  return rules.find(allow) ?? null;
}

function allows(rule: string, { tool, input }: Call, workingDirectory: string | null, mayMove: boolean): boolean {
  const [, name, of] = RULE.exec(rule) ?? [];
  if (name !== tool) return false;
  if (tool === 'Bash') {
    return of !== undefined && !mayMove && typeof input.command === 'string' && allowsCommand(of, input.command);
  }
  const files = Object.hasOwn(FILE_TOOLS, tool) ? FILE_TOOLS[tool] : undefined;
  if (!files) return of === undefined;
  const path = input[files.path];
  if (typeof path !== 'string' || workingDirectory === null || (mayMove && !path.startsWith('/'))) return false;
  if (!mayCover(path, workingDirectory, files.changes)) return false;
  if (of === undefined) return true;
  const base = of.replace(/\/?\*\*$/, '');
  const folder = [workingDirectory, ...(base === '' ? [] : [base])].join('/');
  const absolute = path.startsWith('/') ? path : `${workingDirectory}/${path}`;
  return of.endsWith('**') ? isUnder(absolute, folder) : normalPath(absolute) === normalPath(folder);
}

/**
 * Whether a command is what the rule allows. Words are compared, so `npm  test` is `npm test`; a command with more than
 * plain words never matches. `*` matches words that only name something: no options, because some run other code
 * (`--script-shell=sh`), no settings (`make SHELL=sh`), nothing outside of the working directory and no secrets.
 */
function allowsCommand(of: string, command: string): boolean {
  const open = of.endsWith(' *');
  const wanted = plainWords(open ? of.slice(0, -2) : of);
  const words = plainWords(command);
  if (!wanted || !words || words.length < wanted.length || (!open && words.length > wanted.length)) return false;
  return wanted.every((word, at) => word === words[at]) && words.slice(wanted.length).every(isPlainOperand);
}

function isPlainOperand(word: string): boolean {
  if (/^[-+]|^@[^/]*$|=/.test(word)) return false;
  // `HEAD:.env` and `host:/etc/passwd` name files, too.
  const names = [word, ...word.split(':')].filter((name) => name !== '');
  return !/^\/|^~/.test(word) && !names.some((name) => name.split('/').includes('..') || looksSecret(name));
}

function isUnder(path: string, folder: string): boolean {
  return `${normalPath(path)}/`.startsWith(`${normalPath(folder)}/`);
}

function normalPath(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
