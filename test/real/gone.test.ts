import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { startRealLetta } from '../support/letta/real-letta.ts';
import { until } from '../support/until.ts';

const BUTTON = 'Start a new conversation';
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function start() {
  const letta = await startRealLetta('app-server');
  closing.push(() => letta.close());
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const sandbox: Sandbox = await startSandbox({ port: 0, limits: 'off', letta: 'app-server', env: letta.env, log });
  closing.push(() => sandbox.close());
  const { control } = sandbox.slack;
  /** One request over a socket of its own. */
  const ask = async (type: string, body: object): Promise<Record<string, unknown>> => {
    const socket = new WebSocket(letta.env.LETTA_APP_SERVER_URL ?? '');
    try {
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      const answer = new Promise<Record<string, unknown>>((resolve) =>
        socket.on('message', (data) => {
          const frame = JSON.parse(String(data)) as Record<string, unknown>;
          if (frame.type === `${type}_response`) resolve(frame);
        }),
      );
      socket.send(JSON.stringify({ type, request_id: 'r1', ...body }));
      return await answer;
    } finally {
      socket.close();
    }
  };
  const agents = async () =>
    ((await ask('agent_list', { query: { limit: 9 } })).agents as { id: string }[]).map(({ id }) => id);
  const thread = () => {
    let root: string | undefined;
    const say = async (text: string) => {
      const said = await control.message({
        channel: 'C01GEN',
        user: 'U01ALICE',
        text,
        ...(root && { thread_ts: root }),
      });
      root ??= said.ts;
    };
    const shown = () => `${transcript(sandbox.slack, 'C01GEN', { ...(root && { thread: root }), bot: true })}`;
    const answers = (text: string) =>
      until(
        () =>
          shown()
            .split('\n')
            .some((line) => line.trim() === text),
        () => shown() + lines.join(''),
        60_000,
      );
    const sees = (text: string) =>
      until(
        () => shown().includes(text),
        () => shown() + lines.join(''),
        60_000,
      );
    /** The turn is over for the bridge, too: the answer has no Stop button any more. */
    const ends = () =>
      until(
        () => shown().trim() !== '' && !shown().includes('[Stop]'),
        () => shown() + lines.join(''),
        60_000,
      );
    const click = async () => {
      const message = control
        .messages('C01GEN', { ...(root && { thread_ts: root }) })
        .findLast(({ blocks }) => JSON.stringify(blocks).includes(BUTTON));
      await control.interact({ channel: 'C01GEN', messageTs: message?.ts ?? '', user: 'U01ALICE', action: BUTTON });
    };
    return { say, shown, answers, sees, ends, click };
  };
  return { letta, sandbox, ask, agents, thread };
}

describe('a thread on the real Letta', () => {
  it('agent deleted: starts anew with a click; new threads by themselves', async () => {
    const { ask, agents, thread } = await start();
    const old = thread();
    await old.say('@agent say: one');
    await old.answers('one');
    const [gone = ''] = await agents();
    expect(await ask('agent_delete', { agent_id: gone })).toMatchObject({ success: true });
    await old.say('say: two');
    await old.sees(`[${BUTTON}]`);
    const fresh = thread();
    await fresh.say('@agent say: three');
    await fresh.answers('three');
    await fresh.sees('no longer exists');
    await old.click();
    await old.answers('two');
    const [now] = await agents();
    expect(await agents()).toEqual([now]);
    expect(now).not.toBe(gone);
    await old.say('say: four');
    await old.answers('four');
  }, 180_000);

  it('conversation files lost: starts anew with a click', async () => {
    const { letta, sandbox, thread } = await start();
    const old = thread();
    await old.say('@agent say: one');
    // A turn whose end was not heard is another story: its message is offered, too.
    await old.answers('one');
    await old.ends();
    await letta.kill();
    rmSync(join(letta.project, '..', 'backend', 'conversations'), { recursive: true });
    await letta.restart();
    await sandbox.stopBridge();
    await sandbox.startBridge();
    await old.say('say: two');
    await old.sees(`[${BUTTON}]`);
    await old.click();
    await old.answers('two');
  }, 180_000);
});
