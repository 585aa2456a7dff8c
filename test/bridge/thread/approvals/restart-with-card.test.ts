import { describe, expect, it } from 'vitest';
import type { ApprovalRequest, HistoryItem } from '../../../../src/bridge/agent-event.ts';
import { makeToken } from '../../../../src/bridge/ids.ts';
import type { ActionOutcome } from '../../../../src/bridge/inbound.ts';
import type { FakeMessage } from '../../../slack/outbox/fake-slack.ts';
import { ROOT, TEAM } from '../../../support/middle.ts';
import { createShown, type Shown } from '../../../support/shown.ts';
import { asking, bash } from './asking-people.ts';

const FIRST = bash('touch one.txt');
const SECOND = bash('touch two.txt', { requestId: 'perm-2', callId: 'call-2' });

/** A turn that runs; `say` and `ask` let all of it arrive in Slack. */
async function atWork(options: Parameters<typeof createShown>[0] = {}) {
  const shown = createShown(options);
  const { middle } = shown;
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  await middle.clock.advance(5_000);
  const id = middle.connection.submitted[0]?.clientMessageId ?? '';
  return Object.assign(shown, {
    id,
    async say(text: string, messageId: string) {
      middle.connection.say(text, 'run-1', messageId);
      await middle.clock.advance(5_000);
    },
    async ask(request: ApprovalRequest) {
      middle.connection.emit({ type: 'approval-asked', request });
      await middle.clock.advance(5_000);
    },
    /** Somebody has decided, and Letta goes on. */
    async decided(message: FakeMessage | undefined) {
      expect(await click(shown, message, 'approve')).toEqual({ result: 'decided' });
      middle.connection.emit({ type: 'approvals-open', requestIds: [] });
      await middle.clock.advance(5_000);
    },
    /** The bridge dies and starts again; nothing is known of Letta yet. */
    async restart() {
      await middle.restart();
      await middle.clock.advance(20_000);
    },
    /** Letta still waits for people. */
    async asksAgain(past: HistoryItem[], ...approvals: ApprovalRequest[]) {
      middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }, ...past];
      const clientMessageIdsByRun = { 'run-1': [id] };
      const loop = 'waiting_on_approval';
      middle.connection.ready({ loop, activeRunIds: ['run-1'], clientMessageIdsByRun, approvals });
      await middle.clock.advance(10_000);
    },
    /** Letta does not know of the turn any more, but for what was said. */
    async isIdle(past: HistoryItem[]) {
      middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }, ...past];
      middle.connection.ready();
      await middle.clock.advance(30_000);
    },
  });
}

const said = (id: string, text: string): HistoryItem => ({ kind: 'assistant', id, text });

const isCard = ({ blocks }: FakeMessage) => /bridge_(?:approve|answer)/.test(JSON.stringify(blocks));

function cardAbout(shown: Shown, words: string): FakeMessage | undefined {
  return shown.messages().find((message) => isCard(message) && shown.read(message).includes(words));
}

/** The button's value is all that a click brings with it. */
/** Clicks Approve, or the Deny that older versions of the bridge had beside it. */
function click(shown: Shown, message: FakeMessage | undefined, name: 'approve' | 'deny'): Promise<ActionOutcome> {
  const blocks = (message?.blocks ?? []) as { elements?: { action_id?: string; value?: string }[] }[];
  const button = blocks
    .flatMap(({ elements }) => elements ?? [])
    .find(({ action_id }) => action_id === 'bridge_approve');
  const token = makeToken(button?.value ?? 'none');
  const actor = { user: 'U01ALICE', team: TEAM };
  const where = { team: TEAM, channel: 'C01GEN', messageTs: message?.ts ?? '0', threadTs: ROOT };
  const outcome = shown.middle.intake.handleAction({ name, token, choice: null, actor, ...where });
  return shown.middle.clock.settle().then(() => outcome);
}

/** What Slack was asked to do since, by method. */
function callsSince(shown: Shown, count: number) {
  return (method: string) => shown.slack.calls.slice(count).filter((call) => call.method === method);
}

const frozen = (messages: readonly FakeMessage[]) => structuredClone(messages) as FakeMessage[];

