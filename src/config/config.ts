import { readFileSync } from 'node:fs';
import type { Policy } from '../bridge/access/policy.ts';
import { commandName } from '../command-name.ts';
import { BridgeError } from '../errors.ts';
import { printable } from '../printable.ts';
import * as check from './checks.ts';
import { type LettaConfig, readLetta } from './letta.ts';
import { type ConfigProblem, type Reading, readPolicy } from './policy.ts';
import { defaultOf, type SettingName } from './settings.ts';

export type { ConfigProblem };

export interface Config {
  slack: {
    botToken: string;
    /** Ends with a slash. */
    apiUrl: string;
    mode: { kind: 'socket'; appToken: string } | { kind: 'http'; signingSecret: string; port: number };
  };
  letta: LettaConfig;
  agentId: string | null;
  policy: Policy;
  store: string;
  /** ms after which a separate message says that a turn ended; 0: never. */
  notifyAfterMs: number;
  /** ms that details of finished turns are kept; 0: not at all. */
  retentionMs: number;
  /** Age in ms from which a message runs only after its author confirms. */
  staleAfterMs: number;
  /** `null`: the bridge does not look for missed messages. */
  catchUp: { tier: 'full' | 'limited'; maxAgeMs: number; threads: number; threadAgeMs: number } | null;
  /** How threads are read for the turns in them, and how many of their newest messages go along. */
  past: { tier: 'full' | 'limited'; mostMessages: number };
  logLevel: check.LogLevel;
  approvals: {
    /** ms after which a request that nobody decided is denied. */
    timeoutMs: number;
    /** ms that audit entries are kept. */
    auditKeptForMs: number;
  };
  /**
   * Where files of people lie on this machine for agents on the same machine; `isKnown`: they certainly see it, else the
   * bridge finds out. `null`: never there.
   */
  sharedFiles: { home: string; isKnown: boolean } | null;
  /** Messages of one answer before the rest becomes a file. */
  maxMessages: number;
  /** How many messages may wait. */
  queue: { perThread: number; total: number };
  /** ms that a running turn may be silent. */
  turnSilenceMs: number;
  /** Where threads are recorded; `null`: nowhere. */
  recordThreads: string | null;
  /** ms that running turns may go on after SIGTERM. */
  drainMs: number;
  /** `null` when `PORT` is not set; 0 asks for any free port. */
  port: number | null;
}

/** All problems of the configuration at once. */
export class ConfigError extends BridgeError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super('config_invalid', `${problems.length} problem(s) in the configuration`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const HTTP_PORT = 3000;

/** Reads a file's text; `null` when the file does not exist. */
export type ReadText = (path: string) => string | null;

/** {@link ReadText} from the disk. Throws on any other failure. */
const readTextFile: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
};

/**
 * Reads the whole configuration: the environment, and the policy file that it names.
 * @param knownProblems problems with the `.env` file itself: their settings are not read
 * @throws ConfigError with all problems.
 */
