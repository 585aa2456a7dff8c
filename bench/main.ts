import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ackTimes } from './ack.ts';
import { recoveryTimes } from './recovery.ts';
import { renderCosts } from './render.ts';
import { table } from './row.ts';

const json = process.argv.includes('--json');
const folder = mkdtempSync(join(tmpdir(), 'bridge-bench-'));
try {
  const rows = [...(await ackTimes(folder)), ...(await recoveryTimes(folder)), ...renderCosts()];
  process.stdout.write(`${json ? JSON.stringify(rows, null, 2) : table(rows)}\n`);
  process.exitCode = rows.every(({ met }) => met) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