describe('a restart of the bridge while a card is open', () => {
  it('leaves card and text untouched, live again once Letta asks again', async () => {
    const story = await atWork();
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const before = frozen(story.messages());
    expect(before.map((message) => isCard(message))).toEqual([false, true]);
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    expect(story.messages()).toEqual(before);
    await story.asksAgain([said('m-1', 'First I look around.')], FIRST);
    expect(story.messages()).toEqual(before);
    expect(since('chat.update')).toEqual([]);
    expect(since('chat.postMessage')).toEqual([]);
    expect(since('chat.delete')).toEqual([]);
    await story.decided(story.messages()[1]);
    expect(story.middle.connection.answers).toMatchObject([{ requestId: 'perm-1', decision: { behavior: 'allow' } }]);
    await story.say('It is done.', 'm-2');
    story.middle.connection.past.push(said('m-2', 'It is done.'));
    story.middle.connection.end();
    await story.middle.clock.advance(10_000);
    expect(
      story
        .messages()
        .map(({ ts }) => ts)
        .slice(0, 2),
    ).toEqual(before.map(({ ts }) => ts));
    const words = story.messages().map((message) => story.read(message));
    expect(words).toHaveLength(3);
    expect(words[0]).toContain('First I look around.');
    expect(words[1]).toContain('Approved');
    expect(words[2]).toContain('It is done.');
    expect(JSON.stringify(story.messages())).not.toMatch(/bridge_(?:approve|deny|stop)/);
  });

  it('asked when the history was out of reach: stays below the text', async () => {
    const story = await atWork();
    const { middle, id } = story;
    await story.say('First I look around.', 'm-1');
    await story.restart();
    middle.connection.fetchHistory = () => Promise.reject(new Error('away'));
    middle.connection.ready({
      loop: 'busy',
      activeRunIds: ['run-1'],
      clientMessageIdsByRun: { 'run-1': [id] },
    });
    await story.ask(FIRST);
    await middle.clock.advance(10_000);
    const before = story.messages();
    expect(before.map((message) => isCard(message))).toEqual([false, true]);
    await story.decided(before[1]);
    await story.say('It is done.', 'm-2');
    await story.restart();
    await story.isIdle([said('m-1', 'First I look around.'), said('m-2', 'It is done.')]);
    const words = story.messages().map((message) => story.read(message));
    expect(words[0]).toContain('First I look around.');
    expect(words[1]).toContain('Approved');
    expect(words[2]).toContain('It is done.');
    expect(words).toHaveLength(3);
  });

  it('keeps text above its card when the link tells it later', async () => {
    const story = await atWork();
    await story.restart();
    const { middle, id } = story;
    const text = 'First I look around.';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      said('m-1', text),
    ];
    const runs = { activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } };
    middle.connection.ready({ loop: 'waiting_on_approval', ...runs, approvals: [FIRST] });
    middle.connection.emit({ type: 'text-repaired', runId: 'run-1', messageId: 'm-1', text });
    await middle.clock.advance(10_000);
    expect(story.messages().map((message) => isCard(message))).toEqual([false, true]);
    expect(story.read(story.messages()[0])).toContain(text);
    await story.decided(story.messages()[1]);
    await story.say('It is done.', 'm-2');
    middle.connection.past.push(said('m-2', 'It is done.'));
    middle.connection.end();
    await middle.clock.advance(10_000);
    const words = story.messages().map((message) => story.read(message));
    expect(words).toEqual([
      expect.stringContaining(text),
      expect.stringContaining('Approved'),
      expect.stringContaining('It is done.'),
    ]);
  });

  it('click before Letta is there: refused with a reason', async () => {
    const story = await atWork();
    await story.ask(FIRST);
    await story.restart();
    const card = cardAbout(story, 'touch one.txt');
    expect(await click(story, card, 'approve')).toEqual({
      result: 'refused',
      why: 'unreachable',
      notice: expect.stringContaining('nothing was decided'),
    });
    expect(cardAbout(story, 'touch one.txt')?.ts).toBe(card?.ts);
    await story.asksAgain([], FIRST);
    expect(await click(story, cardAbout(story, 'touch one.txt'), 'approve')).toEqual({ result: 'decided' });
  });

  it('turn died with its socket: closes the card in its place', async () => {
    const story = await atWork({ turnsDieWithLink: true });
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const before = frozen(story.messages());
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    await story.isIdle([said('m-1', 'First I look around.')]);
    const after = story.messages();
    expect(after.slice(0, 2).map(({ ts }) => ts)).toEqual(before.map(({ ts }) => ts));
    expect(after[0]).toEqual(before[0]);
    expect(story.read(after[1])).toContain('Lost with the connection to Letta: nothing ran');
    expect(story.read(after[2])).toContain('Interrupted');
    expect(since('chat.delete')).toEqual([]);
    // The same message says what is left to be decided.
    expect(story.read(after[2])).toContain('Ask again');
    expect(after).toHaveLength(3);
    expect(JSON.stringify(after)).not.toMatch(/bridge_(?:approve|deny|stop)/);
  });

  it('keeps texts and cards in their order, also when the turn died', async () => {
    for (const dies of [false, true]) {
      const story = await atWork({ turnsDieWithLink: dies });
      await story.say('Before all.', 'm-1');
      await story.ask(FIRST);
      await story.decided(cardAbout(story, 'touch one.txt'));
      await story.say('In between.', 'm-2');
      await story.ask(SECOND);
      const before = frozen(story.messages());
      const past = [said('m-1', 'Before all.'), said('m-2', 'In between.')];
      const since = callsSince(story, story.slack.calls.length);
      await story.restart();
      expect(story.messages().slice(0, 4)).toEqual(before.slice(0, 4));
      if (dies) await story.isIdle(past);
      else {
        await story.asksAgain(past, SECOND);
        expect(story.messages().slice(0, 4)).toEqual(before.slice(0, 4));
        await story.decided(cardAbout(story, 'touch two.txt'));
        await story.say('After all.', 'm-3');
        story.middle.connection.past.push(said('m-3', 'After all.'));
        story.middle.connection.end();
        await story.middle.clock.advance(10_000);
      }
      expect(since('chat.delete')).toEqual([]);
      const words = story.messages().map((message) => story.read(message));
      expect(words[0]).toContain('Before all.');
      expect(words[1]).toContain('Approved');
      expect(words[2]).toContain('In between.');
      expect(words[3]).toContain(dies ? 'Lost with the connection' : 'Approved');
      expect(words[4]).toContain(dies ? 'Interrupted' : 'After all.');
      const first = before.map(({ ts }) => ts);
      expect(
        story
          .messages()
          .slice(0, first.length)
          .map(({ ts }) => ts),
      ).toEqual(first);
    }
  });

  it('two open cards: each keeps its message', async () => {
    const story = await atWork();
    await story.say('Two things.', 'm-1');
    await story.ask(FIRST);
    await story.ask(SECOND);
    const [one, two] = [cardAbout(story, 'touch one.txt'), cardAbout(story, 'touch two.txt')];
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    await story.asksAgain([said('m-1', 'Two things.')], FIRST, SECOND);
    expect(cardAbout(story, 'touch one.txt')?.ts).toBe(one?.ts);
    expect(cardAbout(story, 'touch two.txt')?.ts).toBe(two?.ts);
    expect(since('chat.postMessage')).toEqual([]);
    expect(since('chat.delete')).toEqual([]);
    await click(story, cardAbout(story, 'touch two.txt'), 'deny');
    await story.middle.clock.advance(5_000);
    expect(story.middle.connection.answers.map(({ requestId }) => requestId)).toEqual(['perm-2']);
    expect(cardAbout(story, 'touch one.txt')?.ts).toBe(one?.ts);
  });

  it('open question: keeps its message and its answers', async () => {
    const story = await atWork();
    await story.say('I need to know.', 'm-1');
    const question = asking([{ question: 'Which colour?', options: ['Red', 'Blue'] }]);
    await story.ask(question);
    const before = frozen(story.messages());
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    expect(story.messages().slice(0, 2)).toEqual(before.slice(0, 2));
    await story.asksAgain([said('m-1', 'I need to know.')], question);
    expect(story.messages().slice(0, 2)).toEqual(before.slice(0, 2));
    expect(since('chat.postMessage')).toEqual([]);
    await story.middle.write('Blue', { ts: `${(story.middle.clock.now() / 1000).toFixed(6)}` });
    expect(story.middle.connection.answers).toMatchObject([
      { requestId: 'perm-q', decision: { updatedInput: { answers: { 'Which colour?': 'Blue' } } } },
    ]);
  });

  it('request changed meanwhile: closes the old card, posts the new below', async () => {
    const story = await atWork();
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const before = frozen(story.messages());
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    await story.asksAgain([said('m-1', 'First I look around.')], bash('rm -r everything'));
    const after = story.messages();
    expect(after[0]).toEqual(before[0]);
    expect(after[1]?.ts).toBe(before[1]?.ts);
    expect(story.read(after[1])).toContain('Answered outside Slack');
    const other = cardAbout(story, 'rm -r everything');
    expect(after.findIndex(({ ts }) => ts === other?.ts)).toBeGreaterThan(1);
    expect(await click(story, before[1], 'approve')).toMatchObject({ result: 'refused' });
    expect(await click(story, other, 'deny')).toEqual({ result: 'decided' });
    // The one notification is that of the other card; the line below it makes room.
    expect(since('chat.postMessage').filter(({ args }) => String(args.text).includes('Run this command'))).toHaveLength(
      1,
    );
    expect(since('chat.delete').filter(({ args }) => args.ts === before[1]?.ts)).toEqual([]);
  });

  it('Letta away: leaves the card; conversation gone: closes it', async () => {
    const story = await atWork();
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const before = frozen(story.messages());
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    const notice = 'The device studio is offline.';
    story.middle.connection.emit({ type: 'unavailable', code: 'environment_offline', notice, retryInMs: 1_000 });
    await story.middle.clock.advance(3 * 3_600_000);
    expect(story.messages().slice(0, 2)).toEqual(before.slice(0, 2));
    expect(story.read(story.messages()[2])).toContain(notice);
    story.middle.connection.emit({
      type: 'unavailable',
      code: 'agent_unknown',
      notice: 'It is gone.',
      retryInMs: null,
    });
    await story.middle.clock.advance(60_000);
    const after = story.messages();
    expect(after.slice(0, 2).map(({ ts }) => ts)).toEqual(before.map(({ ts }) => ts));
    // Nobody can tell any more what was said, so what was shown of it stays.
    expect(after[0]).toEqual(before[0]);
    expect(story.read(after[1])).toContain('No longer needed');
    expect(story.read(after[2])).toContain('It is gone.');
    expect(since('chat.delete')).toEqual([]);
    expect(JSON.stringify(after)).not.toMatch(/bridge_(?:approve|deny|stop)/);
  });

  it('history unreadable: keeps every message, completes them at the end', async () => {
    const story = await atWork();
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const before = frozen(story.messages());
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    const { connection } = story.middle;
    const history = connection.fetchHistory.bind(connection);
    connection.fetchHistory = () => Promise.reject(new Error('no history'));
    await story.asksAgain([said('m-1', 'First I look around.')], FIRST);
    expect(story.messages()[0]).toEqual(before[0]);
    expect(story.messages()[1]?.ts).toBe(before[1]?.ts);
    await story.decided(story.messages()[1]);
    await story.say('It is done.', 'm-2');
    expect(story.messages()[0]).toEqual(before[0]);
    expect(story.read(story.messages()[2])).toContain('It is done.');
    connection.fetchHistory = history;
    connection.past.push(said('m-2', 'It is done.'));
    connection.end();
    await story.middle.clock.advance(10_000);
    expect(
      story
        .messages()
        .map(({ ts }) => ts)
        .slice(0, 2),
    ).toEqual(before.map(({ ts }) => ts));
    expect(story.read(story.messages()[0])).toContain('First I look around.');
    expect(since('chat.postMessage')).toHaveLength(1);
    expect(since('chat.delete')).toEqual([]);
  });

  it('card not yet posted: is posted once, below the text before it', async () => {
    // Asked while the bridge was down, and asked just before it died.
    for (const asked of ['meanwhile', 'before'] as const) {
      const story = await atWork();
      await story.say('First I look around.', 'm-1');
      const [text] = frozen(story.messages());
      const since = callsSince(story, story.slack.calls.length);
      if (asked === 'before') {
        story.middle.connection.emit({ type: 'approval-asked', request: FIRST });
        await story.middle.clock.settle();
        expect(cardAbout(story, 'touch one.txt')).toBeUndefined();
      }
      await story.restart();
      if (asked === 'meanwhile') expect(since('chat.postMessage')).toEqual([]);
      await story.asksAgain([said('m-1', 'First I look around.')], FIRST);
      const after = story.messages();
      expect(after[0]?.ts).toBe(text?.ts);
      expect(story.read(after[0])).toContain('First I look around.');
      expect(story.read(after[0])).not.toContain('I restarted');
      expect(after[1]).toEqual(cardAbout(story, 'touch one.txt'));
      expect(since('chat.delete')).toEqual([]);
      expect(since('chat.postMessage').filter(({ args }) => String(args.text).includes('touch one'))).toHaveLength(1);
    }
  });

  it('history never comes: a new card can still be decided', async () => {
    const story = await atWork();
    await story.restart();
    story.middle.connection.fetchHistory = () => new Promise(() => {});
    await story.asksAgain([], FIRST);
    expect(await click(story, cardAbout(story, 'touch one.txt'), 'approve')).toEqual({ result: 'decided' });
  });

  it('repeated restarts: change nothing', async () => {
    const story = await atWork();
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const before = frozen(story.messages());
    const since = callsSince(story, story.slack.calls.length);
    for (let round = 0; round < 3; round += 1) {
      await story.restart();
      await story.restart();
      await story.asksAgain([said('m-1', 'First I look around.')], FIRST);
    }
    expect(story.messages()).toEqual(before);
    expect(since('chat.postMessage')).toEqual([]);
    expect(since('chat.delete')).toEqual([]);
  });

  it('two restarts: both cards keep their places', async () => {
    const story = await atWork();
    const past = [said('m-1', 'First I look around.')];
    await story.say('First I look around.', 'm-1');
    await story.restart();
    await story.asksAgain(past, FIRST);
    await story.decided(cardAbout(story, 'touch one.txt'));
    await story.ask(SECOND);
    const before = frozen(story.messages());
    expect(before.map((message) => isCard(message))).toEqual([false, false, false, true]);
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    await story.asksAgain(past, SECOND);
    expect(story.messages().map(({ ts }) => ts)).toEqual(before.map(({ ts }) => ts));
    const words = story.messages().map((message) => story.read(message));
    expect(words).toEqual([
      expect.stringContaining('First I look around.'),
      expect.stringContaining('Approved'),
      expect.stringContaining('worked on it, then asked'),
      expect.stringContaining('touch two.txt'),
    ]);
    expect(since('chat.postMessage')).toEqual([]);
    expect(since('chat.delete')).toEqual([]);
  });

  it('text above the card grew too long: the rest goes below it', async () => {
    const story = await atWork();
    await story.say('First I look around.', 'm-1');
    await story.ask(FIRST);
    const card = cardAbout(story, 'touch one.txt');
    const whole = `First I look around. ${'Here I see a file. '.repeat(800)}That was all.`;
    const since = callsSince(story, story.slack.calls.length);
    await story.restart();
    await story.asksAgain([said('m-1', whole)], FIRST);
    await story.middle.clock.advance(30_000);
    expect(cardAbout(story, 'touch one.txt')?.ts).toBe(card?.ts);
    expect(story.messages().indexOf(cardAbout(story, 'touch one.txt') as FakeMessage)).toBe(1);
    const words = story.messages().map((message) => story.read(message));
    expect(words[0]).toContain('First I look around.');
    expect(words.slice(2).join(' ')).toContain('That was all.');
    expect(since('chat.delete').filter(({ args }) => args.ts === card?.ts)).toEqual([]);
    expect(await click(story, cardAbout(story, 'touch one.txt'), 'approve')).toEqual({ result: 'decided' });
  });
});
