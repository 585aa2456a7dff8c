import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareTs } from '../../../src/bridge/ids.ts';
import type { ThreadAddress } from '../../../src/bridge/inbound.ts';
import { runs } from '../../support/runs.ts';
import type { Fault } from './fake-slack.ts';
import { card, createStage, PART_MAX, text } from './stage.ts';

const SEED = 20_261_122;

type Step =
  | { do: 'write'; letters: number }
  | { do: 'ask' }
  | { do: 'decide' }
  | { do: 'retry' }
  | { do: 'tool' }
  | { do: 'redact' }
  | { do: 'wait'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), letters: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ask' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('decide' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tool' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('redact' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 10, max: 4_000 }) }) },
);

const fault: fc.Arbitrary<Fault | null> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('limited' as const),
      retryAfterMs: fc.option(fc.integer({ min: 1, max: 30 }).map((seconds) => seconds * 1000)),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ kind: 'before' }, { kind: 'after' }) },
);

interface Player {
  steps: Step[];
  channel: number;
}

const player: fc.Arbitrary<Player> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 25 }),
  channel: fc.integer({ min: 1, max: 3 }),
});

/** Writes a few letters at a time, so that a message grows for a while. */
const slowPlayer: fc.Arbitrary<Player> = fc.record({
  steps: fc.array(
    fc.oneof(
      { weight: 1, arbitrary: step },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('write' as const), letters: fc.integer({ min: 1, max: 6 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 300, max: 1_500 }) }),
      },
    ),
    { minLength: 1, maxLength: 40 },
  ),
  channel: fc.integer({ min: 1, max: 3 }),
});

