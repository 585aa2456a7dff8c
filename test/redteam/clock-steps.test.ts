import { describe, expect, it } from 'vitest';
import { touchX } from '../bridge/thread/approvals/asking-people.ts';
import { address, createStage, text } from '../slack/outbox/stage.ts';
import { createMiddle, createRunning } from '../support/middle.ts';

const MINUTE = 60_000;
/** Set by hand, by NTP after a bad start, by a virtual machine that was moved. */
const STEPS = [-90_000, -300_000, -86_400_000, 60 * MINUTE];

describe.each(STEPS)('a wall clock that steps by %i ms', (ms) => {
  it("does not delay a running turn's text or end", async () => {
    const stage = createStage();
    const shown = () => stage.slack.shown(address.channel, address.threadTs as string);
    const turn = stage.turn();
    turn.show({ items: [text('one')] });
    await stage.clock.advance(5_000);
    stage.clock.stepWallClock(ms);
    turn.show({ items: [text('one two')], activity: { kind: 'writing' } });
    await stage.clock.advance(2_000);
    expect(shown()).toEqual(['one two[writing]']);
    turn.finish({ items: [text('one two three')] });
    await stage.clock.advance(2_000);
    expect(shown()).toEqual(['one two three']);
    expect(stage.slack.complaints).toEqual([]);
  });

  it('does not delay the first sign of a new turn', async () => {
    const stage = createStage();
    const first = stage.turn();
    first.finish({ items: [text('before')] });
    await stage.clock.advance(1_000);
    stage.clock.stepWallClock(ms);
    const turn = stage.turn({ ...address, threadTs: '2.1' }, [], 'turn-2');
    turn.show({});
    // While the status stands, the first message waits ten seconds for something to read.
    await stage.clock.advance(10_200);
    expect(stage.slack.shown(address.channel, '2.1')).toEqual(['[thinking]']);
  });

  it('does not change when a silent turn is asked about', async () => {
    const middle = await createRunning({ silenceMs: 10 * MINUTE });
    await middle.clock.advance(5 * MINUTE);
    middle.clock.stepWallClock(ms);
    const asked = () => JSON.stringify(middle.surface.last).includes('the agent has been silent');
    await middle.clock.advance(4 * MINUTE);
    expect(asked()).toBe(false);
    await middle.clock.advance(2 * MINUTE);
    expect(asked()).toBe(true);
  });

  it('does not change when an undecided request expires', async () => {
    const middle = await createRunning({ approvalTimeoutMs: 2 * 60 * MINUTE });
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.advance(10 * MINUTE);
    middle.clock.stepWallClock(ms);
    await middle.clock.advance(105 * MINUTE);
    expect(middle.connection.answers).toEqual([]);
    await middle.clock.advance(10 * MINUTE);
    expect(middle.connection.answers).toMatchObject([{ requestId: 'perm-1', decision: { behavior: 'deny' } }]);
  });

  it('does not hold a message that waited for seconds', async () => {
    const middle = createMiddle({ staleAfterMs: 30 * MINUTE, now: 1_000_000 + 5_000 });
    await middle.write('list the files');
    middle.connection.emit({ type: 'unavailable', code: 'letta_unreachable', notice: 'away', retryInMs: 1_000 });
    await middle.clock.advance(1_000);
    middle.clock.stepWallClock(ms);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.surface.offers).toEqual([]);
    expect(middle.connection.submitted).toHaveLength(1);
  });
});

describe('a limit of turns', () => {
  it('names a time of day, but counts without the wall clock', async () => {
    const none = { rate: null, atOnce: null };
    const user = { rate: { turns: 1, perMs: 10 * MINUTE }, atOnce: null };
    const middle = createMiddle({ policy: { limits: { user, channel: none } } });
    const mention = (n: number) => ({ thread: null, mention: true, ts: `2000.00000${n}` });
    expect(await middle.write('one', mention(1))).toEqual({ outcome: 'accepted' });
    await middle.clock.advance(MINUTE);
    middle.clock.stepWallClock(-5 * MINUTE);
    expect(await middle.write('two', mention(2))).toEqual({ outcome: 'refused', reason: 'user_rate' });
    const again = Math.floor((middle.clock.now() + 9 * MINUTE) / 1_000);
    expect(middle.surface.whispered[0]?.text).toContain(`<!date^${again}^`);
    await middle.clock.advance(9 * MINUTE);
    expect(await middle.write('three', mention(3))).toEqual({ outcome: 'accepted' });
  });
});
