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
  --channel ID    test events and buttons in that channel: the bot posts there and asks someone to click
  --no-click      do not ask for a click
  --wait SECONDS  how long to wait for the click (default: 60)
  --json          the findings as JSON
Exits with 0 when the bridge is ready, with 1 when something must be fixed, and with 2 when settings are missing or
wrong. If a bridge is running, doctor tests events and buttons through it.
`;

const CONNECT_MS = 20_000;
const EVENT_MS = 15_000;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        channel: { type: 'string' },
        'no-click': { type: 'boolean', default: false },
        wait: { type: 'string', default: '60' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (!/^\d{1,3}$/.test(values.wait)) throw new Error(`--wait ${values.wait}?`);
    if (values.channel !== undefined && !/^[CG][A-Z0-9]+$/.test(values.channel)) {
      throw new Error(`--channel ${values.channel}? It is an id such as C0123ABCD (channel details, at the bottom).`);
    }
    return { ...values, clickMs: values['no-click'] ? 0 : Number(values.wait) * 1_000 };
  } catch (error) {
    process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
    process.exit(2);
  }
}

const options = readOptions();
if (options.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
let problems: EnvProblem[] = [];
if (existsSync('.env')) {
  problems = envProblems(readFileSync('.env', 'utf8'), (name) => process.env[name] !== undefined);
  process.loadEnvFile('.env');
}
const print = (text: string) => void process.stdout.write(`${printable(text)}\n`);
const alive = stayAlive();
const report = await runDoctor({
  loadConfig: () => loadConfig(process.env, undefined, problems),
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
process.exit(exitCode(report));
