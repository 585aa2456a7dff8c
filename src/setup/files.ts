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
      // Tokens stand in it.
      replace(env, next, 0o600);
    },
    hasPolicy: () => existsSync(policy),
    // No secret, and in a container another user reads it.
    writePolicy: (next) => replace(policy, next, 0o644),
  };
}

/** Never half a file, and never for a moment readable by more than `mode` says. */
function replace(path: string, text: string, mode: number): void {
  const next = `${path}.new`;
  writeFileSync(next, text, { mode });
  // The mode above only counts for a file that was not there.
  chmodSync(next, mode);
  renameSync(next, path);
}
