import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { TestContext } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { type SlackOptions, type SmallSlack, startSlack } from '../../sandbox/slack/server.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from './until.ts';

/** Where Node keeps what it compiled, for the next process: half of a start. */
export const COMPILED = { NODE_COMPILE_CACHE: resolve('node_modules/.cache/node') };

const SIGNING_SECRET = 'own-process-signing-secret';

export interface OwnProcess {
  slack: SmallSlack;
  child: ChildProcess;
  /** Resolves with exit code and signal when the process has ended. */
  whenExited: Promise<[number | null, NodeJS.Signals | null]>;
  /** Everything that it has written to both outputs so far. */
  logText(): string;
  /** Alice writes in the channel; what {@link transcriptNow} shows is then the thread below that. */
  sayText(text: string): Promise<void>;
  transcriptNow(): string;
  /** Starts the process once more with the same settings, e.g. after it has ended; resolves when it is up. */
  startAgain(): Promise<OwnProcess>;
}

export interface OwnProcessOptions {
  slack?: SlackOptions;
  env?: Record<string, string>;
  /** HTTP mode on this port; left out: Socket Mode without any server of ours. */
  httpPort?: number;
  /** Begins it as people do, with `npm start`: `child` is npm then. */
  isByNpm?: boolean;
  /** Sets faults before the bridge starts. */
  before?: (slack: SmallSlack) => Promise<unknown>;
}

/** `npm start` as a process of its own, between a small Slack and a scripted Letta. Does not wait until it is up. */
export async function spawnBridge(
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  options: OwnProcessOptions = {},
): Promise<OwnProcess> {
  const { httpPort } = options;
  const http = `http://127.0.0.1:${httpPort}/slack/events`;
  const slack = await startSlack({
    limits: 'off',
    ...(httpPort !== undefined && { delivery: { http, signingSecret: SIGNING_SECRET } }),
    ...options.slack,
  });
  onTestFinished(() => slack.close());
  const letta = await startScriptedLetta({ surface: 'app-server', token: 'token', pace: 5 });
  onTestFinished(() => letta.close());
  await options.before?.(slack);
  const way =
    httpPort === undefined
      ? { SLACK_APP_TOKEN: slack.tokens.app }
      : { SLACK_SIGNING_SECRET: SIGNING_SECRET, PORT: String(httpPort) };
  let root = '';
  const run = (): Omit<OwnProcess, 'slack' | 'sayText' | 'transcriptNow' | 'startAgain'> => {
    const [command, args] = options.isByNpm
      ? ['npm', ['start', '--silent']]
      : [process.execPath, ['--max-semi-space-size=64', 'src/main.ts']];
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: whoever ends npm for good can end what npm began.
      detached: options.isByNpm === true,
      env: {
        PATH: process.env.PATH ?? '',
        ...COMPILED,
        SLACK_API_URL: slack.url,
        SLACK_BOT_TOKEN: slack.tokens.bot,
        ...way,
        SLACK_ALLOWED_USERS: 'members',
        SLACK_ALLOWED_CHANNELS: 'C01GEN',
        LETTA_APP_SERVER_URL: letta.url,
        LETTA_APP_SERVER_TOKEN: 'token',
        STORE: 'memory://',
        ...options.env,
      },
    });
    const lines: string[] = [];
    child.stdout?.on('data', (data) => lines.push(String(data)));
    child.stderr?.on('data', (data) => lines.push(String(data)));
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    onTestFinished(async () => {
      if (options.isByNpm && child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      child.kill('SIGKILL');
      await exited;
    });
    return { child, whenExited: exited, logText: () => lines.join('') };
  };
  const bridge: OwnProcess = {
    slack,
    ...run(),
    async startAgain() {
      const next: OwnProcess = { ...bridge, ...run() };
      await waitUntilUp(next);
      return next;
    },
    async sayText(text) {
      root = (await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text })).ts;
    },
    transcriptNow: () => transcript(slack, 'C01GEN', { thread: root, bot: true }),
  };
  return bridge;
}

/** The same, up and connected. */
export async function startOwnProcess(
  context: Pick<TestContext, 'onTestFinished'>,
  options: OwnProcessOptions = {},
): Promise<OwnProcess> {
  const bridge = await spawnBridge(context, options);
  await waitUntilUp(bridge);
  return bridge;
}

export async function waitUntilUp({ logText, child }: OwnProcess): Promise<void> {
  const ended = () => child.exitCode !== null;
  await until(() => logText().includes('the bridge is up') || ended(), logText);
  if (ended()) throw new Error(`the bridge ended with ${child.exitCode}:\n${logText()}`);
}
