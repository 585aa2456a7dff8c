import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { connectOfficialClient, type OfficialFrame, type Runtime } from '../support/letta/official-client.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { until, untilIdle } from '../support/until.ts';

const CHANNEL = 'C01GEN';
const ALICE = 'U01ALICE';
/** An admin. */
const BOB = 'U02BOB';

async function start(surface: Surface) {
  const letta = await startRealLetta(surface);
  onTestFinished(() => letta.close());
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const env = { ...letta.env, ADMINS: BOB };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env, bridge: 'thread', log });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = (thread: string | null, user = ALICE) =>
    transcript(sandbox.slack, CHANNEL, { ...(thread !== null && { thread }), user, bot: true });
  const shows = (thread: string | null, words: string | RegExp, user = ALICE) =>
    until(
      () => (typeof words === 'string' ? sees(thread, user).includes(words) : words.test(sees(thread, user))),
      () => `${words}\n${sees(thread, user)}\n${lines.slice(-60).join('')}`,
      90_000,
    );
  const begin = async (text: string, user = ALICE) => {
    const { ts } = await control.message({ channel: CHANNEL, user, text: `@agent ${text}` });
    return ts;
  };
  const reply = (thread: string, text: string, user = ALICE) =>
    control.message({ channel: CHANNEL, user, text, thread_ts: thread });
  const command = (text: string) => control.command({ channel: CHANNEL, user: BOB, command: '/agent', text });
  const click = async (thread: string, action: string, user: string) => {
    const card = control
      .messages(CHANNEL, { thread_ts: thread })
      .findLast(({ blocks }) => JSON.stringify(blocks ?? '').includes(`"${action}"`));
    await control.interact({ channel: CHANNEL, messageTs: card?.ts ?? '', user, action });
  };
  /** What the model was last sent. */
  const lastAsked = () =>
    readFileSync(letta.modelLog, 'utf8')
      .split('\n')
      .findLast((line) => line.includes('"messages"')) ?? '';
  const inProject = (name: string) => existsSync(join(letta.project, name));
  return { letta, sandbox, control, begin, reply, command, click, sees, shows, lastAsked, inProject };
}

/** A program with Letta's own client beside the bridge. */
async function startProgram(url: string) {
  const client = await connectOfficialClient(url);
  onTestFinished(() => client.close());
  const frames: OfficialFrame[] = [];
  client.onMessage((frame) => void frames.push(frame));
  const ends = () => frames.filter(({ type }) => type === 'turn_finished').length;
  const ask = async (runtime: Runtime, content: string) => {
    const messages = [{ role: 'user', content }];
    const answer = await client.submitInput({ runtime, payload: { kind: 'create_message', messages } });
    expect(answer.accepted).toBe(true);
  };
  const ended = (before: number) =>
    until(
      () => ends() > before,
      () => JSON.stringify(frames.slice(-5)),
    );
  const findRequest = () => frames.find(({ type }) => type === 'control_request') as { request_id: string } | undefined;
  const decide = async (runtime: Runtime, decision: object) => {
    await until(
      () => findRequest() !== undefined,
      () => JSON.stringify(frames.slice(-5)),
    );
    const request_id = findRequest()?.request_id;
    return client.submitInput({ runtime, payload: { kind: 'approval_response', request_id, decision } });
  };
  /** The conversation that the bridge began last. */
  const newest = async (): Promise<Runtime> => {
    const { agents } = (await client.request('agent_list', { query: {} })) as { agents: { id: string }[] };
    const agent_id = agents[0]?.id ?? '';
    const { conversations = [] } = await client.conversationList({ query: { agent_id, limit: 10 } });
    return { agent_id, conversation_id: conversations.find(({ id }) => id !== 'default')?.id ?? '' };
  };
  /** Listens to it. Without a mode, which the conversation keeps. */
  const open = async (runtime: Runtime) => {
    const started = await client.runtimeStart({ ...runtime, recover_approvals: true });
    expect(started.error).toBeUndefined();
  };
  const begins = async (agent_id: string, summary: string): Promise<Runtime> => {
    const create_conversation = { body: { summary } };
    const { runtime } = await client.runtimeStart({ agent_id, create_conversation, mode: 'standard' });
    return runtime ?? { agent_id: '', conversation_id: '' };
  };
  const abort = (runtime: Runtime) => client.request('abort_message', { runtime });
  return { ask, abort, ends, ended, decide, newest, open, begins, frames };
}

