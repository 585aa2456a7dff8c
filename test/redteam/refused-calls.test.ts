import { describe, expect, test } from 'vitest';
import { LASTS, play, WHEN, WORDS } from './refused-calls.ts';

/** One of each kind: the token, the channel, the thread, the message, the content, Slack's own trouble. */
const KINDS = [
  'invalid_auth',
  'not_in_channel',
  'restricted_action_thread_locked',
  'edit_window_closed',
  'invalid_blocks',
];

describe('a refused call loses nothing, doubles nothing and decides nothing', () => {
  test.each(WORDS.map((word, n) => ({ word, lasts: LASTS[n % 4] ?? 'one', when: WHEN[(n >> 2) % 4] ?? 'card' })))(
    '$word, $lasts, at the $when',
    async (story) => {
      expect(await play({ ...story, restart: false })).toEqual([]);
    },
  );

  describe('also when the bridge restarts meanwhile', () => {
    test.each(
      KINDS.flatMap((word) => WHEN.map((when, n) => ({ word, when, lasts: LASTS[(n + word.length) % 4] ?? 'one' }))),
    )('$word, $lasts, at the $when', async (story) => {
      expect(await play({ ...story, restart: true })).toEqual([]);
    });
  });
});
