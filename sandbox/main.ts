import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { commandName } from '../src/command-name.ts';
import { ConfigError, formatProblems } from '../src/config/config.ts';
import { printable, printableJson } from '../src/printable.ts';
import { type Played, playScene } from './player.ts';
import { type Sandbox, startInRealSlack, startSandbox } from './sandbox.ts';
import { parseScene } from './scene.ts';
import { transcript } from './slack/transcript.ts';
import { openInBrowser } from './web/open.ts';
import { WELCOME_SCENE } from './web/scenes.ts';
import { startPage } from './web/server.ts';

const USAGE = `${commandName('sandbox', '[options]')}
  --script FILE     play a YAML scene, print the transcript and exit (with 1 if an expectation fails)
  --json            print the transcript as JSON
  --open            open the page in the browser
  --page-port N     port of the page (default: any free one)
  --port N          port of the small Slack and its control API (default: any free one)
  --limits off      no rate limits in the small Slack
  --letta KIND      how the bridge reaches the scripted Letta: app-server (default), single or pair (hosted
                    relay); or real: your own Letta, as the LETTA_* settings say
  --http            Slack delivers by signed HTTP instead of Socket Mode
With LETTA_APP_SERVER_URL or LETTA_API_KEY set, the bridge uses that Letta instead of the scripted one; with
SLACK_BOT_TOKEN and the other SLACK_* settings it works in that workspace instead of the small Slack.
`;

const print = (text: string) => void process.stdout.write(`${printable(text)}\n`);

/** The bridge's settings that may come from the environment; the sandbox sets all others. */
function bridgeEnv(): Record<string, string | undefined> {
  const names = Object.keys(process.env).filter((name) =>
    /^(LETTA_|SLACK_|PERMISSIONS$|LOG_LEVEL$|STORE$|PORT$)/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

function portOf(name: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`--${name} ${text}?`);
  return port;
}

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
        http: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const { letta, limits } = values;
    if (letta !== 'app-server' && letta !== 'single' && letta !== 'pair' && letta !== 'real') {
      throw new Error(`--letta ${letta}?`);
    }
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

/** Sends each line typed here as Alice's message in the scene's thread. */
function readLinesOfAlice(sandbox: Sandbox, played: Played): void {
  const thread = played.threads[0];
  const first = sandbox.slack.control.messages(thread?.channel ?? 'C01GEN')[0];
  const channel = thread?.channel ?? 'C01GEN';
  const root = first?.ts;
  const view = () => transcript(sandbox.slack, channel, { ...(root && { thread: root }), user: 'U01ALICE' });
  let shown = view();
  setInterval(() => {
    const now = view();
    if (now === shown) return;
    const same = now.startsWith(shown) ? shown.length : Math.max(0, now.lastIndexOf('\n\n') + 1);
    shown = now;
    print(now.slice(same).trim());
  }, 700).unref();
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const click = /^\[(.+)\]$/.exec(line.trim())?.[1];
    const done = click
      ? (() => {
          const message = sandbox.slack.control
            .messages(channel, { ...(root && { thread_ts: root }) })
            .findLast((each) => JSON.stringify(each.blocks).includes(`"text":${JSON.stringify(click)}`));
          if (!message) return Promise.reject(new Error(`no button [${click}]`));
          return sandbox.slack.control.interact({ channel, messageTs: message.ts, user: 'U01ALICE', action: click });
        })()
      : line.trim() === ''
        ? Promise.resolve()
        : sandbox.slack.control.message({ channel, user: 'U01ALICE', text: line, ...(root && { thread_ts: root }) });
    done.catch((error: unknown) => print(error instanceof Error ? error.message : String(error)));
  });
}

const options = readOptions();
if (options.help) {
  print(USAGE);
  process.exit(0);
}
const scene = parseScene(
  readFileSync(options.script ?? new URL(`scenes/${WELCOME_SCENE}.yml`, import.meta.url), 'utf8'),
);

const real = options.letta === 'real';
const settings = {
  port: options.port,
  limits: options.limits,
  letta: options.letta === 'real' ? 'app-server' : options.letta,
  delivery: options.http ? 'http' : 'socket',
  env: bridgeEnv(),
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

if (settings.env.SLACK_BOT_TOKEN !== undefined) {
  const { app, letta, close } = await orExit(startInRealSlack(settings));
  const leave = () => void close().finally(() => process.exit(0));
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
  print(
    `In your workspace ${app.identity.url ?? app.identity.teamId}; Letta: ${letta ? `scripted, ${letta.controlUrl}` : 'yours'}.`,
  );
  print('Mention the bot there: @agent say 30 words. Press Ctrl-C to end.');
  await new Promise(() => undefined);
}

const withPage = options.script === undefined && !options.json;
const sandbox = await orExit(startSandbox({ ...settings, bridge: withPage ? 'thread' : 'here' }));
const page = withPage ? await orExit(startPage(sandbox, { port: options.pagePort })) : null;
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
if (real && options.script === undefined) {
  print('A real agent answers: talk to it on the page. Press Ctrl-C to end.');
  await new Promise(() => undefined);
}
const played = await playScene(sandbox, scene);
printReport(played, options.json);
if (options.script !== undefined) closeAndExit(played.ok ? 0 : 1);
else {
  const curl = `curl -s -H 'content-type: application/json' http://127.0.0.1:${sandbox.slack.port}/_control/message`;
  print(
    `The sandbox keeps running. Type a line to talk as Alice in this thread, [Approve] to click; press Ctrl-C to end.`,
  );
  print(`The scripted agent understands: say 30 words, slow 20 words, run bash touch x, write file a.txt := hi,`);
  print(`ask Which? | A | B, markdown, error 500; several joined by THEN. From another terminal:`);
  print(`${curl} -d '{"channel":"C01GEN","user":"U02BOB","text":"@agent say 12 words"}'`);
  readLinesOfAlice(sandbox, played);
}
