import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../sandbox/free-port.ts';
import type { SmallSlack } from '../../sandbox/slack/server.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { createGateway } from '../../src/letta/gateway.ts';
import { createSocketDialer } from '../../src/letta/link/socket.ts';
import { startRealLetta } from '../../test/support/letta/real-letta.ts';
import { SILENT } from '../pace/clock.ts';
import type { StreamApp } from '../streams/stream-app.ts';
import { waitFor } from '../world.ts';

/** Where the packages of the channel lie, in children of the benchmark. */
const RUNTIME = 'BENCH_LETTA_CHANNEL_RUNTIME';
/** Those that Letta Code 0.32.18 installs for its Slack channel. */
const PACKAGES = ['@slack/bolt@4.7.0', '@slack/web-api@7.15.0'];
const LOOKS_EVERY_MS = 20;

/**
 * Installs what Letta's Slack channel needs into a folder, and sets the address of Slack's Web API there: the channel has
 * no setting for it.
 */
export function installChannelRuntime(folder: string): void {
  const runtime = join(folder, 'slack', 'runtime');
  mkdirSync(runtime, { recursive: true });
  writeFileSync(join(runtime, 'package.json'), '{"private":true}');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...PACKAGES], {
    cwd: runtime,
    stdio: 'ignore',
  });
  const client = join(runtime, 'node_modules/@slack/web-api/dist/WebClient.js');
  const source = readFileSync(client, 'utf8');
  const changed = source.replace(
    "slackApiUrl = 'https://slack.com/api/'",
    'slackApiUrl = process.env.BENCH_SLACK_API_URL',
  );
  if (changed === source) throw new Error('the address of the Web API is no longer where it was');
  writeFileSync(client, changed);
  process.env[RUNTIME] = folder;
}

/**
 * Letta Code's own Slack channel, on a real server (`LETTA_HOME`) with a scripted model: the agent answers by a call of
 * its tool `MessageChannel`, whose arguments the model writes as fast as others write text.
 */
export async function startLettaChannel(
  slack: SmallSlack,
  _channels: readonly string[],
  _database: string,
  heard: (channel: string) => void,
): Promise<StreamApp> {
  const url = `ws://127.0.0.1:${await freePort()}`;
  const accounts = '$HOME/.letta/channels/slack/accounts.json';
  const letta = await startRealLetta('app-server', {
    command: `export LETTA_CHANNEL_RUNTIME_ROOT=${process.env[RUNTIME]} LETTA_CHANNEL_CREDENTIALS_STORE=file BENCH_SLACK_API_URL=${slack.url}
      if [ -f ${accounts} ]; then exec letta server --backend local --channels slack; else exec letta server --backend local --listen ${url}; fi`,
    // The server of channels has no address to tell; that it is up is seen in Slack.
    ready: /^WebSocket: |channel listener/im,
  });
  const agentId = await createAgent(`${url}/ws`);
  await letta.kill();
  const folder = join(letta.project, '../home/.letta/channels/slack');
  mkdirSync(folder, { recursive: true });
  const now = new Date().toISOString();
  const account = {
    channel: 'slack',
    accountId: 'bench',
    enabled: true,
    mode: 'socket',
    botToken: slack.tokens.bot,
    appToken: slack.tokens.app,
    agentId,
    defaultPermissionMode: 'unrestricted',
    dmPolicy: 'open',
    allowedUsers: [],
    createdAt: now,
    updatedAt: now,
  };
  writeFileSync(join(folder, 'accounts.json'), JSON.stringify({ accounts: [account] }));
  await letta.restart();
  await waitFor('the channel is connected', () => slack.control.state().connections.length > 0, undefined, 60_000);

  const over = new AbortController();
  void followModel(letta.modelLog, heard, over.signal);
  return {
    prompt: (channel, words, wordGap, line) =>
      `@agent stream in ${channel}\nspeak ${words} words ${wordGap} ms${line > 0 ? ` in lines of ${line}` : ''}`,
    async stop() {
      over.abort();
      await letta.close();
    },
  };
}

/** The server makes its agent for the first conversation. */
async function createAgent(url: string): Promise<string> {
  const gateway = createGateway({
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    dial: createSocketDialer(systemClock),
    target: { mode: 'app-server', url, token: null },
    agentId: null,
    fetch: () => Promise.reject(new Error('nothing is fetched')),
    choices: { get: async () => null, set: async () => {} },
  });
  const made = Promise.withResolvers<string>();
  const connection = gateway.connect({ runtime: null, mode: 'standard' }, (event) => {
    if (event.type === 'ready') made.resolve(event.runtime.agentId);
    if (event.type === 'unavailable' && event.retryInMs === null) made.reject(new Error(event.notice));
  });
  const agentId = await made.promise;
  connection.close();
  return agentId;
}

/** Tells of each word of the model's as it writes it: its log says when it began, and it writes by the clock. */
async function followModel(file: string, heard: (channel: string) => void, over: AbortSignal): Promise<void> {
  let known = 0;
  while (!over.aborted) {
    await sleep(LOOKS_EVERY_MS);
    const lines = readLines(file).filter((line) => line.startsWith('{"speaks"'));
    for (const line of lines.slice(known)) void speak(JSON.parse(line), heard);
    known = lines.length;
  }
}

async function speak(
  { speaks, words, ms, at }: { speaks: string; words: number; ms: number; at: number },
  heard: (channel: string) => void,
): Promise<void> {
  for (let word = 0; word < words; word += 1) {
    await sleep(Math.max(0, at + word * ms - Date.now()));
    heard(speaks);
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}
