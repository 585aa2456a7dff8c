import { describe, expect, test } from 'vitest';
import type { TeamId, Token, TurnId, UserId } from '../../../src/bridge/ids.ts';
import type { PostRecord } from '../../../src/bridge/record/thread-record.ts';
import type { OfferView } from '../../../src/bridge/view/offer.ts';
import type { TurnView, ViewItem } from '../../../src/bridge/view/turn.ts';
import { address, card, createStage, text } from './stage.ts';

const channel = address.channel;
const thread = address.threadTs as string;
const endedView = (items: ViewItem[]): TurnView => ({
  turn: 'turn-1' as TurnId,
  address,
  notPassedOn: [],
  items,
  live: null,
  ending: { outcome: 'done', line: null, by: null, tools: 0, durationMs: 0 },
});
const shownIn = (stage: ReturnType<typeof createStage>) => stage.slack.shown(channel, thread);

describe('a notification at the end of a turn', () => {
  const end = { items: [text('all of it')], notify: 'U1' };

  test('is a new message posted after the last edit', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('x'.repeat(100))] });
    await stage.clock.advance(10_000);
    expect(shownIn(stage)).toHaveLength(3);
    turn.finish(end);
    await stage.clock.advance(10_000);
    expect(shownIn(stage)).toEqual(['all of it', 'told U1']);
    const [note] = stage.slack.callsOf('chat.postMessage').slice(-1);
    const lastEdit = stage.slack.callsOf('chat.update').at(-1);
    expect(note?.at).toBeGreaterThanOrEqual(lastEdit?.answeredAt ?? Number.POSITIVE_INFINITY);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('is posted once, whenever the process dies', async () => {
    for (let after = 0; after < 1_500; after += 40) {
      const stage = createStage();
      const turn = stage.turn();
      turn.show({ items: [text('half')] });
      await stage.clock.advance(5_000);
      turn.finish(end);
      await stage.clock.advance(after);
      stage.crash();
      const again = stage.turn(address, turn.stored, 'turn-1', true);
      again.finish(end);
      await stage.clock.advance(10_000);
      expect(again.delivery).toEqual({ delivered: true });
      expect(shownIn(stage)).toEqual(['all of it', 'told U1']);
    }
  });
});

describe('text that grows', () => {
  test('is looked at once for each call, however many words come', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('Words that are read at once: 0')] });
    await stage.clock.advance(3_000);
    let looks = 0;
    for (let n = 0; n < 1_000; n += 1) {
      turn.grow(() => {
        looks += 1;
        return { items: [text(`Words that are read at once: ${n}`)] };
      });
      await stage.clock.advance(10);
    }
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['Words that are read at once: 999[thinking]']);
    const calls = stage.slack.callsOf('chat.update').length + stage.slack.callsOf('chat.postMessage').length;
    expect(looks).toBeLessThanOrEqual(2 * calls);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('is not shown any more once the turn has ended', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('Words that people can read at once, more than a few')] });
    await stage.clock.advance(3_000);
    turn.show({ items: [text('Words that people can read at once, more than a few, and')] });
    turn.grow(() => ({ items: [text('stale')] }));
    turn.finish({ items: [text('All of it.')] });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['All of it.']);
  });
});

describe('a turn that leaves nothing to show', () => {
  test('is over without a message', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.finish({});
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.slack.callsOf('chat.postMessage')).toEqual([]);
  });

  test('takes its sign of life back, also after a crash', async () => {
    for (let after = 0; after < 1_500; after += 100) {
      const stage = createStage();
      const turn = stage.turn();
      turn.show({});
      await stage.clock.advance(12_000);
      expect(shownIn(stage)).toHaveLength(1);
      turn.finish({});
      await stage.clock.advance(after);
      stage.crash();
      const again = stage.turn(address, turn.stored, 'turn-1', true);
      again.finish({});
      await stage.clock.advance(10_000);
      expect(again.delivery).toEqual({ delivered: true });
      expect(shownIn(stage)).toEqual([]);
    }
  });
});

describe('the paused view before the process ends', () => {
  test('replaces the turn’s message at once; only the next process edits it', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('Half')] });
    await stage.clock.advance(3_000);
    turn.show({ items: [text('Half of it')] });
    await stage.clock.advance(100);
    let said = false;
    void turn.pause({ items: [text('Half of it all')] }).then(() => {
      said = true;
    });
    await stage.clock.advance(400);
    expect(said).toBe(true);
    turn.show({ items: [text('Half of it all, and')] });
    await stage.clock.advance(3_000);
    expect(shownIn(stage)).toEqual(['Half of it all[paused]']);
    stage.crash();
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.show({ items: [text('Half of it all, and more')] });
    await stage.clock.advance(3_000);
    expect(shownIn(stage)).toEqual(['Half of it all, and more[thinking]']);
  });

  test('goes ahead of live edits: forty turns within four seconds', async () => {
    const stage = createStage();
    const turns = Array.from({ length: 40 }, (_, n) =>
      stage.turn({ ...address, threadTs: `${n + 1}.000001` }, [], `t${n}`),
    );
    for (const turn of turns) turn.show({ items: [text('Half')] });
    await stage.clock.advance(120_000);
    let said = 0;
    for (const turn of turns) void turn.pause({ items: [text('Half')] }).then(() => (said += 1));
    await stage.clock.advance(4_000);
    expect(said).toBe(40);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('is skipped without a message, and waits for one being posted', async () => {
    const stage = createStage();
    const early = stage.turn();
    early.show({});
    await early.pause({});
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual([]);

    const other = { ...address, threadTs: '1.000001' };
    const late = stage.turn(other, [], 'turn-2');
    late.show({ items: [text('Half')] });
    await stage.clock.advance(1);
    void late.pause({ items: [text('Half')] });
    await stage.clock.advance(5_000);
    expect(stage.slack.shown(channel, '1.000001')).toEqual(['Half[paused]']);
  });

  test('leaves open cards as they are', async () => {
    const stage = createStage();
    const turn = stage.turn();
    const items = [text('Half'), card('a')];
    turn.show({ items, activity: { kind: 'waiting_for_people' } });
    await stage.clock.advance(5_000);
    const edits = stage.slack.callsOf('chat.update').length;
    await Promise.race([turn.pause({ items }), stage.clock.advance(4_000)]);
    expect(shownIn(stage)).toEqual(['Half', 'card a open', '[paused]']);
    expect(stage.slack.callsOf('chat.update')).toHaveLength(edits + 1);
  });

  test('is not waited for when Slack refuses it', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('Half')] });
    await stage.clock.advance(3_000);
    stage.slack.fault = (method) => (method === 'chat.update' ? { kind: 'refused', error: 'channel_not_found' } : null);
    let said = false;
    void turn.pause({ items: [text('Half')] }).then(() => {
      said = true;
    });
    await stage.clock.advance(1_000);
    expect(said).toBe(true);
  });
});

