import { plainWords } from './harmless-shell.ts';
import { isInside, looksSecret } from './inside.ts';
import { startsAgent } from './starts-agent.ts';

/** A tool call as Letta asks about it. */
interface Call {
  tool: string;
  input: Readonly<Record<string, unknown>>;
}

const RULE = /^([A-Za-z][\w-]{0,99})(?:\((.{1,500})\))?$/u;
/** Tools whose rule names files, and the field that has the path. */
const PATHS: Readonly<Record<string, string>> = {
  Read: 'file_path',
  Write: 'file_path',
  Edit: 'file_path',
  MultiEdit: 'file_path',
  LS: 'path',
};

/**
 * What is wrong with a rule of `AUTO_APPROVE`, or `null`. Rules are `Bash(npm test)`, exactly that command;
 * `Bash(npm run *)`, that and plain words behind it; `Write(docs/**)`, files under a folder of the working directory;
 * `WebSearch`, every call of a tool.
 */
export function problemOfRule(rule: string): string | null {
  const [, tool, of] = RULE.exec(rule.trim()) ?? [];
  if (tool === undefined) return `${JSON.stringify(rule.slice(0, 60))} is not of the form Tool or Tool(what)`;
  if (tool === 'AskUserQuestion') return 'questions are answered by people';
  if (startsAgent(tool)) return `${tool} starts an agent that asks nothing, so people decide about it`;
  if (of === undefined) {
    const all = tool === 'Bash' ? 'PERMISSIONS=unrestricted' : null;
    return all ? `Bash alone would allow every command: that is ${all}` : null;
  }
  if (tool === 'Bash') {
    const words = plainWords(of.replace(/ \*$/, ''));
    return words === null || words.length === 0 ? `${of} is more than plain words` : null;
  }
  if (!Object.hasOwn(PATHS, tool)) return `rules for ${tool} can not say more than its name`;
  return isInside(of.replace(/\/?\*\*$/, '') || '.', '/project') && !of.startsWith('/') && !/\*(?!\*?$)/.test(of)
    ? null
    : `${of} is not a path inside of the working directory, or a folder and /**`;
}

/**
 * The first rule that allows this call; `null` when none does. A rule that is none allows nothing.
 * @param moving whether the working directory may be another one by the time the call runs: then commands are not
 * allowed, and files only by their whole path.
 */
export function matchingRule(
  rules: readonly string[],
  call: Call,
  workingDirectory: string | null,
  { moving = false }: { moving?: boolean } = {},
): string | null {
  const allow = (rule: string) => problemOfRule(rule) === null && allows(rule.trim(), call, workingDirectory, moving);
  return rules.find(allow) ?? null;
}

function allows(rule: string, { tool, input }: Call, workingDirectory: string | null, moving: boolean): boolean {
  const [, name, of] = RULE.exec(rule) ?? [];
  if (name !== tool) return false;
  if (of === undefined) return true;
  if (tool === 'Bash') return !moving && typeof input.command === 'string' && allowsCommand(of, input.command);
  const path = input[PATHS[tool] ?? ''];
  if (typeof path !== 'string' || workingDirectory === null || looksSecret(path)) return false;
  if (!isInside(path, workingDirectory) || (moving && !path.startsWith('/'))) return false;
  const base = of.replace(/\/?\*\*$/, '');
  const folder = [workingDirectory, ...(base === '' ? [] : [base])].join('/');
  const absolute = path.startsWith('/') ? path : `${workingDirectory}/${path}`;
  return of.endsWith('**') ? isInside(absolute, folder) : normal(absolute) === normal(folder);
}

/** Words are compared, not letters: `npm  test` is `npm test`, and nothing that a shell would do more with is. */
function allowsCommand(of: string, command: string): boolean {
  const open = of.endsWith(' *');
  const wanted = plainWords(open ? of.slice(0, -2) : of);
  const words = plainWords(command);
  if (!wanted || !words || words.length < wanted.length || (!open && words.length > wanted.length)) return false;
  return wanted.every((word, at) => word === words[at]);
}

function normal(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
