import { GUARDED_TOOLS, type GuardedDoes } from './guarded-tools.ts';
import { isInside, isNamedFile, relativeTo } from './paths.ts';
import { pathsRead } from './read-only-shell.ts';
import { looksSecret } from './secret-names.ts';

/** A tool call as Letta asks about it. */
export interface GuardedCall {
  tool: string;
  input: Readonly<Record<string, unknown>>;
}

export type GuardedVerdict =
  /** It reads nothing but `paths`, all of them inside the working directory, and changes nothing. */
  | { asks: false; paths: string[] }
  /** People decide; `because` is for the log. */
  | { asks: true; because: string };

const asks = (because: string): GuardedVerdict => ({ asks: true, because });

type Input = Readonly<Record<string, unknown>>;
type Reads = { paths: string[] } | { because: string };

/**
 * Judges what `PERMISSIONS=guarded` lets pass without asking, on top of Letta's `strict`, in which every tool asks: reads
 * whose every path lies inside the working directory, and the agent's own lists. {@link GUARDED_TOOLS} has all tools.
 * Each tool's input is checked field by field; a call with an unknown field asks. Only the call's words are judged: where
 * links lead, and what a shell's start-up files make of a command, cannot be known here.
 * @param workingDirectory as the device reports it; `null` when it did not: then every read asks.
 * @param mayMove whether it may be another one by the time the call runs: then what is relative asks.
 */
export function judgeGuarded(
  { tool, input }: GuardedCall,
  workingDirectory: string | null,
  { mayMove = false }: { mayMove?: boolean } = {},
): GuardedVerdict {
  if (does(tool) === 'passes') {
    const fields = Object.hasOwn(OWN_LISTS, tool) ? OWN_LISTS[tool] : undefined;
    return fields && onlyHas(input, fields) ? { asks: false, paths: [] } : asks('unknown_field');
  }
  const readsOf = does(tool) === 'reads' && Object.hasOwn(TOOLS, tool) ? TOOLS[tool] : undefined;
  if (!readsOf) return asks('tool_is_not_a_read');
  if (workingDirectory === null) return asks('working_directory_unknown');
  const reads = readsOf(input);
  if ('because' in reads) return asks(reads.because);
  if (!reads.paths.every((path) => isInside(path, workingDirectory))) return asks('outside_the_working_directory');
  if (mayMove && !reads.paths.every((path) => path.startsWith('/'))) return asks('working_directory_may_move');
  if (!isInside('.', workingDirectory)) return asks('working_directory_is_no_project');
  if (reads.paths.some((path) => looksSecret(relativeTo(path, workingDirectory)))) return asks('may_hold_secrets');
  return { asks: false, paths: reads.paths };
}

