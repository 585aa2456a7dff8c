import { join } from 'node:path';
import { describe, it, type TestContext } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';
import { temporaryFolder } from '../support/whole.ts';

const CHANNEL = 'C01GEN';
const BUTTON = 'Start a new conversation';

async function story(kind: 'app-server' | 'single' | 'pair', context: TestContext) {
  const lines: string[] = [];
  const env = { STORE: `sqlite://${join(temporaryFolder(context), 'bridge.db')}` };
  const log = (line: string) => void lines.push(line);
  const sandbox: Sandbox = await startSandbox({ port: 0, limits: 'off', letta: kind, env, pace: 5, log });
  context.onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const { letta } = sandbox;
  if (!letta) throw new Error('there is no scripted Letta');
  const thread = (root?: string) => {
    const say = async (text: string, user = 'U01ALICE') => {
      const said = await control.message({ channel: CHANNEL, user, text, ...(root && { thread_ts: root }) });
      root ??= said.ts;
    };
    const messages = () => control.messages(CHANNEL, { ...(root && { thread_ts: root }) });
    const shown = () => transcript(sandbox.slack, CHANNEL, { ...(root && { thread: root }), bot: true });
    const click = async (action: string, user = 'U01ALICE', which = -1) => {
      const found = messages().filter((message) => JSON.stringify(message.blocks).includes(`"text":"${action}"`));
      const message = found.at(which);
      if (!message) throw new Error(`no button ${action}\n${shown()}`);
      await control.interact({ channel: CHANNEL, messageTs: message.ts, user, action });
    };
    /** The agent's own words: a line with nothing else in it. */
    const answers = (text: string) => until(() => hasEnded(shown(), text), shown);
    const sees = (text: string) => until(() => shown().includes(text), shown);
    return { say, shown, click, sees, answers, messages };
  };
  const agents = () => (letta.state().agents as { id: string }[]).map(({ id }) => id);
  const conversations = () =>
    (letta.state().conversations as { conversation_id?: string; id?: string }[]).map((one) =>
      String(one.conversation_id ?? one.id),
    );
  const logged = (sentence: string) => lines.filter((line) => line.includes(sentence));
  const { stopBridge, startBridge } = sandbox;
  return { stopBridge, startBridge, letta, thread, agents, conversations, logged, lines };
}

/** The turn is over at Letta, too: there is no Stop. */
const hasEnded = (text: string, line: string) => lineCount(text, line) > 0 && !text.includes('[Stop]');
const lineCount = (text: string, line: string) => text.split('\n').filter((each) => each.trim() === line).length;
const count = (text: string, part: string) => text.split(part).length - 1;

describe.concurrent('a deleted agent that the bridge had chosen', () => {
  it.for(['app-server', 'single', 'pair'] as const)(
    'one other agent (%s): takes new threads, and the thread says so',
    async (kind, context) => {
      const { expect } = context;
      const { letta, thread, agents, logged } = await story(kind, context);
      const first = thread();
      await first.say('@agent say: one');
      await first.answers('one');
      const [gone = ''] = agents();
      const other = letta.addAgent('Second');
      letta.deleteStored({ agent: gone });
      const second = thread();
      await second.say('@agent say: two');
      await second.answers('two');
      await second.sees('no longer exists');
      expect(second.shown()).toContain(gone);
      expect(second.shown()).toContain(other);
      expect(logged('chose another agent for new threads')).toHaveLength(1);
      const third = thread();
      await third.say('@agent say: three');
      await third.answers('three');
      expect(third.shown()).not.toContain('no longer exists');
    },
  );

  it('no other agent: an App Server creates one for all threads', async (context) => {
    const { expect } = context;
    const { letta, thread, agents } = await story('app-server', context);
    const first = thread();
    await first.say('@agent say: one');
    await first.answers('one');
    for (const id of agents()) letta.deleteStored({ agent: id });
    const threads = Array.from({ length: 4 }, () => thread());
    await Promise.all(threads.map((each, at) => each.say(`@agent say: again ${at}`)));
    for (const [at, each] of threads.entries()) await each.answers(`again ${at}`);
    expect(agents()).toHaveLength(1);
  });

  it('several others: asks to set LETTA_AGENT_ID', async (context) => {
    const { letta, thread, agents } = await story('app-server', context);
    const first = thread();
    await first.say('@agent say: one');
    await first.answers('one');
    const [gone = ''] = agents();
    letta.addAgent('Second');
    letta.addAgent('Third');
    letta.deleteStored({ agent: gone });
    const second = thread();
    await second.say('@agent say: two');
    await second.sees('set LETTA_AGENT_ID to one of');
  });
});

describe.concurrent('a thread whose conversation no longer exists', () => {
  it.for(['app-server', 'single'] as const)(
    "starts anew once its message's author clicks (%s)",
    async (kind, context) => {
      const { expect } = context;
      const { letta, thread, conversations } = await story(kind, context);
      const { say, sees, answers, shown, click } = thread();
      await say('@agent say: one');
      await answers('one');
      const before = conversations();
      // The link is there: only the turn tells.
      for (const id of before) letta.deleteStored({ conversation: id });
      await say('say: two');
      await sees(`[${BUTTON}]`);
      expect(shown()).not.toContain('[Try again]');
      await click(BUTTON, 'U02BOB');
      expect(count(shown(), 'started a new conversation')).toBe(0);
      await click(BUTTON);
      await answers('two');
      await sees('started a new conversation with the message');
      expect(shown()).not.toContain(`[${BUTTON}]`);
      expect(conversations().length).toBe(before.length + 1);
      await say('say: three');
      await answers('three');
      expect(conversations().length).toBe(before.length + 1);
      expect(lineCount(shown(), 'two')).toBe(1);
    },
  );

  it('restart: each message keeps its own button', async (context) => {
    const { expect } = context;
    const { letta, thread, conversations, stopBridge, startBridge } = await story('app-server', context);
    const { say, sees, answers, shown, click, messages } = thread();
    await say('@agent say: one');
    await answers('one');
    for (const id of conversations()) letta.deleteStored({ conversation: id });
    await stopBridge();
    await startBridge();
    await say('say: two');
    await sees(`[${BUTTON}]`);
    await say('@agent say: three', 'U02BOB');
    await until(() => count(shown(), `[${BUTTON}]`) === 2, shown);
    await stopBridge();
    await startBridge();
    const before = conversations().length;
    await click(BUTTON, 'U01ALICE', 0);
    await answers('two');
    await click(BUTTON, 'U02BOB');
    await answers('three');
    // The second click goes on in the conversation that the first one began.
    expect(conversations().length).toBe(before + 1);
    expect(messages().length).toBeGreaterThan(4);
  });

  it('its agent is gone too: starts anew with the new agent', async (context) => {
    const { expect } = context;
    const { letta, thread, agents } = await story('app-server', context);
    const { say, sees, answers, shown, click } = thread();
    await say('@agent say: one');
    await answers('one');
    const [gone = ''] = agents();
    const other = letta.addAgent('Second');
    letta.deleteStored({ agent: gone });
    await say('say: two');
    await sees(`[${BUTTON}]`);
    await click(BUTTON);
    await answers('two');
    await sees(other);
    expect(shown()).toContain(gone);
  });
});
