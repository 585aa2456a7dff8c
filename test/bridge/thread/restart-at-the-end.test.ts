import { describe, expect, it } from 'vitest';
import { createShown } from '../../support/shown.ts';

/**
 * A turn that failed after a long text, of which the history has nothing (docs/letta-protocol.md, Deltas); dead while
 * that goes to Slack.
 */
async function died(afterMs: number) {
  const shown = createShown();
  const { middle } = shown;
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  middle.connection.say(Array.from({ length: 3_000 }, (_, n) => `word${n}`).join(' '));
  middle.connection.end('error', 'run-1', 'the model is down');
  await middle.clock.advance(afterMs);
  const before = shown.messages().map((message) => shown.read(message));
  const id = middle.connection.submitted[0]?.clientMessageId ?? '';
  await middle.restart();
  middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
  await middle.clock.advance(5_000);
  middle.connection.ready();
  await middle.clock.advance(60_000);
  return { before, after: shown.messages().map((message) => shown.read(message)) };
}

describe('a restart while the last post of a turn is sent', () => {
  it('text missing in the history: keeps every word, one ending', async () => {
    for (const afterMs of [500, 1_500, 2_500, 3_500, 4_500]) {
      const { before, after } = await died(afterMs);
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after.join('\n').match(/The agent failed: the model is down/g)).toHaveLength(1);
      expect(after.join('\n')).not.toMatch(/could not reload|I restarted/);
    }
  });
});
