interface DiffLine {
  readonly type: 'context' | 'add' | 'remove';
  readonly content: string;
}

interface Hunk {
  readonly oldStart: number;
  readonly oldLines: number;
  readonly newStart: number;
  readonly newLines: number;
  readonly lines: readonly DiffLine[];
}

const CONTEXT = 1;

function lines(content: string): string[] {
  if (content === '') return [];
  const all = content.split('\n');
  if (all.at(-1) === '') all.pop();
  return all;
}

/** One hunk from the first changed line to the last, with a line of context on each side, as the server shows it. */
export function diffHunks(before: string, after: string): Hunk[] {
  const old = lines(before);
  const fresh = lines(after);
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (
    tail < old.length - head &&
    tail < fresh.length - head &&
    old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]
  ) {
    tail += 1;
  }
  if (head === old.length && head === fresh.length) return [];
  const start = Math.max(0, head - CONTEXT);
  const oldEnd = Math.min(old.length, old.length - tail + CONTEXT);
  const freshEnd = Math.min(fresh.length, fresh.length - tail + CONTEXT);
  const as = (type: DiffLine['type'], some: readonly string[]) => some.map((content) => ({ type, content }));
  return [
    {
      oldStart: start + 1,
      oldLines: oldEnd - start,
      newStart: start + 1,
      newLines: freshEnd - start,
      lines: [
        ...as('context', old.slice(start, head)),
        ...as('remove', old.slice(head, old.length - tail)),
        ...as('add', fresh.slice(head, fresh.length - tail)),
        ...as('context', old.slice(old.length - tail, oldEnd)),
      ],
    },
  ];
}
