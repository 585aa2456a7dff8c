import { printableLine } from '../printable.ts';
import { type CheckName, TROUBLES, type TroubleName } from './troubles.ts';

export interface Finding {
  check: CheckName;
  level: 'ok' | 'warn' | 'fail';
  /** Which trouble it is; `null` if there is none. */
  trouble: TroubleName | null;
  text: string;
  /** What to do about it; `null` if there is nothing to do. */
  fix: string | null;
}

/** Called with each finding as soon as it is made. */
export type AddFinding = (finding: Finding) => void;

export interface Report {
  /** Whether the bridge can work as it is set up. */
  ok: boolean;
  findings: Finding[];
  /** One sentence: who can make which agent run what, where; `null` where too little is known for it. */
  access: string | null;
}

/** @param text may contain names that others chose; it is made safe to print */
export function fine(check: CheckName, text: string): Finding {
  return { check, level: 'ok', trouble: null, text: printableLine(text), fix: null };
}

/** @param values fill `{name}` in the trouble's text; they come from Slack and Letta, so each becomes one short line */
export function trouble(name: TroubleName, values: Readonly<Record<string, string | number>> = {}): Finding {
  const { check, level, says, fix } = TROUBLES[name];
  const fill = (text: string) => text.replaceAll(/\{(\w+)\}/g, (_, key: string) => short(String(values[key] ?? '')));
  return { check, level, trouble: name, text: fill(says), fix: fill(fix) };
}

const SHORT = 300;

/** One short line without control characters. */
export function short(text: string): string {
  return printableLine(text, SHORT);
}

const MARKS = { ok: '✓', warn: '!', fail: '✗' } as const;

/** A finding for people: one line, and one for the fix. */
export function findingText({ check, level, text, fix }: Finding): string {
  const line = `${MARKS[level]} ${check.padEnd(13)} ${text}.`;
  return fix === null ? line : `${line}\n${' '.repeat(16)}→ ${fix}`;
}

/** The last lines of the report. */
export function endingText({ findings, access }: Report): string {
  const fails = findings.filter(({ level }) => level === 'fail').length;
  const warns = findings.filter(({ level }) => level === 'warn').length;
  const told = [counted(fails, 'thing to fix', 'things to fix'), counted(warns, 'remark', 'remarks')].join(', ');
  const verdict =
    fails > 0 ? `Not ready: ${told}.` : warns > 0 ? `Ready, with ${counted(warns, 'remark', 'remarks')}.` : 'Ready.';
  return access === null ? verdict : `${verdict}\n${printableLine(access)}`;
}

function counted(count: number, one: string, many: string): string {
  return `${count === 0 ? 'no' : count} ${count === 1 ? one : many}`;
}

/** 0: ready. 1: something must be mended. 2: the configuration cannot be read. */
export function exitCode({ findings }: Report): 0 | 1 | 2 {
  const fails = findings.filter(({ level }) => level === 'fail');
  if (fails.some(({ check }) => check === 'configuration')) return 2;
  return fails.length > 0 ? 1 : 0;
}
