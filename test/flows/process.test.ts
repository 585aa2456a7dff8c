import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'vitest';
import { startOwnProcess } from '../support/own-process.ts';
import { until } from '../support/until.ts';

async function startProcess(context: TestContext, env: Record<string, string> = {}) {
  const bridge = await startOwnProcess(context, { env });
  return { ...bridge, control: bridge.slack.control };
}

describe.concurrent('the process', () => {
  it('SIGTERM: finishes the running turn, then exits with 0', {
    timeout: 60_000,
  }, async (context) => {
    const { child, exited, log, say, shown, control } = await startProcess(context);
    await say('@agent slow 15 words');
    await until(() => shown().includes('word1'), shown);
    child.kill('SIGTERM');
    const [code] = await exited;
    context.expect(code).toBe(0);
    context.expect(shown()).toContain('word15');
    context.expect(shown()).not.toContain('[Stop]');
    context.expect(log()).toContain('drained: turns that did not end in time continue after the next start');
    context.expect(control.state().connections).toEqual([]);
  });

  it('SIGTERM during a long turn: shows a pause; next start continues it', {
    timeout: 60_000,
  }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'rests-'));
    context.onTestFinished(() => rmSync(folder, { recursive: true }));
    const env = { STORE: `sqlite://${join(folder, 'bridge.db')}`, DRAIN_TIMEOUT: '0s' };
    const first = await startProcess(context, env);
    await first.say('@agent slow 3000 words');
    await until(() => first.shown().includes('word1'), first.shown);
    first.child.kill('SIGTERM');
    context.expect((await first.exited)[0]).toBe(0);
    context.expect(first.shown()).toContain('Paused while the bridge restarts');
    context.expect(first.shown()).toContain('word1');
    context.expect(first.shown()).not.toContain('[Stop]');
    const { child } = await first.again();
    await until(() => !first.shown().includes('Paused while'), first.shown);
    child.kill('SIGKILL');
  });

  it('SIGHUP: reads the policy again, keeps the old one when invalid', {
    timeout: 60_000,
  }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'policy-'));
    context.onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'policy.yml');
    writeFileSync(file, 'users: [U02BOB]\nchannels: [C01GEN]\nadmins: [U03CARA]\n');
    const here = { POLICY: file, SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '' };
    const { child, control, log, say, shown } = await startProcess(context, here);
    const refusals = () =>
      control
        .messages('C01GEN', { user: 'U01ALICE' })
        .filter(
          ({ ephemeral, text }) =>
            ephemeral && text.includes('You can’t use this agent yet. Ask <@U03CARA> for access.'),
        );
    await say('@agent slow 1 words');
    await until(() => refusals().length === 1, log);
    context.expect(shown()).not.toContain('word1');

    writeFileSync(file, 'users: [alice]\nchannels: [C01GEN]\nlisten: always\n');
    child.kill('SIGHUP');
    await until(() => log().includes('the new policy is not valid; the previous one stays in force'), log);
    await until(() => log().includes('policy.yml:3 listen'), log);
    context.expect(log()).toContain('policy.yml:1 users');
    await say('@agent slow 1 words');
    await until(() => refusals().length === 2, log);

    writeFileSync(file, 'users: [U01ALICE]\nchannels: [C01GEN]\n');
    child.kill('SIGHUP');
    await until(() => log().includes('the policy was reloaded'), log);
    await say('@agent slow 1 words');
    await until(() => shown().includes('word1'), shown);
  });

  it('second SIGTERM: exits at once', { timeout: 60_000 }, async (context) => {
    const { child, exited, log, say, shown } = await startProcess(context, { DRAIN_TIMEOUT: '10m' });
    await say('@agent slow 3000 words');
    await until(() => shown().includes('word1'), shown);
    child.kill('SIGTERM');
    await until(() => log().includes('stopping'), log);
    child.kill('SIGTERM');
    const [code] = await exited;
    context.expect(code).toBe(0);
    context.expect(log()).not.toContain('turns that did not end in time');
  });

  it('bot token revoked: exits with 1 and one log line', {
    timeout: 90_000,
  }, async (context) => {
    const { exited, log, say, shown, control } = await startProcess(context, { DRAIN_TIMEOUT: '0s' });
    await say('@agent slow 3000 words');
    await until(() => shown().includes('word1'), shown);
    await control.revoke({ error: 'token_revoked' });
    const [code] = await exited;
    context.expect(code).toBe(1);
    const loud = log()
      .split('\n')
      .filter((line) => line.includes('Slack permanently refuses a token'));
    context.expect(loud).toHaveLength(1);
    context.expect(loud[0]).toContain('was refused by Slack: token_revoked');
  });

  it('Slack outage: the turn goes on and is shown afterwards', {
    timeout: 90_000,
  }, async (context) => {
    const { child, exited, say, shown, control } = await startProcess(context);
    await say('@agent slow 20 words');
    await until(() => shown().includes('word1'), shown);
    await control.revoke({ error: 'internal_error' });
    await control.faults({ socket: 'close' });
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await control.revoke({ error: null });
    await until(() => shown().includes('word20') && !shown().includes('[Stop]'), shown, 60_000);
    context.expect(shown().split('word20')).toHaveLength(2);
    context.expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    context.expect((await exited)[0]).toBe(0);
  });
});
