import type { Bound } from '../access/bindings.ts';
import type { Permissions } from '../access/policy.ts';
import { BINDING, modeUsageText } from '../words/bindings.ts';

/** What an admin wants a channel bound to; `undefined` takes back what was set. */
export type BindingRequest =
  | { kind: 'show' }
  | { kind: 'bind'; change: { [Name in keyof Bound]: Bound[Name] | undefined } }
  /** `notice`: one line for the person who asked. */
  | { kind: 'wrong'; notice: string };

/** `unrestricted` is not among them: that takes a decision in the configuration, not a line in a chat. */
const MODES: readonly Permissions[] = ['guarded', 'standard', 'acceptEdits', 'strict'];
const LONGEST = 400;

/** Parses what follows `mode`. */
export function parseMode(args: string): BindingRequest {
  const word = args.trim();
  if (word === '') return { kind: 'show' };
  if (word.toLowerCase() === 'default') return { kind: 'bind', change: { permissions: undefined } };
  const mode = MODES.find((each) => each.toLowerCase() === word.toLowerCase());
  if (mode) return { kind: 'bind', change: { permissions: mode } };
  if (word.toLowerCase() === 'unrestricted') return { kind: 'wrong', notice: BINDING.noUnrestricted };
  return { kind: 'wrong', notice: modeUsageText(MODES) };
}

/** Parses what follows `agent`: `agent-…`, `on <device>`, `in <directory>`; each may be `default`. */
export function parseAgent(args: string): BindingRequest {
  const words = args.trim();
  if (words === '') return { kind: 'show' };
  if (words.length > LONGEST || /[\p{Cc}\p{Cf}]/u.test(words)) return { kind: 'wrong', notice: BINDING.agentUsage };
  const [, name, value = ''] = /^(on|in)\s+(\S.*)$/i.exec(words) ?? [];
  const chosen = value.toLowerCase() === 'default' ? undefined : value;
  if (name?.toLowerCase() === 'on') return { kind: 'bind', change: { device: chosen } };
  if (name?.toLowerCase() === 'in') {
    if (chosen !== undefined && !/^(?:\/|[A-Za-z]:\\)/.test(chosen)) return { kind: 'wrong', notice: BINDING.fullPath };
    return { kind: 'bind', change: { workingDirectory: chosen } };
  }
  if (words.toLowerCase() === 'default') return { kind: 'bind', change: { agentId: undefined } };
  if (/^agent-[\w-]{1,100}$/.test(words)) return { kind: 'bind', change: { agentId: words } };
  return { kind: 'wrong', notice: BINDING.agentUsage };
}
