import { diffHunks } from './diff.ts';
import { type Machine, shellWords } from './machine.ts';
import type { Json, PermissionMode, ToolCall } from './types.ts';
import { isJson, text } from './types.ts';

const READ_ONLY = new Set(['pwd', 'ls', 'env', 'echo', 'cat', 'true', 'false']);
/** Commands whose saved rule covers all calls, not only the exact line (docs/letta-protocol.md, Approvals). */
const FAMILIES = new Set(['ls', 'cat']);
const UNASKED = new Set(['Read', 'TaskList', 'TaskGet']);
/** Subagents that only `strict` asks about (seen in 0.32.18). */
const SAFE_SUBAGENTS = new Set(['recall', 'Recall', 'reflection', 'Reflection', 'history-analyzer']);

export interface PermissionScope {
  readonly machine: Machine;
  readonly cwd: string;
  readonly mode: PermissionMode;
  /** Tools allowed for the session by a save rule. */
  readonly session: ReadonlySet<string>;
}

const settingsPath = (cwd: string) => `${cwd}/.letta/settings.json`;
const segmentsOf = (command: string) => command.split('&&').map((part) => part.trim());

/** Returns `{}` for invalid JSON, because the agent may have written anything there. */
function parseSettings(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return {};
  }
}

function savedRules(machine: Machine, cwd: string): string[] {
  const parsed = parseSettings(machine.read(settingsPath(cwd)) ?? '{}');
  const permissions = isJson(parsed) && isJson(parsed.permissions) ? parsed.permissions : {};
  return Array.isArray(permissions.allow) ? permissions.allow.map(String) : [];
}

/** Whether this call waits for a person (docs/letta-protocol.md, Approvals, "What is asked, by mode"). */
export function isAsked(call: ToolCall, scope: PermissionScope): boolean {
  if (call.name === 'AskUserQuestion') return true;
  if (scope.mode === 'unrestricted') return false;
  if (scope.session.has(call.name)) return false;
  if (call.name === 'Bash' && isAllowedByRule(text(call.input.command) ?? '', scope)) return false;
  if (scope.mode === 'strict') return true;
  if (call.name === 'Write' || call.name === 'Edit') return scope.mode !== 'acceptEdits';
  if (call.name === 'Agent') return !SAFE_SUBAGENTS.has(text(call.input.subagent_type) ?? '');
  if (call.name === 'Bash') return !segmentsOf(text(call.input.command) ?? '').every(isReadOnly);
  return !UNASKED.has(call.name);
}

function isReadOnly(segment: string): boolean {
  return !segment.includes('>') && READ_ONLY.has(shellWords(segment)[0] ?? '');
}

function isAllowedByRule(command: string, scope: PermissionScope): boolean {
  const rules = savedRules(scope.machine, scope.cwd);
  if (rules.length === 0) return false;
  const covered = (segment: string) =>
    rules.includes(`Bash(${segment})`) || rules.includes(`Bash(${shellWords(segment)[0] ?? ''}:*)`);
  const parts = segmentsOf(command);
  return parts.some(covered) && parts.every((part) => covered(part) || (scope.mode !== 'strict' && isReadOnly(part)));
}

/** The text of the one suggestion the server offers with a request. */
export function suggestion(call: ToolCall): string {
  if (call.name === 'Write') return 'Yes, allow all writes during this session';
  if (call.name === 'Edit') return 'Yes, switch to accept edits mode for this session';
  if (call.name !== 'Bash') return `Yes, allow ${call.name} operations during this session`;
  const [first = ''] = segmentsOf(text(call.input.command) ?? '');
  const name = shellWords(first)[0] ?? '';
  const what = FAMILIES.has(name) ? `'${name}' commands` : `'${first}'`;
  return `Yes, and don't ask again for ${what} in this project`;
}

/** What taking the suggestion changes: a rule in the project's settings, or something for this session. */
export function saveRule(call: ToolCall, machine: Machine, cwd: string): { allowTool?: string; mode?: PermissionMode } {
  if (call.name === 'Edit') return { mode: 'acceptEdits' };
  if (call.name !== 'Bash') return { allowTool: call.name };
  const [first = ''] = segmentsOf(text(call.input.command) ?? '');
  const name = shellWords(first)[0] ?? '';
  const rule = FAMILIES.has(name) ? `Bash(${name}:*)` : `Bash(${first})`;
  const allow = [...new Set([...savedRules(machine, cwd), rule])];
  machine.write(settingsPath(cwd), JSON.stringify({ permissions: { allow } }, null, 2));
  return {};
}

/** The `diffs` of a request for Write or Edit; undefined for other tools. */
export function diffsOf(call: ToolCall, machine: Machine, cwd: string): Json[] | undefined {
  if (call.name !== 'Write' && call.name !== 'Edit') return undefined;
  const path = text(call.input.file_path) ?? '';
  const fileName = path.split('/').at(-1) ?? path;
  const before = machine.read(machine.resolve(cwd, path));
  if (call.name === 'Write') return [advancedDiff(fileName, before ?? '', text(call.input.content) ?? '')];
  const from = text(call.input.old_string) ?? '';
  const to = text(call.input.new_string) ?? '';
  if (before === undefined) return [{ mode: 'unpreviewable', fileName, reason: 'File not readable' }];
  if (!before.includes(from)) return [{ mode: 'fallback', fileName, reason: 'Edit not found in file' }];
  const after = call.input.replace_all === true ? before.replaceAll(from, () => to) : before.replace(from, () => to);
  return [advancedDiff(fileName, before, after)];
}

function advancedDiff(fileName: string, before: string, after: string): Json {
  return { mode: 'advanced', fileName, hunks: diffHunks(before, after) };
}
