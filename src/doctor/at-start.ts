import type { Clock, Log, Random } from '../bridge/ports.ts';
import type { Config } from '../config/config.ts';
import { policyOfToken } from '../config/policies.ts';
import { asBridgeError } from '../errors.ts';
import { createSocketDialer } from '../letta/link/socket.ts';
import { readManifest } from '../manifest/file.ts';
import type { SlackApi } from '../slack/api/slack-api.ts';
import { checkLetta } from './letta.ts';
import type { Finding } from './report.ts';
import { checkBot, checkChannels, checkClock, checkScopes } from './slack.ts';

/** Check at most this many channels: each costs a Slack call, at the busiest moment. */
const CHANNELS = 20;

export interface AtStartParts {
  config: Config;
  api: SlackApi;
  clock: Clock;
  random: Random;
  log: Log;
}

/**
 * A short doctor at start: logs as warnings what the bridge would otherwise notice only when somebody needs it. Runs in
 * the background and never rejects.
 */
export async function checkAtStart(parts: AtStartParts): Promise<void> {
  const { config, log, clock } = parts;
  const logFinding = ({ level, check, text, fix }: Finding) => {
    if (level !== 'ok') log.warn({ check, finding: text, fix }, 'doctor');
  };
  try {
    const manifest = readManifest();
    const slack = { ...parts, manifest, fetch: globalThis.fetch };
    await checkClock(slack, logFinding);
    const bot = await checkBot(slack, logFinding);
    if (bot !== null) {
      checkScopes(slack, bot, logFinding);
      const { ids } = policyOfToken(config.policies, bot.teamId).channels;
      await checkChannels(parts, bot, ids.slice(0, CHANNELS), logFinding);
    }
    await checkLetta(config, { ...parts, fetch: globalThis.fetch, dial: createSocketDialer(clock) }, logFinding);
  } catch (error) {
    log.warn({ error: asBridgeError(error).message }, 'doctor could not check everything');
  }
}
