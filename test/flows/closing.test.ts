import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { watchResources } from '../support/open-resources.ts';
import { until } from '../support/until.ts';

const CHANNEL = 'C01GEN';

/** A bridge that began after the watch did, and whose Slack answers one method this way from then on. */
async function start() {
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  await sandbox.stopBridge();
  const resources = watchResources();
  await sandbox.startBridge();
  const calls = (method: string) => control.log({ method }).length;
  const isCalled = (method: string) =>
    until(
      () => calls(method) > 0,
      () => `${method} was not called`,
    );
  /** Timers that the closed bridge has for calls to Slack, by who set them. */
  const waits = async () => (await resources.leftOpen(0)).filter((each) => each.includes('/src/slack/'));
  return { sandbox, control, isCalled, calls, waits };
}

describe('closed while Slack limits a method, the bridge calls it no more', () => {
  it.each([
    'users.info',
    'conversations.info',
    'conversations.replies',
    'files.info',
    'chat.postMessage',
    'views.publish',
  ])('%s', async (method) => {
    const { sandbox, control, isCalled, waits } = await start();
    const root = await control.message({ channel: CHANNEL, user: 'U02BOB', text: 'the build is red' });
    await control.faults({ method, kind: 'ratelimited', retryAfter: 40, times: 100 });
    await control.message({
      ...{ channel: CHANNEL, user: 'U01ALICE', text: '@agent say why', thread_ts: root.ts },
      files: [{ name: 'log.txt', content: 'red' }],
    });
    if (method === 'views.publish') await control.openHome({ user: 'U01ALICE' });
    await isCalled(method);
    await sandbox.stopBridge();
    expect(await waits()).toEqual([]);
  });
});
