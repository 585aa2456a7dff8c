import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { commandName } from '../src/command-name.ts';
import { ConfigError, formatProblems } from '../src/config/config.ts';
import { printable, printableJson } from '../src/printable.ts';
import { type Played, playScene } from './player.ts';
import { type Sandbox, type SandboxOptions, startInRealSlack, startSandbox } from './sandbox.ts';
import { parseScene, type Scene } from './scene.ts';
import { SandboxTerminal, type TerminalPlace } from './terminal.ts';
import { openInBrowser } from './web/open.ts';
import { WELCOME_SCENE } from './web/scenes.ts';
import { type Page, startPage } from './web/server.ts';

const USAGE = `${commandName('sandbox', '[options]')}
  --script FILE     play a YAML scene, print the transcript and exit (with 1 if an expectation fails)
  --json            the same with JSON: the scene's name, what failed, the messages
  --open            open the page in the browser
  --page-port N     port of the page (default: any free one)
  --port N          port of the small Slack and its control API (default: any free one)
  --limits off      no rate limits in the small Slack
  --letta KIND      how the bridge reaches the scripted Letta: app-server (default), single or pair (hosted
                    relay), dialled (it dials the bridge); or real: your own Letta, as the LETTA_* settings say;
                    or listen: a machine of yours that dials the bridge, whose command is printed
  --agent           declare the app as an agent: Slack shows its own status and stop button
  --http            Slack delivers by signed HTTP instead of Socket Mode
With LETTA_APP_SERVER_URL or LETTA_API_KEY set, the bridge uses that Letta instead of the scripted one; with
SLACK_BOT_TOKEN and the other SLACK_* settings it works in that workspace instead of the small Slack.
`;

const LOOK_EVERY_MS = 300;

const print = (text: string) => void process.stdout.write(`${printable(text)}\n`);

/** The bridge's settings that may come from the environment; the sandbox sets all others. */
function bridgeEnv(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter((name) =>
    /^(LETTA_|SLACK_|PERMISSIONS$|LOG_LEVEL$|RECORD_THREADS$|STORE$|PORT$)/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

function readScene(file: string | URL): Scene {
  try {
    return parseScene(readFileSync(file, 'utf8'));
  } catch (error) {
    process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n`));
    process.exit(2);
  }
}

function portOf(name: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`--${name} ${text}?`);
  return port;
}

const KINDS = ['app-server', 'single', 'pair', 'dialled', 'real', 'listen'] as const;
const isKind = (word: string): word is (typeof KINDS)[number] => KINDS.some((kind) => kind === word);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        script: { type: 'string' },
        json: { type: 'boolean', default: false },
        port: { type: 'string', default: '0' },
        'page-port': { type: 'string', default: '0' },
        open: { type: 'boolean', default: false },
        limits: { type: 'string', default: 'on' },
        letta: { type: 'string', default: 'app-server' },
        agent: { type: 'boolean', default: false },
        http: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const { letta, limits } = values;
    if (!isKind(letta)) throw new Error(`--letta ${letta}?`);
    if (letta === 'real' && !process.env.LETTA_APP_SERVER_URL && !process.env.LETTA_API_KEY) {
      throw new Error('--letta real needs your Letta: set LETTA_APP_SERVER_URL or LETTA_API_KEY');
    }
    if (limits !== 'on' && limits !== 'off') throw new Error(`--limits ${limits}?`);
    const port = portOf('port', values.port);
    return { ...values, letta, limits, port, pagePort: portOf('page-port', values['page-port']) } as const;
  } catch (error) {
    process.stderr.write(printable(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`));
    process.exit(2);
  }
}

function printReport(played: Played, json: boolean): void {
  if (json) {
    print(printableJson(JSON.stringify(played, null, 2)));
    return;
  }
  print(`— ${played.name} —\n`);
  for (const thread of played.threads) print(`${thread.transcript}\n`);
  for (const failure of played.failures) print(`FAILED ${failure}`);
}

/** The scene of the first minute, seen and played on in the terminal; the page shows the same. */
async function runInTerminal(sandbox: Sandbox, page: Page): Promise<void> {
  const terminal = new SandboxTerminal(sandbox, print);
  setInterval(() => terminal.look(), LOOK_EVERY_MS).unref();
  let before: Promise<unknown> = Promise.resolve();
  if (sandbox.letta) {
    const onThread = (place: TerminalPlace) => terminal.moveTo(place);
    before = page.playScene(WELCOME_SCENE, onThread).then(async (played) => {
      // The last message is printed once it stays as it is.
      await sleep(4 * LOOK_EVERY_MS);
      for (const failure of played?.failures ?? []) print(`FAILED ${failure}`);
      print('The sandbox keeps running. Type a line to talk as Alice in this thread, [Approve] to click, or a command');
      print('such as /agent status. Press Ctrl-C to end. The scripted agent understands:');
      print('  say hello · report · run bash touch x · write file a.txt := hi · ask Which? | A | B · error 500');
    });
  } else print('A real agent answers: type a line to mention it in #general. Press Ctrl-C to end.');
  // One after another, and none before the scene is over.
  createInterface({ input: process.stdin }).on('line', (line) => {
    before = before
      .then(() => terminal.act(line))
      .catch((error: unknown) => print(error instanceof Error ? error.message : String(error)));
  });
}

