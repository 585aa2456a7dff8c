import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startSlack } from '../sandbox/slack/server.ts';
import { medianRows, type Row, row } from './row.ts';
import { startLettaSide, waitFor } from './world.ts';

const RUNS = 5;
const CONNECTED_MS = 1_000;
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * From the start of the process that `npm start` runs until Slack has its socket. The network is loopback, so nothing of it
 * is waited for. The first run is not counted: it compiles the program and keeps that for the others.
 */
export async function startRows(folder: string): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run <= RUNS; run += 1) runs.push(await startOnce(join(folder, `start-${run}.db`)));
  return medianRows(runs.slice(1));
}

async function startOnce(database: string): Promise<Row[]> {
  const slack = await startSlack({ limits: 'off' });
  const { env, close } = await startLettaSide(slack, database);
  const from = performance.now();
  const child = spawn(process.execPath, [...startFlags(), 'src/cli.ts', 'start'], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, LOG_LEVEL: 'error', ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  try {
    await waitFor('the bridge is connected', () => slack.control.state().connections.length > 0);
    const connected = performance.now() - from;
    const cpu = cpuOf(child.pid);
    await sleep(200);
    return [
      row('start_to_connected', connected, 'ms', CONNECTED_MS),
      ...(cpu === null ? [] : [row('start_to_connected_cpu', cpu, 'ms')]),
    ];
  } finally {
    child.kill('SIGTERM');
    await ended;
    await slack.close();
    await close();
  }
}

/** The flags of Node with which `npm start` runs the bridge. */
export function startFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return String(scripts.start).match(/--\S+/g) ?? [];
}

/** CPU time of a process in ms, which a busy machine does not change much; `null` where the system does not tell. */
function cpuOf(pid: number | undefined): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [user = Number.NaN, system = Number.NaN] = stat
      .slice(stat.lastIndexOf(')'))
      .split(' ')
      .slice(12, 14)
      .map(Number);
    // Linux counts in ticks of 10 ms.
    return (user + system) * 10;
  } catch {
    return null;
  }
}
