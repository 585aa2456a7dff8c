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
  | { do: 'wait'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), letters: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ask' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('decide' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tool' as const) }) },
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

/** Plays random turns side by side and returns the stage with what each thread must show in the end. */
async function play(players: Player[], faults: (Fault | null)[], latency: number) {
  const stage = createStage({ substance: ({ length }) => (length < 40 ? 'words' : 'readable') });
  let calls = 0;
  // Faults come at the calls in order, then Slack is well again.
  stage.slack.fault = () => faults[calls++] ?? null;
  stage.slack.latency = () => latency;
  const threads = players.map(({ steps, channel }, index) => {
    const address: ThreadAddress = { team: 'T01', channel: `C0${channel}`, threadTs: `1700000000.00000${index}` };
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
      const tool = { kind: 'tool', tool: 'Bash', detail: 'ls' } as const;
      turn.show({ items, ...(next.do === 'tool' ? { activity: tool } : {}) });
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
        async (crashAt, latency, letters) => {
          const stage = createStage();
          stage.slack.latency = () => latency;
          const address: ThreadAddress = { team: 'T01', channel: 'C01', threadTs: '1700000000.000001' };
          const items = [text('x'.repeat(letters)), card('A'), text('tail')];
          const turn = stage.turn(address);
          turn.show({ items: items.slice(0, 1) });
          await stage.clock.advance(Math.min(crashAt, 4_000));
          turn.show({ items });
          await stage.clock.advance(Math.max(0, crashAt - 4_000));
          stage.crash();
          // A call that had left when the process died still arrives; a new process takes a while to start.
          await stage.clock.advance(latency + 2_000);
          const again = stage.turn(address, turn.stored, 'turn-1', true);
          again.finish({ items });
          await stage.clock.advance(120_000);
          expect(again.delivery).toEqual({ delivered: true });
          expect(stage.slack.shown('C01', address.threadTs)).toEqual(expected(items));
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
