/** What is shown of one text of an input. @param name the field that holds it, or holds the list that holds it */
export type CleanText = (text: string, name: string) => string;

/** Deeper than that a value is printed on one line: indenting it would take the square of its depth. */
const INDENTED = 20;

/**
 * Fields under their names, texts as they are, everything else as JSON. Lines of a text carry a mark, so that no text
 * can pass itself off as another field. Nothing is left out, however deep it lies.
 */
export function printFields(fields: readonly (readonly [string, unknown])[], clean: CleanText): string {
  return fields
    .map(([field, value]) => {
      const name = printName(clean(field, ''));
      if (typeof value !== 'string') return `${name}: ${printValue(value, field, clean)}`;
      const text = clean(value, field);
      if (!/[\n\r\u2028\u2029]/.test(text)) return `${name}: ${text}`;
      const lines = text.split(/\r\n|[\n\r\u2028\u2029]/).map((line) => `  │ ${line}`);
      return `${name}:\n${lines.join('\n')}`;
    })
    .join('\n');
}

function printName(field: string): string {
  return /^[\w.-]{1,80}$/.test(field) ? field : JSON.stringify(field);
}

interface Level {
  entries: (readonly [string | null, unknown])[];
  at: number;
  closes: string;
  name: string;
}

/** As JSON with two blanks a level. Without recursion: a model may nest deeper than a stack holds. */
function printValue(root: unknown, rootName: string, clean: CleanText): string {
  const out: string[] = [];
  const levels: Level[] = [];
  const line = (depth: number) => (depth > INDENTED ? '' : `\n${'  '.repeat(depth)}`);
  const begin = (value: unknown, name: string) => {
    if (typeof value === 'string') return void out.push(JSON.stringify(clean(value, name)));
    if (typeof value !== 'object' || value === null) return void out.push(JSON.stringify(value) ?? 'null');
    const isList = Array.isArray(value);
    const entries = isList ? value.map((item) => [null, item] as const) : Object.entries(value);
    if (entries.length === 0) return void out.push(isList ? '[]' : '{}');
    out.push(isList ? '[' : '{');
    levels.push({ entries, at: 0, closes: isList ? ']' : '}', name });
  };
  begin(root, rootName);
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const entry = level.entries[level.at];
    if (!entry) {
      levels.pop();
      out.push(line(levels.length), level.closes);
      continue;
    }
    if (level.at > 0) out.push(',');
    level.at += 1;
    out.push(line(levels.length));
    const [key, item] = entry;
    if (key !== null) out.push(JSON.stringify(clean(key, '')), ': ');
    begin(item, key ?? level.name);
  }
  return out.join('');
}
