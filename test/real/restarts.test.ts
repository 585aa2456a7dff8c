import { afterEach, describe, expect, it } from 'vitest';
import { playScene } from '../../sandbox/player.ts';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { parseScene } from '../../sandbox/scene.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type RealLetta, type Surface, startRealLetta } from '../support/letta/real-letta.ts';

const closing: (() => Promise<void>)[] = [];
const lines: string[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  lines.length = 0;
});

async function start(surface: Surface): Promise<{ letta: RealLetta; sandbox: Sandbox }> {
  const letta = await startRealLetta(surface);
  closing.push(() => letta.close());
  const log = (line: string) => void lines.push(line);
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env: letta.env, log });
  closing.push(() => sandbox.close());
  return { letta, sandbox };
}

const scene = (steps: string) => parseScene(`name: test\nsteps:\n${steps}`);

/** Says it in general and resolves with the thread's root. */
async function say(sandbox: Sandbox, text: string, thread?: string): Promise<string> {
  const said = await sandbox.slack.control.message({
    channel: 'C01GEN',
    user: 'U01ALICE',
    text,
    ...(thread !== undefined && { thread_ts: thread }),
  });
  return said.thread_ts ?? said.ts;
}

function shown(sandbox: Sandbox, thread: string): string {
  return transcript(sandbox.slack, 'C01GEN', { thread, user: 'U01ALICE' });
}

async function until(sandbox: Sandbox, thread: string, text: string | RegExp, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1_000;
  const found = () =>
    typeof text === 'string' ? shown(sandbox, thread).includes(text) : text.test(shown(sandbox, thread));
  while (!found()) {
    if (Date.now() > end) throw new Error(`never saw ${text}:\n${shown(sandbox, thread)}\n${lines.join('')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.each<Surface>(['app-server', 'single', 'pair', 'listen'])('a restart of Letta (%s)', (surface) => {
  it('between two turns: the thread goes on in its conversation', async () => {
    const { letta, sandbox } = await start(surface);
    const thread = await say(sandbox, '@agent say: before');
    await until(sandbox, thread, 'before');
    await letta.kill();
    await letta.restart();
    await say(sandbox, 'say: after', thread);
    await until(sandbox, thread, /^\s+after$/m);
    const played = await playScene(sandbox, scene('  - say: "@agent say: still here"\n  - expect: still here\n'));
    expect(played.failures).toEqual([]);
  });

  it('during a turn: keeps the text, says so, and goes on', async () => {
    const { letta, sandbox } = await start(surface);
    const thread = await say(sandbox, '@agent slow 300 words 100 ms');
    await until(sandbox, thread, 'word5');
    await letta.kill('SIGKILL');
    await letta.restart();
    await until(sandbox, thread, /may be incomplete/);
    expect(shown(sandbox, thread)).toContain('word5');
    expect(shown(sandbox, thread)).not.toContain('[Stop]');
    await say(sandbox, 'say: after', thread);
    await until(sandbox, thread, /^\s+after$/m);
  });

  it('with an open request: closes its card, nothing runs', async () => {
    const { letta, sandbox } = await start(surface);
    const thread = await say(sandbox, '@agent run bash touch never.txt && echo ran it');
    await until(sandbox, thread, '[Approve]');
    await letta.kill('SIGKILL');
    await letta.restart();
    await until(sandbox, thread, /lost with the connection to Letta, and nothing of it ran/);
    expect(shown(sandbox, thread)).not.toContain('[Approve]');
    expect(shown(sandbox, thread)).not.toContain('Done:');
    await say(sandbox, 'say: after', thread);
    await until(sandbox, thread, /^\s+after$/m);
  });
});
