import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

const CACHE = 'node_modules/.cache';

/** What Vitest says of these test files in one process, with the leak check. */
function runFiles(files: Record<string, string>): { status: number | null; told: string } {
  mkdirSync(CACHE, { recursive: true });
  const folder = resolve(mkdtempSync(join(CACHE, 'leaks-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, code] of Object.entries(files)) {
    writeFileSync(join(folder, `${name}.test.ts`), `import { it } from 'vitest';\n${code}\n`);
  }
  const setup = JSON.stringify(resolve('test/support/leaks.ts'));
  writeFileSync(
    join(folder, 'vitest.config.ts'),
    `export default { test: { isolate: false, maxWorkers: 1, setupFiles: [${setup}] } };`,
  );
  const vitest = [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', folder, '--no-color'];
  const { status, stdout, stderr } = spawnSync(process.execPath, vitest, { encoding: 'utf8' });
  return { status, told: stdout + stderr };
}

const SERVER = `import { createServer } from 'node:http';
it('opens a server', () => void createServer().listen(0, '127.0.0.1'));`;
const TIMER = `it('sets a timer', () => void setTimeout(() => undefined, 60_000).unref());`;
const CLEAN = `it('does nothing', () => undefined);`;

describe('the leak check', () => {
  it('fails a test file that left a server or a timer open', () => {
    const { status, told } = runFiles({ server: SERVER, timer: TIMER, clean: CLEAN });
    expect(status).toBe(1);
    expect(told).toMatch(/FAIL {2}server\.test\.ts[\s\S]*1 × TCPServerWrap/);
    expect(told).toMatch(/FAIL {2}timer\.test\.ts[\s\S]*a timeout of 60000 ms/);
    expect(told).not.toMatch(/FAIL {2}clean/);
    expect(told).toContain('2 failed | 1 passed');
  }, 120_000);
});
