/** What a patch does to one file. Paths as the patch writes them. */
export interface FileChange {
  action: 'add' | 'update' | 'delete' | 'move' | 'copy';
  path: string;
  /** Where it is moved or copied to. */
  to: string | null;
}

/** @returns every file that the patch touches; `null` when the text cannot be read as a patch, so the files are unknown */
export function readPatch(text: string): FileChange[] | null {
  return readEnvelope(text) ?? readUnifiedDiff(text);
}

const HEADER = /^\*\*\* (Add|Delete|Update) File: ?(.*)$/;
const MOVE = /^\*\*\* Move to: ?(.*)$/;

/**
 * The format of Letta’s ApplyPatch: `*** Begin Patch`, then `*** Add File: path` and so on. It is read as Letta reads it
 * (apply-patch.ts of Letta Code 0.32): blanks before a header do not count, a line of a hunk begins with ` `, `+` or `-`.
 * Anything else is refused there and here.
 */
function readEnvelope(text: string): FileChange[] | null {
  const lines = envelope(text.trim().split(/\r?\n/));
  if (!lines) return null;
  const changes: FileChange[] = [];
  let at = 0;
  while (at < lines.length) {
    const header = HEADER.exec((lines[at] ?? '').trim());
    if (!header) {
      if ((lines[at] ?? '').trim() !== '') return null;
      at += 1;
      continue;
    }
    const [, kind, path = ''] = header;
    if (path.trim() === '') return null;
    at += 1;
    if (kind === 'Delete') {
      changes.push({ action: 'delete', path, to: null });
    } else if (kind === 'Add') {
      changes.push({ action: 'add', path, to: null });
      while (lines[at]?.startsWith('+')) at += 1;
    } else {
      const to = MOVE.exec(lines[at] ?? '')?.[1] ?? null;
      if (to !== null) at += 1;
      changes.push({ action: to === null ? 'update' : 'move', path, to });
      const end = endOfHunks(lines, at);
      if (end === null) return null;
      at = end;
    }
  }
  return changes.length === 0 ? null : changes;
}

/** The lines between the marks; a shell’s heredoc around them does not count. */
function envelope(lines: string[]): string[] | null {
  const isMarked = (some: string[]) =>
    some.length > 1 && some[0]?.trim() === '*** Begin Patch' && some.at(-1)?.trim() === '*** End Patch';
  if (isMarked(lines)) return lines.slice(1, -1);
  if (!/^<<\s*(['"]?)EOF\1$/.test(lines[0] ?? '') || !lines.at(-1)?.endsWith('EOF')) return null;
  const inner = lines.slice(1, -1);
  return isMarked(inner) ? inner.slice(1, -1) : null;
}

function endOfHunks(lines: readonly string[], from: number): number | null {
  let at = from;
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line === '*** End of File') continue;
    if (line.startsWith('***')) break;
    if (line.trim() !== '' && !/^(?:[ +-]|@@(?: |$))/.test(line)) return null;
  }
  return at;
}

const NOWHERE = '/dev/null';

/** Reads what `diff -u` and `git diff` write. Counts the lines of a hunk, so that none of them is taken for a header. */
function readUnifiedDiff(text: string): FileChange[] | null {
  const changes: FileChange[] = [];
  const lines = text.split(/\r?\n/);
  let from: string | null = null;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line);
    const [, kind, path = ''] = /^(rename from|rename to|copy from|copy to|---|\+\+\+) (.*)$/.exec(line) ?? [];
    if (hunk) {
      const end = endOfHunk(lines, at + 1, Number(hunk[1] ?? 1), Number(hunk[2] ?? 1));
      if (end === null || changes.length === 0) return null;
      at = end - 1;
    } else if (kind === '---' || kind === 'rename from' || kind === 'copy from') {
      from = path;
    } else if (kind === '+++' && from !== null) {
      addChange(changes, ofDiff(from, path));
      from = null;
    } else if ((kind === 'rename to' || kind === 'copy to') && from !== null) {
      addChange(changes, { action: kind === 'copy to' ? 'copy' : 'move', path: from, to: path });
      from = null;
    } else if (/^(?:GIT binary patch|Binary files |deleted file mode|new file mode)/.test(line)) {
      const name = /^diff --git a\/(.+) b\/\1$/.exec(lines[at - 1] ?? '')?.[1];
      const action = line.startsWith('deleted') ? 'delete' : line.startsWith('new') ? 'add' : 'update';
      if (name !== undefined) addChange(changes, { action, path: name, to: null });
      else if (changes.length === 0) return null;
    }
  }
  return changes.length === 0 ? null : changes;
}

/** Adds a file once, although a diff names it in several lines. */
function addChange(changes: FileChange[], change: FileChange): void {
  const last = changes.at(-1);
  if (last?.action === change.action && last.path === change.path && last.to === change.to) return;
  changes.push(change);
}

/** `null` where the lines are not what the hunk’s head says. */
function endOfHunk(lines: readonly string[], from: number, oldLines: number, newLines: number): number | null {
  let [at, old, fresh] = [from, oldLines, newLines];
  for (; old > 0 || fresh > 0; at += 1) {
    const line = lines[at];
    if (line === undefined || !/^(?:$|[ +\\-])/.test(line)) return null;
    const sign = line.charAt(0);
    if (sign !== '+' && sign !== '\\') old -= 1;
    if (sign !== '-' && sign !== '\\') fresh -= 1;
  }
  return old < 0 || fresh < 0 ? null : at;
}

function ofDiff(from: string, to: string): FileChange {
  const [old, fresh] = [nameIn(from), nameIn(to)];
  if (old === NOWHERE) return { action: 'add', path: withoutSide(fresh, 'b'), to: null };
  if (fresh === NOWHERE) return { action: 'delete', path: withoutSide(old, 'a'), to: null };
  const sides = old.startsWith('a/') && fresh.startsWith('b/');
  const [before, after] = sides ? [old.slice(2), fresh.slice(2)] : [old, fresh];
  return before === after ? { action: 'update', path: after, to: null } : { action: 'move', path: before, to: after };
}

/** `diff -u` writes a time behind the name. */
const nameIn = (path: string) => path.replace(/\t.*$/, '');
const withoutSide = (path: string, side: 'a' | 'b') => (path.startsWith(`${side}/`) ? path.slice(2) : path);
