import { describe, expect, it } from 'vitest';
import { closedPolicy, type PlaceSettings, type Policy } from '../../../src/bridge/access/policy.ts';
import { makeMessageKey, makeThreadKey, ROLLING } from '../../../src/bridge/ids.ts';
import type { InboundMessage, InboundReaction } from '../../../src/bridge/inbound.ts';
import type { FoundMessage } from '../../../src/bridge/ports.ts';
import { createMiddle, GROUP_DM, type MiddleOptions, ROOT, TEAM, THREAD } from '../../support/middle.ts';

const TO = '900.000001';
const BELOW = makeThreadKey({ team: TEAM, channel: 'C01GEN', root: TO });
const accepted = { outcome: 'accepted' };
const ignored = (reason: string) => ({ outcome: 'ignored', reason });

function said(change: Partial<InboundMessage> = {}): InboundMessage {
  const { channel = 'C01GEN', ts = TO } = change;
  return {
    key: makeMessageKey({ team: TEAM, channel, ts }),
    team: TEAM,
    channel,
    channelKind: 'channel',
    ts,
    threadTs: null,
    user: 'U02BOB',
    userTeam: TEAM,
    external: null,
    spans: [{ kind: 'text', text: 'deploy failed with E42' }],
    files: [],
    mentionsBot: false,
    ...change,
  };
}

/** A Slack of one message, with who reacted how, and a bridge before it. */
function begin(options: MiddleOptions & { places?: Record<string, Partial<PlaceSettings>> } = {}) {
  const { places = {}, policy, ...others } = options;
  const found: { now: FoundMessage | null; isDown: boolean; reads: number } = {
    now: { threadTs: null, channelKind: 'channel', message: said(), own: null, reactions: [] },
    isDown: false,
    reads: 0,
  };
  const given: Partial<Policy> = {
    defaults: { ...closedPolicy.defaults, reactions: { eyes: 'Look at this.' } },
    places: new Map(Object.entries(places)),
    ...policy,
  };
  const middle = createMiddle({
    policy: given,
    reader: {
      async readMessage() {
        found.reads += 1;
        if (found.isDown) throw new Error('slack is away');
        return found.now;
      },
    },
    ...others,
  });
  const shown = (emoji: string, user: string, isThere: boolean) => {
    if (!found.now) return;
    const others = found.now.reactions.filter((each) => each.emoji !== emoji);
    const users = new Set(found.now.reactions.find((each) => each.emoji === emoji)?.users);
    if (isThere) users.add(user);
    else users.delete(user);
    found.now = { ...found.now, reactions: [...others, { emoji, users: [...users], isComplete: true }] };
  };
  let count = 0;
  /** Does it in Slack, and delivers the event. */
  const react = async (change: Partial<InboundReaction> = {}) => {
    count += 1;
    const reaction: InboundReaction = {
      kind: 'added',
      team: TEAM,
      channel: 'C01GEN',
      channelKind: 'channel',
      external: null,
      ts: TO,
      isOurs: false,
      emoji: 'eyes',
      user: 'U01ALICE',
      at: `1000.${String(500 + count).padStart(6, '0')}`,
      ...change,
    };
    shown(reaction.emoji, reaction.user, reaction.kind === 'added');
    const outcome = await middle.intake.handleReaction(reaction);
    await middle.clock.settle();
    return outcome;
  };
  /** Alice's turn runs. */
  const run = async () => {
    await middle.clock.settle();
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    await middle.clock.settle();
  };
  return { middle, feedback: middle.feedback, found, react, run, shown };
}

