/** How JSON is written. */
export interface JsonStyle {
  /** A text in quotes. @param name the key that holds it, or holds the list that holds it; `null`: it is a key itself */
  text(text: string, name: string | null): string;
  /** What is written before each member of a list or object at this depth, and before its end. */
  line(depth: number): string;
  colon: string;
  /** Whether members are sorted by their keys. */
  isSorted: boolean;
}

interface Level {
  entries: (readonly [string | null, unknown])[];
  at: number;
  closes: string;
  name: string;
}

/** Writes a value that was read from JSON, without recursion, because a model may nest deeper than the stack allows. */
export function writeJson(root: unknown, rootName: string, { text, line, colon, isSorted }: JsonStyle): string {
  const out: string[] = [];
  const levels: Level[] = [];
  const begin = (value: unknown, name: string) => {
    if (typeof value === 'string') return void out.push(text(value, name));
    if (typeof value !== 'object' || value === null) return void out.push(JSON.stringify(value) ?? 'null');
    const isList = Array.isArray(value);
    const entries = isList ? value.map((item) => [null, item] as const) : Object.entries(value);
    if (entries.length === 0) return void out.push(isList ? '[]' : '{}');
    if (isSorted && !isList) entries.sort(([a], [b]) => ((a ?? '') < (b ?? '') ? -1 : 1));
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
    if (key !== null) out.push(text(key, null), colon);
    begin(item, key ?? level.name);
  }
  return out.join('');
}

const COMPACT: JsonStyle = { text: (text) => JSON.stringify(text), line: () => '', colon: ':', isSorted: false };

/** As `JSON.stringify`, for a value that was read from JSON, however deep. */
export function jsonText(value: unknown): string {
  return writeJson(value, '', COMPACT);
}

/** The same text for the same value, whatever the order of its keys. */
export function canonicalJson(value: unknown): string {
  return writeJson(value, '', { ...COMPACT, isSorted: true });
}

/** How deep a value is nested and how many letters its texts and keys have; counting stops once a bound is passed. */
export function sizeOf(root: unknown, bounds: { depth: number; letters: number }): { depth: number; letters: number } {
  const size = { depth: 0, letters: 0 };
  const open: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth } = next;
    size.depth = Math.max(size.depth, depth);
    if (typeof value === 'string') size.letters += value.length;
    else size.letters += 2;
    if (size.depth > bounds.depth || size.letters > bounds.letters) break;
    if (typeof value !== 'object' || value === null) continue;
    if (!Array.isArray(value)) for (const key of Object.keys(value)) size.letters += key.length;
    for (const item of Object.values(value)) open.push({ value: item, depth: depth + 1 });
  }
  return size;
}
