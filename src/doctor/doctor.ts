import type { Clock, Log, Random } from '../bridge/ports.ts';
import { isLoopback } from '../config/checks.ts';
import { type Config, ConfigError } from '../config/config.ts';
import { policyOfToken } from '../config/policies.ts';
import type { FetchLike } from '../letta/hosted-api.ts';
import type { LaneDialer } from '../letta/link/lane.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { askControl } from '../ops/control.ts';
import type { BotReport, FetchHead } from '../slack/api/inspect.ts';
import type { SelfTestStep, SelfTestWaits } from '../slack/api/self-test.ts';
import { createSlackApi } from '../slack/api/web-api.ts';
import { accessSentence } from './access-sentence.ts';
import { checkEvents, type EventParts, type RunningBridge } from './events.ts';
import { checkLetta } from './letta.ts';
import type { AskDevices } from './listen.ts';
import { checkOAuth } from './oauth.ts';
import { userOfPort } from './os-user.ts';
import { type AddFinding, type Finding, fine, type Report, trouble } from './report.ts';
import {
  checkAppToken,
  checkBot,
  checkChannels,
  checkClock,
  checkScopes,
  findTestChannel,
  type SlackParts,
} from './slack.ts';
import { checkStore } from './store.ts';

export interface DoctorParts {
  /** Reads the configuration. @throws ConfigError */
  loadConfig(): Config;
  manifest: Manifest;
  fetch: FetchLike & FetchHead;
  dial: LaneDialer;
  clock: Clock;
  random: Random;
  log: Log;
  /** Id or `#name` of the channel in which to test events and buttons; `null`: do not test them. */
  channel: string | null;
  /** ms that the socket may take to connect. */
  connectMs: number;
  waits: SelfTestWaits;
  /** Called with each finding as it is made. */
  onFinding: AddFinding;
  /** Called when the self-test's button is posted: now somebody can click it. */
  onPosted(): void;
}

/** Checks everything that the bridge needs. Skips checks that depend on something broken. */
export async function runDoctor(parts: DoctorParts): Promise<Report> {
  const findings: Finding[] = [];
  const addFinding: AddFinding = (finding) => {
    findings.push(finding);
    parts.onFinding(finding);
  };
  const report = (access: string | null): Report => ({
    ok: findings.every(({ level }) => level !== 'fail'),
    findings,
    access,
  });

  let config: Config;
  try {
    config = parts.loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) addFinding(trouble('setting', { ...problem }));
    return report(null);
  }
  addFinding(fine('configuration', 'complete'));

  const running = await checkStore(config.store, parts.clock, addFinding);
  const one = running?.kind === 'one' ? running : null;
  const bridge = one && runningBridge(one);
  const processes = running?.kind === 'shared' ? running.processes : [];
  const slack = await checkSlack(parts, config, { bridge, processes }, addFinding);
  const letta = await checkLetta(config, parts, addFinding, one && (() => devicesOf(one.path)));
  const policy = slack ? policyOfToken(config.policies, slack.bot.teamId) : config.policies.usual;
  const { permissions } = policy.defaults;
  addFinding(permissions === 'unrestricted' ? trouble('unrestricted') : fine('permissions', permissions));
  if (slack === null) return report(null);
  const address = config.letta.mode === 'app-server' ? new URL(config.letta.url) : null;
  return report(
    accessSentence({
      policy,
      workspace: slack.bot.teamName,
      channels: slack.channels,
      agent: letta.agent,
      machine: address?.host ?? letta.device?.name ?? null,
      user: address !== null && isLoopback(address.hostname) ? userOfPort(Number(address.port || 80)) : null,
    }),
  );
}

async function checkSlack(
  parts: DoctorParts,
  config: Config,
  running: Pick<EventParts, 'bridge' | 'processes'>,
  addFinding: AddFinding,
): Promise<{ bot: BotReport; channels: ReadonlyMap<string, string> } | null> {
  const { clock, random, log } = parts;
  const { botToken, oauth, apiUrl, mode } = config.slack;
  const apiOf = (token: string | null) => createSlackApi({ token, slackApiUrl: apiUrl, clock, random, log });
  const slack: SlackParts = { ...parts, config, api: apiOf(botToken) };
  await checkClock(slack, addFinding);
  if (oauth) await checkOAuth(oauth, config, { api: apiOf(null), fetch: parts.fetch }, addFinding);
  if (botToken === null) {
    // Each workspace has a token of its own, which only the bridge can read.
    if (mode.kind === 'socket') await checkAppToken({ appApi: apiOf(mode.appToken), bot: null, config }, addFinding);
    return null;
  }
  const bot = await checkBot(slack, addFinding);
  if (bot === null) return null;
  checkScopes(slack, bot, addFinding);
  const reachable =
    mode.kind === 'http' || (await checkAppToken({ appApi: apiOf(mode.appToken), bot, config }, addFinding));
  const { ids } = policyOfToken(config.policies, bot.teamId).channels;
  const channels = await checkChannels(slack, bot, ids, addFinding);
  if (reachable) {
    const channel = await findTestChannel(slack.api, parts.channel, bot, addFinding);
    await checkEvents({ ...slack, ...parts, ...running, config, bot, channel }, addFinding);
  }
  return { bot, channels };
}

async function devicesOf(path: string): Promise<Awaited<ReturnType<NonNullable<AskDevices>>>> {
  let answer: unknown;
  await askControl(path, 'GET', '/devices', (line) => {
    answer = line;
  });
  return answer as Awaited<ReturnType<NonNullable<AskDevices>>>;
}

function runningBridge({ holder, path }: { holder: string; path: string }): RunningBridge {
  return {
    holder,
    async checks() {
      let checks: RunningCheck[] = [];
      await askControl(path, 'GET', '/checks', (line) => {
        checks = readChecks(line);
      });
      return checks;
    },
    selfTest(channel, { eventMs, clickMs }, tell) {
      const query = new URLSearchParams({ channel, event: String(eventMs), click: String(clickMs) });
      const silentMs = eventMs + clickMs + SELF_TEST_SLACK_MS;
      return askControl(path, 'POST', `/self-test?${query}`, (step) => tell(step as SelfTestStep), silentMs);
    },
  };
}

type RunningCheck = Awaited<ReturnType<RunningBridge['checks']>>[number];

/** Extra time for the self-test's own calls to Slack. */
const SELF_TEST_SLACK_MS = 30_000;

/** @throws TypeError when the line does not look like a bridge's checks */
function readChecks(line: unknown): RunningCheck[] {
  const list = typeof line === 'object' && line !== null && 'checks' in line ? line.checks : null;
  const isCheck = (each: unknown): each is RunningCheck =>
    typeof each === 'object' && each !== null && 'name' in each && 'ok' in each && 'state' in each;
  if (!Array.isArray(list) || !list.every(isCheck)) throw new TypeError('not a list of checks');
  return list;
}
