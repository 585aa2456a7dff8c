import { describe, it } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { until } from '../support/until.ts';

describe('a channel whose id changes', () => {
  it('its thread goes on in the same conversation', async () => {
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
      const seen = () => JSON.stringify(control.state());
      await until(() => said('C01GEN').includes('word1 word2 word3'), seen);
      await until(() => control.state().pending === 0, seen);
      await control.changeChannelId({ channel: 'C01GEN', newId: 'C09NEW' });
      await until(() => control.state().pending === 0, seen);
      await control.message({ channel: 'C09NEW', user: 'U01ALICE', text: 'say 5 words', thread_ts: ts });
      await until(() => said('C09NEW').includes('word4 word5'), seen);
    } finally {
      await sandbox.close();
    }
  });
});
