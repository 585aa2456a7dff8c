import { describe, expect, it } from 'vitest';
import { Door } from '../../../src/bridge/access/door.ts';
import type { FoundConversation } from '../../../src/bridge/agent-event.ts';
import { type AttachAsked, AttachDesk } from '../../../src/bridge/commands/attach-desk.ts';
import type { ThreadAddress } from '../../../src/bridge/inbound.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMemoryLog } from '../../support/log.ts';
import { createMiddle, type MiddleOptions, TEAM, THREAD } from '../../support/middle.ts';

const runtime = { agentId: 'agent-1', conversationId: 'local-conv-7', deviceId: null };
const found: FoundConversation = {
  runtime,
  title: 'Report',
  agentName: 'Ada',
  deviceName: null,
  items: [
    { kind: 'user', id: '1', clientMessageId: 'program-1', text: 'count them' },
    { kind: 'assistant', id: '2', text: 'three' },
  ],
};
const CARA = { id: 'U03CARA', team: TEAM, kind: 'member', name: 'Cara' } as const;
const PLACE = { channel: 'C01GEN', channelKind: 'channel', external: false } as const;
const inChannel: AttachAsked = { person: CARA, team: TEAM, place: PLACE, thread: null };
const inThread: AttachAsked = { ...inChannel, thread: THREAD };

/** A desk; Letta answers once `answer` is called. */
function open(options: MiddleOptions = {}) {
  const middle = createMiddle({ ...options, policy: { admins: { ids: [CARA.id], groups: [] }, ...options.policy } });
  const letta = Promise.withResolvers<FoundConversation>();
  const posted: { address: ThreadAddress; text: string }[] = [];
  /** What Slack does not take: every post that has these words. */
  const slack = { refuses: '' };
  const policies = { current: () => middle.policy };
  const people = {
    getPerson: async () => ({ ...CARA, kind: middle.people.kinds[CARA.id] ?? CARA.kind }),
    isShared: async () => false,
    isGroupDm: async () => false,
  };
  const desk = new AttachDesk({
    door: new Door({ people, policies }),
    conversations: { find: () => letta.promise, readRules: () => Promise.resolve([]) },
    owners: middle.threads,
    threads: middle.threads,
    workers: middle.workers,
    policies,
    surface: {
      whisper: (...given) => middle.surface.whisper(...given),
      beginThread: async (address, text) => {
        if (slack.refuses !== '' && text.includes(slack.refuses)) return null;
        posted.push({ address, text });
        return `3000.00000${posted.length}`;
      },
    },
    linkTo: ({ channel, ts }) => `https://team.slack.com/archives/${channel}/p${ts.replace('.', '')}`,
    log: createMemoryLog(),
  });
  const answer = async (with_: FoundConversation | BridgeError = found) => {
    if (with_ instanceof BridgeError) letta.reject(with_);
    else letta.resolve(with_);
    await middle.clock.settle();
  };
  const told = () => middle.surface.whispered.map(({ text }) => text).join('\n');
  const owner = () => middle.threads.findByConversation(runtime);
  return { middle, desk, answer, posted, slack, told, owner };
}

