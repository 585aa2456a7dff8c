import { randomUUID } from 'node:crypto';
import { type Machine, runShell, type ShellOutput } from './machine.ts';
import type { Json, ToolCall, ToolResult } from './types.ts';
import { isJson, text } from './types.ts';

/** Most characters of running output in a snapshot, and of final output for the model (trace 26b). */
const SNAPSHOT_LIMIT = 30_000;
const SHOWN_OF_LONG = 2_000;

export interface ToolWorld {
  readonly machine: Machine;
  readonly cwd: string;
  /** What a quick tool takes; rejects when the turn is interrupted. */
  readonly work: () => Promise<void>;
  readonly sleep: (seconds: number) => Promise<void>;
  readonly onSnapshot: (snapshot: { text: string; stdout: string[]; stderr: string[] }) => void;
  readonly onFile: (path: string, content: string) => void;
}

/** Tools that act on the fake machine. Undefined: not one of them. */
export async function runMachineTool(call: ToolCall, world: ToolWorld): Promise<ToolResult | undefined> {
  switch (call.name) {
    case 'Bash':
      return runBash(text(call.input.command) ?? '', world);
    case 'Read':
      return readFile(call.input, world);
    case 'Write':
      return writeFile(call.input, world);
    case 'Edit':
      return editFile(call.input, world);
    case 'AskUserQuestion':
      return { status: 'success', text: answersText(call.input) };
    default:
      return undefined;
  }
}

const done = (result: string): ToolResult => ({ status: 'success', text: result });
const failed = (result: string): ToolResult => ({ status: 'error', text: result });

async function runBash(command: string, world: ToolWorld): Promise<ToolResult> {
  await world.work();
  const output = await runShell(command, { ...world, onOutput: (soFar) => world.onSnapshot(snapshot(soFar)) });
  return finalOutput(output);
}

function snapshot({ stdout, stderr }: ShellOutput): { text: string; stdout: string[]; stderr: string[] } {
  const cut = (some: string) => some.slice(-SNAPSHOT_LIMIT).replace(/\n$/, '');
  const list = (some: string) => (some === '' ? [] : cut(some).split('\n'));
  return { text: cut(stdout + stderr), stdout: list(stdout), stderr: list(stderr) };
}

/** The text the model gets: code first when it failed, shortened when it is long. */
function finalOutput({ stdout, stderr, code }: ShellOutput): ToolResult {
  const output = stdout + stderr;
  if (code !== 0) return failed(`Exit code: ${code}\n${output}`);
  if (output === '') return done('(Command completed with no output)');
  if (output.length <= SNAPSHOT_LIMIT) return done(output);
  const [shown, whole] = [SHOWN_OF_LONG, output.length].map((count) => count.toLocaleString('en-US'));
  const file = `/home/user/.letta/projects/home_user_project/agent-tools/bash-${randomUUID()}.txt`;
  const note = `[Output truncated: showing ${shown} of ${whole} characters.]\n[Full output written to: ${file}]`;
  return done(`${output.slice(0, SHOWN_OF_LONG)}\n\n\n${note}`);
}

function readFile(input: Json, world: ToolWorld): ToolResult {
  const path = text(input.file_path) ?? '';
  const content = world.machine.read(world.machine.resolve(world.cwd, path));
  if (content === undefined) return failed(`File does not exist: ${path}`);
  return done(
    content
      .split('\n')
      .map((line, index) => `${index + 1}\t${line}`)
      .join('\n'),
  );
}

function writeFile(input: Json, world: ToolWorld): ToolResult {
  const path = world.machine.resolve(world.cwd, text(input.file_path) ?? '');
  const content = text(input.content) ?? '';
  world.machine.write(path, content);
  world.onFile(path, content);
  return done(`Successfully wrote ${content.length} characters to ${path}`);
}

function editFile(input: Json, world: ToolWorld): ToolResult {
  const path = world.machine.resolve(world.cwd, text(input.file_path) ?? '');
  const from = text(input.old_string) ?? '';
  const to = text(input.new_string) ?? '';
  const before = world.machine.read(path);
  if (before === undefined) return failed(`File does not exist: ${path}`);
  const at = before.indexOf(from);
  if (at < 0 || from === '') return failed(`String to replace not found in file.\nString: ${from}`);
  const every = input.replace_all === true;
  const after = every ? before.replaceAll(from, () => to) : before.replace(from, () => to);
  const replacements = every ? before.split(from).length - 1 : 1;
  world.machine.write(path, after);
  world.onFile(path, after);
  const message = `Successfully replaced ${replacements} occurrence${replacements === 1 ? '' : 's'} in ${path}`;
  return done(JSON.stringify({ message, replacements, startLine: before.slice(0, at).split('\n').length }));
}

/** If the "allow" has no answers, the model goes on waiting (the bug in docs/letta-protocol.md, Approvals). */
function answersText(input: Json): string {
  if (!isJson(input.answers)) return 'Waiting for user response...';
  const pairs = Object.entries(input.answers).map(([question, answer]) => `"${question}"="${String(answer)}"`);
  const given = `User has answered your questions: ${pairs.join(', ')}.`;
  return `${given} You can now continue with the user's answers in mind.`;
}
