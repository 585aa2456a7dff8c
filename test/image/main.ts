import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { startSlack } from '../../sandbox/slack/server.ts';
import { until } from '../support/until.ts';
import { execForm, isInContext, lastOf, parseDockerfile, type Stage } from './dockerfile.ts';

// The Dockerfile's own commands, in clean folders instead of containers: for machines without a container engine. What
// needs one (users, mounts, the network namespace) is left out.

const root = mkdtempSync(join(tmpdir(), 'bridge-image-'));
const ignore = readFileSync('.dockerignore', 'utf8');
const PATH = `${dirname(process.execPath)}:${process.env.PATH ?? ''}`;

/** A path of the image, in the folder that stands for the stage. */
const inStage = (stage: string, path: string, workdir: string) => join(root, stage, resolve(workdir, path));

function printStep(text: string): void {
  process.stdout.write(`==> ${text}\n`);
}

function buildStage({ name: stage, instructions }: Stage): void {
  let workdir = '/';
  for (const { name, text } of instructions) {
    if (name === 'WORKDIR') {
      workdir = text;
      mkdirSync(inStage(stage, '.', workdir), { recursive: true });
    }
    if (name === 'COPY') copyFiles(stage, text, workdir);
    if (name !== 'RUN') continue;
    printStep(`${stage}: ${text}`);
    mkdirSync(join(root, stage, 'usr/local/bin'), { recursive: true });
    const here = text
      .replaceAll(/(?<=\s)\/(app|usr)\//g, `${join(root, stage)}/$1/`)
      .replace(/chown node:node (\S+)/, 'true');
    const done = spawnSync('sh', ['-ec', here], {
      cwd: inStage(stage, '.', workdir),
      stdio: 'inherit',
      env: { ...process.env, PATH },
    });
    if (done.status !== 0) throw new Error(`${stage}: ${text} ended with ${done.status}`);
  }
}

function copyFiles(stage: string, text: string, workdir: string): void {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? (words.shift() ?? '').slice('--from='.length) : null;
  const to = words.pop() ?? '.';
  for (const path of words) {
    if (from === null && !isInContext(ignore, path)) throw new Error(`${path} is not in the build context`);
    const source = from === null ? path : join(root, from, path);
    const target = inStage(stage, to.endsWith('/') ? join(to, basename(path)) : to, workdir);
    cpSync(source, target, { recursive: true, verbatimSymlinks: true });
  }
}

function checkThat(holds: boolean, what: string): void {
  if (!holds) throw new Error(`NOT: ${what}`);
  process.stdout.write(`  ✓ ${what}\n`);
}

const stages = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
const image = stages.at(-1);
let code = 0;
try {
  for (const stage of stages) if (stage.name !== 'letta') buildStage(stage);
  const app = join(root, 'image/app');
  const start = [...execForm(lastOf(image, 'ENTRYPOINT')), ...execForm(lastOf(image, 'CMD'))];
  const command = start.map((word) => word.replace(/^\/app\//, `${app}/`)).slice(1);

  printStep('without settings');
  const bare = spawnSync(process.execPath, command, { cwd: app, env: { PATH }, encoding: 'utf8' });
  checkThat(
    bare.status === 2 && bare.stderr.includes('settings need attention'),
    'it says what is missing and ends with 2',
  );

  printStep('between a small Slack and a scripted Letta');
  const slack = await startSlack();
  const letta = await startScriptedLetta({ token: 'letta-token' });
  const env = {
    PATH,
    PORT: '39187',
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    SLACK_APP_TOKEN: slack.tokens.app,
    SLACK_ALLOWED_USERS: 'members',
    SLACK_ALLOWED_CHANNELS: 'C01GEN',
    LETTA_APP_SERVER_URL: letta.url,
    LETTA_APP_SERVER_TOKEN: 'letta-token',
  };
  const files = () =>
    globSync('**/*', { cwd: app, exclude: ['data/**', 'node_modules/**'] })
      .sort()
      .join('\n');
  const before = files();
  const bridge = spawn(process.execPath, command, { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [bridge.stdout, bridge.stderr]) stream.on('data', (data) => (log += String(data)));
  const exited = once(bridge, 'exit') as Promise<[number | null]>;
  try {
    await until(
      () => log.includes('the bridge is up'),
      () => log,
      60_000,
    );
    const health = lastOf(image, 'HEALTHCHECK') ?? '';
    const [, ...asks] = execForm(health.slice(health.indexOf('CMD ') + 4));
    // Never block here, because the doubles answer from this process.
    const ends = async (args: string[]) =>
      (await once(spawn(process.execPath, args, { cwd: app, env }), 'exit'))[0] as number;
    checkThat((await ends(asks)) === 0, 'its HEALTHCHECK is content');
    const linked = join(root, 'image/usr/local/bin/letta-slack');
    checkThat(
      (await ends([linked, 'doctor', '--channel', 'C01GEN', '--no-click'])) === 0,
      'doctor, by its link, goes through it',
    );
    checkThat(existsSync(join(app, 'data/bridge.db')), 'its database lies in data/');
    bridge.kill('SIGTERM');
    checkThat((await exited)[0] === 0, 'SIGTERM ends it with 0');
    checkThat(files() === before, 'nothing but data/ was written');
  } finally {
    bridge.kill('SIGKILL');
    await slack.close();
    await letta.close();
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  code = 1;
}
rmSync(root, { recursive: true, force: true });
process.exit(code);