describe('a turn in Slack', () => {
  test('begins with a status that the first text replaces', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(500);
    expect(stage.slack.status(channel, thread)).toBe('is thinking…');
    expect(shownIn(stage)).toEqual([]);
    turn.show({ items: [text('Hello')], activity: { kind: 'writing' } });
    await stage.clock.advance(100);
    expect(shownIn(stage)).toEqual(['Hello[writing]']);
    expect(stage.slack.status(channel, thread)).toBe('');
    turn.finish({ items: [text('Hello world')] });
    await stage.clock.advance(200);
    expect(shownIn(stage)).toEqual(['Hello world']);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.slack.callsOf('assistant.threads.setStatus')).toHaveLength(1);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('thinks: live message after ten seconds, no edits without news', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(9_900);
    expect(shownIn(stage)).toEqual([]);
    await stage.clock.advance(300);
    expect(shownIn(stage)).toEqual(['[thinking]']);
    await stage.clock.advance(600_000);
    expect(stage.slack.callsOf('chat.update')).toEqual([]);
    expect(stage.clock.waiting).toBe(0);
  });

  test('uses a tool: status says so, message after ten seconds', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(500);
    turn.show({ activity: { kind: 'tool', tool: 'Bash', detail: 'ls' } });
    await stage.clock.advance(4_000);
    expect(stage.slack.status(channel, thread)).toBe('is using a tool…');
    expect(shownIn(stage)).toEqual([]);
    await stage.clock.advance(6_000);
    expect(shownIn(stage)).toEqual(['[tool]']);
    expect(stage.slack.status(channel, thread)).toBe('');
    expect(stage.slack.callsOf('assistant.threads.setStatus')).toHaveLength(2);
  });

  test('answers at once: sets no status', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(200);
    turn.finish({ items: [text('Yes')] });
    await stage.clock.advance(10_000);
    expect(stage.slack.calls.map(({ method }) => method)).toEqual(['chat.postMessage']);
    expect(stage.clock.waiting).toBe(0);
  });

  test('first message refused for a while: a status shows meanwhile', async () => {
    const stage = createStage();
    stage.slack.fault = (method) => (method === 'chat.postMessage' ? { kind: 'limited', retryAfterMs: 30_000 } : null);
    const turn = stage.turn();
    turn.show({ items: [text('Hello')] });
    await stage.clock.advance(1_000);
    expect(stage.slack.status(channel, thread)).toBe('is thinking…');
    stage.slack.fault = () => null;
    turn.finish({ items: [text('Hello')] });
    await stage.clock.advance(60_000);
    expect(shownIn(stage)).toEqual(['Hello']);
    expect(stage.slack.status(channel, thread)).toBe('');
  });

  test('second turn in a channel: its status waits for its place', async () => {
    const stage = createStage();
    stage.turn().show({});
    await stage.clock.advance(750);
    stage.turn({ ...address, threadTs: '1700000000.000002' }, [], 'turn-2').show({});
    await stage.clock.advance(800);
    expect(stage.slack.status(channel, '1700000000.000002')).toBe('is thinking…');
    expect(stage.slack.complaints).toEqual([]);
  });

  test('uses tools that are quick: sets its status once', async () => {
    const stage = createStage();
    const turn = stage.turn();
    for (let n = 0; n < 4; n += 1) {
      turn.show({ activity: { kind: 'tool', tool: 'Bash', detail: `ls ${n}` } });
      await stage.clock.advance(500);
      turn.show({});
      await stage.clock.advance(500);
    }
    turn.finish({ items: [text('Done')] });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['Done']);
    expect(stage.slack.calls.map(({ method }) => method)).toEqual(['assistant.threads.setStatus', 'chat.postMessage']);
    expect(stage.slack.status(channel, thread)).toBe('');
    expect(stage.clock.waiting).toBe(0);
  });

  test('changes its status while it answers: none is left', async () => {
    const stage = createStage();
    stage.slack.latency = (method) => (method.startsWith('assistant') ? 900 : 100);
    const turn = stage.turn();
    turn.show({ activity: { kind: 'tool', tool: 'Bash', detail: 'ls' } });
    await stage.clock.advance(3_500);
    turn.finish({ items: [text('Done')] });
    await stage.clock.advance(10_000);
    expect(stage.slack.status(channel, thread)).toBe('');
    expect(shownIn(stage)).toEqual(['Done']);
  });

  test('waits for Letta: says so after two seconds', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ activity: { kind: 'waiting_for_letta', notice: 'offline' } });
    await stage.clock.advance(1_900);
    expect(shownIn(stage)).toEqual([]);
    await stage.clock.advance(300);
    expect(shownIn(stage)).toEqual(['[waiting_for_letta]']);
  });

  test('gets a message within a second where Slack refuses statuses for good', async () => {
    const stage = createStage();
    stage.slack.fault = (method) =>
      method.startsWith('assistant') ? { kind: 'refused', error: 'missing_scope' } : null;
    const first = stage.turn();
    first.show({});
    await stage.clock.advance(700);
    expect(shownIn(stage)).toEqual(['[thinking]']);
    const second = stage.turn({ ...address, channel: 'C02' }, [], 'turn-2');
    second.show({});
    await stage.clock.advance(700);
    expect(stage.slack.shown('C02', thread)).toEqual(['[thinking]']);
    expect(stage.slack.callsOf('assistant.threads.setStatus')).toHaveLength(1);
  });

  test('in another thread tries the status again after one thread refused it', async () => {
    const stage = createStage();
    stage.slack.fault = (method) =>
      method.startsWith('assistant') ? { kind: 'refused', error: 'invalid_thread_ts' } : null;
    stage.turn().show({});
    await stage.clock.advance(600);
    stage.turn({ ...address, channel: 'C02' }, [], 'turn-2').show({});
    await stage.clock.advance(600);
    expect(stage.slack.callsOf('assistant.threads.setStatus')).toHaveLength(2);
  });

  test('in a direct message gets a top-level message within a second', async () => {
    const stage = createStage();
    const turn = stage.turn({ team: 'T01', channel: 'D01', threadTs: null });
    turn.show({});
    await stage.clock.advance(700);
    expect(stage.slack.shown('D01', null)).toEqual(['[thinking]']);
    expect(stage.slack.callsOf('assistant.threads.setStatus')).toEqual([]);
    expect(stage.slack.callsOf('chat.postMessage')[0]?.args).not.toHaveProperty('thread_ts');
  });

  test('clears a status that arrives after the end', async () => {
    const stage = createStage();
    stage.slack.latency = (method) => (method.startsWith('assistant') ? 5_000 : 100);
    const turn = stage.turn();
    turn.show({ items: [text('Hi')] });
    turn.finish({ items: [text('Hi')] });
    await stage.clock.advance(20_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.slack.status(channel, thread)).toBe('');
  });

  test('clears a status that arrives after the first text', async () => {
    const stage = createStage();
    stage.slack.latency = (method) => (method.startsWith('assistant') ? 5_000 : 100);
    stage.turn().show({ items: [text('Hi')] });
    await stage.clock.advance(20_000);
    expect(stage.slack.status(channel, thread)).toBe('');
  });

  test('ending without a message clears its status', async () => {
    const stage = createStage();
    const turn = stage.turn();
    await stage.clock.advance(300);
    turn.finish({});
    await stage.clock.advance(2_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual([]);
    expect(stage.slack.status(channel, thread)).toBe('');
  });

  test('neither sets nor clears a status before Retry-After', async () => {
    const stage = createStage();
    const turn = stage.turn();
    await stage.clock.advance(2_000);
    stage.slack.fault = (method) => (method.startsWith('assistant') ? { kind: 'limited', retryAfterMs: 30_000 } : null);
    stage.turn({ ...address, channel: 'C02' }, [], 'turn-2').show({});
    await stage.clock.advance(1_000);
    stage.slack.fault = () => null;
    expect(stage.slack.shown('C02', thread)).toEqual(['[thinking]']);
    turn.finish({});
    await stage.clock.advance(40_000);
    expect(stage.slack.status(channel, thread)).toBe('');
    expect(stage.slack.complaints).toEqual([]);
  });

  test('is edited at most every half second, always to the latest view', async () => {
    const stage = createStage();
    const turn = stage.turn();
    let words = '';
    for (let n = 0; n < 30; n += 1) {
      words += 'x';
      turn.show({ items: [text(words)] });
      await stage.clock.advance(100);
    }
    expect(stage.slack.callsOf('chat.update')).toHaveLength(5);
    expect(stage.rendered).toBe(6);
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual([`${words}[thinking]`]);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('sends its final text without waiting for the live pace', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(150);
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(100);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['ab']);
  });

  test('is not edited when the view did not change', async () => {
    const stage = createStage();
    const turn = stage.turn();
    for (let n = 0; n < 10; n += 1) {
      turn.show({ items: [text('same')] });
      await stage.clock.advance(2_000);
    }
    expect(stage.slack.callsOf('chat.update')).toEqual([]);
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
  });

  test('continues in further messages, in reading order around cards', async () => {
    const stage = createStage();
    const turn = stage.turn();
    const long = 'abcdefghij'.repeat(9);
    turn.show({ items: [text(long)] });
    await stage.clock.advance(6_000);
    expect(shownIn(stage)).toEqual([long.slice(0, 40), long.slice(40, 80), `${long.slice(80)}[thinking]`]);
    turn.show({ items: [text(long), card('A')], activity: { kind: 'waiting_for_people' } });
    await stage.clock.advance(4_000);
    expect(shownIn(stage).slice(2)).toEqual([long.slice(80), 'card A open', '[waiting_for_people]']);
    turn.finish({ items: [text(long), card('A', 'decided'), text('done')] });
    await stage.clock.advance(4_000);
    expect(shownIn(stage)).toEqual([long.slice(0, 40), long.slice(40, 80), long.slice(80), 'card A decided', 'done']);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('posts a card as a new message, beside an empty live message', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(3_000);
    turn.show({ items: [card('A')], activity: { kind: 'waiting_for_people' } });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['card A open', '[waiting_for_people]']);
    const posted = stage.slack.callsOf('chat.postMessage').map((call) => call.args.text);
    expect(posted).toContain('card A open');
  });

  test('posts a card while edits are rate-limited', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('first')] });
    await stage.clock.advance(2_000);
    stage.slack.fault = (method) => (method === 'chat.update' ? { kind: 'limited', retryAfterMs: 60_000 } : null);
    turn.show({ items: [text('first, more')] });
    await stage.clock.advance(2_000);
    turn.show({ items: [text('first, more'), card('A')] });
    await stage.clock.advance(1_000);
    expect(shownIn(stage)).toContain('card A open');
    expect(stage.slack.complaints).toEqual([]);
  });

  test('posts its card before first texts of other turns in the channel', async () => {
    const stage = createStage();
    for (let n = 1; n <= 5; n += 1) {
      const address2 = { ...address, threadTs: `1700000000.0001${n}` };
      stage.turn(address2, [], `turn-${n}`).show({ items: [text('a')] });
    }
    await stage.clock.advance(500);
    stage.turn(address, [], 'turn-6').show({ items: [card('A')] });
    await stage.clock.advance(1_500);
    expect(stage.slack.callsOf('chat.postMessage')[1]?.args).toMatchObject({ text: 'card A open' });
  });

  test('finishes its text while new posts are rate-limited', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(3_000);
    stage.slack.fault = (method) => (method === 'chat.postMessage' ? { kind: 'limited', retryAfterMs: 60_000 } : null);
    turn.show({ items: [text('a'), card('A')] });
    await stage.clock.advance(3_000);
    turn.finish({ items: [text('a and b'), card('A', 'decided')] });
    await stage.clock.advance(500);
    expect(shownIn(stage)).toEqual(['a and b']);
    stage.slack.fault = () => null;
    await stage.clock.advance(70_000);
    expect(shownIn(stage)).toEqual(['a and b', 'card A decided']);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('repeats an edit when an unanswered one had changed the message', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('one')] });
    await stage.clock.advance(3_000);
    stage.slack.fault = (method) => (method === 'chat.update' ? { kind: 'after' } : null);
    turn.show({ items: [text('two')] });
    await stage.clock.advance(300);
    expect(shownIn(stage)).toEqual(['two[thinking]']);
    stage.slack.fault = () => null;
    turn.show({ items: [text('one')] });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['one[thinking]']);
  });

  test('retries a refused channel ever more rarely, and at once on activity', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'refused', error: 'not_in_channel' });
    const turn = stage.turn();
    turn.show({ items: [card('A')] });
    await stage.clock.advance(200_000);
    expect(stage.slack.callsOf('chat.postMessage').map(({ at }) => at - (stage.slack.calls[0]?.at ?? 0))).toHaveLength(
      8,
    );
    stage.slack.fault = () => null;
    stage.surface.retrySoon('C09');
    await stage.clock.advance(10_000);
    expect(shownIn(stage)).toEqual([]);
    stage.surface.retrySoon(channel);
    await stage.clock.advance(10_000);
    expect(shownIn(stage)).toEqual(['card A open', '[thinking]']);
  });

  test('beside nineteen others in a refused channel makes few calls, then recovers', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'refused', error: 'is_archived' });
    const turns = Array.from({ length: 20 }, (_, n) =>
      stage.turn({ ...address, threadTs: `1700000000.0001${n + 10}` }, [], `turn-${n}`),
    );
    for (const turn of turns) turn.finish({ items: [text('the answer')] });
    await stage.clock.advance(6 * 3_600_000);
    // One that finds out, and one each ten minutes at the most.
    expect(stage.slack.callsOf('chat.postMessage').length).toBeLessThan(60);
    stage.slack.fault = () => null;
    await stage.clock.advance(11 * 60_000);
    expect(turns.every(({ delivery }) => delivery?.delivered)).toBe(true);
    expect(stage.slack.complaints).toEqual([]);
    expect(stage.clock.waiting).toBe(0);
  });

  test('deletes messages whose text a retry threw away', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('x'.repeat(100))] });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toHaveLength(3);
    turn.show({ activity: { kind: 'retrying', attempt: 1, maxAttempts: 3 } });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['[retrying]']);
    turn.finish({ items: [text('short')] });
    await stage.clock.advance(1_000);
    expect(shownIn(stage)).toEqual(['short']);
    expect(turn.stored).toHaveLength(1);
  });

  test('continues in its message after a crash, without a second post', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('half')] });
    await stage.clock.advance(3_000);
    stage.crash();
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.show({ items: [text('half of it')] });
    again.finish({ items: [text('all of it')] });
    await stage.clock.advance(3_000);
    expect(shownIn(stage)).toEqual(['all of it']);
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
  });

  test('finds a message posted but not recorded before a crash', async () => {
    const stage = createStage();
    const turn = stage.turn();
    stage.slack.latency = () => 400;
    turn.show({ items: [text('half')] });
    await stage.clock.advance(300);
    expect(shownIn(stage)).toEqual(['half[thinking]']);
    expect(turn.stored).toEqual([]);
    stage.crash();
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.finish({ items: [text('all of it')] });
    await stage.clock.advance(5_000);
    expect(again.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['all of it']);
    expect(again.stored).toHaveLength(1);
  });

  test('leaves no status behind after a crash with a message posted', async () => {
    const stage = createStage();
    const turn = stage.turn();
    stage.slack.latency = (method) => (method === 'chat.postMessage' ? 400 : 50);
    turn.show({ items: [text('half')] });
    await stage.clock.advance(300);
    expect(turn.stored).toEqual([]);
    stage.crash();
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.show({ items: [text('half of it')] });
    await stage.clock.advance(5_000);
    expect(stage.slack.status(channel, thread)).toBe('');
    again.finish({ items: [text('all of it')] });
    await stage.clock.advance(5_000);
    expect(stage.slack.status(channel, thread)).toBe('');
  });

  test('stores each confirmed call before the next one is made', async () => {
    const stage = createStage();
    stage.storing = () => new Promise((resolve) => void stage.clock.after(10_000, resolve));
    const turn = stage.turn();
    turn.finish({ items: [text('x'.repeat(60))] });
    await stage.clock.advance(9_000);
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
    await stage.clock.advance(3_000);
    expect(turn.stored.map((post) => post.part)).toEqual(['0.0']);
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(2);
    expect(turn.delivery).toBeNull();
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(turn.stored.map((post) => post.part)).toEqual(['0.0', '0.1']);
  });

  test('is delivered even when storing its ledger fails for a while', async () => {
    const stage = createStage();
    let failures = 2;
    stage.storing = async () => {
      failures -= 1;
      if (failures >= 0) throw new Error('disk full');
    };
    const turn = stage.turn();
    turn.finish({ items: [text('x'.repeat(60))] });
    await stage.clock.advance(20_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(turn.stored).toHaveLength(2);
  });
});

