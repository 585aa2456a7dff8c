import { describe, expect, it } from 'vitest';
import type { Compacted } from '../../../src/bridge/agent-event.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createRunning, type Middle } from '../../support/middle.ts';

/** A thread whose first turn is over, and a Letta that writes a summary until `done` is called. */
async function quiet(options: Parameters<typeof createRunning>[0] = {}) {
  const middle = await createRunning(options);
  middle.connection.say('a.txt');
  middle.connection.end();
  await middle.clock.settle();
  const { promise, resolve, reject } = Promise.withResolvers<Compacted>();
  middle.connection.onCompact = () => promise;
  return { middle, done: resolve, fail: reject };
}

const said = ({ surface }: Middle) => surface.said.map(({ text }) => text);
const whispered = ({ surface }: Middle) => surface.whispered.map(({ text }) => text);

describe('!compact', () => {
  it('has Letta summarise, and says so in the thread', async () => {
    const { middle, done } = await quiet();
    await middle.write('!compact');
    await middle.clock.settle();
    expect(middle.connection.compactions).toBe(1);
    expect(middle.record().compaction).toMatchObject({ by: 'U01ALICE', asked: true });
    done({ messages: { before: 8, after: 6 } });
    await middle.clock.settle();
    expect(said(middle).at(-1)).toContain('had Letta summarise the earlier messages (8 became 6)');
    expect(middle.record().compaction).toBeUndefined();
  });

  it('a message meanwhile: waits, and runs afterwards', async () => {
    const { middle, done } = await quiet();
    await middle.write('!compact');
    await middle.clock.settle();
    await middle.write('and now?');
    await middle.clock.advance(30_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(JSON.stringify(middle.surface.last.live)).toContain('summarising the earlier messages');
    done({ messages: null });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('given twice: asks once', async () => {
    const { middle } = await quiet();
    await middle.write('!compact');
    await middle.clock.settle();
    await middle.write('!compact');
    await middle.clock.settle();
    expect(middle.connection.compactions).toBe(1);
    expect(whispered(middle).at(-1)).toContain('already summarising');
  });

  it('while a turn runs: refuses', async () => {
    const middle = await createRunning();
    await middle.write('!compact');
    await middle.clock.settle();
    expect(middle.connection.compactions).toBe(0);
    expect(whispered(middle).at(-1)).toContain('when I’m done');
  });

  it('Letta refuses: tells who asked, and the thread goes on', async () => {
    const { middle, fail } = await quiet();
    await middle.write('!compact');
    await middle.clock.settle();
    fail(new BridgeError('letta_refused', 'no', { notice: 'Letta did not summarise.' }));
    await middle.clock.settle();
    expect(whispered(middle).at(-1)).toBe('Letta did not summarise.');
    await middle.write('and now?');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('link lost: no input leaves before the summary must be written', async () => {
    const { middle } = await quiet();
    await middle.write('!compact');
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ reconnected: true });
    await middle.write('and now?');
    await middle.clock.advance(2 * 60_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.connection.compactions).toBe(1);
    await middle.clock.advance(2 * 60_000);
    expect(whispered(middle).at(-1)).toContain('didn’t say whether');
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('Letta away for long: is given up, and Letta never asked', async () => {
    const { middle } = await quiet();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!compact');
    await middle.clock.advance(4 * 60_000);
    expect(middle.connection.compactions).toBe(0);
    expect(whispered(middle).at(-1)).toContain('could not reach Letta');
    expect(middle.record().compaction).toBeUndefined();
  });
});
