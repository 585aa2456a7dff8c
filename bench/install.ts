import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Row, row } from './row.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WORKSPACES = ['sandbox/package.json', 'tools/node/package.json'];
const INSTALLED_MS = 20_000;

/** `npm ci` in a clean folder. The first one fills npm's cache and is not counted, so the second finds all it needs there. */
export function installRows(folder: string): Row[] {
  let ms = 0;
  for (const name of ['install-1', 'install-2']) {
    const clean = join(folder, name);
    mkdirSync(clean);
    for (const file of ['package.json', 'package-lock.json', '.npmrc', ...WORKSPACES]) {
      cpSync(join(ROOT, file), join(clean, file));
    }
    const from = performance.now();
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--prefer-offline'], {
      cwd: clean,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    ms = performance.now() - from;
  }
  return [row('npm_ci', ms, 'ms', INSTALLED_MS)];
}
