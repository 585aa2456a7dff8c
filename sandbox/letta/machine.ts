import { posix } from 'node:path';
import { BoundedMap } from '../bounded-map.ts';

const MAX_FILES = 1000;
const MAX_FILE = 32_000_000;
/** Bytes of all files; the oldest ones go. */
const MAX_BYTES = 256_000_000;

/** Of the user who runs the agent. */
const HOME = '/home/user';

/** The file system in which the agent works. It is in memory and never touches the real one. */
export class Machine {
  readonly #files = new BoundedMap<string, Buffer>(MAX_FILES);
  readonly #folders = new Set<string>(['/']);
  #bytes = 0;

  /** An absolute path; `~` is {@link HOME}. */
  resolve(cwd: string, path: string): string {
    return posix.resolve(cwd, path.replace(/^~(?=\/|$)/, HOME));
  }

  /** As text, whatever its bytes are. */
  read(path: string): string | undefined {
    return this.#files.get(path)?.toString();
  }

  readBytes(path: string): Buffer | undefined {
    return this.#files.get(path);
  }

  write(path: string, content: string | Uint8Array): void {
    this.makeFolder(posix.dirname(path));
    const bytes = Buffer.from(content).subarray(0, MAX_FILE);
    this.#bytes += bytes.length - (this.#files.get(path)?.length ?? 0);
    this.#files.set(path, bytes);
    for (const [oldest, { length }] of this.#files) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#files.delete(oldest);
      this.#bytes -= length;
    }
  }

  makeFolder(path: string): void {
    for (let at = path; !this.#folders.has(at) && this.#folders.size < MAX_FILES; at = posix.dirname(at)) {
      this.#folders.add(at);
    }
  }

  isFolder(path: string): boolean {
    return this.#folders.has(path);
  }

  /** What a folder holds, sorted, hidden names too. */
  entries(folder: string): { files: string[]; folders: string[] } {
    const inside = (paths: Iterable<string>) =>
      [...paths]
        .filter((path) => path !== '/' && posix.dirname(path) === folder)
        .map((path) => posix.basename(path))
        .sort();
    return { files: inside(this.#files.keys()), folders: inside(this.#folders) };
  }

  /** Names in a folder, sorted, without the hidden ones. */
  list(folder: string): string[] {
    const names = [...this.#files.keys(), ...this.#folders]
      .filter((path) => path !== '/' && posix.dirname(path) === folder)
      .map((path) => posix.basename(path));
    return [...new Set(names)].filter((name) => !name.startsWith('.')).sort();
  }
}

export interface ShellOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

interface Shell {
  readonly machine: Machine;
  readonly cwd: string;
  /** Real waiting for `sleep`; rejects or throws when the tool is interrupted. */
  readonly sleep: (seconds: number) => Promise<void>;
  /** Called after each command that wrote something, with all output so far. */
  readonly onOutput: (soFar: ShellOutput) => void;
}

/** Splits one simple command into words, without quotes; a redirect is a word. */
export function shellWords(command: string): string[] {
  const found = command.match(/>>?|(?:[^\s"'>]+|"[^"]*"|'[^']*')+/g) ?? [];
  return found.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single ?? ''));
}

/** What `./ci status --last` says. */
const NIGHTLY = `nightly #412  red
  linux    1,204 passed
  macos    1,204 passed
  windows  1,197 passed, 1 failed: store/lock.test.ts
`;

/** Runs `a && b && c` of the few commands a story needs. Nothing real is ever executed. */
export async function runShell(command: string, shell: Shell): Promise<ShellOutput> {
  let stdout = '';
  let stderr = '';
  for (const simple of command.split('&&')) {
    const result = await runSimple(simple.trim(), shell);
    stdout += result.stdout;
    stderr += result.stderr;
    if (result.stdout !== '' || result.stderr !== '') shell.onOutput({ stdout, stderr, code: result.code });
    if (result.code !== 0) return { stdout, stderr, code: result.code };
  }
  return { stdout, stderr, code: 0 };
}

async function runSimple(command: string, shell: Shell): Promise<ShellOutput> {
  const decode = /^cat ([^|&;<>"']+) \| base64 -d > (\S+)$/.exec(command);
  if (decode) return decodeFiles(decode[1]?.split(' ') ?? [], decode[2] ?? '', shell);
  const all = shellWords(command);
  const at = all.findIndex((word) => word === '>' || word === '>>');
  const target = at < 0 ? undefined : all[at + 1];
  const result = await execute(at < 0 ? all : all.slice(0, at), command, shell);
  if (target === undefined) return result;
  const path = shell.machine.resolve(shell.cwd, target);
  const before = all[at] === '>>' ? (shell.machine.read(path) ?? '') : '';
  shell.machine.write(path, before + result.stdout);
  return { ...result, stdout: '' };
}

/** `cat A B | base64 -d > C`, the one pipe that it knows. */
function decodeFiles(from: readonly string[], to: string, { machine, cwd }: Shell): ShellOutput {
  const texts = from.map((path) => ({ path, text: machine.read(machine.resolve(cwd, path)) }));
  const missing = texts.filter(({ text }) => text === undefined);
  machine.write(machine.resolve(cwd, to), Buffer.from(texts.map(({ text = '' }) => text).join(''), 'base64'));
  const stderr = missing.map(({ path }) => `cat: ${path}: No such file or directory\n`).join('');
  return { stdout: '', stderr, code: 0 };
}

async function execute(argv: readonly string[], command: string, shell: Shell): Promise<ShellOutput> {
  const [name, ...args] = argv;
  const { machine, cwd } = shell;
  const ok = (stdout = ''): ShellOutput => ({ stdout, stderr: '', code: 0 });
  const bad = (stderr: string, code: number): ShellOutput => ({ stdout: '', stderr: `${stderr}\n`, code });
  const paths = args.filter((arg) => !arg.startsWith('-'));
  switch (name) {
    case 'echo':
      return ok(`${args.join(' ')}\n`);
    case 'pwd':
      return ok(`${cwd}\n`);
    case 'true':
      return ok();
    case 'false':
      return { stdout: '', stderr: '', code: 1 };
    case 'touch':
      for (const path of paths) {
        const full = machine.resolve(cwd, path);
        if (machine.read(full) === undefined) machine.write(full, '');
      }
      return ok();
    case 'mkdir':
      for (const path of paths) machine.makeFolder(machine.resolve(cwd, path));
      return ok();
    case 'cat': {
      let out = '';
      for (const path of paths) {
        const content = machine.read(machine.resolve(cwd, path));
        if (content === undefined) return bad(`cat: ${path}: No such file or directory`, 1);
        out += content;
      }
      return ok(out);
    }
    case 'ls': {
      const path = paths[0] ?? cwd;
      const full = machine.resolve(cwd, path);
      if (machine.read(full) !== undefined) return ok(`${path}\n`);
      if (full !== cwd && !machine.isFolder(full)) {
        return bad(`ls: cannot access '${path}': No such file or directory`, 2);
      }
      return ok(
        machine
          .list(full)
          .map((one) => `${one}\n`)
          .join(''),
      );
    }
    case './ci':
      return ok(NIGHTLY);
    case 'sleep':
      await shell.sleep(Number(args[0] ?? 0));
      return ok();
    default:
      return ok(`scripted: ran ${command}\n`);
  }
}