describe('the first words of a turn', () => {
  const short = (markdown: string) => (markdown.length < 40 ? 'words' : 'readable') as 'words' | 'readable';
  const posts = (stage: ReturnType<typeof createStage>) => stage.slack.callsOf('chat.postMessage');

  test('wait until they can be read, at most 1.5 s', async () => {
    const stage = createStage({ substance: short });
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(300);
    const from = stage.clock.now();
    turn.show({ items: [text('The')] });
    await stage.clock.advance(1_000);
    turn.show({ items: [text('The nightly')] });
    await stage.clock.advance(400);
    expect(posts(stage)).toEqual([]);
    await stage.clock.advance(300);
    expect(shownIn(stage)).toEqual(['The nightly[thinking]']);
    expect(posts(stage)[0]?.at).toBe(from + 1_500);
  });

  test('readable: posted at once', async () => {
    const stage = createStage({ substance: short });
    const turn = stage.turn();
    turn.show({ items: [text('The')] });
    await stage.clock.advance(700);
    const from = stage.clock.now();
    turn.show({ items: [text('x'.repeat(40))] });
    await stage.clock.advance(100);
    expect(posts(stage).map(({ at }) => at)).toEqual([from]);
  });

  test('whole answer: one post and no edit', async () => {
    for (const threadTs of [thread, null]) {
      const stage = createStage({ substance: short });
      const turn = stage.turn({ ...address, channel: threadTs ? channel : 'D01', threadTs });
      turn.show({});
      await stage.clock.advance(200);
      turn.show({ items: [text('Yes')] });
      await stage.clock.advance(200);
      turn.finish({ items: [text('Yes.')] });
      await stage.clock.advance(5_000);
      expect(posts(stage).map(({ args }) => args.blocks)).toEqual([[{ type: 'markdown', text: 'Yes.' }]]);
      expect(stage.slack.callsOf('chat.update')).toEqual([]);
    }
  });

  test('below a bare sign of life: shown as soon as readable', async () => {
    const stage = createStage({ substance: short });
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(10_200);
    turn.show({ activity: { kind: 'tool', tool: 'Bash', detail: 'ls' } });
    await stage.clock.advance(450);
    turn.show({ items: [text('The')] });
    await stage.clock.advance(300);
    const from = stage.clock.now();
    turn.show({ items: [text('x'.repeat(40))] });
    await stage.clock.advance(100);
    expect(shownIn(stage)).toEqual([`${'x'.repeat(40)}[thinking]`]);
    expect(stage.slack.callsOf('chat.update').at(-1)?.at).toBe(from);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('of twenty turns that only say they work: none waits', async () => {
    const stage = createStage({ substance: short });
    const others = Array.from({ length: 20 }, (_, n) =>
      stage.turn({ ...address, channel: `C1${n}` }, [], `turn-${n + 10}`),
    );
    for (const turn of others) turn.show({});
    const writer = stage.turn();
    for (let n = 0; n < 24; n += 1) {
      writer.show({ items: [text('y'.repeat(40 + n))] });
      await stage.clock.advance(500);
    }
    expect(others.every((_, n) => stage.slack.shown(`C1${n}`, thread)[0] === '[thinking]')).toBe(true);
    const from = stage.clock.now();
    for (const turn of others) turn.show({ items: [text('z'.repeat(40))] });
    writer.show({ items: [text('y'.repeat(90))] });
    await stage.clock.advance(100);
    const edits = stage.slack.callsOf('chat.update').filter(({ at }) => at >= from);
    expect(edits.filter(({ args }) => args.channel !== channel)).toHaveLength(20);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('taken back by a retry: the next ones wait anew', async () => {
    const stage = createStage({ substance: short });
    const turn = stage.turn();
    turn.show({ items: [text('The')] });
    await stage.clock.advance(1_400);
    turn.show({ activity: { kind: 'retrying', attempt: 1, maxAttempts: 3 } });
    await stage.clock.advance(1_000);
    turn.show({ items: [text('A')] });
    await stage.clock.advance(1_400);
    expect(posts(stage)).toEqual([]);
    await stage.clock.advance(200);
    expect(posts(stage)).toHaveLength(1);
  });

  test('without an answer about the status: a message within 1.1 s', async () => {
    const stage = createStage({ substance: short });
    stage.slack.latency = (method) => (method.startsWith('assistant') ? 30_000 : 100);
    stage.turn().show({ items: [text('The')] });
    await stage.clock.advance(1_100);
    expect(shownIn(stage)).toEqual(['The[thinking]']);
  });

  test('below a decided card wait, too, and the card’s edit does not', async () => {
    const stage = createStage({ substance: short });
    const turn = stage.turn();
    turn.show({ items: [card('A')] });
    await stage.clock.advance(5_000);
    const before = posts(stage).length;
    turn.show({ items: [card('A', 'decided')], activity: { kind: 'tool', tool: 'Bash', detail: 'ls' } });
    await stage.clock.advance(300);
    expect(shownIn(stage)[0]).toBe('card A decided');
    await stage.clock.advance(1_000);
    turn.finish({ items: [card('A', 'decided'), text('Done')] });
    await stage.clock.advance(2_000);
    expect(shownIn(stage)).toEqual(['card A decided', 'Done']);
    expect(posts(stage).length - before).toBeLessThanOrEqual(1);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('below a decided card: a long tool is shown after two seconds', async () => {
    const stage = createStage({ substance: short });
    const turn = stage.turn();
    turn.show({ items: [card('A', 'decided')], activity: { kind: 'tool', tool: 'Bash', detail: 'ls' } });
    await stage.clock.advance(1_500);
    expect(shownIn(stage)).toEqual(['card A decided']);
    await stage.clock.advance(1_000);
    expect(shownIn(stage)).toEqual(['card A decided', '[tool]']);
  });
});

describe('an approval card in Slack', () => {
  test.each(['invalid_blocks', 'is_archived'])('refused with %s is reported only after half a day', async (error) => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(5_000);
    stage.slack.fault = (method) => (method === 'chat.postMessage' ? { kind: 'refused', error } : null);
    turn.show({ items: [text('a'), card('c1'), card('c2')] });
    await stage.clock.advance(11 * 3_600_000);
    expect(stage.cardsRefused).toEqual([]);
    await stage.clock.advance(2 * 3_600_000);
    expect(new Set(stage.cardsRefused)).toEqual(new Set([`${error} 2.0`]));
  });

  test('already posted is never reported when an edit is refused', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(5_000);
    stage.slack.fault = (method) => (method === 'chat.update' ? { kind: 'refused', error: 'not_in_channel' } : null);
    turn.show({ items: [text('ab'), card('c1')] });
    await stage.clock.advance(24 * 3_600_000);
    expect(stage.cardsRefused).toEqual([]);
    expect(stage.heldUp).toEqual([]);
  });

  test('deleted by somebody is posted again when Slack reports it', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(5_000);
    const ts = turn.stored.find(({ part }) => part === '1.0')?.ts as string;
    stage.slack.deleteMessage(channel, ts);
    stage.surface.noteDeleted(channel, ts);
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['a', 'card c1 open', '[thinking]']);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('deleted without an event is posted again on a recheck', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(5_000);
    stage.slack.deleteMessage(channel, turn.stored.find(({ part }) => part === '1.0')?.ts as string);
    turn.recheck();
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['a', 'card c1 open', '[thinking]']);
  });

  test('deleted while the process was down is posted again', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(5_000);
    stage.slack.deleteMessage(channel, turn.stored.find(({ part }) => part === '1.0')?.ts as string);
    stage.crash();
    stage.turn(address, turn.stored, 'turn-1', true).show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(5_000);
    expect(shownIn(stage)).toEqual(['a', 'card c1 open', '[thinking]']);
  });

  test('accepted by Slack is not reported as refused', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'), card('c1')] });
    await stage.clock.advance(20_000);
    expect(stage.cardsRefused).toEqual([]);
  });
});

