import { describe, expect, test } from 'vitest';
import { LASTS, play, WHEN, WORDS } from './refused-calls.ts';

// Restarts in between are in the fast part, for a word of each kind.
describe.each(WORDS)('Slack refuses calls with %s', (word) => {
  test.each(LASTS.flatMap((lasts) => WHEN.map((when) => ({ lasts, when }))))(
    '$lasts × $when: the answer arrives whole, once',
    async ({ lasts, when }) => {
      expect(await play({ word, lasts, when, restart: false })).toEqual([]);
    },
  );
});
