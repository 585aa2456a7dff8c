import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ackTimes } from './ack.ts';
import { contextTimes } from './context.ts';
import { filesRows } from './files.ts';
import { firstWordsRows } from './first-words.ts';
import { frameRows, memoryRows } from './frames/rows.ts';
import { herdRows } from './herd.ts';
import { hostileRows } from './hostile.ts';
import { installRows } from './install.ts';
import { paceRows } from './pace/rows.ts';
import { recoveryTimes } from './recovery.ts';
import { renderCosts } from './render.ts';
import { replicaRows } from './replicas/rows.ts';
import { medianRows, type Row, table } from './row.ts';
import { startRows } from './start.ts';
import { singleRows } from './streams/single.ts';
import { workspaceRows } from './streams/workspace.ts';

/** Run in this order: groups whose worlds share the machine come last. */
const GROUPS: Readonly<Record<string, (folder: string) => Row[] | Promise<Row[]>>> = {
  install: installRows,
  start: startRows,
  ack: ackTimes,
  context: contextTimes,
  recovery: recoveryTimes,
  render: renderCosts,
  hostile: hostileRows,
  frames: frameRows,
  memory: memoryRows,
  files: filesRows,
  pace: paceRows,
  herd: herdRows,
  first: () => firstWordsRows(),
  replicas: replicaRows,
  single: () => singleRows(),
  workspace: () => workspaceRows(),
};

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** Measures everything that often: medians, and ranges of all runs. */
    runs: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: Object.keys(GROUPS) },
  },
});
const unknown = values.only.filter((name) => !Object.hasOwn(GROUPS, name));
if (unknown.length > 0) {
  process.stderr.write(`no such benchmark: ${unknown.join(', ')}. There are ${Object.keys(GROUPS).join(', ')}.\n`);
  process.exit(2);
}

const times = Number(values.runs);
if (!Number.isInteger(times) || times < 1) {
  process.stderr.write('--runs takes a number from 1 on.\n');
  process.exit(2);
}

/** Figures of a machine that others use are not worth much, so its load is told with them. */
function tellMachine(when: string): void {
  const load = loadavg()[0]?.toFixed(2);
  process.stderr.write(`${when}: ${availableParallelism()} cores, Node ${process.version}, load of a minute ${load}\n`);
}

async function measureGroup(measure: (folder: string) => Row[] | Promise<Row[]>): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run < times; run += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'bridge-bench-'));
    try {
      runs.push(await measure(folder));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return medianRows(runs);
}

tellMachine('before');
const rows: Row[] = [];
for (const [name, measure] of Object.entries(GROUPS)) {
  if (values.only.includes(name)) rows.push(...(await measureGroup(measure)));
}
tellMachine('after');
process.stdout.write(`${values.json ? JSON.stringify(rows, null, 2) : table(rows)}\n`);
process.exitCode = rows.every(({ met }) => met !== false) ? 0 : 1;
