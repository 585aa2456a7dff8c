import { posix } from 'node:path';
import type { Machine } from './machine.ts';
import { isJson, type Json, text } from './types.ts';

/** What the device answers to one of its file commands (docs/letta-protocol.md, The device's files); `null`: nothing. */
type Command = (machine: Machine, frame: Json, cwd: string) => Json | null;

const MAX_BASE64 = 25 * 1024 * 1024;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of bytes; `null`: they are not UTF-8. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

function notText(path: string, bytes: Uint8Array): string {
  const hasMark = bytes[0] === 0xff && bytes[1] === 0xfe;
  return hasMark
    ? `File is not valid UTF-8 text: ${path}. Detected UTF-16LE BOM; convert the file to UTF-8 and retry.`
    : `File is not valid UTF-8 text: ${path}. The file contains bytes that cannot be decoded as UTF-8.`;
}

/** `~` is expanded by some commands only, and relative paths begin where the server was started. */
const absolute = (path: string, cwd: string) => posix.resolve(cwd, path);

const readFile: Command = (machine, frame, cwd) => {
  const path = text(frame.path);
  const encoding = frame.encoding ?? 'utf8';
  if (path === undefined || (encoding !== 'utf8' && encoding !== 'base64')) return null;
  const fail = (error: string): Json => ({ path, content: null, encoding, success: false, error });
  const full = absolute(path, cwd);
  if (machine.isFolder(full)) return fail('EISDIR: illegal operation on a directory, read');
  const bytes = machine.readBytes(full);
  if (!bytes) return fail(`ENOENT: no such file or directory, open '${path}'`);
  if (encoding === 'base64') {
    if (bytes.length > MAX_BASE64) return fail('File too large for base64 read (max 25MB)');
    return { path, content: bytes.toString('base64'), encoding, success: true };
  }
  const content = textOf(bytes);
  return content === null ? fail(notText(path, bytes)) : { path, content, encoding, success: true };
};

/** Text only. Over an existing file it is an edit, which an empty or binary file refuses. */
const writeFile: Command = (machine, frame, cwd) => {
  const path = text(frame.path);
  const content = text(frame.content);
  if (path === undefined || content === undefined) return null;
  const full = machine.resolve(cwd, path);
  const fail = (error: string): Json => ({ path, success: false, error });
  if (machine.isFolder(full)) return fail('EISDIR: illegal operation on a directory, read');
  if (full.startsWith('/proc/')) return fail(`ENOENT: no such file or directory, open '${path}'`);
  const before = machine.readBytes(full);
  if (!before) {
    machine.write(full, content);
    return { path, success: true };
  }
  const known = textOf(before);
  if (known === null) return fail(notText(path, before));
  if (known === content) return { path, success: true };
  if (known === '') return fail('old_string cannot be empty. Provide the exact text you want to replace.');
  machine.write(full, content.replaceAll('\r\n', '\n'));
  return { path, success: true };
};

/** Writes also over a binary file, expands no `~`, answers nothing. */
const fileOps: Command = (machine, frame) => {
  const path = text(frame.path);
  const content = text(frame.document_content);
  if (path?.startsWith('/') && content !== undefined && machine.isFolder(posix.dirname(path))) {
    machine.write(path, content);
  }
  return null;
};

const listFolder: Command = (machine, frame, cwd) => {
  const path = text(frame.path);
  if (path === undefined) return null;
  const fail = (error: string): Json => ({ path, folders: [], hasMore: false, success: false, error });
  const full = absolute(path, cwd);
  if (machine.readBytes(full)) return fail(`ENOTDIR: not a directory, scandir '${path}'`);
  if (!machine.isFolder(full)) return fail(`ENOENT: no such file or directory, scandir '${path}'`);
  const { files, folders } = machine.entries(full);
  const withFiles = frame.include_files === true;
  const all = [
    ...folders.map((name) => ({ name, isFile: false })),
    ...(withFiles ? files.map((name) => ({ name, isFile: true })) : []),
  ];
  const from = typeof frame.offset === 'number' ? frame.offset : 0;
  const to = typeof frame.limit === 'number' ? from + frame.limit : all.length;
  const shown = all.slice(from, to);
  const names = (isFile: boolean) => shown.filter((entry) => entry.isFile === isFile).map(({ name }) => name);
  const head = { path, folders: names(false), hasMore: to < all.length, total: all.length, success: true };
  return withFiles ? { ...head, files: names(true) } : head;
};

const COMMANDS: Readonly<Record<string, Command>> = {
  read_file: readFile,
  write_file: writeFile,
  file_ops: fileOps,
  list_in_directory: listFolder,
};

/** Whether it is a file command: these need no runtime, and the permission mode does not matter. */
export const isFileCommand = (type: unknown): boolean => typeof type === 'string' && Object.hasOwn(COMMANDS, type);

/** Carries out a file command. @returns the answer's body; `null`: it has none */
export function runFileCommand(machine: Machine, frame: Json, cwd: string): Json | null {
  return isJson(frame) ? (COMMANDS[String(frame.type)]?.(machine, frame, cwd) ?? null) : null;
}
