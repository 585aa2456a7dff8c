import { readFileSync } from 'node:fs';
import { commandName } from '../command-name.ts';
import { BridgeError } from '../errors.ts';
import { printable } from '../printable.ts';
import { passwordsOf, withPostgresEnvironment } from '../storage/store-uri.ts';
import * as check from './checks.ts';
import { type LettaConfig, readLetta } from './letta.ts';
import { type Policies, readPolicies } from './policies.ts';
import type { ConfigProblem, Reading } from './policy.ts';
import { defaultOf, type SettingName } from './settings.ts';
import { type OAuthConfig, readSlack, type SlackConfig } from './slack.ts';

export type { ConfigProblem };

export interface Config {
  slack: SlackConfig;
  letta: LettaConfig;
  agentId: string | null;
  policies: Policies;
  /** A URI, which may hold a password. */
  store: string;
  /** What only a store on Postgres needs: connections at most, ms between renewals of a lease and until it expires. */
  postgres: { connections: number; heartbeatMs: number; expiryMs: number };
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
  /** Whether live text of direct messages is streamed natively. */
  nativeStreams: boolean;
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
  /** Whether metrics are counted for each workspace apart. */
  metricsByWorkspace: boolean;
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

/** A lease that is shorter would be lost at each pause of a machine. */
const LEAST_EXPIRY_MS = 3_000;

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

  const port = readSetting('PORT', check.portShape);
  const slack = readSlack(reading, port);
  const policies = readPolicies(reading, readText);
  const mayBeInstalled = policies && (policies.workspaces.everyone || policies.workspaces.ids.length > 0);
  if (slack?.oauth && policies && !mayBeInstalled) {
    addProblem(
      'SLACK_ALLOWED_WORKSPACES',
      'is missing, so the app may not be installed anywhere',
      'Name the workspaces (T…) or organisations (E…) that may install it, here or under workspaces in policy.yml.',
    );
  }
  const letta = readLetta(reading, readText);
  const agentId = readSetting('LETTA_AGENT_ID', check.agentIdShape);
  const store = readSetting('STORE', check.storeShape, withPostgresEnvironment(readWithDefault('STORE'), env));
  const connections = readSetting('STORE_CONNECTIONS', check.connectionCount, readWithDefault('STORE_CONNECTIONS'));
  const heartbeatMs = readSetting('LEASE_HEARTBEAT', check.someTimeUpTo('60s'), readWithDefault('LEASE_HEARTBEAT'));
  const expiryMs = readSetting('LEASE_EXPIRY', check.someTimeUpTo('5m'), readWithDefault('LEASE_EXPIRY'));
  if (heartbeatMs !== null && expiryMs !== null && expiryMs < Math.max(LEAST_EXPIRY_MS, 2 * heartbeatMs)) {
    addProblem(
      'LEASE_EXPIRY',
      'is shorter than twice LEASE_HEARTBEAT, or than 3s',
      'Use 15s, with LEASE_HEARTBEAT=5s.',
    );
  }
  // A machine has one socket, so only the process that serves its workspace may take it.
  if (slack?.oauth && letta?.mode === 'listen' && store?.startsWith('postgres')) {
    addProblem(
      'LETTA_LISTEN',
      'cannot be used with both SLACK_CLIENT_ID and a Postgres store: a machine reaches only one of several processes',
      'Use a SQLite store, the bot token of one workspace, or another way to Letta.',
    );
  }
  const logLevel = readSetting('LOG_LEVEL', check.logLevelShape, readWithDefault('LOG_LEVEL'));
  const maxMessages = readSetting('MAX_MESSAGES', check.messageCount, readWithDefault('MAX_MESSAGES'));
  const nativeStreams = readSetting('NATIVE_STREAMS', check.nativeStreamsShape, readWithDefault('NATIVE_STREAMS'));
  const byWorkspace = readSetting('METRICS_BY_WORKSPACE', check.onOrOff, readWithDefault('METRICS_BY_WORKSPACE'));
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

  if (
    problems.length > 0 ||
    !(slack && letta && policies && store && logLevel) ||
    !(connections && heartbeatMs && expiryMs) ||
    !(maxMessages && perThread && total && turnSilenceMs && timeoutMs && auditKeptForMs) ||
    nativeStreams === null ||
    byWorkspace === null ||
    drainMs === null ||
    retentionMs === null ||
    notifyAfterMs === null ||
    mostMessages === null ||
    !(staleAfterMs !== null && tier && maxAgeMs !== null && threads !== null && threadAgeMs !== null)
  ) {
    throw new ConfigError(problems);
  }
  return {
    slack,
    letta,
    agentId,
    policies,
    store,
    postgres: { connections, heartbeatMs, expiryMs },
    notifyAfterMs,
    retentionMs,
    staleAfterMs,
    catchUp: tier === 'off' ? null : { tier, maxAgeMs, threads, threadAgeMs },
    past: { tier: tier === 'limited' ? 'limited' : 'full', mostMessages },
    logLevel,
    sharedFiles: sharedFs === 'false' || !home ? null : { home, isKnown: sharedFs === 'true' },
    maxMessages,
    nativeStreams,
    approvals: { timeoutMs, auditKeptForMs },
    queue: { perThread, total },
    turnSilenceMs,
    recordThreads,
    drainMs,
    port,
    metricsByWorkspace: byWorkspace,
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
  const { botToken, oauth, mode } = slack;
  const own = [botToken ?? [], mode.kind === 'socket' ? mode.appToken : mode.signingSecret].flat();
  return [...own, ...(oauth ? secretsOfOAuth(oauth) : []), ...secretsOfLetta(letta), ...passwordsOf(config.store)];
}

/** The keys in both forms in which they may have been set. */
function secretsOfOAuth({ clientSecret, key, oldKey }: OAuthConfig): string[] {
  const keys = [key, ...(oldKey ? [oldKey] : [])].map((bytes) => Buffer.from(bytes));
  return [
    clientSecret,
    ...keys.flatMap((bytes) => [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex')]),
  ];
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
