import { describe, expect, it } from 'vitest';
import { createMiddle, type Middle, ROOT, TEAM } from '../../support/middle.ts';

const MINUTE = 60_000;

async function begun(): Promise<Middle> {
  const bridge = createMiddle();
  await bridge.write('go');
  bridge.connection.ready();
  await bridge.clock.settle();
  bridge.connection.begin();
  return bridge;
}

/** Ends the turn; resolves with whom its end tells. */
async function told(bridge: Middle): Promise<string | undefined> {
  bridge.connection.say('Done.');
  bridge.connection.end();
  await bridge.clock.settle();
  const { ending } = bridge.surface.views.findLast((view) => view.ending) ?? {};
  if (!ending) throw new Error('the turn has not ended');
  return ending.notify;
}

async function click(bridge: Middle, name: 'approve' | 'stop', token: string | undefined, user = 'U01ALICE') {
  const place = { team: TEAM, channel: 'C01GEN', messageTs: '2000.000001', threadTs: ROOT };
  const action = { name, token: token as never, choice: null, ...place };
  await bridge.intake.handleAction({ ...action, actor: { user, team: TEAM } });
  await bridge.clock.settle();
}

describe('the mention at the end of a turn', () => {
  it('long turn: mentions its requester; short turn: mentions no person', async () => {
    const long = await begun();
    await long.clock.advance(2 * MINUTE);
    expect(await told(long)).toBe('U01ALICE');
    const short = await begun();
    await short.clock.advance(2 * MINUTE - 1);
    expect(await told(short)).toBeUndefined();
  });

  it('requester decided something shortly before: mentions no person', async () => {
    const bridge = await begun();
    await bridge.clock.advance(10 * MINUTE);
    const request = { requestId: 'perm-1', callId: null, tool: 'Bash', input: {}, diffs: [], suggestions: [] };
    bridge.connection.emit({ type: 'approval-asked', request: { ...request, questions: null } });
    await bridge.clock.settle();
    const { approvals } = bridge.record();
    await click(bridge, 'approve', approvals[0]?.token);
    expect(bridge.record().approvals[0]?.state.state).toBe('decided');
    await bridge.clock.advance(MINUTE);
    expect(await told(bridge)).toBeUndefined();
  });

  it('requester wrote shortly before: mentions no person', async () => {
    const bridge = await begun();
    await bridge.clock.advance(10 * MINUTE);
    await bridge.write('and then this');
    await bridge.clock.advance(MINUTE);
    expect(await told(bridge)).toBeUndefined();
    const patient = await begun();
    await patient.write('and then this');
    await patient.clock.advance(10 * MINUTE);
    expect(await told(patient)).toBe('U01ALICE');
  });

  it('stopped by another person: mentions the requester; by themselves: does not', async () => {
    for (const [user, who] of [
      ['U01ALICE', undefined],
      ['U02BOB', 'U01ALICE'],
    ]) {
      const bridge = await begun();
      await bridge.clock.advance(10 * MINUTE);
      await click(bridge, 'stop', bridge.record().turn?.stopToken, user);
      bridge.connection.end('cancelled');
      await bridge.clock.settle();
      expect(bridge.surface.last.ending).toMatchObject({ outcome: 'stopped', by: user });
      expect(bridge.surface.last.ending?.notify).toBe(who);
    }
  });

  it('turn that Letta began: mentions no person', async () => {
    const bridge = await begun();
    await told(bridge);
    bridge.connection.emit({ type: 'text', runId: 'run-2', messageId: 'm', text: 'A task has ended.' });
    await bridge.clock.advance(10 * MINUTE);
    bridge.connection.end('end_turn', 'run-2');
    await bridge.clock.settle();
    expect(bridge.surface.turns).toHaveLength(2);
    expect(bridge.surface.last.ending?.notify).toBeUndefined();
  });

  it.each([
    [3, 'U01ALICE'],
    [1, undefined],
  ])('turn of %i minutes: a restart keeps the choice', async (minutes, who) => {
    const bridge = await begun();
    await bridge.clock.advance(minutes * MINUTE);
    bridge.surface.gate = new Promise(() => undefined);
    expect(await told(bridge)).toBe(who);
    bridge.surface.gate = null;
    await bridge.clock.advance(20 * MINUTE);
    await bridge.restart();
    const clientMessageId = bridge.record().turn?.clientMessageId ?? null;
    bridge.connection.past = [
      { kind: 'user', id: 'h1', clientMessageId, text: 'go' },
      { kind: 'assistant', id: 'h2', text: 'Done.' },
    ];
    bridge.connection.ready();
    await bridge.clock.settle();
    expect(bridge.surface.last.ending).toMatchObject({ outcome: 'done' });
    expect(bridge.surface.last.ending?.notify).toBe(who);
    expect(bridge.record().turn).toBeNull();
  });
});