describe('a final text', () => {
  test.each([
    'channel_not_found',
    'is_archived',
    'not_in_channel',
    'restricted_action_thread_locked',
    'account_inactive',
    'token_revoked',
    'invalid_auth',
    'no_text',
  ])('refused with %s is retried for half a day, then given up', async (error) => {
    const stage = createStage();
    stage.slack.fault = (method) => (method === 'chat.postMessage' ? { kind: 'refused', error } : null);
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(60_000);
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(11 * 3_600_000);
    expect(turn.delivery).toBeNull();
    expect(stage.slack.status(channel, thread)).toBe('');
    await stage.clock.advance(2 * 3_600_000);
    expect(turn.delivery).toEqual({ delivered: false, reason: error });
    expect(stage.slack.callsOf('chat.postMessage').length).toBeLessThan(800);
    expect(stage.clock.waiting).toBe(0);
  });

  test('already overdue at start is tried once more, then given up', async () => {
    const stage = createStage();
    const since = stage.clock.now() - 13 * 3_600_000;
    const delivered = stage.turn({ ...address, channel: 'C02' }, [], 'turn-2', true);
    delivered.finish({ items: [text('ab')] }, since);
    await stage.clock.advance(5_000);
    expect(delivered.delivery).toEqual({ delivered: true });
    stage.slack.fault = () => ({ kind: 'refused', error: 'is_archived' });
    const turn = stage.turn(address, [], 'turn-1', true);
    turn.finish({ items: [text('ab')] }, since);
    await stage.clock.advance(5_000);
    expect(turn.delivery).toEqual({ delivered: false, reason: 'is_archived' });
  });

  test('waiting for its channel is reported once, and only after a while', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'refused', error: 'not_in_channel' });
    const turn = stage.turn();
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(15_000);
    expect(stage.heldUp).toEqual([]);
    await stage.clock.advance(600_000);
    expect(stage.heldUp).toEqual([{ what: 'end', reason: 'not_in_channel' }]);
  });

  test('of a second turn in a refused channel is reported, too', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'refused', error: 'is_archived' });
    stage.turn().finish({ items: [text('ab')] });
    await stage.clock.advance(3_600_000);
    stage.turn({ ...address, threadTs: '1700000000.000009' }, [], 'turn-2').finish({ items: [text('cd')] });
    await stage.clock.advance(30_000);
    expect(stage.heldUp).toHaveLength(2);
  });

  test('is posted anew when somebody deleted the live message', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('part')] });
    await stage.clock.advance(1_000);
    stage.slack.deleteMessage(channel, turn.stored[0]?.ts as string);
    turn.finish({ items: [text('part and rest')] });
    await stage.clock.advance(3_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['part and rest']);
  });

  test('keeps the order when somebody deleted a message in the middle', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a'.repeat(40)), card('A'), text('b')] });
    await stage.clock.advance(6_000);
    stage.slack.deleteMessage(channel, turn.stored[1]?.ts as string);
    turn.finish({ items: [text('a'.repeat(40)), card('A', 'decided'), text('bc')] });
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['a'.repeat(40), 'card A decided', 'bc']);
  });

  test('arrives after many 429s, without a call before Retry-After', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(1_000);
    let left = 5;
    stage.slack.fault = (method) => {
      if (method !== 'chat.update' || left === 0) return null;
      left -= 1;
      return { kind: 'limited', retryAfterMs: 30_000 };
    };
    for (let n = 0; n < 20; n += 1) {
      turn.show({ items: [text(`a${n}`)] });
      await stage.clock.advance(3_000);
    }
    turn.finish({ items: [text('the end')] });
    await stage.clock.advance(200_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['the end']);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('arrives after an hour without any answer from Slack', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'before' });
    const turn = stage.turn();
    turn.finish({ items: [text('a'.repeat(50))] });
    await stage.clock.advance(3_600_000);
    expect(turn.delivery).toBeNull();
    stage.slack.fault = () => null;
    await stage.clock.advance(120_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['a'.repeat(40), 'a'.repeat(10)]);
  });

  test('has its own half day, however long live edits failed before', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'before' });
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(13 * 3_600_000);
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(3_600_000);
    expect(turn.delivery).toBeNull();
    stage.slack.fault = () => null;
    await stage.clock.advance(120_000);
    expect(turn.delivery).toEqual({ delivered: true });
  });

  test('is given up after half a day without an answer', async () => {
    const stage = createStage();
    stage.slack.fault = () => ({ kind: 'before' });
    const turn = stage.turn();
    turn.finish({ items: [text('a')] });
    await stage.clock.advance(13 * 3_600_000);
    expect(turn.delivery).toEqual({ delivered: false, reason: 'ECONNRESET' });
    expect(stage.clock.waiting).toBe(0);
  });

  test('is posted once when the connection breaks after Slack accepted it', async () => {
    const stage = createStage();
    let first = true;
    stage.slack.fault = (method) => {
      if (method !== 'chat.postMessage' || !first) return null;
      first = false;
      return { kind: 'after' };
    };
    const turn = stage.turn();
    turn.finish({ items: [text('a'.repeat(50))] });
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['a'.repeat(40), 'a'.repeat(10)]);
    const [look] = stage.slack.callsOf('conversations.replies');
    expect(look?.args).toMatchObject({ include_all_metadata: true, ts: thread });
  });

  test('follows live text when the answer to a post is lost', async () => {
    const stage = createStage();
    stage.slack.fault = (method) => (method === 'chat.postMessage' ? { kind: 'silent', ms: 10_000 } : null);
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(1_800);
    turn.show({ items: [text('ab')] });
    await stage.clock.advance(600);
    expect(shownIn(stage)).toEqual(['ab[thinking]']);
    stage.slack.fault = () => null;
    turn.finish({ items: [text('abc')] });
    await stage.clock.advance(500);
    expect(shownIn(stage)).toEqual(['abc']);
    await stage.clock.advance(30_000);
    expect(shownIn(stage)).toEqual(['abc']);
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('waits for a post of which Slack has nothing yet', async () => {
    const stage = createStage();
    stage.slack.latency = (method) => (method === 'chat.postMessage' ? 12_000 : 100);
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(3_000);
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(20_000);
    expect(shownIn(stage)).toEqual(['ab']);
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
  });

  test('is found on a later page of a busy thread', async () => {
    const stage = createStage();
    let first = true;
    stage.slack.fault = (method) => {
      if (method !== 'chat.postMessage' || !first) return null;
      first = false;
      for (let n = 0; n < 250; n += 1)
        stage.slack.addMessage({ channel, thread, text: 'x', blocks: [], metadata: undefined });
      return { kind: 'after' };
    };
    const turn = stage.turn();
    turn.finish({ items: [text('once')] });
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage).filter((shown) => shown === 'once')).toHaveLength(1);
    expect(stage.slack.callsOf('conversations.replies').length).toBeGreaterThan(1);
  });

  test('is posted again when its first post had no effect', async () => {
    const stage = createStage();
    let first = true;
    stage.slack.fault = (method) => {
      if (method !== 'chat.postMessage' || !first) return null;
      first = false;
      return { kind: 'before' };
    };
    const turn = stage.turn({ team: 'T01', channel: 'D01', threadTs: null });
    turn.finish({ items: [text('once')] });
    await stage.clock.advance(10_000);
    expect(stage.slack.shown('D01', null)).toEqual(['once']);
    expect(stage.slack.callsOf('conversations.history')).toHaveLength(1);
  });

  test('arrives in simpler posts when Slack refuses the blocks', async () => {
    const stage = createStage({
      fallback: (post) => [
        { ...post, blocks: [], text: 'simple 1' },
        { ...post, blocks: [], text: 'simple 2' },
      ],
    });
    stage.slack.fault = (method, args) =>
      method.startsWith('chat.') && Array.isArray(args.blocks) && args.blocks.length > 0
        ? { kind: 'refused', error: 'invalid_blocks' }
        : null;
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(4_000);
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(4_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['text:simple 1', 'text:simple 2']);
    expect(stage.metrics.value('refused_posts', { form: 'smaller' })).toBeGreaterThan(0);
    expect(stage.metrics.value('refused_posts', { form: 'none' })).toBe(0);
  });

  test('is sent in full form although it was refused half-written', async () => {
    const stage = createStage({ fallback: (post) => [{ ...post, blocks: [], text: 'simple' }] });
    stage.slack.fault = (method, args) =>
      method.startsWith('chat.') && JSON.stringify(args.blocks ?? '').includes('half')
        ? { kind: 'refused', error: 'invalid_blocks' }
        : null;
    const turn = stage.turn();
    turn.show({ items: [text('half')] });
    await stage.clock.advance(3_000);
    expect(shownIn(stage)).toEqual(['text:simple']);
    turn.finish({ items: [text('whole')] });
    await stage.clock.advance(3_000);
    expect(shownIn(stage)).toEqual(['whole']);
  });

  test.each(['msg_too_long', 'msg_blocks_too_long', 'some_error_of_next_year'])(
    'arrives as plain text when %s meets the simpler posts too',
    async (error) => {
      const stage = createStage();
      stage.slack.fault = (method, args) =>
        method.startsWith('chat.') && Array.isArray(args.blocks) && args.blocks.length > 0
          ? { kind: 'refused', error }
          : null;
      const turn = stage.turn();
      turn.finish({ items: [text('the answer')] });
      await stage.clock.advance(4_000);
      expect(turn.delivery).toEqual({ delivered: true });
      expect(shownIn(stage)).toEqual(['text:the answer']);
    },
  );

  test('arrives as plain text when the renderer throws', async () => {
    const stage = createStage({
      render: () => {
        throw new Error('a bug');
      },
    });
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(3_000);
    turn.finish({ items: [text('a <@U1> b')] });
    await stage.clock.advance(3_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['text:a &lt;@U1&gt; b']);
  });

  test.each(['edit_window_closed', 'cant_update_message', 'block_mismatch', 'message_not_found'])(
    'replaces the live message when Slack refuses edits with %s',
    async (error) => {
      const stage = createStage();
      const turn = stage.turn();
      turn.show({ items: [text('half')] });
      await stage.clock.advance(3_000);
      stage.slack.fault = (method) => (method === 'chat.update' ? { kind: 'refused', error } : null);
      turn.finish({ items: [text('half and whole')] });
      await stage.clock.advance(5_000);
      expect(turn.delivery).toEqual({ delivered: true });
      expect(shownIn(stage)).toEqual(['half and whole']);
      expect(stage.slack.complaints).toEqual([]);
    },
  );

  test('marks an obsolete message that cannot be deleted', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('x'.repeat(100))] });
    await stage.clock.advance(6_000);
    stage.slack.fault = (method) =>
      method === 'chat.delete' ? { kind: 'refused', error: 'compliance_exports_prevent_deletion' } : null;
    turn.finish({ items: [text('short')] });
    await stage.clock.advance(5_000);
    expect(turn.delivery).toEqual({ delivered: true });
    const mark = 'text:(replaced by the text below)';
    expect(shownIn(stage)).toEqual(['short', mark, mark]);
  });

  test('is a new message where edits are refused, and live edits stop', async () => {
    const stage = createStage();
    stage.slack.fault = (method) =>
      method === 'chat.update' ? { kind: 'refused', error: 'edit_window_closed' } : null;
    const turn = stage.turn();
    for (let n = 0; n < 10; n += 1) {
      turn.show({ items: [text(`a${n}`)] });
      await stage.clock.advance(2_000);
    }
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
    expect(stage.slack.callsOf('chat.update')).toHaveLength(1);
    turn.finish({ items: [text('end')] });
    await stage.clock.advance(3_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(shownIn(stage).at(-1)).toBe('end');
  });
});

