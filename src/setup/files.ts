import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { type Config, ConfigError, loadConfig } from '../config/config.ts';
import { envProblems } from '../config/env-lines.ts';
import { withSettings } from './env-file.ts';
import type { Files } from './parts.ts';

/** `.env` and `policy.yml` in a folder. @param around settings from the environment; they win over `.env` */
export function openFiles(folder: string, around: Readonly<Record<string, string | undefined>>): Files {
  const [env, policy] = [join(folder, '.env'), join(folder, 'policy.yml')];
  const readText = () => (existsSync(env) ? readFileSync(env, 'utf8') : '');
  function readEnv() {
    const now = readText();
    const cut = new Set(envProblems(now).map(({ setting }) => setting));
    // Leave out values that Node cuts off, so that setup asks for them again.
    const whole = Object.entries(parseEnv(now)).filter(([name]) => !cut.has(name));
    return { ...Object.fromEntries(whole), ...around };
  }
  return {
    readEnv,
    writeEnv(settings) {
      const next = withSettings(readText(), settings, parseEnv);
      // It holds tokens.
      replaceFile(env, next, 0o600);
    },
    hasPolicy: () => existsSync(policy),
    readConfig(): Config | null {
      try {
        return loadConfig(readEnv(), (path) => {
          const whole = resolve(folder, path);
          return existsSync(whole) ? readFileSync(whole, 'utf8') : null;
        });
      } catch (error) {
        if (error instanceof ConfigError) return null;
        throw error;
      }
    },
    // It holds no secret, and in a container another user reads it.
    writePolicy: (next) => replaceFile(policy, next, 0o644),
  };
}

/** Replaces a file by renaming, so that it is never half written and never readable by more users than `mode` says. */
function replaceFile(path: string, text: string, mode: number): void {
  const next = `${path}.new`;
  // The mode applies only to a new file.
  rmSync(next, { force: true });
  writeFileSync(next, text, { mode, flag: 'wx' });
  renameSync(next, path);
}