describe('a reaction that the policy names', () => {
  it('begins a turn of whoever reacted, with the message as untrusted context', async () => {
    const { middle, react } = begin();
    expect(await react()).toEqual(accepted);
    middle.connection.ready();
    await middle.clock.settle();
    const { turn, starter, participants } = middle.record(BELOW);
    expect([turn?.requester, starter, participants]).toEqual(['U01ALICE', 'U01ALICE', ['U01ALICE']]);
    const [{ content } = { content: '' }] = middle.connection.submitted;
    expect(content).toMatch(/U02BOB.*not trusted[^\n]*\ndeploy failed with E42/);
    expect(content).toMatch(/U01ALICE.*trusted[^\n]*\nLook at this\.\n\(Asked by reacting with :eyes: to message 900/);
    expect(middle.surface.said).toEqual([
      {
        address: { team: TEAM, channel: 'C01GEN', threadTs: TO },
        text: '<@U01ALICE> asked about this message with :eyes:: Look at this.',
      },
    ]);
  });

  it('delivered again, also after a restart, does nothing', async () => {
    const { middle, react } = begin();
    const at = '1000.000777';
    expect(await react({ at })).toEqual(accepted);
    expect(await react({ at })).toEqual({ outcome: 'repeated' });
    await middle.restart();
    expect(await react({ at })).toEqual({ outcome: 'repeated' });
    expect(middle.surface.said).toHaveLength(1);
  });

  it('taken back and added again while its turn runs: asks once', async () => {
    const { middle, react, run } = begin();
    await react();
    await run();
    expect(await react({ kind: 'removed' })).toEqual(ignored('runs_already'));
    expect(middle.surface.whispered.at(-1)).toMatchObject({ user: 'U01ALICE', stop: expect.any(String) });
    expect(await react()).toEqual({ outcome: 'repeated' });
    await middle.restart();
    await react({ kind: 'removed' });
    expect(await react()).toEqual({ outcome: 'repeated' });
  });

  it('added again after its turn failed: leaves that to Try again', async () => {
    const { middle, react, run } = begin();
    await react();
    await run();
    middle.connection.emit({ type: 'error', message: 'the model is down', terminal: false });
    middle.connection.end('error', 'run-1', 'the model is down');
    await middle.clock.settle();
    const tryAgain = { kind: 'send_again', for: 'U01ALICE', state: { state: 'open' } };
    expect(middle.record(BELOW).offers).toMatchObject([tryAgain]);
    expect(await react({ kind: 'removed' })).toEqual(ignored('not_waiting'));
    expect(await react()).toEqual({ outcome: 'repeated' });
    expect(middle.record(BELOW).offers).toMatchObject([tryAgain]);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('taken back while it waits: never runs, and may ask again', async () => {
    const { middle, react, run } = begin();
    await react();
    await run();
    expect(await react({ user: 'U02BOB' })).toEqual(accepted);
    expect(middle.record(BELOW).inbox).toHaveLength(1);
    expect(await react({ user: 'U02BOB', kind: 'removed' })).toEqual({ outcome: 'withdrawn' });
    expect(middle.record(BELOW).inbox).toEqual([]);
    expect(await react({ user: 'U02BOB' })).toEqual(accepted);
  });

  it('delivered after its removal: asks nothing', async () => {
    const { react, shown, middle } = begin();
    expect(await react({ kind: 'removed' })).toEqual(ignored('not_waiting'));
    const late = middle.intake.handleReaction;
    shown('eyes', 'U01ALICE', false);
    expect(
      await late.call(middle.intake, {
        ...{ kind: 'added', team: TEAM, channel: 'C01GEN', channelKind: 'channel', external: null },
        ...{ ts: TO, isOurs: false, emoji: 'eyes', user: 'U01ALICE', at: '1000.000400' },
      } as InboundReaction),
    ).toEqual(ignored('taken_back'));
  });

  it('of a second person or with another emoji: asks for itself', async () => {
    const reactions = { eyes: 'Look at this.', bug: 'File a bug.' };
    const { react, middle } = begin({ policy: { defaults: { ...closedPolicy.defaults, reactions } } });
    expect(await react()).toEqual(accepted);
    expect(await react({ emoji: 'bug' })).toEqual(accepted);
    expect(await react({ user: 'U02BOB' })).toEqual(accepted);
    expect(middle.record(BELOW).reacted).toHaveLength(3);
  });

  it('in a thread of ours: is a message of that thread', async () => {
    const { middle, react, found, run } = begin();
    await middle.write('list the files');
    await run();
    const reply = said({ threadTs: ROOT, ts: '1000.000005' });
    found.now = { threadTs: ROOT, channelKind: 'channel', message: reply, own: null, reactions: [] };
    expect(await react({ ts: reply.ts, user: 'U02BOB' })).toEqual(accepted);
    expect(middle.record(THREAD).inbox).toMatchObject([{ user: 'U02BOB', about: { ts: reply.ts, emoji: 'eyes' } }]);
    expect(middle.record(THREAD).context).toMatchObject([{ ts: reply.ts }]);
    expect(middle.threads.records.size).toBe(1);
  });

  it('at the top of a direct message: belongs to its conversation', async () => {
    const { middle, react, found } = begin();
    const message = said({ channel: 'D01', channelKind: 'im', user: 'U01ALICE' });
    found.now = { threadTs: null, channelKind: 'im', message, own: null, reactions: [] };
    expect(await react({ channel: 'D01', channelKind: 'im' })).toEqual(accepted);
    expect(middle.threads.records.has(makeThreadKey({ team: TEAM, channel: 'D01', root: ROLLING }))).toBe(true);
  });

  it('in a group direct message: follows that one’s own policy', async () => {
    const { middle, react } = begin({ places: { group_dm: { reactions: {} } } });
    expect(await react({ channel: GROUP_DM })).toEqual(ignored('no_such_trigger'));
    expect(middle.threads.records.size).toBe(0);
  });

  it('late by its own time: is offered to whoever reacted', async () => {
    const { middle, react } = begin({ staleAfterMs: 60_000 });
    await middle.clock.advance(2_000_000);
    expect(await react()).toEqual(accepted);
    expect(middle.record(BELOW).offers).toMatchObject([{ kind: 'run_held', for: 'U01ALICE' }]);
    expect(middle.connections).toEqual([]);
  });

  it('never answers what the agent asks, and gives no command', async () => {
    const stop = { eyes: 'stop', x: '!stop', thumbs: 'yes', white_check_mark: 'go' };
    const { middle, react, run } = begin({ policy: { defaults: { ...closedPolicy.defaults, reactions: stop } } });
    await react({ emoji: 'white_check_mark' });
    await run();
    middle.connection.emit({
      type: 'approval-asked',
      request: {
        ...{ requestId: 'perm-1', callId: 'call-1', tool: 'AskUserQuestion', input: {}, diffs: [], suggestions: [] },
        questions: [
          { question: 'Which?', header: 'Which', options: [{ label: 'yes', description: '' }], multiSelect: false },
        ],
      },
    });
    await middle.clock.settle();
    for (const emoji of ['eyes', 'x', 'thumbs']) expect(await react({ emoji })).toEqual(accepted);
    expect(middle.connection.aborts).toBe(0);
    expect(middle.record(BELOW).approvals).toMatchObject([{ state: { state: 'open' } }]);
  });

  it('while the disk fails: rejects, and asks once when delivered again', async () => {
    const { middle, react } = begin();
    middle.threads.failing = 1;
    const at = '1000.000777';
    await expect(react({ at })).rejects.toThrow('disk full');
    expect(await react({ at })).toEqual(accepted);
    expect(middle.surface.said).toHaveLength(1);
  });

  it('while Slack does not tell the message: rejects', async () => {
    const { react, found } = begin();
    found.isDown = true;
    await expect(react()).rejects.toThrow('slack is away');
  });

  it('while the agent is paused: is told so, and may react again', async () => {
    const { middle, react } = begin({ policy: { admins: { ids: ['U01ALICE'], groups: [] } } });
    await middle.write('!pause', { mention: true });
    await react();
    expect(middle.surface.whispered.at(-1)?.text).toMatch(/React again then\.$/);
    await middle.write('!resume', { mention: true });
    await react({ kind: 'removed' });
    expect(await react()).toEqual(accepted);
  });

  it('counts towards the limit of turns', async () => {
    const limits = { user: { rate: { turns: 1, perMs: 60_000 }, atOnce: null }, channel: { rate: null, atOnce: null } };
    const { react, found, middle } = begin({ policy: { limits, defaults: withEyes } });
    expect(await react()).toEqual(accepted);
    found.now = { ...(found.now as FoundMessage), message: said({ ts: '901.000001' }) };
    expect(await react({ ts: '901.000001' })).toEqual({ outcome: 'refused', reason: 'user_rate' });
    expect(middle.surface.whispered).toMatchObject([{ user: 'U01ALICE' }]);
  });
});

const withEyes = { ...closedPolicy.defaults, reactions: { eyes: 'Look at this.' } };

describe('a reaction that asks nothing', () => {
  it.for([
    ['with another emoji', { emoji: 'tada' }, 'no_such_trigger'],
    ['in a channel whose policy names none', { channel: 'C02ENG' }, 'no_such_trigger'],
    ['of a guest', { user: 'U04GUEST' }, 'user_is_guest'],
    ['of somebody from outside', { user: 'U05EXT' }, 'user_is_external'],
    ['of a bot', { user: 'U06BOT' }, 'reaction_of_a_bot'],
    ['to a message of ours', { isOurs: true }, 'own_message'],
  ] as const)('%s: is not read, told or stored', async ([, change, reason]) => {
    const { middle, react, found } = begin({
      places: { C02ENG: { reactions: {} } },
      policy: { defaults: withEyes, users: { ...closedPolicy.users, members: true, ids: ['U06BOT'] } },
    });
    middle.policy.places = new Map([['C02ENG', { reactions: {} }]]);
    expect(await react(change)).toEqual(ignored(reason));
    expect([found.reads, middle.threads.records.size]).toEqual([0, 0]);
    expect([middle.surface.said, middle.surface.whispered]).toEqual([[], []]);
  });

  it('to a message that is gone, or of no one: is ignored', async () => {
    const { react, found } = begin();
    found.now = null;
    expect(await react()).toEqual(ignored('no_such_message'));
    found.now = { threadTs: null, channelKind: 'channel', message: null, own: null, reactions: [] };
    expect(await react()).toEqual(ignored('no_such_message'));
  });
});

describe('👍 and 👎 on an answer', () => {
  const answer: FoundMessage = {
    threadTs: ROOT,
    channelKind: 'channel',
    message: null,
    own: { kind: 'answer', turn: 'turn-1' },
    reactions: [],
  };
  const vote = { isOurs: true, emoji: '+1' };

  it('count once for each person, and are taken back with the reaction', async () => {
    const { react, found, feedback } = begin({ hasFeedback: true });
    found.now = answer;
    const verdicts = async () => (await feedback?.list())?.map(({ user, verdict }) => `${user} ${verdict}`);
    expect(await react(vote)).toEqual({ outcome: 'noted' });
    expect(await react(vote)).toEqual({ outcome: 'repeated' });
    expect(await react({ ...vote, user: 'U02BOB', emoji: '-1' })).toEqual({ outcome: 'noted' });
    expect(await verdicts()).toEqual(['U01ALICE good', 'U02BOB bad']);
    expect(await react({ ...vote, kind: 'removed' })).toEqual({ outcome: 'taken_back' });
    expect(await verdicts()).toEqual(['U02BOB bad']);
  });

  it('of one person: the later one counts, else the one left', async () => {
    const { react, found, feedback } = begin({ hasFeedback: true });
    found.now = answer;
    const verdicts = async () => (await feedback?.list())?.map(({ verdict }) => verdict);
    await react(vote);
    await react({ ...vote, emoji: '-1' });
    expect(await verdicts()).toEqual(['bad']);
    await react({ ...vote, emoji: '-1', kind: 'removed' });
    expect(await verdicts()).toEqual(['good']);
  });

  it('overtaken by their removal: count nothing', async () => {
    const { react, found, shown, middle, feedback } = begin({ hasFeedback: true });
    found.now = answer;
    expect(await react({ ...vote, kind: 'removed' })).toEqual(ignored('not_noted'));
    const event = { ...vote, kind: 'added', team: TEAM, channel: 'C01GEN', channelKind: 'channel', external: null };
    shown('+1', 'U01ALICE', false);
    const late = { ...event, ts: TO, user: 'U01ALICE', at: '999.000001' } as InboundReaction;
    expect(await middle.intake.handleReaction(late)).toEqual(ignored('overtaken'));
    expect(await feedback?.list()).toEqual([]);
  });

  it('on a card decide nothing, and say so to whoever reacted alone', async () => {
    const { react, found, middle, feedback } = begin({ hasFeedback: true });
    found.now = { ...answer, own: { kind: 'card', turn: 'turn-1' } };
    expect(await react(vote)).toEqual(ignored('not_an_answer'));
    expect(middle.surface.whispered).toMatchObject([
      { user: 'U01ALICE', text: expect.stringContaining('use the buttons') },
    ]);
    expect(await feedback?.list()).toEqual([]);
  });

  it('of somebody without access, or on a notice: count nothing', async () => {
    const { react, found, middle, feedback } = begin({ hasFeedback: true });
    found.now = answer;
    expect(await react({ ...vote, user: 'U04GUEST' })).toEqual(ignored('user_is_guest'));
    expect(await react({ ...vote, user: 'U06BOT' })).toEqual(ignored('bot_may_only_speak'));
    expect(found.reads).toBe(0);
    found.now = { ...answer, own: { kind: 'notice', turn: null } };
    expect(await react(vote)).toEqual(ignored('not_an_answer'));
    expect([await feedback?.list(), middle.surface.whispered]).toEqual([[], []]);
  });
});