describe('the Slack surface', () => {
  test('posts without previews and without pings by name', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.show({ items: [text('a')] });
    await stage.clock.advance(1_000);
    turn.finish({ items: [text('ab')] });
    await stage.clock.advance(1_000);
    expect(stage.slack.callsOf('chat.postMessage')[0]?.args).toMatchObject({
      unfurl_links: false,
      unfurl_media: false,
      parse: 'none',
      link_names: false,
      thread_ts: thread,
      metadata: { event_type: 'letta_bridge_post', event_payload: { turn: 'turn-1', part: '0.0' } },
    });
    expect(stage.slack.callsOf('chat.update')[0]?.args).toMatchObject({
      parse: 'none',
      link_names: false,
      text: 'Answer',
    });
  });

  test('posts a line of its own and reports whether it arrived', async () => {
    const stage = createStage();
    const said = stage.surface.say(address, 'Hello');
    await stage.clock.advance(300);
    expect(await said).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['Hello']);
    stage.slack.fault = () => ({ kind: 'refused', error: 'is_archived' });
    const unsaid = stage.surface.say(address, 'Hello?');
    await stage.clock.advance(20 * 60_000);
    expect(await unsaid).toEqual({ delivered: false, reason: 'is_archived' });
  });

  describe('the direct copy of an answer', () => {
    const copy = { turn: 'turn-1' as TurnId, view: endedView([text('a'.repeat(60))]) };
    const tell = (stage: ReturnType<typeof createStage>) =>
      stage.surface.sendDirectMessage?.('U1' as UserId, 'T01' as TeamId, 'Here it is:', copy);
    const whole = ['Here it is:', 'a'.repeat(40), 'a'.repeat(20)];
    const directly = (stage: ReturnType<typeof createStage>) => stage.slack.shown('D1', null);

    test('is posted once, whichever call gets no answer', async () => {
      for (const kind of ['before', 'after'] as const) {
        for (let lost = 1; lost <= 6; lost += 1) {
          const stage = createStage();
          let calls = 0;
          stage.slack.fault = () => {
            calls += 1;
            return calls === lost ? { kind } : null;
          };
          const told = tell(stage);
          await stage.clock.advance(60_000);
          expect(await told).toEqual({ delivered: true });
          expect(directly(stage), `${kind} ${lost}`).toEqual(whole);
          expect(stage.slack.complaints).toEqual([]);
        }
      }
    });

    test('is posted once, whenever the process dies and starts again', async () => {
      for (let after = 0; after < 5_000; after += 70) {
        const stage = createStage();
        void tell(stage);
        await stage.clock.advance(after);
        stage.crash();
        const told = tell(stage);
        await stage.clock.advance(60_000);
        expect(await told).toEqual({ delivered: true });
        expect(directly(stage), `${after} ms`).toEqual(whole);
        stage.crash();
        void tell(stage);
        await stage.clock.advance(60_000);
        expect(directly(stage), `${after} ms, and once more`).toEqual(whole);
      }
    });

    test('keeps each word single, whenever the second process dies, too', async () => {
      for (let after = 0; after < 6_000; after += 70) {
        const stage = createStage();
        void tell(stage);
        await stage.clock.advance(10_000);
        stage.crash();
        void tell(stage);
        await stage.clock.advance(after);
        stage.crash();
        await stage.clock.advance(10_000);
        const words = directly(stage).filter((shown) => shown !== 'Here it is:');
        expect(words, `${after} ms`).toEqual(whole.slice(1));
      }
    });

    test('without a view is posted once when its first answer is lost', async () => {
      const stage = createStage();
      let lost = false;
      stage.slack.fault = () => {
        if (lost) return null;
        lost = true;
        return { kind: 'after' };
      };
      const told = stage.surface.sendDirectMessage?.('U1' as UserId, 'T01' as TeamId, 'It waits.', null);
      await stage.clock.advance(60_000);
      expect(await told).toEqual({ delivered: true });
      expect(directly(stage)).toEqual(['It waits.']);
      expect(stage.slack.complaints).toEqual([]);
    });

    test('about a message has a button that opens it', async () => {
      const stage = createStage();
      const open = { channel: 'C1', ts: '1700000001.000200', threadTs: '1700000000.000100' };
      void stage.surface.sendDirectMessage?.('U1' as UserId, 'T01' as TeamId, 'It waits.', null, open);
      await stage.clock.advance(10_000);
      const [message] = stage.slack.messages('D1', null);
      const url = 'https://team.slack.com/archives/C1/p1700000001000200?thread_ts=1700000000.000100&cid=C1';
      expect(message?.blocks.at(-1)).toMatchObject({ type: 'actions', elements: [{ url, text: { text: 'Open' } }] });
    });

    test('is not mixed up with the copy of another turn', async () => {
      const stage = createStage();
      void tell(stage);
      await stage.clock.advance(10_000);
      stage.crash();
      const other = { turn: 'turn-2' as TurnId, view: endedView([text('other')]) };
      void stage.surface.sendDirectMessage?.('U1' as UserId, 'T01' as TeamId, 'And this:', other);
      await stage.clock.advance(10_000);
      expect(directly(stage)).toEqual([...whole, 'And this:', 'other']);
    });
  });

  test('posts an offer once and edits it later, after a restart too', async () => {
    const stage = createStage();
    let posts: PostRecord[] = [];
    const offer = (text: string, buttons: OfferView['buttons'], resumed = false) => {
      const view: OfferView = { token: 'token1' as Token, text, buttons };
      const onPosts = (next: PostRecord[]) => {
        posts = next;
        return Promise.resolve();
      };
      return stage.surface.showOffer({ view, address, posts, resumed, onPosts });
    };
    const first = offer('Run it?', ['run_now', 'drop']);
    await stage.clock.advance(300);
    expect(await first).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['Run it? | run_now | drop']);
    stage.crash();
    const second = offer('Dropped.', []);
    await stage.clock.advance(300);
    expect(await second).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['Dropped.']);
    // Posted, but the process died before it heard so.
    stage.crash();
    posts = [];
    const third = offer('Dropped, really.', [], true);
    await stage.clock.advance(300);
    expect(await third).toEqual({ delivered: true });
    expect(shownIn(stage)).toEqual(['Dropped, really.']);
  });

  test('keeps the metadata of the turn whose message shows an offer', async () => {
    const stage = createStage();
    const turn = stage.turn();
    turn.finish({ items: [text('Half of it')] });
    await stage.clock.advance(10_000);
    const [post] = turn.stored;
    stage.crash();
    const marked = stage.slack.messages(channel, thread)[0]?.metadata;
    // A restart counts the texts anew, so the kept message may name another part.
    const message = JSON.stringify({ part: `+${post?.part}`, blocks: [], text: 'Half of it' });
    const view: OfferView = { token: 'token1' as Token, text: 'Went on.', buttons: [] };
    const onPosts = () => Promise.resolve();
    void stage.surface.showOffer({ view, message, address, posts: turn.stored, resumed: false, onPosts });
    await stage.clock.advance(10_000);
    const [edited] = stage.slack.messages(channel, thread);
    expect(JSON.stringify(edited?.blocks)).toContain('Went on.');
    expect([edited?.metadata, marked]).toEqual([
      marked,
      { event_type: expect.any(String), event_payload: expect.anything() },
    ]);
  });

  test('sends a private message, and tolerates its refusal', async () => {
    const stage = createStage();
    const whisper = stage.surface.whisper(address, 'U1', 'psst');
    await stage.clock.advance(300);
    await whisper;
    expect(stage.slack.callsOf('chat.postEphemeral')[0]?.args).toMatchObject({
      user: 'U1',
      thread_ts: thread,
      channel,
    });
    stage.slack.fault = () => ({ kind: 'refused', error: 'user_not_in_channel' });
    const lost = stage.surface.whisper(address, 'U1', 'psst');
    await stage.clock.advance(300);
    await lost;
  });

  test('retries a private message until it arrives or the surface closes', async () => {
    const stage = createStage();
    for (const fault of [{ kind: 'limited', retryAfterMs: 3_000 }, { kind: 'before' }] as const) {
      stage.slack.fault = () => fault;
      const whisper = stage.surface.whisper(address, 'U1', 'psst');
      await stage.clock.advance(500);
      stage.slack.fault = () => null;
      const before = stage.slack.callsOf('chat.postEphemeral').filter(({ outcome }) => outcome === 'ok').length;
      await stage.clock.advance(10_000);
      await whisper;
      const after = stage.slack.callsOf('chat.postEphemeral').filter(({ outcome }) => outcome === 'ok').length;
      expect(after - before).toBe(1);
    }
    stage.slack.fault = () => ({ kind: 'before' });
    const late = stage.surface.whisper(address, 'U1', 'psst');
    await stage.clock.advance(500);
    const { length } = stage.slack.callsOf('chat.postEphemeral');
    await stage.surface.close();
    await stage.clock.advance(60_000);
    await late;
    expect(stage.slack.callsOf('chat.postEphemeral')).toHaveLength(length);
  });

  test('stores calls under way before closing, and leaves turns unsettled', async () => {
    const stage = createStage();
    stage.storing = () => new Promise((resolve) => void stage.clock.after(2_000, resolve));
    const turn = stage.turn();
    turn.finish({ items: [text('x'.repeat(80))] });
    await stage.clock.advance(60);
    const said = stage.surface.say({ ...address, channel: 'C02' }, 'Hello');
    let storedAtClose: number | null = null;
    const closing = stage.surface.close().then(() => {
      storedAtClose = turn.stored.length;
    });
    await stage.clock.advance(10_000);
    await closing;
    await stage.surface.close();
    expect(await said).toEqual({ delivered: false, reason: 'closed' });
    expect(storedAtClose).toBe(1);
    expect(turn.delivery).toBeNull();
    expect(stage.slack.callsOf('chat.postMessage')).toHaveLength(1);
    expect(stage.clock.waiting).toBe(0);
  });

  test('closing: clears a status soon or not at all', async () => {
    const closeAfter = async (ms: number) => {
      const stage = createStage();
      stage.turn().show({});
      await stage.clock.advance(500);
      expect(stage.slack.status(channel, thread)).toBe('is thinking…');
      await stage.clock.advance(ms);
      let isClosed = false;
      void stage.surface.close().then(() => {
        isClosed = true;
      });
      await stage.clock.advance(400);
      expect(isClosed).toBe(true);
      expect(stage.clock.waiting).toBe(0);
      return stage.slack.status(channel, thread);
    };
    // The channel takes one a second: another process waits for the workspace, and Slack clears it by itself.
    expect(await closeAfter(0)).toBe('is thinking…');
    expect(await closeAfter(1_000)).toBe('');
  });

  test('keeps no timer and renders nothing while nothing changes', async () => {
    const stage = createStage();
    for (let n = 0; n < 50; n += 1) {
      const turn = stage.turn({ ...address, channel: `C${n}` }, [], `turn-${n}`);
      turn.show({ items: [text('quiet')] });
    }
    await stage.clock.advance(10_000);
    const before = stage.rendered;
    await stage.clock.advance(600_000);
    expect(stage.clock.waiting).toBe(0);
    expect(stage.rendered).toBe(before);
  });
});

