import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { withSettings } from './env-file.ts';
import type { Files } from './setup.ts';

/** `.env` and `policy.yml` in a folder. @param around settings that the environment has besides */
export function openFiles(folder: string, around: Readonly<Record<string, string | undefined>>): Files {
  const [env, policy] = [join(folder, '.env'), join(folder, 'policy.yml')];
  const text = () => (existsSync(env) ? readFileSync(env, 'utf8') : '');
  return {
    env: () => ({ ...parseEnv(text()), ...around }),
    setEnv(settings) {
      const next = withSettings(text(), settings);
      replace(env, next);
    },
    hasPolicy: () => existsSync(policy),
    writePolicy: (next) => replace(policy, next),
  };
}

/** Never half a file, and never for a moment readable by others: tokens stand in it. */
function replace(path: string, text: string): void {
  const next = `${path}.new`;
  writeFileSync(next, text, { mode: 0o600 });
  // The mode above only counts for a file that was not there.
  chmodSync(next, 0o600);
  renameSync(next, path);
}
