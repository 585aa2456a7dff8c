import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { untilIdle } from '../support/until.ts';

const CHANNEL = 'C01GEN';

async function story(surface: Surface) {
  const letta = await startRealLetta(surface);
  onTestFinished(() => letta.close());
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env: letta.env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const { ts: thread } = await control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent say 3 words' });
  const say = (text: string) => control.message({ channel: CHANNEL, user: 'U01ALICE', text, thread_ts: thread });
  const shown = () => transcript(sandbox.slack, CHANNEL, { thread, user: 'U01ALICE', bot: true });
  const shows = (words: string | RegExp) => expect.poll(shown, { timeout: 60_000 }).toMatch(words);
  const isQuiet = () => expect.poll(shown, { timeout: 60_000 }).not.toContain('[Stop]');
  return { letta, sandbox, say, shown, shows, isQuiet };
}

it.each<Surface>(['app-server', 'single', 'listen'])(
  'earlier messages are summarised, and a message meanwhile is answered (%s)',
  async (surface) => {
    const { letta, say, shown, shows, isQuiet } = await story(surface);
    await shows('word3');
    await isQuiet();
    // The scripted model writes the summary as slowly as the directive in it says.
    for (const count of [30, 31]) {
      await say(`@agent slow ${count} words 100 ms`);
      await shows(`word${count}`);
      await untilIdle(say, shown);
    }
    await say('!compact');
    await shows('asking Letta to summarise');
    await say('@agent say 6 words');
    await shows('had Letta summarise the earlier messages');
    await shows(/word6\s*$/m);
    const asked = readFileSync(letta.modelLog, 'utf8').split('\n');
    const answers = asked.filter((line) => line.includes('say 6 words'));
    expect(answers).toHaveLength(1);
    await untilIdle(say, shown);
  },
  240_000,
);

it('a summarised input is not sent again after a crash', async () => {
  const { letta, sandbox, say, shown, shows, isQuiet } = await story('app-server');
  await shows('word3');
  await isQuiet();
  await say('@agent run bash touch twice.txt');
  await shows('Approve');
  const ids = await new Promise<{ agent_id: string; conversation_id: string }>((resolve) => {
    const ws = new WebSocket(letta.env.LETTA_APP_SERVER_URL ?? '');
    const send = (frame: object) => ws.send(JSON.stringify(frame));
    ws.once('open', () => send({ type: 'agent_list', request_id: 'a', query: {} }));
    ws.on('message', (data) => {
      const frame = JSON.parse(String(data));
      if (frame.request_id === 'a') {
        send({ type: 'conversation_list', request_id: 'b', query: { agent_id: frame.agents[0].id, limit: 10 } });
      }
      if (frame.request_id === 'b') {
        const [one] = frame.conversations;
        const runtime = { agent_id: one.agent_id, conversation_id: one.id };
        send({ type: 'execute_command', request_id: 'c', command_id: 'compact', runtime, args: 'all' });
      }
      if (frame.request_id !== 'c') return;
      expect(frame.output).toContain('mode: all');
      ws.close();
      resolve(frame);
    });
  });
  expect(ids).toBeDefined();
  await letta.kill('SIGKILL');
  await sandbox.stopBridge();
  await letta.restart();
  await sandbox.startBridge();
  await shows('trying again may run it twice');
  const asked = readFileSync(letta.modelLog, 'utf8').split('\n');
  expect(
    asked.filter((line) => line.includes('touch twice.txt') && !line.includes('Generate the summary')),
  ).toHaveLength(1);
  expect(shown()).toContain('Try again');
}, 240_000);
