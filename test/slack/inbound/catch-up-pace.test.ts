import { describe, expect, it } from 'vitest';
import { catchUpAfterAMinute } from '../../../bench/pace/catch-up.ts';

describe('catching up with 50 channels and 200 threads after a minute', () => {
  it('takes up a reply in the thread used last within two seconds', async () => {
    const { delays, refused } = await catchUpAfterAMinute((number) => number === 0);
    expect(delays).toHaveLength(1);
    expect(Math.max(...delays)).toBeLessThan(2_000);
    expect(refused).toBe(0);
  });

  it('takes up those in the seven channels used last within ten seconds', async () => {
    const { delays } = await catchUpAfterAMinute((number) => number % 50 < 7 && number >= 150);
    expect(delays).toHaveLength(7);
    expect(Math.max(...delays)).toBeLessThan(10_000);
  });

  it('misses none, wherever it is, without a refusal', async () => {
    const { delays, refused } = await catchUpAfterAMinute((number) => number % 9 === 0);
    expect(delays.every((ms) => ms < 5 * 60_000)).toBe(true);
    expect(refused).toBe(0);
  });
});