export function loadConfig(
  env: Readonly<Record<string, string | undefined>>,
  readText: ReadText = readTextFile,
  knownProblems: readonly ConfigProblem[] = [],
): Config {
  const problems: ConfigProblem[] = [...knownProblems];
  const unreadable = new Set(knownProblems.map(({ setting }) => setting));
  const addProblem = (setting: string, problem: string, fix: string) => {
    problems.push({ setting, problem, fix });
  };
  const readRaw = (name: SettingName) => (unreadable.has(name) ? null : readTrimmed(env, name, addProblem));
  // A wrong setting is reported as a problem, so what stands in for it here is never used.
  const readSetting = <T>(name: SettingName, shape: check.Check<T>, value = readRaw(name)): T | null => {
    if (value === null) return null;
    const result = shape.safeParse(value);
    if (result.success) return result.data;
    const [problem = 'is not valid', fix = 'Correct it.'] = (result.error.issues[0]?.message ?? '').split(' → ');
    addProblem(name, problem, fix);
    return null;
  };
  const readWithDefault = (name: SettingName): string => readRaw(name) ?? defaultOf(name);
  const reading = { readSetting, readWithDefault, addProblem, isSet: (name: SettingName) => isSet(env, name) };

  const botToken = readSetting('SLACK_BOT_TOKEN', check.botTokenShape);
  if (!isSet(env, 'SLACK_BOT_TOKEN')) {
    addProblem(
      'SLACK_BOT_TOKEN',
      'is missing',
      'Copy the Bot User OAuth Token from your Slack app, OAuth & Permissions.',
    );
  }
  const apiUrl = readSetting('SLACK_API_URL', check.webUrl, readWithDefault('SLACK_API_URL'));
  const appToken = readSetting('SLACK_APP_TOKEN', check.appTokenShape);
  const signingSecret = readSetting('SLACK_SIGNING_SECRET', check.signingSecretShape);
  const port = readSetting('PORT', check.portShape);
  if (isSet(env, 'SLACK_APP_TOKEN') && isSet(env, 'SLACK_SIGNING_SECRET')) {
    addProblem(
      'SLACK_APP_TOKEN and SLACK_SIGNING_SECRET',
      'are both set, but events can arrive in only one way',
      'Keep SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP, and remove the other.',
    );
  } else if (!isSet(env, 'SLACK_APP_TOKEN') && !isSet(env, 'SLACK_SIGNING_SECRET')) {
    addProblem(
      'SLACK_APP_TOKEN or SLACK_SIGNING_SECRET',
      'is missing',
      'Make an app-level token with connections:write (Basic Information, App-Level Tokens) and set SLACK_APP_TOKEN; or set SLACK_SIGNING_SECRET for HTTP.',
    );
  }

  const policy = readPolicy(reading, readText);
  const letta = readLetta(reading, readText);
  const agentId = readSetting('LETTA_AGENT_ID', check.agentIdShape);
  const store = readSetting('STORE', check.storeShape, readWithDefault('STORE'));
  const logLevel = readSetting('LOG_LEVEL', check.logLevelShape, readWithDefault('LOG_LEVEL'));
  const maxMessages = readSetting('MAX_MESSAGES', check.messageCount, readWithDefault('MAX_MESSAGES'));
  const perThread = readSetting('QUEUE_PER_THREAD', check.queueSize, readWithDefault('QUEUE_PER_THREAD'));
  const total = readSetting('QUEUE_TOTAL', check.queueSize, readWithDefault('QUEUE_TOTAL'));
  const turnSilenceMs = readSetting('TURN_SILENCE', check.someTimeUpTo('24h'), readWithDefault('TURN_SILENCE'));
  const recordThreads = readSetting('RECORD_THREADS', check.anyText);
  const drainMs = readSetting('DRAIN_TIMEOUT', check.timeUpTo('24h'), readWithDefault('DRAIN_TIMEOUT'));
  const notifyAfterMs = readSetting('NOTIFY_AFTER', check.timeUpTo('24h'), readWithDefault('NOTIFY_AFTER'));
  const retentionMs = readSetting('RETENTION', check.timeUpTo('365d'), readWithDefault('RETENTION'));
  const staleAfterMs = readSetting('STALE_AFTER', check.timeUpTo('7d'), readWithDefault('STALE_AFTER'));
  const timeoutMs = readSetting('APPROVAL_TIMEOUT', check.someTimeUpTo('30d'), readWithDefault('APPROVAL_TIMEOUT'));
  const auditKeptForMs = readSetting(
    'AUDIT_RETENTION',
    check.someTimeUpTo('3650d'),
    readWithDefault('AUDIT_RETENTION'),
  );
  const tier = readSetting('HISTORY', check.historyShape, readWithDefault('HISTORY'));
  const mostMessages = readSetting('CONTEXT_MESSAGES', check.contextSize, readWithDefault('CONTEXT_MESSAGES'));
  // At most a day, because handled messages are remembered for a day.
  const maxAgeMs = readSetting('CATCH_UP_MAX_AGE', check.timeUpTo('24h'), readWithDefault('CATCH_UP_MAX_AGE'));
  const threads = readSetting('CATCH_UP_THREADS', check.threadCount, readWithDefault('CATCH_UP_THREADS'));
  const threadAgeMs = readSetting('CATCH_UP_THREAD_AGE', check.timeUpTo('90d'), readWithDefault('CATCH_UP_THREAD_AGE'));

  const sharedFs = readSetting('LETTA_SHARED_FS', check.trueOrFalse);
  const home = (env.HOME ?? env.USERPROFILE ?? '').trim();
  if (sharedFs === 'true' && home === '') {
    addProblem(
      'LETTA_SHARED_FS',
      'needs a home directory, and HOME is not set',
      'Set HOME, or remove LETTA_SHARED_FS.',
    );
  }

  const mode = appToken
    ? ({ kind: 'socket', appToken } as const)
    : signingSecret && ({ kind: 'http', signingSecret, port: port ?? HTTP_PORT } as const);
  if (
    problems.length > 0 ||
    !(botToken && apiUrl && mode && letta && policy && store && logLevel) ||
    !(maxMessages && perThread && total && turnSilenceMs && timeoutMs && auditKeptForMs) ||
    drainMs === null ||
    retentionMs === null ||
    notifyAfterMs === null ||
    mostMessages === null ||
    !(staleAfterMs !== null && tier && maxAgeMs !== null && threads !== null && threadAgeMs !== null)
  ) {
    throw new ConfigError(problems);
  }
  return {
    slack: { botToken, apiUrl: apiUrl.endsWith('/') ? apiUrl : `${apiUrl}/`, mode },
    letta,
    agentId,
    policy,
    store,
    notifyAfterMs,
    retentionMs,
    staleAfterMs,
    catchUp: tier === 'off' ? null : { tier, maxAgeMs, threads, threadAgeMs },
    past: { tier: tier === 'limited' ? 'limited' : 'full', mostMessages },
    logLevel,
    sharedFiles: sharedFs === 'false' || !home ? null : { home, isKnown: sharedFs === 'true' },
    maxMessages,
    approvals: { timeoutMs, auditKeptForMs },
    queue: { perThread, total },
    turnSilenceMs,
    recordThreads,
    drainMs,
    port,
  };
}

