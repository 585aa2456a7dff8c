import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type LogLine = Record<string, unknown> & { msg: string };

/** `node src/main.ts`, as an operator runs it: settings in the environment, its log on standard output. */
export interface Bridge {
  /** The lines that it has logged since its start. */
  lines: LogLine[];
  /** When it logged that it is up; ms since 1970. */
  upAt: number;
  /** SIGSTOP and SIGCONT. */
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code, `null` when it had to be killed. */
  stop(): Promise<number | null>;
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const UP_WITHIN_MS = 90_000;
const STOPS_WITHIN_MS = 30_000;
const LINES_KEPT = 20_000;

const runningBridges = new Set<ChildProcess>();
// However this process ends, no bridge may outlive it.
process.on('exit', () => {
  for (const child of runningBridges) child.kill('SIGKILL');
});

/** @param onLine called with each line as soon as it is read */
export async function startBridge(
  cwd: string,
  settings: Record<string, string>,
  onLine: (line: LogLine) => void,
): Promise<Bridge> {
  const env = { PATH: process.env.PATH ?? '', LANG: 'C.UTF-8', LOG_LEVEL: 'debug', ...settings };
  const child = spawn(process.execPath, [main], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  runningBridges.add(child);
  const gone = exitOf(child).finally(() => runningBridges.delete(child));
  const up = Promise.withResolvers<void>();
  const bridge: Bridge = {
    lines: [],
    upAt: 0,
    signal: (signal) => void child.kill(signal),
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOPS_WITHIN_MS);
      const code = await gone;
      clearTimeout(late);
      return code;
    },
  };
  const receiveLine = (line: LogLine) => {
    if (bridge.lines.length < LINES_KEPT) bridge.lines.push(line);
    if (line.msg === 'the bridge is up') {
      bridge.upAt = Date.now();
      up.resolve();
    }
    onLine(line);
  };
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') receiveLine(parseLine(line));
  });
  child.stderr
    .setEncoding('utf8')
    .on('data', (part: string) => receiveLine({ level: 'stderr', msg: part.slice(0, 2_000) }));
  const late = setTimeout(() => up.reject(new Error('the bridge did not come up in time')), UP_WITHIN_MS);
  void gone.then((code) => up.reject(new Error(`the bridge ended with ${code} before it was up`)));
  try {
    await up.promise;
    return bridge;
  } catch (error) {
    await bridge.kill();
    throw new Error(`${error instanceof Error ? error.message : error}\n${tail(bridge.lines)}`);
  } finally {
    clearTimeout(late);
  }
}

/** The last lines, for a report. */
export function tail(lines: readonly LogLine[], most = 40): string {
  return lines
    .filter(({ msg }) => msg !== 'slack library')
    .slice(-most)
    .map((line) => JSON.stringify(line).slice(0, 400))
    .join('\n');
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line);
  } catch {
    return { level: 'stdout', msg: line };
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
}
