import type { HandedFile } from '../../record/thread-record.ts';

interface Call {
  tool: string;
  input: Readonly<Record<string, unknown>>;
}

const BASH_FIELDS: ReadonlySet<string> = new Set(['command', 'description', 'timeout', 'run_in_background']);
const READ_FIELDS: ReadonlySet<string> = new Set(['file_path', 'offset', 'limit']);
const VIEW_FIELDS: ReadonlySet<string> = new Set(['path']);

/**
 * Whether a call only takes a file that the bridge handed over in this thread: it reads exactly that path, or runs, letter
 * by letter, the command that the bridge gave to make the file out of its base64.
 */
export function takesHandedFile({ tool, input }: Call, files: readonly HandedFile[]): boolean {
  const onlyHas = (fields: ReadonlySet<string>) => Object.keys(input).every((name) => fields.has(name));
  const names = (path: unknown) => files.some((file) => file.path === path);
  if (tool === 'Read') return onlyHas(READ_FIELDS) && names(input.file_path);
  if (tool === 'ViewImage') return onlyHas(VIEW_FIELDS) && names(input.path);
  if (tool !== 'Bash' || !onlyHas(BASH_FIELDS)) return false;
  const { command, run_in_background: inBackground } = input;
  if (inBackground !== undefined && inBackground !== false) return false;
  return typeof command === 'string' && files.some(({ decode }) => decode !== undefined && decode === command);
}