/** The problems as text for a terminal. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const count = problems.length === 1 ? 'One setting needs' : `${problems.length} settings need`;
  const lines = problems.map(({ setting, problem, fix }) => `  ${setting} ${problem}.\n      ${fix}`);
  const text = [
    `The bridge cannot start. ${count} attention:`,
    '',
    ...lines,
    '',
    'The bridge reads its settings from the environment and from a file named .env (see .env.example and docs/settings.md).',
    `To try the bridge without accounts, run: ${commandName('sandbox')}`,
    '',
  ].join('\n');
  return printable(text);
}

/** The values that must never appear in a log or a message. */
export function secretsOf(config: Config): string[] {
  const { slack, letta } = config;
  const of = slack.mode.kind === 'socket' ? slack.mode.appToken : slack.mode.signingSecret;
  return [slack.botToken, of, ...secretsOfLetta(letta)];
}

function secretsOfLetta(letta: LettaConfig): string[] {
  if (letta.mode === 'cloud') return [letta.apiKey];
  if (letta.mode === 'app-server') return letta.token === null ? [] : [letta.token];
  return letta.tokens.kind === 'shared' ? [letta.tokens.token] : [...letta.tokens.tokens.values()];
}

/** Whether the setting has a value; an empty one (an unfilled line of `.env`) does not count. */
function isSet(env: Readonly<Record<string, string | undefined>>, name: string): boolean {
  return (env[name] ?? '').trim() !== '';
}

function readTrimmed(
  env: Readonly<Record<string, string | undefined>>,
  name: SettingName,
  addProblem: Reading['addProblem'],
): string | null {
  if (!isSet(env, name)) return null;
  const value = (env[name] ?? '').trim();
  if (/^(["'`]).*\1$|^["'`“”‘’]|["'`“”‘’]$/s.test(value)) {
    addProblem(name, 'contains quotes', 'Write the value without quotes (Docker passes them on).');
    return null;
  }
  return value;
}
