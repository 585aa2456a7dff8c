import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type App, startApp } from './app.ts';
import { systemClock, systemRandom } from './clock.ts';
import { commandName } from './command-name.ts';
import { type Config, ConfigError, formatProblems, loadConfig, secretsOf } from './config/config.ts';
import { type EnvProblem, envProblems } from './config/env-lines.ts';
import type { Policies } from './config/policies.ts';
import { reloadPolicies } from './config/policy-reload.ts';
import { checkAtStart } from './doctor/at-start.ts';
import { asBridgeError } from './errors.ts';
import { createLog } from './ops/log.ts';
import { createPromMetrics } from './ops/metrics.ts';
import { printable, printableLine } from './printable.ts';
import type { SlackApi } from './slack/api/slack-api.ts';

/** Exit code when no retry helps: the operator must change something. */
const EXIT_CONFIG = 2;
const EXIT_FAILED = 1;
/** A signal that comes within this many ms after the first one is the same one, told twice. */
const SAME_SIGNAL_MS = 500;

const USAGE = `${commandName('start')}
Runs the bridge. Its settings come from the environment and from a file named .env in this folder; it has no options.
It ends with 0 when it was told to (SIGTERM, Ctrl-C), with 2 when a setting must be changed first, with 1 after any
other failure. To check the settings: ${commandName('doctor')}
`;

function readOptions() {
  try {
    return parseArgs({ options: { help: { type: 'boolean', default: false } } }).values;
  } catch (error) {
    process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
    process.exit(EXIT_CONFIG);
  }
}

if (readOptions().help) {
  process.stdout.write(USAGE);
  process.exit(0);
}

/** Loads `.env` into the environment. @returns settings that Node probably does not read as they were meant */
function loadEnv(): EnvProblem[] {
  if (!existsSync('.env')) return [];
  const problems = envProblems(readFileSync('.env', 'utf8'), (name) => process.env[name] !== undefined);
  process.loadEnvFile('.env');
  return problems;
}

function readConfig(): Config {
  const problems = loadEnv();
  try {
    return loadConfig(process.env, undefined, problems);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(formatProblems(error.problems));
    process.exit(EXIT_CONFIG);
  }
}

const config = readConfig();
const log = createLog({
  level: config.logLevel,
  pretty: process.stdout.isTTY === true,
  secrets: secretsOf(config),
});
const metrics = createPromMetrics({ byWorkspace: config.metricsByWorkspace });
const starting = new AbortController();
let app: App | null = null;
let isStopping = false;
/** ms of the process's clock */
let firstSignalAt = 0;

function stopOnSignal(signal: string): void {
  // A second signal means "now": what is on disk is enough to continue from.
  if (isStopping) {
    // npm passes on the Ctrl-C that the terminal has sent to the bridge as well; a person is not that quick.
    if (performance.now() - firstSignalAt < SAME_SIGNAL_MS) return;
    log.info({ signal }, 'stopping at once');
    process.exit(0);
  }
  firstSignalAt = performance.now();
  log.info({ signal }, 'stopping');
  drainAndExit(0);
}

function drainAndExit(code: number): void {
  isStopping = true;
  starting.abort(new Error('stopped'));
  (app?.drain() ?? Promise.resolve()).then(
    () => process.exit(code),
    () => process.exit(EXIT_FAILED),
  );
}

/** The policy that was reloaded while the bridge was still starting. */
let newPolicies: Policies | null = null;

process.on('SIGHUP', () => {
  newPolicies = reloadPolicies(process.env, log) ?? newPolicies;
  if (newPolicies) app?.usePolicies(newPolicies);
});
process.on('SIGTERM', () => stopOnSignal('SIGTERM'));
process.on('SIGINT', () => stopOnSignal('SIGINT'));
// Not SIGUSR1: Node uses it for its inspector.
process.on('SIGUSR2', () => {
  const usual = config.logLevel === 'debug' ? 'info' : config.logLevel;
  log.setLevel(log.level === 'debug' ? usual : 'debug');
  log.warn({ level: log.level }, 'a signal changed the log level');
});
process.on('uncaughtException', (error) => {
  log.error({ err: error }, 'uncaught error; exiting');
  process.exit(EXIT_FAILED);
});
process.on('unhandledRejection', (error) => {
  // We await all our promises, so this one is a library's; exit, because a bridge in an unknown state is worse than
  // none.
  log.error({ err: error }, 'unhandled rejection; exiting');
  process.exit(EXIT_FAILED);
});

try {
  const parts = { clock: systemClock, random: systemRandom, log };
  const onUp = (api: SlackApi) => void checkAtStart({ ...parts, config, api });
  const apart = config.metricsByWorkspace && { metricsOf: metrics.ofWorkspace };
  const world = { ...parts, metrics, scrape: metrics.scrape, ...apart, hide: log.hide, onUp };
  app = await startApp(config, world, starting.signal);
  if (newPolicies) app.usePolicies(newPolicies);
  app.refused.then((error) => {
    if (isStopping) return;
    log.error(
      { code: error.code, reason: error.message },
      'stopping: Slack permanently refuses a token; set a valid one and start again',
    );
    drainAndExit(EXIT_FAILED);
  });
} catch (error) {
  if (!isStopping) {
    const failure = asBridgeError(error);
    log.error({ err: failure, code: failure.code }, 'the bridge could not start');
    if (failure.code === 'config_invalid') {
      process.stderr.write(`The bridge cannot start: ${printableLine(failure.message)}.\n`);
    }
    process.exit(failure.code === 'config_invalid' ? EXIT_CONFIG : EXIT_FAILED);
  }
}
