import { expect, it } from 'vitest';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { until } from '../support/until.ts';

it('a thread goes on in the same conversation after its channel got another id', { timeout: 60_000 }, async () => {
  const env = { SLACK_ALLOWED_CHANNELS: 'C01GEN,C09NEW' };
  const sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'app-server',
    env,
    pace: 2,
    log: () => undefined,
  });
  try {
    const { control } = sandbox.slack;
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent say 3 words' });
    const said = (channel: string) => JSON.stringify(control.messages(channel, { thread_ts: ts }));
    await until(() => expect(said('C01GEN')).toContain('word1 word2 word3'));
    await until(() => expect(control.state().pending).toBe(0));
    await control.changeChannelId({ channel: 'C01GEN', newId: 'C09NEW' });
    await until(() => expect(control.state().pending).toBe(0));
    await control.message({ channel: 'C09NEW', user: 'U01ALICE', text: 'say 5 words', thread_ts: ts });
    await until(() => expect(said('C09NEW')).toContain('word4 word5'));
  } finally {
    await sandbox.close();
  }
});
