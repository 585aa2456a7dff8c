import { expect, it } from 'vitest';
import { play } from '../../src/sandbox/player.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { parseScene } from '../../src/sandbox/scene.ts';

it('an answer beyond MAX_MESSAGES ends in a file that Slack takes, below its first message', {
  timeout: 120_000,
}, async () => {
  const text = Array.from({ length: 2_500 }, (_, index) => `word${index + 1}`).join(' ');
  const sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    env: { MAX_MESSAGES: '1' },
    pace: 2,
    log: () => {},
    letta: 'app-server',
  });
  try {
    const { failures, threads } = await play(
      sandbox,
      parseScene(
        JSON.stringify({
          name: 'Long answer',
          steps: [
            { say: `@agent say: ${text.slice(0, 9_900)}` },
            { expect: ['in the file below: answer.md', '(file: answer.md'], within: 60 },
          ],
        }),
      ),
    );
    expect(failures).toEqual([]);
    expect(threads[0]?.transcript).toContain('word1 word2');
    expect(threads[0]?.transcript).toMatch(/\(file: answer\.md, \d{4,5} bytes\)/);
  } finally {
    await sandbox.close();
  }
});
