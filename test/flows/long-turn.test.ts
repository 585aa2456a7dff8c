import { describe, expect, it, vi } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';

const until = (check: () => void) => vi.waitFor(check, { timeout: 45_000, interval: 20 });

describe('the end of a turn', () => {
  it('long: mentions its requester in a new message; short: does not', async () => {
    const env = { NOTIFY_AFTER: '1s' };
    const sandbox = await startSandbox({
      port: 0,
      limits: 'on',
      letta: 'app-server',
      env,
      pace: 2,
      log: () => undefined,
    });
    try {
      const { control } = sandbox.slack;
      const ask = async (text: string) => {
        const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text });
        return () => control.messages('C01GEN', { thread_ts: ts }).filter(({ bot_id }) => bot_id !== null);
      };
      const long = await ask('@agent slow 30 words 60 ms');
      await until(() => expect(long().at(-1)?.pings).toEqual(['U01ALICE']));
      expect(long()).toHaveLength(2);
      expect(JSON.stringify(long()[0]?.blocks)).toContain('word30');
      expect(long()[1]?.text).toMatch(/^✅ Done in \d+ s: word1 word2 /);
      const short = await ask('@agent say: quick');
      await until(() => expect(short()).toMatchObject([{ blocks: [{ type: 'markdown', text: 'quick' }] }]));
      await sandbox.stopBridge();
      expect(short()).toHaveLength(1);
    } finally {
      await sandbox.close();
    }
  });
});
