import { describe, expect, it, type TestContext } from 'vitest';
import { WebSocket } from 'ws';
import { type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until, untilIdle } from '../support/until.ts';

const CHANNEL = 'C01GEN';
const ALICE = 'U01ALICE';
const CARA = 'U03CARA';
/** As the sandbox sets it. */
const TOKEN = 'sandbox-letta-token-of-the-machine';

interface Frame {
  type: string;
  request_id?: string;
  [name: string]: unknown;
}

/** Another program at the same App Server. */
async function openClient(url: string, token: string) {
  const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const frames: Frame[] = [];
  socket.on('message', (data) => frames.push(JSON.parse(String(data)) as Frame));
  let count = 0;
  const ask = async (frame: Frame): Promise<Frame> => {
    count += 1;
    const id = `other-${count}`;
    socket.send(JSON.stringify({ ...frame, request_id: id }));
    const find = () => frames.find((each) => each.request_id === id && each.type !== 'control_request');
    await until(
      () => find() !== undefined,
      () => `no answer to ${frame.type}`,
    );
    return find() as Frame;
  };
  /** A new conversation of the agent that answers in Slack. */
  const begin = async (agent: string, title: string) => {
    const create_conversation = { body: { summary: title } };
    const started = await ask({ type: 'runtime_start', agent_id: agent, create_conversation, mode: 'standard' });
    return started.runtime as { agent_id: string; conversation_id: string };
  };
  const say = async (runtime: object, content: string) => {
    const ended = () => frames.filter(({ type }) => type === 'turn_finished').length;
    const before = ended();
    count += 1;
    const id = `program-${count}`;
    const messages = [{ role: 'user', content, client_message_id: id, otid: id }];
    await ask({ type: 'input', runtime, payload: { kind: 'create_message', messages } });
    await until(
      () => ended() > before,
      () => JSON.stringify(frames.slice(-5)),
    );
  };
  /** Approves what is asked, and saves the rule that goes with it. */
  const allowAndSave = async (runtime: object) => {
    const request = frames.findLast(({ type }) => type === 'control_request');
    const decision = { behavior: 'allow', selected_permission_suggestion_ids: ['save-default'] };
    const payload = { kind: 'approval_response', request_id: request?.request_id, decision };
    expect(await ask({ type: 'input', runtime, payload })).toMatchObject({ accepted: true });
  };
  return { ask, begin, say, allowAndSave, close: () => socket.terminate() };
}

async function story(
  letta: SandboxOptions['letta'],
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  given: Record<string, string> = {},
  bridge: 'here' | 'thread' = 'here',
) {
  const env = { ADMINS: CARA, ...given };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta, env, bridge, pace: 1, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = (thread: string | null, user = CARA, channel = CHANNEL) =>
    transcript(sandbox.slack, channel, { user, bot: true, ...(thread !== null && { thread }) });
  const shows = (thread: string | null, words: string, user = CARA, channel = CHANNEL) =>
    until(
      () => sees(thread, user, channel).includes(words),
      () => `${words}\n${sees(thread, user, channel)}`,
    );
  /** Shown, and at rest. */
  const answers = async (thread: string, words: string, user = CARA) => {
    await shows(thread, words, user);
    await untilIdle(
      (text) => reply(thread, text, user),
      () => sees(thread, user),
    );
  };
  const begin = async (text: string, user = CARA) => (await control.message({ channel: CHANNEL, user, text })).ts;
  const reply = (thread_ts: string, text: string, user = CARA) =>
    control.message({ channel: CHANNEL, user, text, thread_ts });
  const command = (text: string, user = CARA) => control.command({ channel: CHANNEL, user, command: '/agent', text });
  /** The thread that the bridge began for the last conversation. */
  const newest = () =>
    control.messages(CHANNEL).findLast(({ text }) => text.includes('brings a conversation here'))?.ts;
  return { ...sandbox, control, begin, reply, command, sees, shows, answers, newest };
}

/** A conversation that its thread has given up. */
async function detached(slack: Awaited<ReturnType<typeof story>>): Promise<string> {
  const first = await slack.begin('@agent say: hello');
  await slack.answers(first, 'hello');
  await slack.reply(first, '!detach');
  await slack.shows(first, 'detached');
  return conversationOf(slack).conversation_id;
}

/** What the scripted Letta has, newest last. */
function conversationOf({ letta }: Awaited<ReturnType<typeof story>>): { agent_id: string; conversation_id: string } {
  const { conversations } = (letta?.state() ?? {}) as {
    conversations: { agent_id: string; conversation_id: string }[];
  };
  return conversations.findLast(({ conversation_id: id }) => id !== 'default') ?? { agent_id: '', conversation_id: '' };
}

describe('!status', () => {
  it('names the rules that another program saved', async (context) => {
    const slack = await story('app-server', context, { PERMISSIONS: 'standard' });
    const thread = await slack.begin('@agent say: hello');
    await slack.shows(thread, 'hello');
    const client = await openClient(slack.letta?.url ?? '', TOKEN);
    context.onTestFinished(client.close);
    const runtime = conversationOf(slack);
    await client.ask({ type: 'runtime_start', ...runtime });
    const said = client.say(runtime, 'run bash touch made.txt');
    await slack.shows(thread, '[Approve]');
    await slack.reply(thread, '!status');
    await slack.shows(thread, 'Waiting for a decision: 1.');
    expect(slack.sees(thread)).not.toContain('by rules on the agent’s machine');
    await client.allowAndSave(runtime);
    await said;
    await slack.reply(thread, '!status');
    await slack.shows(thread, 'Runs without asking, by rules on the agent’s machine: `Bash(touch made.txt)`.');
  });
});

