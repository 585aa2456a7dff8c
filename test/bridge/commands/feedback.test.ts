import { describe, expect, it } from 'vitest';
import { FeedbackBook } from '../../../src/bridge/commands/feedback.ts';
import { makeTurnId } from '../../../src/bridge/ids.ts';
import { createFakeClock } from '../../support/clock.ts';
import { mapChoices, TEAM, THREAD } from '../../support/middle.ts';

const HOUR = 3_600_000;
const given = (user: string, n: number, words: string | null = null) => ({
  thread: THREAD,
  turn: makeTurnId(`turn${n}`),
  user,
  verdict: words === null ? ('good' as const) : ('bad' as const),
  words,
});

function stage() {
  const clock = createFakeClock();
  const choices = mapChoices();
  return { clock, choices, begin: () => new FeedbackBook({ choices, clock, team: TEAM, keptMs: HOUR }) };
}

describe('the book of feedback', () => {
  it('is kept across restarts, the latest word of each person only', async () => {
    const { begin } = stage();
    await begin().note(given('U1', 1));
    await begin().note(given('U1', 1, 'too long'));
    await begin().note(given('U2', 1));
    expect((await begin().list()).map(({ user, verdict, words }) => [user, verdict, words])).toEqual([
      ['U1', 'bad', 'too long'],
      ['U2', 'good', null],
    ]);
  });

  it('is forgotten after its time', async () => {
    const { begin, clock } = stage();
    const book = begin();
    await book.note(given('U1', 1));
    await clock.advance(HOUR + 1);
    expect(await book.list()).toEqual([]);
  });

  it('is bounded in number and length', async () => {
    const { begin } = stage();
    const book = begin();
    await Promise.all(Array.from({ length: 320 }, (_, n) => book.note(given('U1', n, 'x'.repeat(5_000)))));
    const all = await book.list();
    expect([all.length, all.at(-1)?.turn, all[0]?.words?.length]).toEqual([300, 'turn-turn319', 300]);
  });

  it('stored by another version, unreadable: is left out', async () => {
    const { begin, choices } = stage();
    await choices.set(`feedback:${TEAM}`, '[{"user":7},null]');
    expect(await begin().list()).toEqual([]);
    await choices.set(`feedback:${TEAM}`, 'nonsense');
    expect(await begin().list()).toEqual([]);
  });
});
