import type { Log } from '../bridge/ports.ts';
import { ConfigError, loadConfig, type ReadText } from './config.ts';
import type { Policies } from './policies.ts';

/**
 * Reads the policy again. If it is wrong, logs each problem; the present policy then stays in force.
 * @returns `null` when it is wrong.
 */
export function reloadPolicies(
  env: Readonly<Record<string, string | undefined>>,
  log: Pick<Log, 'info' | 'error'>,
  readText?: ReadText,
): Policies | null {
  try {
    const { policies } = loadConfig(env, readText);
    const { users, channels, admins, bots, places } = policies.usual;
    const counts = {
      users: users.ids.length,
      groups: users.groups.length,
      channels: channels.ids.length,
      admins: admins.ids.length + admins.groups.length,
      bots: bots.ids.length,
      places: places.size,
      workspaces: policies.own.size,
    };
    log.info(counts, 'the policy was reloaded and applies from now on');
    return policies;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { setting, problem, fix } of error.problems) {
      log.error({ setting, problem, fix }, 'the new policy is not valid; the previous one stays in force');
    }
    return null;
  }
}
