import { describe, expect, test } from 'vitest';
import type { ThreadAddress } from '../../../src/bridge/inbound.ts';
import type { Fault } from './fake-slack.ts';
import { card, createStage, renderTiny, type StageOptions, text } from './stage.ts';

const DM = 'D01ALICE';
const THREAD = '1700000000.000001';
const address: ThreadAddress = { team: 'T01', channel: DM, threadTs: THREAD };
const MINUTE = 60_000;
const writing = { kind: 'writing' } as const;
const tool = { kind: 'tool', tool: 'Bash', detail: 'ls' } as const;

/** As the real renderer: no message below a card only says what the agent does. */
const renderTextAndCards: StageOptions['render'] = (...view) =>
  renderTiny(...view).filter(({ kind, source }) => kind !== 'text' || source !== undefined);

function createStreamStage(options: StageOptions = {}) {
  const stage = createStage({ nativeStreams: true, ...options });
  const { slack, clock } = stage;
  const methods = () => slack.calls.map(({ method }) => method.replace('chat.', ''));
  const countOf = (method: string) => slack.callsOf(`chat.${method}`).length;
  /** Fails the n-th call of a method. */
  const failOnce = (method: string, fault: Fault, nth = 1) => {
    let seen = 0;
    slack.fault = (called) => {
      if (called !== `chat.${method}`) return null;
      seen += 1;
      return seen === nth ? fault : null;
    };
  };
  const shown = () => slack.shown(DM, THREAD);
  const streams = () => slack.messages(DM, THREAD).filter(({ stream }) => stream?.isOpen);
  const say = async (turn: ReturnType<typeof stage.turn>, words: string, ms = 1_000) => {
    turn.show({ items: [text(words)], activity: writing });
    await clock.advance(ms);
  };
  return { ...stage, stage, methods, countOf, failOnce, shown, streams, say, advance: clock.advance.bind(clock) };
}

