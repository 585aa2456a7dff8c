import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { apps, spokenLines, threadStory } from '../support/thread-story.ts';

async function start({ onTestFinished }: TestContext, env: Record<string, string> = {}) {
  const sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'app-server',
    pace: 1,
    env: { LOG_LEVEL: 'error', ...env },
    log: () => undefined,
  });
  onTestFinished(() => sandbox.close());
  const inputs = () =>
    (sandbox.letta?.log() ?? []).flatMap(({ dir, frame }) => {
      const { type, payload } = (frame ?? {}) as { type?: string; payload?: { messages?: { content: string }[] } };
      return dir === 'in' && type === 'input' ? (payload?.messages ?? []).map(({ content }) => content) : [];
    });
  return { sandbox, inputs, ...threadStory(sandbox.slack, inputs) };
}

describe.concurrent('a thread that goes along', () => {
  it('an alert as root: the agent reads it below a mention', async (context) => {
    const { expect } = context;
    const { alert, say, answered } = await start(context);
    const root = await alert('Grafana');
    await say('I saw that yesterday, too', { user: 'U02BOB', thread: root });
    await say('@agent say: cause', { thread: root });
    const input = await answered('cause', root);
    for (const line of apps.find(({ app }) => app === 'Grafana')?.reads ?? []) expect(input).toContain(line);
    expect(spokenLines(input).slice(-2)).toEqual(['I saw that yesterday, too', 'say: cause']);
  });

  it('of 200 messages: root and newest, with a mark', async (context) => {
    const { expect } = context;
    const { say, answered } = await start(context, { CONTEXT_MESSAGES: '20' });
    const root = await say('deploy plan', { user: 'U02BOB' });
    for (let n = 1; n < 200; n += 1) await say(`step ${n}`, { user: 'U02BOB', thread: root });
    await say('@agent say: summary', { thread: root });
    const input = await answered('summary', root);
    expect(spokenLines(input)).toEqual([
      'deploy plan',
      ...Array.from({ length: 20 }, (_, n) => `step ${180 + n}`),
      'say: summary',
    ]);
    expect(input).toMatch(/\] 179 earlier messages left out here\./);
  });

  it('later: only what three people wrote since', async (context) => {
    const { expect } = context;
    const { say, answered } = await start(context);
    const root = await say('@agent say: listed');
    await answered('listed', root);
    for (const [user, text] of [
      ['U02BOB', 'one'],
      ['U03CARA', 'two'],
      ['U05EXT', 'three'],
    ] as const)
      await say(text, { user, thread: root });
    await say('@agent say: now', { thread: root });
    const input = await answered('now', root);
    expect(spokenLines(input)).toEqual(['one', 'two', 'three', 'say: now']);
    expect(input).toContain('Written in the thread since you last heard of it.');
    expect(input).toMatch(/U05EXT, .* not trusted: its author may not use you/);
  });

  it('missing scope: the turn runs and says so', async (context) => {
    const { expect } = context;
    const { sandbox, say, answered, shown } = await start(context);
    await sandbox.slack.control.faults({ method: 'conversations.replies', kind: 'ok_false', error: 'missing_scope' });
    const root = await say('disk full', { user: 'U02BOB' });
    await say('@agent say: looked', { thread: root });
    const input = await answered('looked', root);
    expect(spokenLines(input)).toEqual(['say: looked']);
    expect(shown(root)).toContain('the Slack app lacks the scope to read the history here');
  });
});
