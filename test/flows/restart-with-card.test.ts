import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

type Mode = 'app-server' | 'single' | 'pair';

async function story(letta: Mode, { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta, env: {}, pace: 2, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  let root: string | undefined;
  const say = async (text: string) => {
    const said = await control.message({ channel, user: 'U01ALICE', text, ...(root && { thread_ts: root }) });
    root ??= said.ts;
  };
  const shown = () => transcript(sandbox.slack, channel, { ...(root && { thread: root }), bot: true });
  /** What everybody sees of the bot. */
  const messages = () =>
    structuredClone(control.messages(channel, { ...(root && { thread_ts: root }) })).filter(({ bot_id }) => bot_id);
  /** Text, card and the line below it are there. */
  /** The card is there, and the text above it is finished. */
  const asked = () =>
    messages().length === 2 && messages()[0]?.blocks.length === 1 && /\[(?:Approve|Red)\]/.test(shown());
  const holding = (words: string) => messages().find((message) => JSON.stringify(message.blocks).includes(words));
  /** As people do who are told that Letta is not there yet: once more, until the card says that it counted. */
  const click = async (words: string, action: string, counted: string) => {
    while (!shown().includes(counted)) {
      const { ts: messageTs = '' } = holding(words) ?? {};
      await control.interact({ channel, user: 'U01ALICE', messageTs, action });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  /** Nothing in the thread looks alive. */
  const quiet = () => control.state().statuses.length === 0 && !/⏳|🔧|\[Stop\]/.test(shown());
  const restart = async () => {
    await sandbox.killBridge();
    await sandbox.startBridge();
  };
  return { ...sandbox, say, asked, shown, messages, holding, click, quiet, restart };
}

const CARD = 'touch made.txt';
const ASKS = `@agent preface First I look around. :: run bash ${CARD} && echo made it`;

describe.concurrent('a bridge that dies while a card is open', () => {
  it.for(['single', 'pair'] as const)(
    'hosted relay (%s): keeps the messages, the card can be decided',
    async (letta, context) => {
      const { expect } = context;
      const { say, asked, shown, messages, holding, click, quiet, restart } = await story(letta, context);
      await say(ASKS);
      await until(asked, shown);
      const before = messages();
      await restart();
      await until(asked, shown);
      expect(messages().map(({ ts }) => ts)).toEqual(before.map(({ ts }) => ts));
      expect(messages().slice(0, 2)).toEqual(before.slice(0, 2));
      await click(CARD, 'bridge_approve', 'Approved');
      await until(() => shown().includes('Done:'), shown);
      await until(quiet, shown);
      expect(
        messages()
          .slice(0, 2)
          .map(({ ts }) => ts),
      ).toEqual(before.map(({ ts }) => ts));
      expect(messages()).toHaveLength(3);
      expect(holding('First I look around.')?.ts).toBe(before[0]?.ts);
      expect(shown()).toContain('Approved');
    },
  );

  it('App Server, turn died with the socket: closes the card', async (context) => {
    const { expect } = context;
    const { say, asked, shown, messages, holding, quiet, restart } = await story('app-server', context);
    await say(ASKS);
    await until(asked, shown);
    const before = messages();
    await restart();
    await until(() => shown().includes('Interrupted'), shown);
    await until(quiet, shown);
    expect(
      messages()
        .slice(0, 2)
        .map(({ ts }) => ts),
    ).toEqual(before.map(({ ts }) => ts));
    expect(messages()[0]).toEqual(before[0]);
    expect(holding('Lost with the connection')?.ts).toBe(before[1]?.ts);
    expect(shown()).not.toContain('[Approve]');
  });

  it.for(['single', 'pair'] as const)('question (%s): is answered in its message', async (letta, context) => {
    const { expect } = context;
    const { say, asked, shown, messages, holding, click, quiet, restart } = await story(letta, context);
    await say('@agent preface I need to know. :: ask Which color? | Red | Blue');
    await until(asked, shown);
    const before = messages();
    await restart();
    await until(asked, shown);
    expect(messages().slice(0, 2)).toEqual(before.slice(0, 2));
    await click('Which color?', 'bridge_answer:0:1', 'Answered');
    await until(() => shown().includes('Done:'), shown);
    await until(quiet, shown);
    expect(holding('Answered')?.ts).toBe(before[1]?.ts);
    expect(messages()).toHaveLength(3);
  });

  it('device restarts too: closes the card, no live button left', async (context) => {
    const { expect } = context;
    const { say, asked, shown, messages, holding, quiet, causeFault, killBridge, startBridge } = await story(
      'single',
      context,
    );
    await say(ASKS);
    await until(asked, shown);
    const before = messages();
    await killBridge();
    causeFault({ kind: 'restart', ms: 500 });
    await startBridge();
    await until(() => shown().includes('Lost with the connection'), shown);
    await until(quiet, shown);
    expect(
      messages()
        .slice(0, 2)
        .map(({ ts }) => ts),
    ).toEqual(before.map(({ ts }) => ts));
    expect(messages()[0]).toEqual(before[0]);
    expect(holding('Lost with the connection')?.ts).toBe(before[1]?.ts);
  });
});