/** Faults that only native streams know. */
const streamFault: fc.Arbitrary<Fault | null> = fc.oneof(
  // The first one of a stream ends all streams of its play.
  { weight: 20, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fault },
  { weight: 1, arbitrary: fc.constantFrom<Fault>({ kind: 'before' }, { kind: 'after' }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('streaming_mode_mismatch', 'message_not_in_streaming_state', 'stopped_by_user', 'msg_too_long')
      .map((error): Fault => ({ kind: 'refused', error })),
  },
);

/**
 * Plays random turns side by side and returns the stage with what each thread must show in the end.
 * @param stable of direct messages with native streams: how many of a text's last letters may still change
 */
async function play(players: Player[], faults: (Fault | null)[], latency: number, stable: number | null = null) {
  const isDirect = stable !== null;
  const stage = createStage({
    substance: ({ length }) => (length < 40 ? 'words' : 'readable'),
    nativeStreams: isDirect,
    stable: ({ length }) => length - (stable ?? 0),
  });
  let calls = 0;
  // Faults come at the calls in order, then Slack is well again.
  stage.slack.fault = (method) => {
    if (isDirect && method === 'assistant.threads.setStatus') return null;
    const next = faults[calls++] ?? null;
    return next?.kind === 'refused' && !method.endsWith('Stream') ? null : next;
  };
  stage.slack.latency = () => latency;
  const threads = players.map(({ steps, channel }, index) => {
    const address: ThreadAddress = {
      team: 'T01',
      channel: `${isDirect ? 'D' : 'C'}0${channel}`,
      threadTs: `1700000000.00000${index}`,
    };
    const turn = stage.turn(address, [], `turn-${index}`);
    let items: ReturnType<typeof text>[] = [];
    let letters = 0;
    let cards = 0;
    const write = (count: number) => {
      const more = Array.from({ length: count }, () => String.fromCharCode(97 + (letters++ % 26))).join('');
      const last = items.at(-1);
      if (last?.kind === 'text') items = [...items.slice(0, -1), text(last.markdown + more)];
      else items = [...items, text(more)];
    };
    const perform = async (next: Step) => {
      if (next.do === 'write') write(next.letters);
      if (next.do === 'ask') items = [...items, card(`${index}-${cards++}`)];
      if (next.do === 'decide')
        items = items.map((item) => (item.kind === 'card' ? card(item.card.token, 'decided') : item));
      if (next.do === 'retry' && items.at(-1)?.kind === 'text') items = items.slice(0, -1);
      // What was said turns out to be a secret.
      const said = items.at(-1);
      if (next.do === 'redact' && said?.kind === 'text')
        items = [...items.slice(0, -1), text(`#${said.markdown.slice(1)}`)];
      const tool = { kind: 'tool', tool: 'Bash', detail: 'ls' } as const;
      turn.show({ items, activity: next.do === 'tool' ? tool : { kind: 'writing' } });
    };
    return { address, turn, steps, perform, items: () => items };
  });
  const longest = Math.max(...threads.map(({ steps }) => steps.length));
  for (let at = 0; at < longest; at += 1) {
    let wait = 0;
    for (const thread of threads) {
      const next = thread.steps[at];
      if (next?.do === 'wait') wait = Math.max(wait, next.ms);
      else if (next) await thread.perform(next);
      if (at === thread.steps.length - 1) thread.turn.finish({ items: thread.items() });
    }
    await stage.clock.advance(wait);
  }
  await stage.clock.advance(30 * 60_000);
  return { stage, threads };
}

function expected(items: ReturnType<typeof text>[]): string[] {
  return items.flatMap((item) => {
    if (item.kind === 'card') return [`card ${item.card.token} ${item.card.state.state}`];
    if (item.kind === 'joined') return [];
    const parts: string[] = [];
    for (let from = 0; from < item.markdown.length; from += PART_MAX)
      parts.push(item.markdown.slice(from, from + PART_MAX));
    return parts;
  });
}

const isCard = (part: string) => part.startsWith('card ');

/** The same with texts between two cards as one: last words that cannot wait for an edit go into a message of their own. */
function joinTexts(parts: readonly string[]): string[] {
  const joined: string[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (last === undefined || isCard(last) || isCard(part)) joined.push(part);
    else joined[joined.length - 1] = last + part;
  }
  return joined;
}

describe('the outbox', () => {
  test('shows every final view once and in order, with random faults', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(player, { minLength: 1, maxLength: 6 }),
        fc.array(fault, { maxLength: 60 }),
        fc.integer({ min: 2, max: 1_500 }),
        async (players, faults, latency) => {
          const { stage, threads } = await play(players, faults, latency);
          for (const { address, turn, items } of threads) {
            expect(turn.delivery).toEqual({ delivered: true });
            const shown = stage.slack.shown(address.channel, address.threadTs);
            expect(joinTexts(shown)).toEqual(joinTexts(expected(items())));
            for (const part of shown) if (!isCard(part)) expect(part.length).toBeLessThanOrEqual(PART_MAX);
            const order = turn.stored.map((post) => post.ts);
            expect(order).toEqual([...order].sort(compareTs));
          }
          expect(stage.slack.complaints).toEqual([]);
          expect(stage.clock.waiting).toBe(0);
          expectSpacing(stage.slack.callsOf('chat.update'));
          expectNoRepeats(stage.slack.calls);
        },
      ),
      { seed: SEED, numRuns: runs(120) },
    );
  });

  test('shows the same by native streams, with random faults', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(player, slowPlayer), { minLength: 1, maxLength: 6 }),
        fc.array(streamFault, { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 2, max: 1_500 }),
        fc.integer({ min: 0, max: 10 }),
        async (players, faults, latency, stable) => {
          const { stage, threads } = await play(players, faults, latency, stable);
          for (const { address, turn, items } of threads) {
            expect(turn.delivery).toEqual({ delivered: true });
            expect(joinTexts(stage.slack.shown(address.channel, address.threadTs))).toEqual(
              joinTexts(expected(items())),
            );
            const messages = stage.slack.messages(address.channel, address.threadTs);
            expect(messages.filter(({ stream }) => stream?.isOpen && isAlive(stage, stream.beganAt))).toEqual([]);
            const order = turn.stored.map((post) => post.ts);
            expect(order).toEqual([...order].sort(compareTs));
          }
          expect(stage.slack.complaints).toEqual([]);
          expect(stage.clock.waiting).toBe(0);
          expectNoRepeats(stage.slack.calls);
        },
      ),
      { seed: SEED, numRuns: runs(300) },
    );
  });

  /** A stream that Slack has not given up by itself. */
  const isAlive = (stage: ReturnType<typeof createStage>, beganAt: number) => stage.clock.now() - beganAt < 300_000;

  type Calls = ReturnType<typeof createStage>['slack']['calls'];

  /** Live edits of one message keep half a second from any edit before, except those that show its first text. */
  function expectSpacing(updates: Calls) {
    const last = new Map<unknown, { at: number; text: boolean }>();
    for (const call of updates) {
      const before = last.get(call.args.ts);
      const text = !/^\[\w+\]$/.test((call.args.blocks as { text?: string }[])[0]?.text ?? '');
      const isFirstText = text && before?.text === false;
      if (before && call.client === 'live' && !isFirstText) expect(call.at - before.at).toBeGreaterThanOrEqual(500);
      last.set(call.args.ts, { at: call.at, text: text || before?.text === true });
    }
  }

  /** No message gets content that it has. */
  function expectNoRepeats(calls: Calls) {
    const content = new Map<unknown, string>();
    for (const call of calls) {
      if (call.method !== 'chat.update') continue;
      const now = JSON.stringify([call.args.blocks, call.args.text]);
      expect(content.get(call.args.ts)).not.toBe(now);
      if (call.outcome === 'ok') content.set(call.args.ts, now);
      else content.delete(call.args.ts);
    }
  }

  test('doubles and loses nothing when it crashes at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9_000 }),
        fc.integer({ min: 2, max: 3_000 }),
        fc.integer({ min: 1, max: 150 }),
        fc.constantFrom('C01', 'D01'),
        async (crashAt, latency, letters, channel) => {
          const stage = createStage({ nativeStreams: true });
          stage.slack.latency = () => latency;
          const address: ThreadAddress = { team: 'T01', channel, threadTs: '1700000000.000001' };
          const items = [text('x'.repeat(letters)), card('A'), text('tail')];
          const turn = stage.turn(address);
          for (let second = 1; second <= 4; second += 1) {
            turn.show({ items: [text('x'.repeat(Math.ceil((letters * second) / 4)))], activity: { kind: 'writing' } });
            await stage.clock.advance(Math.max(0, Math.min(crashAt - (second - 1) * 1_000, 1_000)));
          }
          turn.show({ items });
          await stage.clock.advance(Math.max(0, crashAt - 4_000));
          stage.crash();
          // A call that had left when the process died still arrives; a new process takes a while to start.
          await stage.clock.advance(latency + 2_000);
          const again = stage.turn(address, turn.stored, 'turn-1', true);
          again.finish({ items });
          await stage.clock.advance(120_000);
          expect(again.delivery).toEqual({ delivered: true });
          expect(stage.slack.shown(channel, address.threadTs)).toEqual(expected(items));
          expect(stage.slack.messages(channel, address.threadTs).some(({ stream }) => stream?.isOpen)).toBe(false);
          expect(stage.slack.complaints).toEqual([]);
        },
      ),
      { seed: SEED, numRuns: runs(100) },
    );
  });

  test('shares edits fairly between twenty live threads', async () => {
    const stage = createStage();
    const count = 20;
    const turns = Array.from({ length: count }, (_, n) =>
      stage.turn({ team: 'T01', channel: `C${n}`, threadTs: `1700000000.0000${n + 10}` }, [], `turn-${n}`),
    );
    let words = '';
    for (let second = 0; second < 240; second += 1) {
      words = `${words.slice(-30)}${second},`;
      for (const turn of turns) turn.show({ items: [text(words)] });
      await stage.clock.advance(500);
    }
    const edits = turns.map((_, n) =>
      stage.slack.callsOf('chat.update').filter((call) => call.args.channel === `C${n}`),
    );
    const counts = edits.map((calls) => calls.length);
    // 48 a minute over two minutes, for 20 threads.
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(3);
    for (const calls of edits)
      for (let n = 1; n < calls.length; n += 1)
        expect((calls[n]?.at ?? 0) - (calls[n - 1]?.at ?? 0)).toBeLessThanOrEqual(35_000);
    // Their last texts all come at once and do not wait behind live edits.
    for (const turn of turns) turn.finish({ items: [text('the end')] });
    await stage.clock.advance(70_000);
    expect(turns.every((turn) => turn.delivery?.delivered)).toBe(true);
    expect(stage.slack.complaints).toEqual([]);
  });
});
