import { describe, expect, it } from 'vitest';
import { type AskPage, createPageReader } from '../../src/letta/history-pages.ts';

const MIB = 1024 * 1024;

/** A conversation of `count` items, the newest first, as Letta pages it. `asked` has the sizes of the pages. */
function conversation(count: number) {
  const items = Array.from({ length: count }, (_, at) => ({
    id: `m${count - at}`,
    message_type: 'assistant_message',
    content: `text ${count - at}`,
  }));
  const asked: number[] = [];
  const ask: AskPage = async ({ limit, before }) => {
    asked.push(limit);
    const rest = items.slice(items.findIndex(({ id }) => id === before) + 1);
    const messages = rest.slice(0, limit);
    return { messages, before: rest.length > limit ? (messages.at(-1)?.id ?? null) : null };
  };
  const newest = (limit: number) =>
    items
      .slice(0, limit)
      .map(({ id }) => id)
      .toReversed();
  return { asked, ask, newest };
}

const ids = (items: readonly { id: string }[] | null) => items?.map(({ id }) => id);

describe('the history', () => {
  it.each([true, false])('comes whole and in order (App Server: %s)', async (isAppServer) => {
    for (const [count, limit] of [
      [0, 50],
      [1, 50],
      [7, 50],
      [60, 50],
      [101, 1_000],
      [9, 3],
    ] as const) {
      const { ask, newest } = conversation(count);
      expect(ids(await createPageReader(isAppServer)(limit, ask)), `${count} of ${limit}`).toEqual(newest(limit));
    }
  });

  it('comes from an App Server in pages that cut no stream', async () => {
    const { ask, asked } = conversation(60);
    await createPageReader(true)(50, ask);
    // An input has at most 7.25 MiB of pictures.
    expect(Math.max(...asked) * 7.25 * MIB).toBeLessThan(16 * MIB);
    expect(asked).toHaveLength(25);
  });

  it('comes over a relay in one page', async () => {
    const { ask, asked } = conversation(60);
    await createPageReader(false)(50, ask);
    expect(asked).toEqual([50]);
  });

  it('comes in smaller pages after each loss', async () => {
    const { ask, asked } = conversation(60);
    const read = createPageReader(false);
    const lost: AskPage = async ({ limit }) => {
      asked.push(limit);
      throw new Error('lost the link');
    };
    for (let loss = 0; loss < 3; loss += 1) await expect(read(50, lost)).rejects.toThrow('lost the link');
    const unanswered: AskPage = async ({ limit }) => {
      asked.push(limit);
      return null;
    };
    expect(await read(50, unanswered)).toBe(null);
    for (let loss = 0; loss < 3; loss += 1) await expect(read(50, lost)).rejects.toThrow('lost the link');
    expect(asked).toEqual([50, 25, 12, 6, 4, 4, 4]);
    expect(await read(50, ask)).toHaveLength(50);
  });

  it('ends when Letta names the same page again', async () => {
    const page = { messages: [{ id: 'm1', message_type: 'assistant_message', content: 'hi' }], before: 'm1' };
    expect(await createPageReader(true)(50, async () => page)).toHaveLength(2);
  });
});
