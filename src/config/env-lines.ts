import { SETTINGS } from './settings.ts';

/** One setting of a `.env` as Node reads it (`util.parseEnv`, Node 24). */
export interface EnvLine {
  name: string;
  /** The value that Node reads. */
  value: string;
  /** The quotes around the value; empty: none. */
  quote: '' | "'" | '"' | '`';
  /** The value is on a later line than the name, because there was only a blank after the `=`. */
  isOnLaterLine: boolean;
  /** The rest of the line after the value, which Node ignores. */
  rest: string;
  /** Offsets in the text: the beginning of its first line, and the end of its last line with the line break. */
  from: number;
  to: number;
}

/** Reads a `.env` as Node does: the last line of a name counts, and a quoted value may have several lines. */
export function envLines(text: string): EnvLine[] {
  const lines: EnvLine[] = [];
  for (let from = 0; from < text.length; ) {
    const end = lineEnd(text, from);
    const key = /^[^\S\n]*([^#\s=][^=\n]*)=/.exec(text.slice(from, end));
    if (!key) {
      from = end + 1;
      continue;
    }
    const found = readValue(text, from + key[0].length);
    const name = (key[1] ?? '').replace(/^export\s+/, '').trim();
    lines.push({ name, ...found, from });
    from = found.to;
  }
  return lines;
}

function readValue(text: string, start: number): Omit<EnvLine, 'name' | 'from'> {
  // After `=` and a line break the value is empty. After `=` and a blank, Node also searches the next lines for the
  // value.
  const blanks = /^\r?\n/.test(text.slice(start)) ? '' : (/^[ \t\r\n\f\v]*/.exec(text.slice(start))?.[0] ?? '');
  const at = start + blanks.length;
  const end = lineEnd(text, at);
  const isOnLaterLine = blanks.includes('\n');
  const quote = text[at];
  const close = quote === "'" || quote === '"' || quote === '`' ? text.indexOf(quote, at + 1) : -1;
  if (close >= 0 && (quote === "'" || quote === '"' || quote === '`')) {
    const inside = text.slice(at + 1, close).replaceAll('\r', '');
    const last = lineEnd(text, close);
    const value = quote === '"' ? inside.replaceAll('\\n', '\n') : inside;
    return { value, quote, isOnLaterLine, rest: text.slice(close + 1, last).trim(), to: last + 1 };
  }
  const line = text.slice(at, end).replaceAll('\r', '');
  const hash = quote === "'" || quote === '"' || quote === '`' ? -1 : line.indexOf('#');
  const value = hash < 0 ? line : line.slice(0, hash);
  return { value: value.trim(), quote: '', isOnLaterLine, rest: hash < 0 ? '' : line.slice(hash), to: end + 1 };
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

export interface EnvProblem {
  setting: string;
  problem: string;
  fix: string;
}

const NAMES: ReadonlySet<string> = new Set(SETTINGS.map(({ name }) => name));

/**
 * Settings of a `.env` that Node probably does not read as they were meant: cut off at a `#` without a blank before it,
 * or at a quote in the middle. Without this check, Slack or Letta would later refuse the cut token as wrong.
 * @param isSet whether the environment has the setting, so that the file's value is not used
 */
export function envProblems(text: string, isSet: (name: string) => boolean = () => false): EnvProblem[] {
  const last = new Map(envLines(text).map((line) => [line.name, { line, text }]));
  return [...last.values()].flatMap(({ line }) => {
    const { name: setting, quote, rest, isOnLaterLine } = line;
    if (!NAMES.has(setting) || isSet(setting)) return [];
    if (isOnLaterLine && line.value !== '') {
      return [
        {
          setting,
          problem: 'has only a space as its value in .env, so the next line is read as its value',
          fix: `Remove the space after ${setting}=, or the whole line.`,
        },
      ];
    }
    if (quote === '' && line.value !== '' && rest !== '' && !isComment(text, line)) {
      return [
        {
          setting,
          problem: 'is cut off in .env: everything after a # is ignored',
          fix: `Put the value in single quotes: ${setting}='…#…'. A comment needs a space before its #.`,
        },
      ];
    }
    if (quote !== '' && rest !== '' && !rest.startsWith('#')) {
      return [
        {
          setting,
          problem: 'is cut off in .env: everything after the closing quote is ignored',
          fix: 'Put the whole value in one pair of quotes (\', " or `) of a kind that the value does not contain.',
        },
      ];
    }
    return [];
  });
}

/** Whether there is a blank before the `#` that ends a value without quotes. */
function isComment(text: string, { from, to, rest }: EnvLine): boolean {
  const line = text.slice(from, to).replaceAll('\r', '').replace(/\n$/, '');
  return /\s$/.test(line.slice(0, line.length - rest.length));
}
