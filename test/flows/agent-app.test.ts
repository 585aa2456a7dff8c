import { describe, expect, it, vi } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';

const until = (check: () => void) => vi.waitFor(check, { timeout: 45_000, interval: 20 });

describe('an app declared as an agent', () => {
  it("Slack shows the working session; Slack's own Stop button stops it", async () => {
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);
    const sandbox = await startSandbox({
      port: 0,
      limits: 'on',
      letta: 'app-server',
      env: {},
      pace: 2,
      agent: true,
      log,
    });
    try {
      const { control } = sandbox.slack;
      const channel = 'C01GEN';
      const said = await control.message({ channel, user: 'U01ALICE', text: '@agent slow 500 words 100 ms' });
      const session = () => control.state().sessions.find(({ thread_ts }) => thread_ts === said.ts)?.status;
      const shown = () => JSON.stringify(control.messages(channel, { thread_ts: said.ts }));
      await until(() => expect(session()).toBe('processing'));
      await until(() => expect(shown()).toContain('word3'));
      await control.stopSession({ channel, user: 'U02BOB', thread_ts: said.ts });
      await until(() => expect(shown()).toContain('Stopped by <@U02BOB>'));
      await until(() => expect(session()).toBe('active'));
      expect(control.log({ method: 'assistant.threads.setStatus' })).toEqual([]);
      await control.message({ channel, user: 'U01ALICE', text: 'run bash touch x.txt', thread_ts: said.ts });
      await until(() => expect(session()).toBe('suspended'));
      await sandbox.stopBridge();
      expect(session()).toBe('active');
      expect(lines.join('')).not.toMatch(/"level":50/);
    } finally {
      await sandbox.close();
    }
  });

  it('suggests what to ask, once, where somebody opens its messages', async () => {
    const env = {};
    const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env, agent: true, log: () => {} });
    try {
      const { control } = sandbox.slack;
      const calls = () => control.log({ method: 'assistant.threads.setSuggestedPrompts' }) as { status?: number }[];
      await control.openHome({ user: 'U01ALICE', tab: 'messages' });
      await until(() => expect(calls()).toHaveLength(1));
      expect(JSON.stringify(calls())).toContain('Run the tests');
      expect(JSON.stringify(calls())).toContain('"ok":true');
      await control.openHome({ user: 'U01ALICE', tab: 'messages' });
      await control.openHome({ user: 'U02BOB', tab: 'messages' });
      await until(() => expect(calls()).toHaveLength(2));
    } finally {
      await sandbox.close();
    }
  });
});

describe('an app not declared as an agent', () => {
  it('suggests nothing', async () => {
    const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => {} });
    try {
      const { control } = sandbox.slack;
      await control.openHome({ user: 'U01ALICE', tab: 'messages' });
      await control.openHome({ user: 'U01ALICE', tab: 'home' });
      await until(() => expect(control.views('U01ALICE').home).not.toBeNull());
      expect(control.log({ method: 'assistant.threads.setSuggestedPrompts' })).toEqual([]);
    } finally {
      await sandbox.close();
    }
  });
});