const options = readOptions();
if (options.help) {
  print(USAGE);
  process.exit(0);
}
/** A real Letta needs none, and its settings win. */
function scriptedKind(kind: (typeof KINDS)[number]): SandboxOptions['letta'] {
  if (kind === 'real' || kind === 'listen') return 'app-server';
  return kind === 'dialled' ? 'listen' : kind;
}

/** With `--letta listen`: where a machine of yours dials in, unless the environment says it. */
const listening: Record<string, string> =
  options.letta === 'listen'
    ? {
        LETTA_LISTEN: process.env.LETTA_LISTEN || '127.0.0.1:4600',
        LETTA_LISTEN_TOKEN: process.env.LETTA_LISTEN_TOKEN || randomBytes(24).toString('hex'),
      }
    : {};
const settings = {
  port: options.port,
  limits: options.limits,
  letta: scriptedKind(options.letta),
  agent: options.agent,
  delivery: options.http ? 'http' : 'socket',
  env: { ...bridgeEnv(), ...listening },
  log: (line: string) => void process.stderr.write(printable(line)),
} as const;

async function orExit<T>(starting: Promise<T>): Promise<T> {
  try {
    return await starting;
  } catch (error) {
    const problems =
      error instanceof ConfigError
        ? formatProblems(error.problems)
        : printable(`${error instanceof Error ? error.message : error}\n`);
    process.stderr.write(problems);
    return process.exit(2);
  }
}

function printCommand(): void {
  const { LETTA_LISTEN: at, LETTA_LISTEN_TOKEN: token } = listening;
  if (at === undefined || token === undefined) return;
  const url = process.env.LETTA_LISTEN_URL || `http://${at}`;
  print('The agent is a machine of yours. Run this on it; the bridge waits for it:\n');
  print(`  LETTA_BASE_URL=${url} LETTA_API_KEY=${token} IGNORE_SELF_HOSTED_LISTENER_ERROR=1 \\`);
  print('    letta server --backend local --computer-name sandbox\n');
}

if (settings.env.SLACK_BOT_TOKEN !== undefined) {
  const { app, letta, close } = await orExit(startInRealSlack(settings));
  const leave = () => void close().finally(() => process.exit(0));
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
  print(
    `In your workspace ${app.identity?.url ?? app.identity?.teamId}; Letta: ${letta ? `scripted, ${letta.controlUrl}` : 'yours'}.`,
  );
  printCommand();
  print('Mention the bot there: @agent say 30 words. Press Ctrl-C to end.');
  await new Promise(() => undefined);
}

const isOnce = options.script !== undefined || options.json;
const scene = isOnce ? readScene(options.script ?? new URL(`scenes/${WELCOME_SCENE}.yml`, import.meta.url)) : null;
const sandbox = await orExit(startSandbox({ ...settings, bridge: isOnce ? 'here' : 'thread' }));
const page = isOnce ? null : await orExit(startPage(sandbox, { port: options.pagePort }));
const closeAndExit = (code: number) => {
  const closing = Promise.resolve(page?.close()).then(sandbox.close);
  void closing.finally(() => process.exit(code));
};
process.on('SIGINT', () => closeAndExit(0));
process.on('SIGTERM', () => closeAndExit(0));
// A shell between npm and the sandbox keeps SIGTERM to itself: end when whatever began the sandbox has ended.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || closeAndExit(0), 500).unref();
}

if (page) {
  print(`\n  Open  ${page.url}\n`);
  if (options.open) openInBrowser(page.url);
}
if (!options.json) {
  print(`Small Slack      http://127.0.0.1:${sandbox.slack.port}/_control/state`);
  print(`Letta            ${sandbox.letta ? `scripted, ${sandbox.letta.controlUrl}` : 'yours'}\n`);
}
printCommand();
if (page) await runInTerminal(sandbox, page);
else if (scene) {
  const played = await playScene(sandbox, scene);
  printReport(played, options.json);
  closeAndExit(played.ok ? 0 : 1);
}