describe('texts of several threads that wait for one place', () => {
  async function write(stage: ReturnType<typeof createStage>) {
    const turns = Array.from({ length: 6 }, (_, n) =>
      stage.turn({ ...address, channel: `C0${n}` as typeof channel }, [], `turn-${n}`),
    );
    for (let second = 0; second < 60; second += 1) {
      for (const [n, turn] of turns.entries()) turn.show({ items: [text(`${n}: ${second} seconds`)] });
      await stage.clock.advance(1_000);
    }
  }

  test.each([0, 20, 2_000])('disk takes %i ms: one text is stored for each call', async (ms) => {
    const stage = createStage();
    stage.storingText = () => new Promise((resolve) => stage.clock.after(ms, resolve));
    await write(stage);
    const calls = stage.slack.callsOf('chat.update').length + stage.slack.callsOf('chat.postMessage').length;
    expect(calls).toBeGreaterThan(20);
    // A text is stored again when its place went to another call meanwhile.
    expect(stage.textsStored).toBeLessThanOrEqual(calls + 6);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('place taken by an end meanwhile: text waits', async () => {
    const stage = createStage();
    const [ending, going] = ['C01', 'C02'].map((name, n) =>
      stage.turn({ ...address, channel: name as typeof channel }, [], `turn-${n}`),
    );
    ending?.show({ items: [text('soon over')] });
    going?.show({ items: [text('goes on')] });
    await stage.clock.advance(5_000);
    stage.storingText = () => new Promise((resolve) => stage.clock.after(200, resolve));
    going?.show({ items: [text('goes on and on')] });
    await stage.clock.advance(100);
    ending?.finish({ items: [text('over')] });
    await stage.clock.advance(5_000);
    const [end, next] = stage.slack.callsOf('chat.update').slice(-2);
    expect(stage.slack.shown('C02', thread).join('')).toContain('goes on and on');
    expect((next?.at ?? 0) - (end?.at ?? 0)).toBeGreaterThanOrEqual(500);
  });

  test('disk that fails keeps no place from others', async () => {
    const stage = createStage();
    stage.storing = () => Promise.reject(new Error('the disk is full'));
    stage.storingText = () => Promise.reject(new Error('the disk is full'));
    const turn = stage.turn();
    turn.show({ items: [text('never stored')] });
    await stage.clock.advance(5_000);
    stage.storingText = () => undefined;
    stage.storing = async () => {};
    await write(stage);
    expect(stage.slack.callsOf('chat.update').length).toBeGreaterThan(20);
  });
});
