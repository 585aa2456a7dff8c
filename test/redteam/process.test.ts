import { describe, expect, it } from 'vitest';
import { startOwnProcess } from '../support/own-process.ts';
import { until } from '../support/until.ts';

describe('an idle bridge without a port', () => {
  it('survives a limited start and a dropped, then refused socket', {
    timeout: 90_000,
  }, async (context) => {
    const bridge = await startOwnProcess(context, {
      before: ({ control }) => control.faults({ method: 'auth.test', kind: 'ratelimited', retryAfter: 1 }),
    });
    const { slack, child, log, say, shown } = bridge;
    await slack.control.faults({ socket: 'refuse' });
    await slack.control.faults({ socket: 'close' });
    await until(() => log().includes('could not open the Slack socket; trying again'), log);
    await until(() => slack.control.state().connections.length > 0 || child.exitCode !== null, log);
    await say('@agent slow 2 words');
    await until(
      () => shown().includes('word2') || child.exitCode !== null,
      () => log() + shown(),
      30_000,
    );
    expect(child.exitCode, log()).toBeNull();
  });
});
