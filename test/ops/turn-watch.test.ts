import { describe, expect, it } from 'vitest';
import type { TurnId } from '../../src/bridge/ids.ts';
import type { Delivery, Surface, SurfaceTurn } from '../../src/bridge/ports.ts';
import type { TurnView } from '../../src/bridge/view/turn.ts';
import { createMemoryMetrics, type MemoryMetrics } from '../../src/ops/metrics.ts';
import { watchTurns } from '../../src/ops/turn-watch.ts';
import { createFakeClock } from '../support/clock.ts';

const address = { team: 'T1', channel: 'C1', threadTs: '1.1' };
const view = (text: string, ended = false): TurnView => ({
  turn: 'turn-1' as TurnId,
  address,
  notPassedOn: [],
  items: text === '' ? [] : [{ kind: 'text', markdown: text }],
  live: ended ? null : { activity: { kind: 'thinking' }, stop: null, queued: 0 },
  ending: ended ? { outcome: 'stopped', by: null, line: null, tools: 0, durationMs: 1 } : null,
});

function setUp({ resumed = false, delivery = { delivered: true } as Delivery } = {}) {
  const clock = createFakeClock();
  const observed: [string, number][] = [];
  const memory: MemoryMetrics = createMemoryMetrics();
  const metrics = { ...memory, observe: (name: string, seconds: number) => void observed.push([name, seconds]) };
  let inner: SurfaceTurn | null = null;
  const surface = {
    openTurn(options: SurfaceTurn) {
      inner = options;
      return { show: () => undefined, finish: async () => delivery };
    },
  } as unknown as Surface;
  const turn = watchTurns(surface, metrics, clock).openTurn({
    turn: 'turn-1' as TurnId,
    address,
    posts: [],
    resumed,
    onPosts: async () => undefined,
  });
  return { clock, observed, memory, turn, posted: () => inner?.onPosts([]) };
}

describe('the time of a turn', () => {
  it('is taken once when its first text reached Slack', async () => {
    const { clock, observed, turn, posted } = setUp();
    turn.show(view(''));
    await clock.advance(1_000);
    await posted();
    await clock.advance(1_000);
    turn.show(view('Hello'));
    expect(observed).toEqual([]);
    await clock.advance(1_500);
    await posted();
    await posted();
    expect(observed).toEqual([['turn_first_text_seconds', 3.5]]);
  });

  it('is taken at its end, and counted by outcome', async () => {
    const { clock, observed, memory, turn } = setUp();
    await clock.advance(7_000);
    await turn.finish(view('', true));
    expect(observed).toEqual([['turn_seconds', 7]]);
    expect(memory.value('turns', { outcome: 'stopped' })).toBe(1);
  });

  it('is not taken after a restart; the turn is only counted', async () => {
    const { observed, memory, turn, posted } = setUp({ resumed: true });
    turn.show(view('Hello'));
    await posted();
    await turn.finish(view('Hello', true));
    expect(observed).toEqual([]);
    expect(memory.value('turns', { outcome: 'stopped' })).toBe(1);
  });

  it('is not taken when its end could not be delivered', async () => {
    const { observed, turn } = setUp({ delivery: { delivered: false, reason: 'is_archived' } });
    await turn.finish(view('', true));
    expect(observed).toEqual([]);
  });
});
