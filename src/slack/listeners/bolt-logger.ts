import { type Logger, LogLevel } from '@slack/bolt';
import type { Log } from '../../bridge/ports.ts';

/** Tokens, socket URLs with their tickets, response URLs. */
const SECRETS = /wss?:\/\/\S+|xox[a-z]-[\w-]+|xapp-[\w-]+|https:\/\/hooks\.slack\.com\/\S+/g;

/**
 * The logger of Slack's libraries (docs/slack.md, Hazards: Logger). Their debug lines hold whole payloads, so it drops
 * them, and never says that the level is debug.
 */
export function boltLogger(log: Log): Logger {
  const toFields = (parts: unknown[]) => ({
    said: parts
      .map((part) => (part instanceof Error ? part.message : String(part)))
      .join(' ')
      .replace(SECRETS, '[hidden]')
      .slice(0, 500),
  });
  return {
    debug() {},
    info: (...parts) => log.debug(toFields(parts), 'slack library'),
    warn: (...parts) => log.warn(toFields(parts), 'slack library'),
    error: (...parts) => log.error(toFields(parts), 'slack library'),
    setLevel() {},
    getLevel: () => LogLevel.INFO,
    setName() {},
  };
}
