import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { medianRows, row } from '../../bench/row.ts';
import { fairStaleness, type Load, stalenessBound, waitsOfLastEdits } from '../../bench/streams/bound.ts';
import {
  finalDelay,
  firstReadableDelay,
  readableAt,
  readableWords,
  staleness,
  type Trace,
  wordDelays,
  writingTime,
} from '../../bench/streams/trace.ts';

const trace = (words: number[], shown: [at: number, words: number][]): Trace => ({
  channel: 'C1',
  asked: 0,
  length: words.length,
  words,
  shown: shown.map(([at, count]) => ({ at, words: count })),
  firstSign: null,
  calls: 0,
  bytes: 0,
});

describe('measures of a benchmark turn', () => {
  const turn = trace(
    [1_000, 1_100, 1_200, 1_300],
    [
      [1_050, 1],
      [1_400, 4],
    ],
  );

  it('staleness is the age of the oldest word not shown', () => {
    expect(staleness(turn, 50, 0, 2_000)).toEqual([0, 0, 0, 50, 100, 150]);
    expect(staleness(turn, 50, 1_200, 1_250)).toEqual([100]);
  });

  it('delays are measured for each word, the final one separately', () => {
    expect(wordDelays(turn, 9_000)).toEqual([50, 300, 200, 100]);
    expect(finalDelay(turn, 9_000)).toBe(100);
    expect(finalDelay(trace([1, 2], [[3, 1]]), 10)).toBe(8);
  });

  it('text is readable from 40 characters on, or when it is whole', () => {
    expect('word1 word2 word3 word4 word5 word6 word7'.length).toBe(41);
    expect(readableWords(100)).toBe(7);
    expect(readableWords(3)).toBe(3);
    const words = Array.from({ length: 20 }, (_, at) => 1_000 + at * 10);
    const long = trace(words, [
      [1_020, 1],
      [1_100, 7],
    ]);
    expect(readableAt(long, 9_000)).toBe(1_060);
    expect(firstReadableDelay(long, 9_000)).toBe(100);
    expect(firstReadableDelay(trace(words, [[1_020, 1]]), 9_000)).toBe(8_000);
  });

  it('writing time lasts from the first to the last word', () => {
    expect(writingTime(turn, 0, 5_000)).toBe(300);
    expect(writingTime(turn, 1_250, 5_000)).toBe(50);
    expect(writingTime(turn, 0, 500)).toBe(0);
  });
});

describe('the bound of staleness', () => {
  const endless = (threads: number): Load => ({
    limit: 50,
    window: 120_000,
    writing: threads * 120_000,
    ends: 0,
    turns: { shortest: 1e9, longest: 1e9 },
    wordGap: 0,
    roundTrip: 0,
  });

  it('is the time between two edits where turns never end', () => {
    expect(stalenessBound(endless(20), 0.5) / 12_000).toBeCloseTo(1, 2);
    expect(stalenessBound(endless(20), 0.95) / 22_800).toBeCloseTo(1, 2);
    expect(fairStaleness(endless(20), 0.95) / 22_800).toBeCloseTo(1, 2);
  });

  it('is below the best fair scheduler, and grows with the threads', () => {
    const load = (threads: number): Load => ({
      ...endless(threads),
      ends: (threads * 120_000) / 90_000,
      turns: { shortest: 60_000, longest: 120_000 },
    });
    const count = fc.integer({ min: 2, max: 50 });
    fc.assert(
      fc.property(count, count, fc.constantFrom(0.25, 0.5, 0.75, 0.95), (a, b, quantile) => {
        const [few, many] = [Math.min(a, b), Math.max(a, b)];
        // Both are found to half a ms.
        expect(stalenessBound(load(few), quantile)).toBeLessThanOrEqual(fairStaleness(load(few), quantile) + 1);
        expect(stalenessBound(load(few), quantile)).toBeLessThanOrEqual(stalenessBound(load(many), quantile) + 1);
      }),
    );
  });
});

describe('the wait of a last edit', () => {
  it('lasts until the window has room for it', () => {
    const edits = [0, 10_000, 20_000];
    expect(waitsOfLastEdits(edits, [30_000, 30_500], 5)).toEqual([0, 0]);
    expect(waitsOfLastEdits(edits, [30_000, 30_500], 4)).toEqual([0, 29_500]);
    expect(waitsOfLastEdits(edits, [30_000, 30_500], 3)).toEqual([30_000, 39_500]);
  });
});

describe('rows of repeated runs', () => {
  it('have each figure’s median and range, and a target if any', () => {
    const run = (value: number, target: number) => [row('a', value, 'ms'), row('b', value, 'x', target)];
    expect(medianRows([run(1, 5), run(9, 4), run(4, 3)])).toEqual([
      { id: 'a', value: 4, unit: 'ms', range: [1, 9] },
      { id: 'b', value: 4, unit: 'x', target: 4, met: true, range: [1, 9] },
    ]);
  });
});
