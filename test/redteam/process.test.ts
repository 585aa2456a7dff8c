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
    const { slack, child, logText, sayText, transcriptNow } = bridge;
    await slack.control.faults({ socket: 'refuse' });
    await slack.control.faults({ socket: 'close' });
    await until(() => logText().includes('could not open the Slack socket; trying again'), logText);
    await until(() => slack.control.state().connections.length > 0 || child.exitCode !== null, logText);
    await sayText('@agent slow 2 words');
    await until(
      () => transcriptNow().includes('word2') || child.exitCode !== null,
      () => logText() + transcriptNow(),
      30_000,
    );
    expect(child.exitCode, logText()).toBeNull();
  });
});
