import type { ApprovalRequest } from '../agent-event.ts';
import { CARD_NOTES } from '../words/requests.ts';
import { type FileChange, readPatch } from './patch.ts';

/** Tools whose input is a patch, and fields that hold one in the input of any other tool. */
const PATCHES = /patch/i;
const PATCH_FIELDS: ReadonlySet<string> = new Set(['patch', 'diff']);
/** Paths in a patch of the agent’s memory lie in the memory’s own folder. */
const MEMORY_PATCH = 'memory_apply_patch';

export interface ChangedFiles {
  changes: FileChange[];
  /** Whether the tool takes a patch, and this one cannot be read. */
  isUnreadable: boolean;
}

/** The files that a patch in the input would touch; none where the input holds no patch. */
export function changedFiles({ tool, input }: ApprovalRequest): ChangedFiles {
  const isPatch = PATCHES.test(tool);
  const texts = Object.entries(input).flatMap(([field, value]) =>
    typeof value === 'string' && (isPatch ? looksLikePatch(field, value) : PATCH_FIELDS.has(field)) ? [value] : [],
  );
  const read = texts.map(readPatch);
  const unread = read.includes(null) || (isPatch && texts.length === 0);
  return { changes: read.flatMap((changes) => changes ?? []), isUnreadable: isPatch && unread };
}

function looksLikePatch(field: string, text: string): boolean {
  return PATCH_FIELDS.has(field) || field === 'input' || /^\*\*\* Begin Patch|^(?:---|\+\+\+) /m.test(text);
}

/** One line a file: what happens to it, its whole path, and a mark where it lies outside of the working directory. */
export function changeLines(
  { tool }: ApprovalRequest,
  changes: readonly FileChange[],
  folder: string | null,
): string[] {
  return changes.map(({ action, path, to }) => {
    const places = [path, ...(to === null ? [] : [to])];
    const isOutside = tool !== MEMORY_PATCH && places.some((place) => isOutsideOf(place, folder));
    const names = places.map((place) => (tool === MEMORY_PATCH ? quotePath(place) : describePath(place, folder)));
    return `${VERBS[action].padEnd(6)} ${names.join(' → ')}${isOutside ? `  ${CARD_NOTES.outside}` : ''}`;
  });
}

const VERBS = { add: 'add', update: 'change', delete: 'delete', move: 'move', copy: 'copy' } as const;

/** A warning where a tool that takes the path of one file would leave the working directory; `null`: it would not. */
export function noteOutside({ input }: ApprovalRequest, folder: string | null): string | null {
  const paths = ['file_path', 'notebook_path'].flatMap((field) => {
    const path = input[field];
    return typeof path === 'string' && isOutsideOf(path, folder) ? [path] : [];
  });
  const [path] = paths;
  return path === undefined ? null : `${CARD_NOTES.outside}: ${describePath(path, folder)}`;
}

/** What Letta’s tools expand in a path, so that the bridge cannot know where it leads. */
const EXPANDS = /^~|\$/;

/** Judged by the path’s letters alone. While the working directory is unknown, no path counts as outside. */
function isOutsideOf(path: string, folder: string | null): boolean {
  if (folder === null || path === '') return false;
  if (EXPANDS.test(path)) return true;
  const parts = resolveParts(path, folder);
  return resolveParts(folder, '').some((part, at) => parts[at] !== part);
}

/** The path from the working directory on, where it is written out and lies inside; `null`: it does not. */
export function pathInside(path: string, folder: string | null): string | null {
  if (folder === null || isOutsideOf(path, folder)) return null;
  const separator = isWindows(folder) ? '\\' : '/';
  const start = folder.endsWith(separator) ? folder : `${folder}${separator}`;
  const rest = path.startsWith(start) ? path.slice(start.length) : '';
  return rest === '' || /^[\\/]/.test(rest) ? null : rest;
}

/** The path as it is written, with the whole path it leads to when that lies outside. */
function describePath(path: string, folder: string | null): string {
  if (folder === null || !isOutsideOf(path, folder) || EXPANDS.test(path)) return quotePath(path);
  const parts = resolveParts(path, folder);
  const whole = isWindows(folder) ? parts.join('\\') : `/${parts.join('/')}`;
  return whole === path ? quotePath(path) : `${quotePath(path)} (${quotePath(whole)})`;
}

const isWindows = (folder: string) => /^(?:[A-Za-z]:[\\/]|\\\\)/.test(folder);

/** The parts of the whole path, with `..` resolved by letters alone, as Letta does it. */
function resolveParts(path: string, folder: string): string[] {
  const windows = isWindows(folder || path);
  const letters = (text: string) => (windows ? text.replaceAll('\\', '/') : text);
  const isAbsolute = (windows ? /^(?:[A-Za-z]:|\/)/ : /^\//).test(letters(path));
  const parts: string[] = [];
  for (const part of letters(isAbsolute ? path : `${folder}/${path}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

/** Quotes a name that could be misread in the list: with blanks at an end, or characters that the list itself uses. */
function quotePath(path: string): string {
  return path !== path.trim() || /[→()⚠]|\s{2}/u.test(path) ? JSON.stringify(path) : path;
}