// Letta's own tools expand `~` and `$NAME` in the path of Read, follow links in Glob, and hand Grep's pattern to ripgrep
// where an option could stand, of which some run programs (`--pre`). Seen in letta-code 0.32.18.
const TOOLS: Readonly<Record<string, (input: Input) => Reads>> = {
  Read(input) {
    const { file_path: path } = input;
    if (!onlyHas(input, ['file_path', 'offset', 'limit'])) return { because: 'unknown_field' };
    if (!isNumber(input.offset) || !isNumber(input.limit)) return { because: 'odd_value' };
    return typeof path === 'string' ? { paths: [path] } : { because: 'odd_value' };
  },
  LS(input) {
    const { path, ignore } = input;
    if (!onlyHas(input, ['path', 'ignore'])) return { because: 'unknown_field' };
    const plain = ignore === undefined || (Array.isArray(ignore) && ignore.every((each) => typeof each === 'string'));
    return typeof path === 'string' && plain ? { paths: [path] } : { because: 'odd_value' };
  },
  Glob(input) {
    const { pattern, path = '.' } = input;
    if (!onlyHas(input, ['pattern', 'path'])) return { because: 'unknown_field' };
    if (typeof pattern !== 'string' || typeof path !== 'string') return { because: 'odd_value' };
    // The pattern may only choose among the files under the path, so one that leads elsewhere asks.
    if (pattern.startsWith('/') || pattern.split('/').includes('..')) return { because: 'pattern_leads_elsewhere' };
    return { paths: [path] };
  },
  Grep(input) {
    const { pattern, path, glob, type } = input;
    if (!onlyHas(input, GREP_FIELDS)) return { because: 'unknown_field' };
    const numbers = ['-A', '-B', '-C', 'context', 'head_limit', 'offset'].every((name) => isNumber(input[name]));
    const switches = ['-n', '-i', 'multiline'].every((name) => ['undefined', 'boolean'].includes(typeof input[name]));
    const mode = [undefined, 'content', 'files_with_matches', 'count'].includes(input.output_mode as string);
    if (path === undefined) return { because: 'no_named_file' };
    if (!numbers || !switches || !mode || typeof pattern !== 'string' || typeof path !== 'string') {
      return { because: 'odd_value' };
    }
    if (pattern.startsWith('-')) return { because: 'pattern_is_an_option' };
    if (type !== undefined && !(typeof type === 'string' && /^[a-z0-9]{1,20}$/.test(type))) {
      return { because: 'odd_value' };
    }
    if (glob !== undefined && !(typeof glob === 'string' && isOrdinaryGlob(glob))) {
      return { because: 'glob_may_name_hidden_files' };
    }
    // In a folder it would read every file, including keys and settings.
    return isNamedFile(path) ? { paths: [path] } : { because: 'no_named_file' };
  },
  ViewImage(input) {
    const { path } = input;
    if (!onlyHas(input, ['path'])) return { because: 'unknown_field' };
    return typeof path === 'string' ? { paths: [path] } : { because: 'odd_value' };
  },
  Bash(input) {
    const { command, description, timeout } = input;
    if (!onlyHas(input, ['command', 'description', 'timeout', 'run_in_background']))
      return { because: 'unknown_field' };
    if (input.run_in_background !== undefined && input.run_in_background !== false) return { because: 'in_background' };
    if (!isNumber(timeout) || !['undefined', 'string'].includes(typeof description)) return { because: 'odd_value' };
    const paths = typeof command === 'string' ? pathsRead(command) : null;
    return paths ? { paths } : { because: 'command_is_not_a_plain_read' };
  },
};

/** Tools for lists that the agent keeps for itself, with all their fields. None of the fields is a path. */
const OWN_LISTS: Readonly<Record<string, readonly string[]>> = {
  TodoWrite: ['todos'],
  TaskCreate: ['subject', 'description', 'activeForm', 'metadata'],
  TaskGet: ['taskId'],
  TaskList: [],
  TaskUpdate: [
    ...['taskId', 'subject', 'description', 'activeForm', 'status', 'owner', 'metadata', 'addBlocks', 'addBlockedBy'],
  ],
  UpdatePlan: ['explanation', 'plan'],
};

function does(tool: string): GuardedDoes | undefined {
  return GUARDED_TOOLS.find((row) => row.tool === tool)?.does;
}

const GREP_FIELDS = [
  ...['pattern', 'path', 'glob', 'type', 'output_mode', 'multiline', 'context', 'head_limit', 'offset'],
  ...['-A', '-B', '-C', '-n', '-i'],
];

/** Whether a glob names no hidden files: ripgrep skips those unless a glob names them, and `*` names them all. */
function isOrdinaryGlob(glob: string): boolean {
  const found = /^(?:(?:\w[\w-]*|\*\*)\/){0,10}\*\.(\w{1,12}|\{\w{1,12}(?:,\w{1,12}){0,10}\})$/.exec(glob);
  const endings = found?.[1]?.replace(/[{}]/g, '').split(',') ?? [];
  return endings.length > 0 && !endings.some((ending) => looksSecret(`x.${ending}`));
}

function onlyHas(input: Input, fields: readonly string[]): boolean {
  return Object.keys(input).every((name) => fields.includes(name));
}

/** Whether the value is left out, or a whole number from 0 on. */
function isNumber(value: unknown): boolean {
  return value === undefined || (Number.isInteger(value) && Number(value) >= 0);
}
