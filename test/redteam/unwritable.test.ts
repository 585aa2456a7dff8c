import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/middle.ts';
import { createShown, type Shown } from '../support/shown.ts';

const ANSWER = 'the answer that somebody asked for';

/** Alice's turn runs; nothing of it is in Slack yet. */
async function begin(isAgent = false): Promise<Shown> {
  const shown = createShown({ isAgent });
  const { middle } = shown;
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  return shown;
}

const end = (shown: Shown) => {
  shown.middle.connection.say(ANSWER);
  shown.middle.connection.end();
};
const direct = (shown: Shown, user: string) =>
  shown.slack
    .messages(user, null)
    .map((message) => shown.read(message))
    .join('\n');
const atTop = (shown: Shown) => shown.slack.messages('C01GEN', null).map((message) => shown.read(message));
const refuse = (shown: Shown, error: string) => {
  shown.slack.fault = (method, args) =>
    method.startsWith('chat.') && args.channel === 'C01GEN' ? { kind: 'refused', error } : null;
};

describe('a thread whose root was deleted before the first reply', () => {
  test('posts nothing in the channel; the author gets the answer directly', async () => {
    const shown = await begin();
    shown.slack.deleteRoot('C01GEN', ROOT);
    await shown.middle.clock.advance(10_000);
    expect(atTop(shown)).toEqual([]);
    end(shown);
    await shown.middle.clock.advance(60_000);
    expect(atTop(shown)).toEqual([]);
    expect(shown.messages()).toEqual([]);
    expect(direct(shown, 'U01ALICE')).toContain(ANSWER);
    expect(direct(shown, 'U01ALICE')).toContain('The first message of your thread in <#C01GEN> was deleted');
    expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
    expect(shown.middle.record().turn).toBeNull();
  });

  test.each(['limited', 'before', 'after'] as const)(
    'Slack unwell (%s): takes back its post in the channel',
    async (kind) => {
      const shown = await begin();
      shown.slack.deleteRoot('C01GEN', ROOT);
      let left = 2;
      shown.slack.fault = (method) => {
        if (left === 0 || (method !== 'chat.delete' && method !== 'chat.postMessage')) return null;
        left -= 1;
        return kind === 'limited' ? { kind, retryAfterMs: 5_000 } : { kind };
      };
      end(shown);
      await shown.middle.clock.advance(120_000);
      expect(atTop(shown)).toEqual([]);
      expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
      expect(shown.middle.record().turn).toBeNull();
    },
  );

  test('restart: posts nothing in the channel', async () => {
    const shown = await begin();
    const { middle, slack } = shown;
    slack.deleteRoot('C01GEN', ROOT);
    await middle.clock.advance(10_000);
    const before = slack.callsOf('chat.postMessage').length;
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    await middle.restart();
    middle.connection.past = [
      { kind: 'user', id: 'u', clientMessageId: id, text: 'list' },
      { kind: 'assistant', id: 'm-1', text: ANSWER },
    ];
    middle.connection.ready();
    await middle.clock.advance(60_000);
    const posted = slack.callsOf('chat.postMessage').slice(before);
    // To her, and then to the direct message with her that Slack's answer names.
    expect([...new Set(posted.map(({ args }) => args.channel))]).toEqual(['U01ALICE', 'D01ALICE']);
    expect(direct(shown, 'U01ALICE')).toContain(ANSWER);
  });

  test('request: is denied', async () => {
    const shown = await begin();
    const { middle } = shown;
    shown.slack.deleteRoot('C01GEN', ROOT);
    const request = {
      requestId: 'perm-1',
      callId: 'call-1',
      tool: 'Bash',
      input: { command: 'touch one.txt' },
      suggestions: [],
    };
    const rest = { diffs: [], questions: null };
    middle.connection.emit({ type: 'approval-asked', request: { ...request, ...rest } });
    await middle.clock.advance(20_000);
    expect(middle.connection.answers).toMatchObject([{ decision: { behavior: 'deny' } }]);
    expect(atTop(shown)).toEqual([]);
  });
});

