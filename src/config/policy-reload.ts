import type { Policy } from '../bridge/access/policy.ts';
import type { Log } from '../bridge/ports.ts';
import { ConfigError, loadConfig, type ReadText } from './config.ts';

/**
 * Reads the policy again. If it is wrong, logs each problem; the present policy then stays in force.
 * @returns `null` when it is wrong.
 */
export function reloadPolicy(
  env: Readonly<Record<string, string | undefined>>,
  log: Pick<Log, 'info' | 'error'>,
  readText?: ReadText,
): Policy | null {
  try {
    const { policy } = loadConfig(env, readText);
    const { users, channels, admins, bots, places } = policy;
    const counts = {
      users: users.ids.length,
      groups: users.groups.length,
      channels: channels.ids.length,
      admins: admins.ids.length + admins.groups.length,
      bots: bots.ids.length,
      places: places.size,
    };
    log.info(counts, 'the policy was reloaded and applies from now on');
    return policy;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { setting, problem, fix } of error.problems) {
      log.error({ setting, problem, fix }, 'the new policy is not valid; the previous one stays in force');
    }
    return null;
  }
}