describe('a native stream', () => {
  test('begins with the first text, grows and ends with the last view', async () => {
    const { stage, methods, shown, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    turn.show({ activity: { kind: 'thinking' } });
    await advance(200);
    await say(turn, 'one two');
    expect(shown()).toEqual(['one two']);
    expect(turn.stored).toMatchObject([{ part: '0.0', stream: true }]);
    await say(turn, 'one two three');
    expect(shown()).toEqual(['one two three']);
    turn.finish({ items: [text('one two three four')] });
    await advance(1_000);
    expect(shown()).toEqual(['one two three four']);
    expect(methods()).toEqual(['startStream', 'appendStream', 'stopStream']);
    expect(turn.stored).toEqual([{ part: '0.0', ts: expect.any(String), hash: expect.any(String) }]);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.metrics.value('native_streams', { end: 'whole' })).toBe(1);
  });

  test('disk does not take its beginning: its text is posted', async () => {
    const { stage, methods, shown, say, advance } = createStreamStage();
    stage.storing = () => Promise.reject(new Error('the disk is full'));
    const turn = stage.turn(address);
    await say(turn, 'one two');
    expect(shown().join('')).toContain('one two');
    turn.finish({ items: [text('one two three')] });
    await advance(60_000);
    expect(shown()).toEqual(['one two three']);
    expect(methods()).not.toContain('startStream');
  });

  test.each([
    ['a channel', { ...address, channel: 'C01' }],
    ['the top of a direct message', { ...address, threadTs: null }],
    ['a group direct message', { ...address, channel: 'G01' }],
  ])('is not used in %s', async (_, place) => {
    const { stage, methods, say, advance } = createStreamStage();
    const turn = stage.turn(place);
    await say(turn, 'one two');
    turn.finish({ items: [text('one two three')] });
    await advance(2_000);
    expect(methods().filter((method) => method !== 'assistant.threads.setStatus')).toEqual(['postMessage', 'update']);
  });

  test('gets text at most every half second', async () => {
    const { stage, slack, advance } = createStreamStage();
    const turn = stage.turn(address);
    for (let n = 1; n <= 39; n += 1) {
      turn.show({ items: [text('x'.repeat(n))], activity: writing });
      await advance(50);
    }
    const times = slack.callsOf('chat.appendStream').map(({ at }) => at);
    expect(times.length).toBeGreaterThan(2);
    for (const [n, at] of times.entries()) if (n > 0) expect(at - (times[n - 1] ?? 0)).toBeGreaterThanOrEqual(500);
  });

  test('shows what may still change only at the end', async () => {
    const { stage, shown, say, advance } = createStreamStage({ stable: (words) => words.lastIndexOf(' ') });
    const turn = stage.turn(address);
    await say(turn, 'one two **th');
    expect(shown()).toEqual(['one two']);
    turn.finish({ items: [text('one two **three**')] });
    await advance(1_000);
    expect(shown()).toEqual(['one two **three**']);
  });

  test('ends when earlier text changes, and the message is edited', async () => {
    const { stage, methods, shown, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'my key is abc');
    await say(turn, 'my key is «redacted» and more', 2_000);
    expect(shown()).toEqual(['my key is «redacted» and more[writing]']);
    turn.finish({ items: [text('my key is «redacted» and more.')] });
    await advance(2_000);
    expect(shown()).toEqual(['my key is «redacted» and more.']);
    expect(methods()).toEqual(['startStream', 'stopStream', 'update', 'update']);
    expect(stage.metrics.value('native_streams', { end: 'edited' })).toBe(1);
  });

  test('ends above a card, and text below it streams anew', async () => {
    const { stage, methods, shown, advance } = createStreamStage({ render: renderTextAndCards });
    const turn = stage.turn(address);
    turn.show({ items: [text('may I?')], activity: writing });
    await advance(1_000);
    turn.show({ items: [text('may I?'), card('a')], activity: { kind: 'waiting_for_people' } });
    await advance(2_000);
    expect(shown()[0]).toBe('may I?');
    turn.show({ items: [text('may I?'), card('a', 'decided'), text('thanks')], activity: writing });
    await advance(3_000);
    turn.finish({ items: [text('may I?'), card('a', 'decided'), text('thanks, done')] });
    await advance(2_000);
    expect(shown()).toEqual(['may I?', 'card a decided', 'thanks, done']);
    expect(methods().filter((method) => /Stream$/.test(method))).toEqual([
      ...['startStream', 'stopStream', 'startStream', 'stopStream'],
    ]);
  });

  test('silent for long becomes a message with a Stop button', async () => {
    const { stage, methods, shown, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'let me look');
    turn.show({ items: [text('let me look')], activity: tool });
    await advance(6_000);
    expect(shown()).toEqual(['let me look']);
    await advance(3_000);
    expect(shown()).toEqual(['let me look[tool]']);
    expect(turn.stored).toMatchObject([{ live: true }]);
    await say(turn, 'let me look: found', 2_000);
    turn.finish({ items: [text('let me look: found it')] });
    await advance(2_000);
    expect(shown()).toEqual(['let me look: found it']);
    expect(methods()).toEqual(['startStream', 'stopStream', 'update', 'update']);
  });

  test('goes on in a new message before it is four minutes old', async () => {
    const { stage, slack, shown, streams, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    let words = '';
    let oldest = 0;
    for (let n = 0; n < 50; n += 1) {
      words += String.fromCharCode(97 + (n % 26));
      await say(turn, words, 6_000);
      for (const { stream } of streams()) oldest = Math.max(oldest, stage.clock.now() - (stream?.beganAt ?? 0));
    }
    expect(oldest).toBeGreaterThan(3 * MINUTE);
    expect(oldest).toBeLessThan(4 * MINUTE);
    turn.finish({ items: [text(words)] });
    await advance(5_000);
    expect(shown().join('')).toBe(words);
    expect(shown().length).toBeGreaterThan(1);
    expect(slack.calls.every(({ outcome }) => outcome === 'ok')).toBe(true);
  });

  test('is ended with what the paused bridge says', async () => {
    const { stage, shown, streams, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'one');
    void turn.pause({ items: [text('one two')] });
    await advance(1_000);
    expect(shown()).toEqual(['one two[paused]']);
    expect(streams()).toEqual([]);
  });

  test('leaves the session of an agent app to its turn', async () => {
    const { stage, slack, say, advance } = createStreamStage({ mayBeAgent: true, render: renderTextAndCards });
    slack.isAgent = true;
    const turn = stage.turn(address);
    await say(turn, 'one');
    turn.show({ items: [text('one'), card('a')], activity: { kind: 'waiting_for_people' } });
    await advance(2_000);
    turn.show({ items: [text('one'), card('a', 'decided'), text('two')], activity: writing });
    await advance(3_000);
    turn.finish({ items: [text('one'), card('a', 'decided'), text('two three')] });
    await advance(2_000);
    const states = slack.callsOf('chat.stopStream').map(({ args }) => args.session_status);
    expect(states).toEqual(['suspended', 'active']);
  });
});

describe('a native stream that fails', () => {
  const faults: [string, Fault][] = [
    ['refused', { kind: 'refused', error: 'streaming_mode_mismatch' }],
    ['refused as over', { kind: 'refused', error: 'message_not_in_streaming_state' }],
    ['limited', { kind: 'limited', retryAfterMs: 3_000 }],
    ['unanswered and not done', { kind: 'before' }],
    ['unanswered and done', { kind: 'after' }],
    ['unanswered for long and done', { kind: 'silent', ms: 10_000 }],
  ];
  const cases = ['startStream', 'appendStream', 'stopStream'].flatMap((method) =>
    faults.map(([name, fault]) => [`a ${method} that is ${name}`, method, fault] as const),
  );

  test.each(cases)('%s: all text arrives once, and no further stream is begun', async (_, method, fault) => {
    const { stage, slack, shown, streams, failOnce, countOf, say, advance } = createStreamStage();
    failOnce(method, fault);
    const turn = stage.turn(address);
    await say(turn, 'one two', 2_000);
    await say(turn, 'one two three', 2_000);
    await say(turn, 'one two three four', 2_000);
    turn.finish({ items: [text('one two three four five')] });
    await advance(MINUTE);
    expect(shown()).toEqual(['one two three four five']);
    expect(streams()).toEqual([]);
    expect(turn.delivery).toEqual({ delivered: true });
    const begun = countOf('startStream');
    const other = stage.turn({ ...address, threadTs: '1700000000.000002' }, [], 'turn-2');
    other.show({ items: [text('again')], activity: writing });
    await advance(2_000);
    // A message that is found although its answer is late is no failure.
    expect(countOf('startStream')).toBe(method === 'startStream' && fault.kind === 'silent' ? 2 : begun);
    expect(slack.complaints).toEqual([]);
  });

  test('is tried again after a passing failure, never after a refusal', async () => {
    for (const [fault, isBack] of [
      [{ kind: 'before' }, true],
      [{ kind: 'refused', error: 'unknown_method' }, false],
    ] as const) {
      const { stage, failOnce, countOf, say, advance } = createStreamStage();
      failOnce('startStream', fault);
      const turn = stage.turn(address);
      await say(turn, 'one');
      turn.finish({ items: [text('one')] });
      await advance(11 * MINUTE);
      const other = stage.turn({ ...address, threadTs: '1700000000.000002' }, [], 'turn-2');
      other.show({ items: [text('again')], activity: writing });
      await advance(2_000);
      expect(countOf('startStream')).toBe(isBack ? 2 : 1);
    }
  });

  test('stopped by a person: the message is edited, and streams go on', async () => {
    const { stage, methods, shown, failOnce, countOf, say, advance } = createStreamStage();
    failOnce('appendStream', { kind: 'refused', error: 'stopped_by_user' });
    const turn = stage.turn(address);
    await say(turn, 'one');
    stage.slack.messages(DM, THREAD).forEach((message) => {
      if (message.stream) message.stream.isOpen = false;
    });
    await say(turn, 'one two', 2_000);
    turn.finish({ items: [text('one two')], line: 'Stopped' });
    await advance(3_000);
    expect(shown()).toEqual(['one two', 'Stopped']);
    expect(methods()).not.toContain('stopStream');
    const other = stage.turn({ ...address, threadTs: '1700000000.000002' }, [], 'turn-2');
    other.show({ items: [text('again')], activity: writing });
    await advance(2_000);
    expect(countOf('startStream')).toBe(2);
  });

  test('deleted by somebody: its text is posted again', async () => {
    const { stage, slack, shown, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'one');
    slack.deleteMessage(DM, turn.stored[0]?.ts ?? '');
    await say(turn, 'one two', 4_000);
    turn.finish({ items: [text('one two three')] });
    await advance(4_000);
    expect(shown()).toEqual(['one two three']);
  });

  test('died while Slack was away: the message is edited', async () => {
    const { stage, slack, shown, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'one');
    slack.fault = () => ({ kind: 'before' });
    await say(turn, 'one two', 6 * MINUTE);
    slack.fault = () => null;
    turn.finish({ items: [text('one two three')] });
    await advance(5 * MINUTE);
    expect(shown()).toEqual(['one two three']);
  });

  test('with blocks that Slack refuses ends bare and is edited', async () => {
    const { stage, slack, shown, streams, say, advance } = createStreamStage();
    slack.fault = (method, args) =>
      method === 'chat.stopStream' && args.markdown_text !== undefined
        ? { kind: 'refused', error: 'msg_too_long' }
        : null;
    const turn = stage.turn(address);
    await say(turn, 'one');
    turn.finish({ items: [text('one two')] });
    await advance(3_000);
    expect(shown()).toEqual(['one two']);
    expect(streams()).toEqual([]);
  });

  test('ended in vain: the stream is ended again', async () => {
    const { stage, shown, failOnce, countOf, say, advance } = createStreamStage();
    // The answer is lost before Slack has done it.
    failOnce('stopStream', { kind: 'before' });
    const turn = stage.turn(address);
    await say(turn, 'one');
    turn.finish({ items: [text('one two')] });
    await advance(MINUTE);
    expect(shown()).toEqual(['one two']);
    expect(countOf('stopStream')).toBe(2);
  });
});

describe('the budget of native streams', () => {
  test('twenty begin in a minute; the next turns are posted', async () => {
    const { stage, slack, countOf, advance } = createStreamStage();
    const places = Array.from({ length: 24 }, (_, n) => ({ ...address, channel: `D${n}` }));
    for (const [n, place] of places.entries()) {
      stage.turn(place, [], `turn-${n}`).show({ items: [text('one')], activity: writing });
    }
    await advance(2_000);
    expect([countOf('startStream'), countOf('postMessage')]).toEqual([20, 4]);
    expect(slack.complaints).toEqual([]);
  });

  test('the last text is shown although the stream cannot be ended yet', async () => {
    const { stage, slack, shown, advance, say } = createStreamStage();
    for (let n = 0; n < 19; n += 1) {
      const other = stage.turn({ ...address, channel: `D${n}` }, [], `turn-${n}`);
      other.show({ items: [text('one')], activity: writing });
    }
    const turn = stage.turn(address, [], 'turn-last');
    await say(turn, 'one');
    slack.fault = (method) => (method === 'chat.stopStream' ? { kind: 'limited', retryAfterMs: 30_000 } : null);
    stage.turn({ ...address, channel: 'D0' }, [], 'turn-0');
    turn.finish({ items: [text('one two')] });
    await advance(2_000);
    slack.fault = () => null;
    expect(shown().join('')).toContain('two');
    await advance(MINUTE);
    expect(shown().join('')).toBe('one two');
    expect(turn.delivery).toEqual({ delivered: true });
    expect(slack.complaints).toEqual([]);
  });
});

describe('a restart in the middle of a native stream', () => {
  test('ends it, and goes on in the same message by edits', async () => {
    const { stage, methods, shown, streams, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'one two');
    stage.crash();
    await advance(3_000);
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.show({ items: [text('one two three')], activity: writing });
    await advance(4_000);
    expect(shown()).toEqual(['one two three[writing]']);
    again.finish({ items: [text('one two three four')] });
    await advance(4_000);
    expect(shown()).toEqual(['one two three four']);
    expect(streams()).toEqual([]);
    expect(methods().filter((method) => method !== 'conversations.replies')).toEqual([
      ...['startStream', 'stopStream', 'update', 'update'],
    ]);
  });

  test('finds a stream whose begin had no answer', async () => {
    const { stage, slack, shown, streams, advance } = createStreamStage();
    slack.latency = (method) => (method === 'chat.startStream' ? 2_000 : 100);
    const turn = stage.turn(address);
    turn.show({ items: [text('one two')], activity: writing });
    await advance(1_500);
    expect(turn.stored).toMatchObject([{ ts: '', part: '0.0' }]);
    stage.crash();
    await advance(3_000);
    expect(streams()).toHaveLength(1);
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.finish({ items: [text('one two three')] });
    await advance(5_000);
    expect(shown()).toEqual(['one two three']);
    expect(streams()).toEqual([]);
    expect(again.stored).toHaveLength(1);
  });

  test('takes no older message of the bot for it', async () => {
    const { stage, slack, shown, advance } = createStreamStage();
    slack.fault = (method) => (method === 'chat.startStream' ? { kind: 'before' } : null);
    slack.addMessage({ channel: DM, thread: THREAD, text: '', blocks: [], metadata: undefined, files: [] });
    const turn = stage.turn(address);
    turn.show({ items: [text('one two')], activity: writing });
    await advance(120);
    stage.crash();
    slack.fault = () => null;
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.finish({ items: [text('one two three')] });
    await advance(5_000);
    expect(shown()).toEqual(['text:', 'one two three']);
  });

  test('leaves a text as it is that is not known any more', async () => {
    const { stage, shown, streams, say, advance } = createStreamStage();
    const turn = stage.turn(address);
    await say(turn, 'one two');
    stage.crash();
    await advance(1_000);
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.finish({ items: [], textUnknown: true, line: 'Interrupted' });
    await advance(5_000);
    expect(shown()).toEqual(['one two', 'Interrupted']);
    expect(streams()).toEqual([]);
  });
});
