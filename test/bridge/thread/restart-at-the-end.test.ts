import { describe, expect, it } from 'vitest';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import { createShown } from '../../support/shown.ts';
import { touchX } from './approvals/asking-people.ts';

/**
 * A turn that failed after a long text, of which the history has nothing (docs/letta-protocol.md, Deltas); dead while
 * that goes to Slack.
 * @param how `later`: what the history has behind its input after the restart; `words`: how many it had said; `asks`: a
 * request waits after the restart
 */
async function died(
  afterMs: number,
  { later = [], words = 3_000, asks = false }: { later?: HistoryItem[]; words?: number; asks?: boolean } = {},
) {
  const shown = createShown();
  const { middle } = shown;
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  if (words > 0) middle.connection.say(Array.from({ length: words }, (_, n) => `word${n}`).join(' '));
  middle.connection.end('error', 'run-1', 'the model is down');
  await middle.clock.advance(afterMs);
  const before = shown.messages().map((message) => shown.read(message));
  const id = middle.connection.submitted[0]?.clientMessageId ?? '';
  await middle.restart();
  middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }, ...later];
  await middle.clock.advance(5_000);
  middle.connection.ready(asks ? { loop: 'waiting_on_approval', approvals: [touchX] } : {});
  await middle.clock.advance(60_000);
  return { before, after: shown.messages().map((message) => shown.read(message)) };
}

describe('a restart while the last post of a turn is sent', () => {
  it('text missing in the history: keeps every word, one ending', async () => {
    for (const afterMs of [500, 1_500, 2_500, 3_500, 4_500]) {
      const { before, after } = await died(afterMs);
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after.join('\n').match(/The agent stopped with an error: the model is down/g)).toHaveLength(1);
      expect(after.join('\n')).not.toMatch(/could not reload|I restarted/);
    }
  });

  it('Letta began another turn meanwhile: shows no text of it', async () => {
    const later: HistoryItem[] = [
      { kind: 'tool', id: 't1', callId: 'call-1', tool: 'Bash', result: 'real' },
      { kind: 'user', id: 'u2', clientMessageId: 'auto-cm-q-1', text: 'a subagent is done' },
      { kind: 'assistant', id: 'm-2', text: 'all of it was found' },
    ];
    for (const afterMs of [500, 1_500, 2_500, 3_500, 4_500]) {
      const { before, after } = await died(afterMs, { later });
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after.join('\n')).toContain('The agent stopped with an error: the model is down');
      expect(after.join('\n')).not.toContain('all of it was found');
    }
    const { after } = await died(0, { later, words: 0 });
    expect(after.join('\n')).toContain('The agent stopped with an error: the model is down');
    expect(after.join('\n')).not.toContain('all of it was found');
  });

  it("Letta's next turn asks: has its own message below the end", async () => {
    for (const afterMs of [500, 1_500, 2_500]) {
      const { before, after } = await died(afterMs, { asks: true });
      expect(after.slice(0, before.length)).toEqual(before);
      const end = after.findIndex((text) => text.includes('The agent stopped with an error: the model is down'));
      const card = after.findIndex((text) => text.includes('touch x'));
      expect(end).toBeGreaterThanOrEqual(0);
      expect(card).toBeGreaterThan(end);
    }
  });
});
