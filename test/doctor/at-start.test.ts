import { describe, expect, it } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { startSlack } from '../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { checkAtStart } from '../../src/doctor/at-start.ts';
import { readManifest } from '../../src/manifest/file.ts';
import { createSlackApi } from '../../src/slack/api/web-api.ts';
import { createMemoryLog } from '../support/log.ts';
import { MARKED, settingsFor, temporaryFolder } from '../support/whole.ts';

const { bot, bot_optional = [] } = readManifest().oauth_config.scopes;
const SCOPES = [...bot, ...bot_optional];

describe('the check at start', () => {
  it('warns of scopes, channels, clock and Letta, each with its fix', async (context) => {
    const slack = await startSlack({ scopes: SCOPES.filter((scope) => scope !== 'im:history') });
    context.onTestFinished(() => slack.close());
    const letta = await startScriptedLetta({ token: MARKED.letta });
    context.onTestFinished(() => letta.close());
    const env = settingsFor(slack, letta, temporaryFolder(context));
    const config = loadConfig({ ...env, SLACK_ALLOWED_CHANNELS: 'C01GEN,C03OUT' });
    const log = createMemoryLog();
    const world = { clock: systemClock, random: systemRandom, log };
    const api = createSlackApi({ token: slack.tokens.bot, slackApiUrl: slack.url, ...world });
    await checkAtStart({ ...world, config, api });
    expect(log.lines.map(({ level, fields }) => [level, fields.check, fields.finding, fields.fix])).toEqual([
      ['warn', 'scopes', 'The bot token lacks im:history', expect.stringContaining('Reinstall to Workspace')],
      [
        'warn',
        'scopes',
        'Without im:history the agent does not see threads and missed messages there',
        expect.stringContaining('Reinstall to Workspace'),
      ],
      ['warn', 'channels', 'The bot is not in #outside (C03OUT)', 'Write /invite @agent in #outside.'],
    ]);
    log.lines.length = 0;
    const fast = { ...systemClock, now: () => Date.now() + 3_600_000 };
    await checkAtStart({ ...world, clock: fast, config, api });
    expect(log.lines[0]?.fields.finding).toBe('The clock of this machine differs from Slack’s by 3600 s');
    await letta.close();
    log.lines.length = 0;
    await checkAtStart({ ...world, config, api });
    expect(log.lines.at(-1)?.fields.finding).toContain('cannot reach Letta');
  });
});
