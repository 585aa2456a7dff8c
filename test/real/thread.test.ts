import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { startRealLetta } from '../support/letta/real-letta.ts';
import { apps, spokenLines, threadStory } from '../support/thread-story.ts';

interface ModelMessage {
  role: string;
  content: string | { type: string; text?: string }[];
}

async function start(env: Record<string, string> = {}) {
  const letta = await startRealLetta('app-server');
  onTestFinished(() => letta.close());
  const sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'app-server',
    env: { ...letta.env, ...env },
    log: () => undefined,
  });
  onTestFinished(() => sandbox.close());
  /** What the model got of people: each message of the newest request once, without what Letta adds. */
  const inputs = () => {
    // The last line may be written only in part.
    const lines = existsSync(letta.modelLog) ? readFileSync(letta.modelLog, 'utf8').split('\n').slice(0, -1) : [];
    const texts = lines.flatMap((line) => {
      const { messages = [] } = JSON.parse(line) as { messages?: ModelMessage[] };
      return messages.filter(({ role }) => role === 'user').map(({ content }) => textOf(content));
    });
    return [...new Set(texts.filter((text) => text.includes('From Slack, ')))];
  };
  return { sandbox, inputs, ...threadStory(sandbox.slack, inputs, 60_000) };
}

const textOf = (content: ModelMessage['content']) =>
  typeof content === 'string' ? content : content.map(({ text = '' }) => text).join('\n');

describe('a thread that goes along, with a real Letta', () => {
  it('an alert as root, then delta after three replies', async () => {
    const { alert, say, answered } = await start();
    const root = await alert('Alertmanager');
    await say('I saw that yesterday, too', { user: 'U02BOB', thread: root });
    await say('@agent say: cause', { thread: root });
    const first = await answered('cause', root);
    for (const line of apps.find(({ app }) => app === 'Alertmanager')?.reads ?? []) expect(first).toContain(line);
    expect(first).toContain('I saw that yesterday, too');
    for (const [user, text] of [
      ['U02BOB', 'one'],
      ['U03CARA', 'two'],
      ['U05EXT', 'three'],
    ] as const)
      await say(text, { user, thread: root });
    await say('@agent say: now', { thread: root });
    const second = await answered('now', root);
    expect(spokenLines(second).slice(-4)).toEqual(['one', 'two', 'three', 'say: now']);
    expect(second).not.toContain('I saw that yesterday, too');
  });

  it('of 200 messages: root and newest reach the model, with a mark', async () => {
    const { say, answered } = await start();
    const root = await say('deploy plan', { user: 'U02BOB' });
    for (let n = 1; n < 200; n += 1) await say(`step ${n}`, { user: 'U02BOB', thread: root });
    await say('@agent say: summary', { thread: root });
    const input = await answered('summary', root);
    expect(spokenLines(input).slice(-52)).toEqual([
      'deploy plan',
      ...Array.from({ length: 50 }, (_, n) => `step ${150 + n}`),
      'say: summary',
    ]);
    expect(input).toMatch(/\] 149 earlier messages left out here\./);
  });
});