describe('!attach', () => {
  it('a conversation of another program: shown, and replies go on with it', async (context) => {
    const slack = await story('app-server', context);
    const first = await slack.begin('@agent say: hello');
    await slack.shows(first, 'hello');
    const { agent_id: agent } = conversationOf(slack);
    const client = await openClient(slack.letta?.url ?? '', TOKEN);
    context.onTestFinished(client.close);
    const runtime = await client.begin(agent, 'Weekly *report*');
    await client.say(runtime, 'say: the plan for <@U01ALICE> and <!channel>');
    const thread = await slack.begin(`@agent !attach ${runtime.conversation_id}`);
    await slack.shows(thread, `attached conversation **Weekly report** (\`${runtime.conversation_id}\`)`);
    expect(slack.sees(thread)).toContain('Another client');
    expect(slack.sees(thread)).toContain('The agent');
    const texts = JSON.stringify(slack.control.messages(CHANNEL, { thread_ts: thread }));
    expect(texts).not.toMatch(/<@U01ALICE>|<!channel>/);
    await slack.reply(thread, 'say: from Slack');
    await slack.shows(thread, 'from Slack');
    expect(conversationOf(slack).conversation_id).toBe(runtime.conversation_id);
    await client.say(runtime, 'say: and from the program');
    await slack.shows(thread, 'Asked from another client:');
    await slack.shows(thread, 'and from the program');
  });

  it.for(['app-server', 'single', 'listen'] as const)(
    'a detached conversation: gets a new thread by /agent attach (%s)',
    async (letta, context) => {
      const slack = await story(letta, context);
      const first = await slack.begin('@agent say: remember the blue door');
      await slack.answers(first, 'remember the blue door');
      const { conversation_id: id } = conversationOf(slack);
      await slack.command(`attach ${id}`);
      await slack.shows(null, 'That conversation belongs to');
      await slack.reply(first, '!detach');
      await slack.shows(first, `cara detached the conversation \`${id}\``);
      await slack.command(`attach ${id}`);
      await until(
        () => slack.newest() !== undefined,
        () => slack.sees(null),
      );
      const thread = slack.newest() ?? '';
      await slack.shows(thread, 'Reply here to go on with it.');
      expect(slack.sees(thread)).toContain('cara, from Slack');
      await slack.reply(thread, 'say: still here');
      await slack.shows(thread, 'still here');
      expect(conversationOf(slack).conversation_id).toBe(id);
      await slack.reply(first, 'say: fresh');
      await slack.shows(first, 'fresh');
      expect(conversationOf(slack).conversation_id).not.toBe(id);
    },
  );

  it('the bridge killed right after: the thread keeps the conversation', async (context) => {
    const slack = await story('app-server', context, {}, 'thread');
    const id = await detached(slack);
    const thread = await slack.begin(`@agent !attach ${id}`);
    await slack.shows(thread, 'Reply here to go on with it.');
    await slack.killBridge();
    await slack.startBridge();
    await slack.reply(thread, 'say: still here');
    await slack.shows(thread, 'still here');
    expect(conversationOf(slack).conversation_id).toBe(id);
  });

  it('in a thread with a conversation: says what to do', async (context) => {
    const slack = await story('app-server', context);
    const first = await slack.begin('@agent say: hello');
    await slack.shows(first, 'hello');
    await slack.reply(first, '!attach local-conv-9');
    await slack.shows(first, 'This thread has a conversation already. Write `/agent attach`');
  });

  it.for([
    ['local-conv-99', 'Letta has no conversation local-conv-99 there'],
    ['default', 'Each agent has a conversation called'],
    ['', 'Write the id of the conversation'],
    ['local-conv-1 on laptop', 'This bridge uses one Letta server'],
  ] as const)('%s: attaches nothing', async ([id, says], context) => {
    const slack = await story('app-server', context);
    const thread = await slack.begin(`@agent !attach ${id}`);
    await slack.shows(null, says);
    expect(slack.sees(thread)).not.toContain('attached conversation');
  });

  it('a conversation of the cloud, on a machine that dials: is explained', async (context) => {
    const slack = await story('listen', context);
    await slack.begin('@agent !attach conv-0123');
    await slack.shows(null, 'looks like one of Letta’s cloud');
  });

  it('an agent that the channel is not bound to: is refused', async (context) => {
    const slack = await story('app-server', context);
    const id = await detached(slack);
    await slack.command('agent agent-other');
    await slack.command(`attach ${id}`);
    await slack.shows(null, 'and here `agent-other` answers');
  });

  it('people who are no admins: are told whom to ask', async (context) => {
    const slack = await story('app-server', context);
    const first = await slack.begin('@agent say: hello', ALICE);
    await slack.answers(first, 'hello', ALICE);
    const refusals = () => slack.sees(null, ALICE).split('Only admins can do this. Ask').length - 1;
    const refused = (times: number) =>
      until(
        () => refusals() === times,
        () => slack.sees(null, ALICE),
      );
    await slack.reply(first, '!detach', ALICE);
    await refused(1);
    await slack.command('attach local-conv-1', ALICE);
    await refused(2);
    expect(slack.sees(null, ALICE)).not.toContain('attached conversation');
  });

  it('in a direct message: the conversation gets a thread of its own', async (context) => {
    const slack = await story('app-server', context);
    const id = await detached(slack);
    const dm = 'D03CARA';
    await slack.control.message({ channel: dm, user: CARA, text: `!attach ${id}` });
    await slack.shows(null, 'brings a conversation here', CARA, dm);
  });
});