describe('the desk that attaches conversations', () => {
  it.for(['slack-T02OTHER-C07HR-1000.000001', 'slack-E9GRID-C07HR-1000.000001'])(
    'with words of another workspace: is refused, and nothing is shown (%s)',
    async (clientMessageId) => {
      const { desk, answer, posted, told, owner } = open();
      await desk.command(inChannel, 'local-conv-7');
      const theirs = { kind: 'user', id: '0', clientMessageId, text: 'salaries' } as const;
      await answer({ ...found, items: [theirs, ...found.items] });
      expect(told()).toContain('People of another Slack workspace write in that conversation');
      expect(posted).toEqual([]);
      expect(await owner()).toBeNull();
    },
  );

  it('with words of the same workspace: is attached', async () => {
    const { desk, answer, owner } = open();
    await desk.command(inChannel, 'local-conv-7');
    const ours = { kind: 'user', id: '0', clientMessageId: `slack-${TEAM}-C01GEN-1000.000001`, text: 'hello' } as const;
    await answer({ ...found, items: [ours, ...found.items] });
    expect(await owner()).toBe('T01SANDBOX:C01GEN:3000.000001');
  });

  it('in a channel: a new thread shows the messages, then has it', async () => {
    const { desk, answer, posted, owner } = open();
    expect(await desk.command(inChannel, 'local-conv-7')).toBe('');
    expect(posted).toEqual([]);
    await answer();
    expect(posted.map(({ text }) => text.split('\n').at(-1))).toEqual([
      expect.stringContaining('Cara brings a conversation here: conversation **Report**'),
      '> count them',
      '> three',
    ]);
    expect(posted.map(({ address }) => address.threadTs)).toEqual([null, '3000.000001', '3000.000001']);
    expect(await owner()).toBe('T01SANDBOX:C01GEN:3000.000001');
  });

  it('in a thread: begins none', async () => {
    const { desk, answer, posted, owner } = open();
    await desk.command(inThread, '`local-conv-7`');
    await answer();
    expect(posted.every(({ text }) => text.includes('\n> '))).toBe(true);
    expect(await owner()).toBe(THREAD);
  });

  it('no longer an admin when Letta answers: has nothing', async () => {
    const { middle, desk, answer, posted, told, owner } = open();
    await desk.command(inChannel, 'local-conv-7');
    middle.policy = { ...middle.policy, admins: { ids: ['U09NEW'], groups: [] } };
    await answer();
    expect(posted).toEqual([]);
    expect(told()).toContain('admins');
    expect(await owner()).toBeNull();
  });

  it('the admin left when Letta answers: has nothing', async () => {
    const { middle, desk, answer, posted, told, owner } = open();
    await desk.command(inChannel, 'local-conv-7');
    middle.people.kinds[CARA.id] = 'deactivated';
    await answer();
    expect(posted).toEqual([]);
    expect(told()).not.toBe('');
    expect(await owner()).toBeNull();
  });

  it('in a channel closed to the agent: has nothing, for admins either', async () => {
    const { desk, answer } = open({ policy: { channels: { ids: [], directMessages: true, everywhere: false } } });
    expect(await desk.command(inChannel, 'local-conv-7')).toContain('channel');
    await answer();
  });

  it('twice at once: one of them', async () => {
    const { desk, answer, owner, told } = open();
    expect(await desk.command(inChannel, 'local-conv-7')).toBe('');
    expect(await desk.command(inThread, 'local-conv-7')).toContain('right now');
    await answer();
    const had = await owner();
    expect(await desk.command(inThread, 'local-conv-7')).toBe('');
    await answer();
    expect(await owner()).toBe(had);
    expect(told()).toContain('[a thread](https://team.slack.com/archives/C01GEN/p3000000001) in <#C01GEN>');
  });

  it('a thread that Slack does not let it begin: has nothing', async () => {
    const { desk, answer, slack, told, owner } = open();
    slack.refuses = 'brings a conversation';
    await desk.command(inChannel, 'local-conv-7');
    await answer();
    expect(told()).toContain('Invite me to the channel');
    expect(await owner()).toBeNull();
  });

  it('the thread gets messages meanwhile: keeps what they begin', async () => {
    const { middle, desk, answer, told } = open();
    await desk.command(inThread, 'local-conv-7');
    await middle.write('build it');
    await answer();
    expect(told()).toContain('`!stop` first');
    expect(middle.record().runtime?.conversationId).not.toBe('local-conv-7');
  });

  it('Letta refuses: its words are told, and it can be tried again', async () => {
    const { desk, answer, told } = open();
    await desk.command(inChannel, 'local-conv-7');
    await answer(new BridgeError('conversation_not_found', 'gone', { notice: 'Letta has no such conversation.' }));
    expect(told()).toBe('Letta has no such conversation.');
    expect(await desk.command(inChannel, 'local-conv-7')).toBe('');
  });

  it.for(['', '-x', 'a b', `a${'b'.repeat(200)}`, 'local-conv-7 on '])('"%s": says how to write it', async (args) => {
    expect(await open().desk.command(inThread, args)).toContain('Write the id of the conversation: `!attach conv-…`');
    // Outside of the threads of the agent, `!attach` would be ignored.
    expect(await open().desk.command(inChannel, args)).toContain('`/agent attach conv-…`');
  });
});
