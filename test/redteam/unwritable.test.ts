import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/middle.ts';
import { createShown, type Shown } from '../support/shown.ts';

const ANSWER = 'the answer that somebody asked for';

/** Alice's turn runs; nothing of it is in Slack yet. */
async function begin(): Promise<Shown> {
  const shown = createShown();
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
  test('shows nothing at the top of the channel; its author gets the answer as a direct message', async () => {
    const shown = await begin();
    shown.slack.deleteRoot('C01GEN', ROOT);
    await shown.middle.clock.advance(10_000);
    expect(atTop(shown)).toEqual([]);
    end(shown);
    await shown.middle.clock.advance(60_000);
    expect(atTop(shown)).toEqual([]);
    expect(shown.messages()).toEqual([]);
    expect(direct(shown, 'U01ALICE')).toContain(ANSWER);
    expect(direct(shown, 'U01ALICE')).toContain('The message that began your thread in <#C01GEN> was deleted');
    expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
    expect(shown.middle.record().turn).toBeNull();
  });

  test.each(['limited', 'before', 'after'] as const)(
    'takes back what it posted there when Slack is unwell (%s)',
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

  test('posts nothing there again after a restart', async () => {
    const shown = await begin();
    const { middle, slack } = shown;
    slack.deleteRoot('C01GEN', ROOT);
    await middle.clock.advance(10_000);
    const before = slack.of('chat.postMessage').length;
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    await middle.restart();
    middle.connection.past = [
      { kind: 'user', id: 'u', clientMessageId: id, text: 'list' },
      { kind: 'assistant', id: 'm-1', text: ANSWER },
    ];
    middle.connection.ready();
    await middle.clock.advance(60_000);
    const posted = slack.of('chat.postMessage').slice(before);
    // To her, and then to the direct message with her that Slack's answer names.
    expect([...new Set(posted.map(({ args }) => args.channel))]).toEqual(['U01ALICE', 'D01ALICE']);
    expect(direct(shown, 'U01ALICE')).toContain(ANSWER);
  });

  test('denies what nobody can decide there', async () => {
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
    test('until the turn is over: its author gets the answer, and those who wait are told so', async () => {
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
      shown.surface.knock('C01GEN');
      await middle.clock.advance(20_000);
      const thread = shown
        .messages()
        .map((message) => shown.read(message))
        .join('\n');
      expect(thread.split(ANSWER)).toHaveLength(2);
      expect(middle.connection.submitted).toHaveLength(2);
      expect(direct(shown, 'U01ALICE').split(ANSWER)).toHaveLength(2);
    });

    test('for half a day: the turn is settled, and what waits behind it never runs', async () => {
      const shown = await begin();
      const { middle } = shown;
      await middle.write('my turn, please', { user: 'U02BOB', mention: true });
      refuse(shown, word);
      end(shown);
      await middle.clock.advance(13 * 3_600_000);
      expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
      expect(middle.connections.flatMap(({ submitted }) => submitted)).toHaveLength(1);
      expect(direct(shown, 'U02BOB')).toMatch(/was not run/);
      expect(shown.slack.of('chat.postMessage').filter(({ args }) => args.channel === 'C01GEN').length).toBeLessThan(
        120,
      );
      expect(middle.clock.waiting).toBeLessThan(3);
    });

    test('while the bridge starts anew: the answer is said once', async () => {
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
      shown.surface.knock('C01GEN');
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

test('a card that cannot be shown waits for people, its requester is told, and it is shown when the bot is back', async () => {
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
  expect(direct(shown, 'U01ALICE')).toContain('I cannot show what the agent asks there');
  shown.slack.fault = () => null;
  shown.surface.knock('C01GEN');
  await middle.clock.advance(5_000);
  expect(
    shown
      .messages()
      .map((message) => shown.read(message))
      .join('\n'),
  ).toContain('Approve');
});
