/** How a value is written, where `Place` is what its writer must know of the place that it stands in. */
export interface WideStyle<Place> {
  text(text: string, place: Place): string;
  number(number: number, place: Place): number;
  /** The key of an object's member. */
  key(key: string, place: Place): string;
  /** The place of a member of an object at `place`. */
  member(key: string, place: Place): Place;
  /** The place of a set's values and of a map's keys. */
  id(place: Place): Place;
}

interface Level<Place> {
  /** `key`: written before the value; `null`: there is none. */
  entries: readonly (readonly [key: string | null, value: unknown, place: Place])[];
  at: number;
  closes: string;
}

/**
 * Writes a value that may hold sets and maps (`$set`, `$map`) as JSON, without recursion, because a model may nest an input
 * deeper than the stack allows. What is `undefined` is left out, as `JSON.stringify` does.
 */
export function writeWide<Place>(root: unknown, at: Place, style: WideStyle<Place>): string {
  const out: string[] = [];
  const levels: Level<Place>[] = [];
  const open = (entries: Level<Place>['entries'], [opens, closes]: readonly [string, string]) => {
    out.push(opens);
    levels.push({ entries, at: 0, closes });
  };
  const begin = (value: unknown, place: Place) => {
    if (typeof value === 'string') return void out.push(JSON.stringify(style.text(value, place)));
    if (typeof value === 'number') return void out.push(JSON.stringify(style.number(value, place)));
    if (typeof value !== 'object' || value === null) return void out.push(JSON.stringify(value) ?? 'null');
    const list = (values: readonly unknown[], within: Place) => values.map((each) => [null, each, within] as const);
    if (Array.isArray(value)) return open(list(value, place), ['[', ']']);
    if (value instanceof Set) return open(list([...value], style.id(place)), ['{"$set":[', ']}']);
    if (value instanceof Map) {
      const pairs = [...value].map(([key, each]) => new Pair(key, each));
      return open(list(pairs, place), ['{"$map":[', ']}']);
    }
    if (value instanceof Pair) {
      const pair = [[null, value.key, style.id(place)] as const, [null, value.value, place] as const];
      return open(pair, ['[', ']']);
    }
    const members = Object.entries(value).filter(([, each]) => each !== undefined);
    const entries = members.map(([key, each]) => [style.key(key, place), each, style.member(key, place)] as const);
    open(entries, ['{', '}']);
  };
  begin(root, at);
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const entry = level.entries[level.at];
    if (!entry) {
      levels.pop();
      out.push(level.closes);
      continue;
    }
    if (level.at > 0) out.push(',');
    level.at += 1;
    const [key, value, place] = entry;
    if (key !== null) out.push(JSON.stringify(key), ':');
    begin(value, place);
  }
  return out.join('');
}

/** One entry of a map. */
class Pair {
  readonly key: unknown;
  readonly value: unknown;

  constructor(key: unknown, value: unknown) {
    this.key = key;
    this.value = value;
  }
}

/** Reads what {@link writeWide} wrote. @throws SyntaxError when the text is no JSON */
export function readWide(text: string): unknown {
  const root = { value: JSON.parse(text) as unknown };
  const places: [holder: Record<string, unknown>, key: string][] = [[root, 'value']];
  for (let at = 0; at < places.length; at += 1) {
    const [holder, key] = places[at] as (typeof places)[number];
    const value = holder[key];
    if (typeof value !== 'object' || value === null) continue;
    for (const inner of Object.keys(value)) places.push([value as Record<string, unknown>, inner]);
  }
  // What is inside comes first.
  for (const [holder, key] of places.reverse()) {
    const value = holder[key];
    if (typeof value !== 'object' || value === null) continue;
    if ('$set' in value) holder[key] = new Set(value.$set as unknown[]);
    else if ('$map' in value) holder[key] = new Map(value.$map as [unknown, unknown][]);
  }
  return root.value;
}