/** A thread in Slack, and a program that has its conversation open. */
async function both() {
  const slack = await start('app-server');
  const thread = await slack.begin('say: hello from Slack');
  await slack.shows(thread, /^\s+hello from Slack$/m);
  const program = await startProgram(slack.letta.env.LETTA_APP_SERVER_URL ?? '');
  const runtime = await program.newest();
  await program.open(runtime);
  return { ...slack, thread, program, runtime };
}

describe('Letta’s own client beside the bridge', () => {
  it('a turn of the program: its request is decided in Slack', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, shows, click, inProject } = await both();
    const before = program.ends();
    await program.ask(runtime, 'run bash touch by-program.txt && echo made');
    await shows(thread, 'Asked from another client:');
    await shows(thread, '[Approve]');
    expect(inProject('by-program.txt')).toBe(false);
    await click(thread, 'Approve', BOB);
    await program.ended(before);
    expect(inProject('by-program.txt')).toBe(true);
    await shows(thread, 'Done: made');
  });

  it('a turn of the program: its request is decided there', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, shows, inProject } = await both();
    const before = program.ends();
    await program.ask(runtime, 'run bash touch by-program.txt && echo made');
    await shows(thread, '[Approve]');
    expect(await program.decide(runtime, { behavior: 'allow' })).toMatchObject({ accepted: true });
    await program.ended(before);
    expect(inProject('by-program.txt')).toBe(true);
    await shows(thread, 'Answered outside Slack');
    await shows(thread, 'Done: made');
  });

  it('a turn of Slack: the program may decide its request', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, reply, shows, inProject } = await both();
    await reply(thread, 'run bash touch by-slack.txt && echo made');
    await shows(thread, '[Approve]');
    expect(await program.decide(runtime, { behavior: 'deny', message: 'not today' })).toMatchObject({ accepted: true });
    await shows(thread, 'Answered outside Slack');
    expect(inProject('by-slack.txt')).toBe(false);
  });

  it('a message handed over: runs though the program stops the turn', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, reply, shows, click } = await both();
    await reply(thread, 'run bash sleep 20 && echo slept');
    await shows(thread, '[Approve]');
    await click(thread, 'Approve', ALICE);
    await shows(thread, 'sleep 20 && echo slept');
    await reply(thread, 'say: over to you');
    await reply(thread, '!now');
    const waits = () =>
      program.frames.some(
        ({ type, queue }) => type === 'update_queue' && JSON.stringify(queue).includes('over to you'),
      );
    await until(waits, () => JSON.stringify(program.frames.slice(-5)));
    expect(await program.abort(runtime)).toMatchObject({ aborted: true });
    await shows(thread, /^\s+over to you$/m);
  });

  it('a conversation of Slack: goes on in the program, and back', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, reply, shows, lastAsked } = await both();
    const before = program.ends();
    await program.ask(runtime, 'say: hello from the program');
    await program.ended(before);
    expect(lastAsked()).toContain('hello from Slack');
    await shows(thread, /^\s+hello from the program$/m);
    await reply(thread, 'say: and back');
    await program.ended(before + 1);
    await shows(thread, /^\s+and back$/m);
    expect(lastAsked()).toContain('hello from the program');
    expect(program.frames.some(({ type }) => type === 'stream_delta')).toBe(true);
  });

  it('a conversation of the program: is attached, and goes on in both', { timeout: 180_000 }, async () => {
    const { program, runtime: ours, begin, reply, shows, lastAsked } = await both();
    const runtime = await program.begins(ours.agent_id, 'Weekly report');
    const before = program.ends();
    await program.ask(runtime, 'say: three incidents');
    await program.ended(before);
    const thread = await begin(`!attach ${runtime.conversation_id}`, BOB);
    await shows(thread, '**Weekly report**', BOB);
    await shows(thread, '> three incidents', BOB);
    await reply(thread, 'say: thanks', BOB);
    await program.ended(before + 1);
    await shows(thread, /^\s+thanks$/m, BOB);
    expect(lastAsked()).toContain('three incidents');
    await program.ask(runtime, 'say: a fourth one');
    await shows(thread, /^\s+a fourth one$/m, BOB);
  });

  it('a turn while the bridge is stopped: is shown once, later', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, reply, shows, sees, sandbox } = await both();
    await sandbox.stopBridge();
    const before = program.ends();
    await program.ask(runtime, 'say: said to no one');
    await program.ended(before);
    // A thread without work listens again with the next message only.
    await sandbox.startBridge();
    expect(sees(thread)).not.toContain('said to no one');
    await reply(thread, 'say: back again');
    await shows(thread, /^\s+back again$/m);
    const seen = sees(thread);
    expect(seen).toContain('Asked from another client earlier:');
    expect(seen.match(/^\s+said to no one$/gm)).toHaveLength(1);
    expect(seen.search(/^\s+said to no one$/m)).toBeLessThan(seen.search(/^\s+back again$/m));
    // The next link shows nothing of it again.
    await sandbox.stopBridge();
    await sandbox.startBridge();
    await reply(thread, 'say: once more');
    await shows(thread, /^\s+once more$/m);
    expect(sees(thread).match(/another client earlier/g)).toHaveLength(1);
  });

  it('a rule that the program saves: no frame tells of it', { timeout: 180_000 }, async () => {
    const { program, runtime, thread, reply, shows, letta, inProject, click } = await both();
    const before = program.ends();
    await program.ask(runtime, 'run bash touch ruled.txt');
    const seen = program.frames.length;
    const selected_permission_suggestion_ids = ['save-default'];
    await program.decide(runtime, { behavior: 'allow', selected_permission_suggestion_ids });
    await program.ended(before);
    expect(readFileSync(join(letta.project, '.letta/settings.json'), 'utf8')).toContain('Bash(touch ruled.txt)');
    expect(JSON.stringify(program.frames.slice(seen))).not.toContain('Bash(touch');
    expect(inProject('ruled.txt')).toBe(true);
    await reply(thread, '!status', BOB);
    await shows(thread, 'by rules on the agent’s machine: `Bash(touch ruled.txt)`', BOB);
    // Another command is asked as before.
    await reply(thread, 'run bash touch other.txt');
    await shows(thread, '[Approve]');
    await click(thread, 'Approve', ALICE);
    await shows(thread, /Approved/);
  });
});

describe.each<Surface>(['app-server', 'single', 'listen'])('a detached conversation (%s)', (surface) => {
  it('gets another thread, and goes on there', { timeout: 180_000 }, async () => {
    const { begin, reply, command, shows, sees, control, lastAsked } = await start(surface);
    const first = await begin('say: the blue door');
    await shows(first, /^\s+the blue door$/m);
    await untilIdle(
      (text) => reply(first, text, BOB),
      () => sees(first, BOB),
    );
    await reply(first, '!detach', BOB);
    await shows(first, 'detached the conversation');
    const [, id = ''] = /detached the conversation `([\w-]+)`/.exec(sees(first)) ?? [];
    await command(`attach ${id}`);
    const root = () =>
      control.messages(CHANNEL).findLast(({ text }) => text.includes('brings a conversation here'))?.ts;
    await until(
      () => root() !== undefined,
      () => sees(null, BOB),
    );
    const thread = root() ?? '';
    await shows(thread, 'Reply here to go on with it.', BOB);
    expect(sees(thread, BOB)).toContain('> the blue door');
    await reply(thread, 'say: still here', BOB);
    await shows(thread, /^\s+still here$/m, BOB);
    expect(lastAsked()).toContain('the blue door');
  });
});
