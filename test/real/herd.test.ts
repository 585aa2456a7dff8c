import { expect, it } from 'vitest';
import { beginHerd } from '../../bench/herd.ts';

it.each([20, 40])('%i threads within a second: each gets a conversation and an answer', async (count) => {
  const { answered, unavailable, lost, queued, conversations, orphaned } = await beginHerd(count);
  expect(answered).toHaveLength(count);
  expect({ unavailable, lost, orphaned, conversations }).toEqual({
    unavailable: 0,
    lost: 0,
    orphaned: 0,
    conversations: count,
  });
  expect(queued).toBeGreaterThan(0);
});
