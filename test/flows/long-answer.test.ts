import { describe, expect, it } from 'vitest';
import { playScene } from '../../sandbox/player.ts';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { parseScene } from '../../sandbox/scene.ts';

const words = Array.from({ length: 1_000 }, (_, index) => `word${index + 1}`);

/** Plays steps on the strict small Slack; what the thread looks like at the end. */
async function story(steps: object[], env: Record<string, string> = {}) {
  const sandbox = await startSandbox({ port: 0, limits: 'on', env, pace: 2, log: () => {}, letta: 'app-server' });
  try {
    const scene = parseScene(JSON.stringify({ name: 'Long answer', steps }));
    const { failures, threads } = await playScene(sandbox, scene, { patience: 5 });
    expect(failures).toEqual([]);
    return threads[0]?.transcript ?? '';
  } finally {
    await sandbox.close();
  }
}

describe.concurrent('a long answer', () => {
  it('beyond MAX_MESSAGES: ends in a file below its first message', async () => {
    const text = Array.from({ length: 1_150 }, (_, index) => `longer${index + 1}`).join(' ');
    const transcript = await story(
      [{ say: `@agent say: ${text}` }, { expect: ['in the file below: answer.md', '(file: answer.md'], within: 60 }],
      { MAX_MESSAGES: '1' },
    );
    expect(transcript).toContain('longer1 longer2');
    expect(transcript).toContain(`(file: answer.md, ${text.length} bytes)`);
  });

  it('blocks refused by Slack: arrives complete in simpler forms', async () => {
    const transcript = await story([
      { slack: { method: 'chat.postMessage', kind: 'ok_false', error: 'invalid_blocks', times: 1 } },
      { slack: { method: 'chat.update', kind: 'ok_false', error: 'msg_blocks_too_long', times: 2 } },
      { say: '@agent say 1000 words' },
      { expect: 'word999 word1000', within: 60 },
      { gone: 'Stop', within: 60 },
    ]);
    expect(transcript.match(/word\d+/g)).toEqual(words);
  });
});
