import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silenceStep } from '../../../src/bridge/thread/core/stop.ts';
import { createMiddle, type Middle } from '../../support/middle.ts';

const MINUTE = 60_000;

async function running(): Promise<Middle> {
  const middle = createMiddle({ silenceMs: 30 * MINUTE, turnsDieWithLink: false });
  await middle.write('build it');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  middle.connection.say('On it.');
  await middle.clock.settle();
  return middle;
}

const activity = (middle: Middle) => middle.surface.last.live?.activity;

describe('a silent turn', () => {
  it('after the limit: asks Letta visibly; new text ends the silence', async () => {
    const middle = await running();
    const settles = middle.connection.settles;
    await middle.clock.advance(29 * MINUTE);
    expect(activity(middle)).toMatchObject({ kind: 'writing' });
    await middle.clock.advance(2 * MINUTE);
    expect(activity(middle)).toEqual({
      kind: 'waiting_for_letta',
      notice: 'the agent has been silent for 30 min; I’m checking whether it still works',
    });
    expect(middle.connection.settles).toBe(settles + 1);
    // What the question itself brings is no sign of work.
    middle.connection.begin();
    await middle.clock.advance(20 * MINUTE);
    expect(middle.connection.aborts).toBe(0);
    middle.connection.say(' Still here.');
    await middle.clock.settle();
    expect(activity(middle)).toMatchObject({ kind: 'writing' });
    await middle.clock.advance(29 * MINUTE);
    expect(activity(middle)).toMatchObject({ kind: 'writing' });
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'done' });
  });

  it('after twice the limit: is stopped with a reason', async () => {
    const middle = await running();
    await middle.clock.advance(62 * MINUTE);
    expect(middle.connection.aborts).toBe(1);
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'failed' });
    expect(middle.surface.last.ending?.line).toBe(
      'I stopped the agent, because it had been silent for 1 h. Nothing was changed.',
    );
  });

  it('Stop unheard: is given up, and the next message runs', async () => {
    const middle = await running();
    middle.connection.onAbort = () => new Promise(() => undefined);
    await middle.write('are you there?');
    await middle.clock.advance(63 * MINUTE);
    expect(middle.surface.views.find((view) => view.ending)?.ending?.line).toMatch(
      /^I stopped the agent, because it had been silent for 1 h/,
    );
    expect(middle.connections).toHaveLength(2);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('waiting for people or the device: does not count as silence', async () => {
    const middle = await running();
    middle.connection.emit({
      type: 'approval-asked',
      request: {
        requestId: 'perm-1',
        callId: null,
        tool: 'Bash',
        input: {},
        diffs: [],
        suggestions: [],
        questions: null,
      },
    });
    await middle.clock.advance(10 * 60 * MINUTE);
    expect(activity(middle)).toEqual({ kind: 'waiting_for_people' });
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.advance(10 * 60 * MINUTE);
    expect(middle.connection.aborts).toBe(0);
    middle.connection.ready({ loop: 'busy', reconnected: true });
    await middle.clock.advance(29 * MINUTE);
    expect(activity(middle)).not.toMatchObject({ kind: 'waiting_for_letta' });
    await middle.clock.advance(2 * MINUTE);
    expect(activity(middle)).toMatchObject({ kind: 'waiting_for_letta' });
  });

  it('leaves no timer behind', async () => {
    const middle = await running();
    middle.connection.end();
    await middle.clock.settle();
    middle.workers.close();
    await middle.clock.advance(10 * MINUTE);
    expect(middle.clock.waiting).toBe(0);
  });
});

describe('silenceStep', () => {
  it('never aborts before asking and waiting as long again', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.integer({ min: 1, max: 3_000 }), fc.boolean(), (silent, limit, asked) => {
        const step = silenceStep(silent, limit, asked);
        if (step === 'abort') expect(asked && silent >= 2 * limit).toBe(true);
        if (step === 'ask') expect(!asked && silent >= limit).toBe(true);
      }),
    );
  });
});
