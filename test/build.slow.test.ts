import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// Inside node_modules, so that the built files find their packages and no tool takes them for sources.
const CACHE = 'node_modules/.cache';
let out: string;

beforeAll(() => {
  mkdirSync(CACHE, { recursive: true });
  out = resolve(mkdtempSync(join(CACHE, 'build-')));
  writeFileSync(join(out, 'package.json'), '{"type":"module"}');
});

afterAll(() => rmSync(out, { recursive: true, force: true }));

function run(args: string[], env: Record<string, string> = {}) {
  // A folder without .env: what the person at this machine has set up is none of the test's business.
  return spawnSync(process.execPath, args, {
    cwd: out,
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
  });
}

describe('npm run build', () => {
  it('makes files that plain Node runs, up to reporting missing settings', () => {
    const tsc = run([
      resolve('node_modules/typescript/bin/tsc'),
      '-p',
      resolve('tsconfig.build.json'),
      '--outDir',
      out,
    ]);
    expect(tsc.stdout + tsc.stderr).toBe('');
    expect(readFileSync(join(out, 'src/config/config.js'), 'utf8')).toContain(`from '../errors.js'`);

    const started = run(['src/main.js']);
    expect(started.stderr).toContain('5 settings need attention');
    expect(started.stderr).toContain('letta-slack sandbox');
    expect(started.stdout).toBe('');
    expect(started.status).toBe(2);
  }, 60_000);
});
