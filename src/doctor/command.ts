import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { stayAlive, systemClock, systemRandom } from '../clock.ts';
import { commandName } from '../command-name.ts';
import { loadConfig } from '../config/config.ts';
import { type EnvProblem, envProblems } from '../config/env-lines.ts';
import { createSocketDialer } from '../letta/link/socket.ts';
import { readManifest } from '../manifest/file.ts';
import { createLog } from '../ops/log.ts';
import { printable, printableJson } from '../printable.ts';
import { runDoctor } from './doctor.ts';
import { endingText, exitCode, findingText } from './report.ts';

const USAGE = `${commandName('doctor', '[options]')}
  --channel NAME  test events and buttons in that channel (its name or id; write '#general' in quotes, or general):
                  the bot posts there and asks someone to click
  --no-click      do not ask for a click
  --wait SECONDS  how long to wait for the click (default: 60)
  --json          the findings as JSON
Exits with 0 when the bridge is ready, with 1 when something must be fixed, and with 2 when settings are missing or
wrong. If a bridge is running, doctor tests events and buttons through it.
`;

const CONNECT_MS = 20_000;
const EVENT_MS = 15_000;

function readOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        channel: { type: 'string' },
        'no-click': { type: 'boolean', default: false },
        wait: { type: 'string', default: '60' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (!/^\d{1,3}$/.test(values.wait)) throw new Error(`--wait ${values.wait}?`);
    if (values.channel !== undefined && !/^#?[\p{L}\p{M}\p{N}_-]+$/u.test(values.channel)) {
      throw new Error(`--channel ${values.channel}? It is a name such as '#general', or an id such as C0123ABCD.`);
    }
    return { ...values, clickMs: values['no-click'] ? 0 : Number(values.wait) * 1_000 };
  } catch (error) {
    process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
    process.exit(2);
  }
}

/**
 * Runs doctor in this folder and prints what it finds.
 * @param args as a person types them; ends the process with 2 if they are wrong
 * @param env the environment of this process, into which `.env` is loaded
 * @returns the exit code; the caller ends the process, because a connection may still be closing
 */
export async function doctorCommand(args: string[], env: NodeJS.ProcessEnv): Promise<0 | 1 | 2> {
  const options = readOptions(args);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  let problems: EnvProblem[] = [];
  if (existsSync('.env')) {
    problems = envProblems(readFileSync('.env', 'utf8'), (name) => env[name] !== undefined);
    process.loadEnvFile('.env');
  }
  const print = (text: string) => void process.stdout.write(`${printable(text)}\n`);
  const alive = stayAlive();
  const report = await runDoctor({
    loadConfig: () => loadConfig(env, undefined, problems),
    manifest: readManifest(),
    fetch: globalThis.fetch,
    dial: createSocketDialer(systemClock),
    clock: systemClock,
    random: systemRandom,
    // Drop the parts' log lines: doctor reports problems as findings.
    log: createLog({ level: 'error', pretty: true, to: { write: () => undefined } }),
    channel: options.channel ?? null,
    connectMs: CONNECT_MS,
    waits: { eventMs: EVENT_MS, clickMs: options.clickMs },
    onFinding: (finding) => options.json || print(findingText(finding)),
    onPosted: () =>
      options.json || options.clickMs === 0 || print('  Please click the button of the self-test in Slack …'),
  });
  alive.letGo();
  print(options.json ? printableJson(JSON.stringify(report, null, 2)) : `\n${endingText(report)}`);
  return exitCode(report);
}