describe.each(['not_in_channel', 'channel_not_found', 'is_archived', 'restricted_action'])(
  'a channel closed by %s',
  (word) => {
    test('during a turn: author gets the answer, waiting people hear why', async () => {
      const shown = await begin();
      const { middle } = shown;
      await middle.write('my turn, please', { user: 'U02BOB', mention: true });
      await middle.clock.advance(10_000);
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(60_000);
      expect(direct(shown, 'U01ALICE')).toContain(ANSWER);
      expect(direct(shown, 'U02BOB')).toContain('my turn, please');
      expect(direct(shown, 'U02BOB')).not.toContain(ANSWER);
      expect(middle.connection.submitted).toHaveLength(1);
      // Nobody is kept from working elsewhere meanwhile.
      expect(middle.workers.busy()).toEqual([]);

      // The channel opens again: the thread gets the answer once, and Bob his turn.
      shown.slack.fault = () => null;
      shown.surface.retrySoon('C01GEN');
      await middle.clock.advance(20_000);
      const thread = shown
        .messages()
        .map((message) => shown.read(message))
        .join('\n');
      expect(thread.split(ANSWER)).toHaveLength(2);
      expect(middle.connection.submitted).toHaveLength(2);
      expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
    });

    test('for half a day: ends the turn, never runs the queue', async () => {
      const shown = await begin();
      const { middle } = shown;
      await middle.write('my turn, please', { user: 'U02BOB', mention: true });
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(13 * 3_600_000);
      expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
      expect(middle.connections.flatMap(({ submitted }) => submitted)).toHaveLength(1);
      expect(direct(shown, 'U02BOB')).toMatch(/I did not run what you wrote/);
      expect(
        shown.slack.callsOf('chat.postMessage').filter(({ args }) => args.channel === 'C01GEN').length,
      ).toBeLessThan(120);
      expect(middle.clock.waiting).toBeLessThan(3);
    });

    test.each([false, true])('reopened after two days: nothing says that it runs (restart: %s)', async (restarts) => {
      const shown = await begin();
      const { middle } = shown;
      middle.connection.say('The first half, ');
      await middle.clock.advance(10_000);
      const live = () => shown.messages().map((message) => shown.read(message));
      expect(live().join()).toContain('Stop');
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(48 * 3_600_000);
      expect(middle.record()).toMatchObject({ turn: null, late: [{ ended: { outcome: 'done' } }] });
      if (restarts) await middle.restart();
      await middle.clock.advance(60_000);
      expect(live().join()).toContain('Stop');
      shown.slack.fault = () => null;
      shown.surface.retrySoon('C01GEN');
      await middle.clock.advance(60_000);
      expect(live()).toHaveLength(1);
      expect(live()[0]).toContain(`The first half, ${ANSWER}`);
      expect(live().join()).not.toMatch(/Stop|Writing/);
      expect(middle.record().late).toBeUndefined();
      expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
    });

    test('for two turns in a row: neither seems to run for ever', async () => {
      const shown = await begin();
      const { middle } = shown;
      middle.connection.say('The first half, ');
      await middle.clock.advance(10_000);
      const [first] = shown.messages();
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(13 * 3_600_000);
      // Posts work again, but not yet edits of the first answer.
      shown.slack.fault = (method, args) =>
        method === 'chat.update' && args.ts === first?.ts ? { kind: 'refused', error: word } : null;
      await middle.write('and count them', { thread: ROOT });
      middle.connections.at(-1)?.ready();
      await middle.clock.settle();
      middle.connection.begin('run-2');
      middle.connection.say('There are, ', 'run-2', 'm-2');
      await middle.clock.advance(10_000);
      expect(shown.messages()).toHaveLength(2);
      refuse(shown, word);
      middle.connection.say('so far, three.', 'run-2', 'm-2');
      middle.connection.end('end_turn', 'run-2');
      await middle.clock.advance(13 * 3_600_000);
      expect(middle.record().turn).toBeNull();
      shown.slack.fault = () => null;
      shown.surface.retrySoon('C01GEN');
      await middle.clock.advance(60_000);
      const [one, two] = shown.messages().map((message) => shown.read(message));
      expect(one).toContain(`The first half, ${ANSWER}`);
      expect(two).toContain('There are, so far, three.');
      expect(`${one} ${two}`).not.toMatch(/Stop|Writing/);
      expect(middle.record().late).toBeUndefined();
    });

    test('reopened for the next turn: its session goes on', async () => {
      const shown = await begin(true);
      const { middle, slack } = shown;
      middle.connection.say('The first half, ');
      await middle.clock.advance(10_000);
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(13 * 3_600_000);
      expect(slack.sessionStates('C01GEN', ROOT)).toEqual(['processing', 'active']);
      await middle.write('and count them', { thread: ROOT });
      middle.connections.at(-1)?.ready();
      await middle.clock.settle();
      middle.connection.begin('run-2');
      await middle.clock.advance(5_000);
      slack.fault = () => null;
      shown.surface.retrySoon('C01GEN');
      await middle.clock.advance(60_000);
      expect(middle.record()).toMatchObject({ turn: { state: 'submitted' } });
      expect(middle.record().late).toBeUndefined();
      expect(slack.sessionStates('C01GEN', ROOT)).toEqual(['processing', 'active', 'processing']);
    });

    test('during a restart: the answer is sent once', async () => {
      const shown = await begin();
      const { middle } = shown;
      await middle.clock.advance(5_000);
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(60_000);
      const id = middle.connection.submitted[0]?.clientMessageId ?? '';
      await middle.restart();
      middle.connection.past = [
        { kind: 'user', id: 'u', clientMessageId: id, text: 'list' },
        { kind: 'assistant', id: 'm-1', text: ANSWER },
      ];
      middle.connection.ready();
      await middle.clock.advance(120_000);
      expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
      shown.slack.fault = () => null;
      shown.surface.retrySoon('C01GEN');
      await middle.clock.advance(20_000);
      expect(
        shown
          .messages()
          .map((message) => shown.read(message))
          .join('\n')
          .split(ANSWER),
      ).toHaveLength(2);
      expect(middle.record().turn).toBeNull();
    });
  },
);

describe('a card that cannot be shown', () => {
  test('waits; its requester is told; appears once the bot is back', async () => {
    const shown = await begin();
    const { middle } = shown;
    await middle.clock.advance(5_000);
    refuse(shown, 'not_in_channel');
    const request = {
      requestId: 'perm-1',
      callId: 'call-1',
      tool: 'Bash',
      input: { command: 'touch one.txt' },
      suggestions: [],
    };
    middle.connection.emit({
      type: 'approval-asked',
      request: { ...request, diffs: [], questions: null },
    });
    await middle.clock.advance(3_600_000);
    expect(middle.connection.answers).toEqual([]);
    expect(direct(shown, 'U01ALICE')).toContain('I can’t show there what the agent asks');
    shown.slack.fault = () => null;
    shown.surface.retrySoon('C01GEN');
    await middle.clock.advance(5_000);
    expect(
      shown
        .messages()
        .map((message) => shown.read(message))
        .join('\n'),
    ).toContain('Approve');
  });
});
