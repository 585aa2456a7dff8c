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
  it('SIGTERM: finishes the running turn, then exits with 0', async (context) => {
    const { child, whenExited, logText, sayText, transcriptNow, control } = await startProcess(context);
    await sayText('@agent slow 15 words');
    await until(() => transcriptNow().includes('word1'), transcriptNow);
    child.kill('SIGTERM');
    const [code] = await whenExited;
    context.expect(code).toBe(0);
    context.expect(transcriptNow()).toContain('word15');
    context.expect(transcriptNow()).not.toContain('[Stop]');
    context.expect(logText()).toContain('drained: turns that did not end in time continue after the next start');
    context.expect(control.state().connections).toEqual([]);
  });

  it('SIGTERM told twice at once: still finishes the running turn', async (context) => {
    const { child, whenExited, logText, sayText, transcriptNow } = await startProcess(context);
    await sayText('@agent slow 15 words');
    await until(() => transcriptNow().includes('word1'), transcriptNow);
    child.kill('SIGTERM');
    child.kill('SIGTERM');
    context.expect((await whenExited)[0]).toBe(0);
    context.expect(transcriptNow()).toContain('word15');
    context.expect(logText()).not.toContain('stopping at once');
  });

  it('SIGTERM to npm start: ends as the bridge itself does', async (context) => {
    const bridge = await startOwnProcess(context, { isByNpm: true });
    await bridge.sayText('@agent slow 15 words');
    await until(() => bridge.transcriptNow().includes('word1'), bridge.transcriptNow);
    bridge.child.kill('SIGTERM');
    context.expect(await bridge.whenExited).toEqual([0, null]);
    context.expect(bridge.transcriptNow()).toContain('word15');
    context.expect(bridge.slack.control.state().connections).toEqual([]);
  });

  it('SIGTERM during a long turn: shows a pause; next start continues it', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'rests-'));
    context.onTestFinished(() => rmSync(folder, { recursive: true }));
    const env = { STORE: `sqlite://${join(folder, 'bridge.db')}`, DRAIN_TIMEOUT: '0s' };
    const first = await startProcess(context, env);
    await first.sayText('@agent slow 3000 words');
    await until(() => first.transcriptNow().includes('word1'), first.transcriptNow);
    first.child.kill('SIGTERM');
    context.expect((await first.whenExited)[0]).toBe(0);
    context.expect(first.transcriptNow()).toContain('Paused while the bridge restarts');
    context.expect(first.transcriptNow()).toContain('word1');
    context.expect(first.transcriptNow()).not.toContain('[Stop]');
    const { child } = await first.startAgain();
    await until(() => !first.transcriptNow().includes('Paused while'), first.transcriptNow);
    child.kill('SIGKILL');
  });

  it('SIGHUP: reads the policy again, keeps the old one when invalid', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'policy-'));
    context.onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'policy.yml');
    writeFileSync(file, 'users: [U02BOB]\nchannels: [C01GEN]\nadmins: [U03CARA]\n');
    const here = { POLICY: file, SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '' };
    const { child, control, logText, sayText, transcriptNow } = await startProcess(context, here);
    const refusals = () =>
      control
        .messages('C01GEN', { user: 'U01ALICE' })
        .filter(
          ({ ephemeral, text }) =>
            ephemeral && text.includes('You can’t use this agent yet. Ask <@U03CARA> for access.'),
        );
    await sayText('@agent slow 1 words');
    await until(() => refusals().length === 1, logText);
    context.expect(transcriptNow()).not.toContain('word1');

    writeFileSync(file, 'users: [alice]\nchannels: [C01GEN]\nlisten: always\n');
    child.kill('SIGHUP');
    await until(() => logText().includes('the new policy is not valid; the previous one stays in force'), logText);
    await until(() => logText().includes('policy.yml:3 listen'), logText);
    context.expect(logText()).toContain('policy.yml:1 users');
    await sayText('@agent slow 1 words');
    await until(() => refusals().length === 2, logText);

    writeFileSync(file, 'users: [U01ALICE]\nchannels: [C01GEN]\n');
    child.kill('SIGHUP');
    await until(() => logText().includes('the policy was reloaded'), logText);
    await sayText('@agent slow 1 words');
    await until(() => transcriptNow().includes('word1'), transcriptNow);
  });

  it('second SIGTERM: exits at once', async (context) => {
    const { child, whenExited, logText, sayText, transcriptNow } = await startProcess(context, {
      DRAIN_TIMEOUT: '10m',
    });
    await sayText('@agent slow 3000 words');
    await until(() => transcriptNow().includes('word1'), transcriptNow);
    child.kill('SIGTERM');
    await until(() => logText().includes('stopping'), logText);
    // The same signal told twice at once, as npm does with Ctrl-C, is one; a later one is the second.
    child.kill('SIGTERM');
    await until(() => logText().includes('stopping at once') || !child.kill('SIGTERM'), logText);
    const [code] = await whenExited;
    context.expect(code).toBe(0);
    context.expect(logText()).not.toContain('turns that did not end in time');
  });

  it('bot token revoked: exits with 1 and one log line', async (context) => {
    const { whenExited, logText, sayText, transcriptNow, control } = await startProcess(context, {
      DRAIN_TIMEOUT: '0s',
    });
    await sayText('@agent slow 3000 words');
    await until(() => transcriptNow().includes('word1'), transcriptNow);
    await control.revoke({ error: 'token_revoked' });
    const [code] = await whenExited;
    context.expect(code).toBe(1);
    const loud = logText()
      .split('\n')
      .filter((line) => line.includes('Slack permanently refuses a token'));
    context.expect(loud).toHaveLength(1);
    context.expect(loud[0]).toContain('was refused by Slack: token_revoked');
  });

  it('Slack outage: the turn goes on and is shown afterwards', async (context) => {
    const { child, whenExited, sayText, transcriptNow, control } = await startProcess(context);
    await sayText('@agent slow 20 words');
    await until(() => transcriptNow().includes('word1'), transcriptNow);
    await control.revoke({ error: 'internal_error' });
    await control.faults({ socket: 'close' });
    // The bridge has tried more than once to edit its answer, and to connect again.
    const refused = (method: string) =>
      control.log({ type: 'call', method }).filter((entry) => JSON.stringify(entry).includes('internal_error'));
    await until(() => refused('chat.update').length > 1 && refused('apps.connections.open').length > 1, transcriptNow);
    await control.revoke({ error: null });
    await until(() => transcriptNow().includes('word20') && !transcriptNow().includes('[Stop]'), transcriptNow);
    context.expect(transcriptNow().split('word20')).toHaveLength(2);
    context.expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    context.expect((await whenExited)[0]).toBe(0);
  });
});
