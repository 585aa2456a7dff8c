import { type EnvLine, envLines } from '../config/env-lines.ts';

/**
 * The text of a `.env` with these settings; `null` comments one out. An existing line, also a commented one, is
 * replaced in place. All other text stays, and all other settings keep their values.
 *
 * Node reads back exactly what is written. So does Docker Compose, unless a value contains a single quote and also a
 * `$` or a backslash. `docker run --env-file` does if the value needs no quotes: it knows neither quotes nor comments
 * behind a value.
 * @param read Node's own reader
 * @throws Error for a value that no `.env` can hold: line breaks and other control characters, or all kinds of quotes
 */
export function withSettings(text: string, settings: Readonly<Record<string, string | null>>, read: ReadEnv): string {
  return Object.entries(settings).reduce((now, [name, value]) => withSetting(now, name, value, read), text);
}

/** `util.parseEnv`, with which every text is read back before it is accepted. */
export type ReadEnv = (text: string) => Readonly<Record<string, string | undefined>>;

function withSetting(text: string, name: string, value: string | null, read: ReadEnv): string {
  const { [name]: _before, ...others } = read(text);
  const isReadBack = (next: string) => {
    const { [name]: now, ...rest } = read(next);
    return (now ?? null) === value && sameEntries(rest, others);
  };
  if (value === null) {
    const next = placeSetting(text, name, null);
    if (isReadBack(next)) return next;
    throw unwritableError(name);
  }
  if (/\p{Cc}/u.test(value)) throw new Error(`${name} contains a line break or another control character`);
  // A quote may close one that somebody left open above, so try several kinds.
  for (const form of formsOf(value)) {
    // If the line above is a setting with only a blank as value, Node would take our line as its value; a comment line
    // between prevents that.
    const candidates = [placeSetting(text, name, form), `${endWithNewline(text)}# Set by setup:\n${name}=${form}\n`];
    const next = candidates.find(isReadBack);
    if (next !== undefined) return next;
  }
  throw unwritableError(name);
}

function unwritableError(name: string): Error {
  return new Error(`setup cannot write ${name} into this .env: correct the file, or set ${name} in the environment`);
}

function sameEntries(one: ReturnType<ReadEnv>, other: ReturnType<ReadEnv>): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** The ways to write a value; the one that most readers understand comes first. */
function formsOf(value: string): string[] {
  const plain = value !== '' && value === value.trim() && !/[#$\\'"`]/.test(value);
  return [
    ...(plain ? [value] : []),
    ...(value.includes("'") ? [] : [`'${value}'`]),
    ...(/["$\\]/.test(value) ? [] : [`"${value}"`]),
    ...(value.includes('`') ? [] : [`\`${value}\``]),
    ...(value.includes('"') || value.includes('\\n') ? [] : [`"${value}"`]),
  ];
}

/** @param form the value as it is written; `null`: comment the setting out */
function placeSetting(text: string, name: string, form: string | null): string {
  const line = form === null ? `# ${name}=\n` : `${name}=${form}\n`;
  const all = envLines(text);
  const [first, ...more] = all.filter((each) => each.name === name);
  if (first) {
    // The last line of a name wins, so comment out those below the new one.
    const without = more.reduceRight((now, each) => replaceLine(now, each, `# ${name}=\n`), text);
    return replaceLine(without, first, line);
  }
  if (form === null) return endWithNewline(text);
  const off = [...text.matchAll(new RegExp(`^# ?${name}=.*(?:\\n|$)`, 'gm'))].find(
    ({ index }) => !all.some(({ from, to }) => index >= from && index < to),
  );
  if (off) return replaceLine(text, { from: off.index, to: off.index + off[0].length }, line);
  return endWithNewline(text) + line;
}

function replaceLine(text: string, { from, to }: Pick<EnvLine, 'from' | 'to'>, line: string): string {
  return endWithNewline(text.slice(0, from) + line + text.slice(to));
}

function endWithNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
