import { describe, expect, it, type TestContext } from 'vitest';
import { type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { isAnswerTo, openClient } from '../sandbox/letta/client.ts';
import type { Frame } from '../sandbox/letta/trace.ts';
import { until, untilIdle } from '../support/until.ts';

const CHANNEL = 'C01GEN';
const ALICE = 'U01ALICE';
/** Of the sandbox's App Server. */
const TOKEN = 'sandbox-letta-token-of-the-machine';

/** A thread with one answer, in a bridge between both doubles. */
async function story(letta: SandboxOptions['letta'], { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta, env: {}, pace: 1, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const { ts: thread } = await control.message({ channel: CHANNEL, user: ALICE, text: '@agent say: the first answer' });
  const sees = (of = thread) => transcript(sandbox.slack, CHANNEL, { user: ALICE, thread: of, bot: true });
  const shows = (words: string, of = thread) =>
    until(
      () => sees(of).includes(words) && !sees(of).includes('[Stop]'),
      () => `${words}\n${sees(of)}`,
    );
  const say = (text: string, of = thread) => control.message({ channel: CHANNEL, user: ALICE, text, thread_ts: of });
  /** The roots that the bridge posted. */
  const roots = () =>
    control
      .messages(CHANNEL)
      .filter(({ text, ts }) => ts !== thread && /here: I know/.test(text ?? ''))
      .map(({ ts }) => ts);
  const newRoot = async () => {
    await until(() => roots().length > 0, sees);
    await shows('in [a new thread]');
    return roots()[0] ?? '';
  };
  await shows('the first answer');
  await untilIdle(say, sees);
  return { ...sandbox, control, thread, say, sees, shows, roots, newRoot };
}

describe('a conversation that goes on in a new thread', () => {
  it.for(['app-server', 'single', 'pair', 'listen'] as const)(
    'knows what was said before; each thread goes its own way (%s)',
    async (letta, context) => {
      const { say, shows, sees, newRoot, thread } = await story(letta, context);
      await say('!fork');
      const root = await newRoot();
      expect(sees()).toContain(`p${root.replace('.', '')}`);
      expect(sees(root)).toContain(`p${thread.replace('.', '')}`);
      await say('say: only in the copy', root);
      await shows('only in the copy', root);
      await say('say: only in the old one');
      await shows('only in the old one');
      expect(sees()).not.toContain('only in the copy');
    },
  );

  it('from the menu of an answer: knows nothing that came later', async (context) => {
    const { control, say, shows, sees, newRoot, thread, letta } = await story('app-server', context);
    await say('say: the second answer');
    await shows('the second answer');
    const answer = control
      .messages(CHANNEL, { thread_ts: thread })
      .find(({ text }) => text?.includes('the first answer') && !text.includes('say:'));
    const chosen = { user: ALICE, channel: CHANNEL, messageTs: answer?.ts ?? '', shortcut: 'Go on in a new thread' };
    expect((await control.shortcut(chosen)).acked).toBe(true);
    const root = await newRoot();
    expect(sees()).toContain('goes on from a message above in');
    expect(sees(root)).toContain(`p${(answer?.ts ?? '').replace('.', '')}`);
    const client = await openClient(letta?.url ?? '', TOKEN);
    const ask = async (frame: Frame) => {
      client.send({ ...frame, request_id: String(frame.type) });
      return client.until(isAnswerTo(String(frame.type)));
    };
    const { agents } = (await ask({ type: 'agent_list' })) as { agents: { id: string }[] };
    const list = await ask({ type: 'conversation_list', query: { agent_id: agents[0]?.id ?? '', limit: 5 } });
    const copies = (list.conversations as { id: string; summary: string }[]).filter(({ summary }) =>
      summary.endsWith(' (2)'),
    );
    expect(copies).toEqual([expect.objectContaining({ summary: 'say: the first answer (2)' })]);
    const query = { limit: 20 };
    const page = await ask({ type: 'conversation_messages_list', conversation_id: copies[0]?.id ?? '', query });
    client.cut();
    const items = JSON.stringify(page.messages);
    expect([items.includes('the first answer'), items.includes('the second answer')]).toEqual([true, false]);
  });

  it('from a message of no thread of ours: says so', async (context) => {
    const { control, roots } = await story('app-server', context);
    const { ts } = await control.message({ channel: CHANNEL, user: 'U02BOB', text: 'lunch?' });
    await control.shortcut({ user: ALICE, channel: CHANNEL, messageTs: ts, shortcut: 'Go on in a new thread' });
    const whispers = () => JSON.stringify(control.messages(CHANNEL, { user: ALICE }));
    await until(() => whispers().includes('I don’t take part in that thread'), whispers);
    expect(roots()).toEqual([]);
  });

  it('killed before the new thread is there: there is one', async (context) => {
    const { say, newRoot, roots, shows, killBridge, startBridge } = await story('app-server', context);
    await say('!fork');
    // Its wish is on disk.
    await shows('I’m copying the conversation');
    await killBridge();
    await startBridge();
    const root = await newRoot();
    await say('say: in the new one', root);
    await shows('in the new one', root);
    expect(roots()).toHaveLength(1);
  });
});
