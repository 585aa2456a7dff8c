import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ackTimes } from './ack.ts';
import { contextTimes } from './context.ts';
import { filesRows } from './files.ts';
import { frameRows, memoryRows } from './frames/rows.ts';
import { herdRows } from './herd.ts';
import { hostileRows } from './hostile.ts';
import { paceRows } from './pace/rows.ts';
import { recoveryTimes } from './recovery.ts';
import { renderCosts } from './render.ts';
import { type Row, table } from './row.ts';
import { singleRows } from './streams/single.ts';
import { workspaceRows } from './streams/workspace.ts';

/** Run in this order: groups whose worlds share the machine come last. */
const GROUPS: Readonly<Record<string, (folder: string) => Row[] | Promise<Row[]>>> = {
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
  single: () => singleRows(),
  workspace: () => workspaceRows(),
};

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: Object.keys(GROUPS) },
  },
});
const unknown = values.only.filter((name) => !Object.hasOwn(GROUPS, name));
if (unknown.length > 0) {
  process.stderr.write(`no such benchmark: ${unknown.join(', ')}. There are ${Object.keys(GROUPS).join(', ')}.\n`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'bridge-bench-'));
try {
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(GROUPS)) {
    if (values.only.includes(name)) rows.push(...(await measure(folder)));
  }
  process.stdout.write(`${values.json ? JSON.stringify(rows, null, 2) : table(rows)}\n`);
  process.exitCode = rows.every(({ met }) => met !== false) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
