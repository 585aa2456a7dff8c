import { describe, expect, it } from 'vitest';
import { createMiddle, createRunning, type Middle, TEAM, task } from '../../support/middle.ts';

const ADMIN = 'U09ADMIN';

async function slash(middle: Middle, text: string, user = ADMIN) {
  const command = { team: TEAM, channel: 'C01GEN', channelKind: 'channel' as const, text };
  const answer = await middle.intake.handleCommand({ ...command, actor: { user, team: TEAM } });
  await middle.clock.settle();
  return answer;
}

describe('!pause', () => {
  it('stops every running turn and drops queued messages', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    await middle.write('then count them');
    expect(await slash(middle, 'pause')).toContain('Paused. I’m stopping 1 running turn.');
    expect(middle.connection.aborts).toBe(1);
    expect(middle.record().turn?.stoppedBy).toBe(ADMIN);
    expect(middle.surface.said.at(-1)?.text).toContain('then count them');
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'stopped', by: ADMIN });
    expect(middle.record().inbox).toEqual([]);
  });

  it('refuses new messages in private, and never runs them after !resume', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    await slash(middle, 'pause');
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(await middle.write('again', { ts: '1000.000800' })).toEqual({ outcome: 'refused', reason: 'paused' });
    expect(middle.surface.whispered.at(-1)).toMatchObject({ user: 'U01ALICE' });
    expect(middle.surface.whispered.at(-1)?.text).toContain(`<@${ADMIN}> paused the agent`);
    expect(await slash(middle, 'resume')).toContain('Resumed');
    // Slack delivers it once more, or looking back finds it.
    expect(await middle.write('again', { ts: '1000.000800', caughtUp: true })).toEqual({ outcome: 'repeated' });
    expect(middle.connection.submitted).toHaveLength(1);
    expect(await middle.write('once more')).toEqual({ outcome: 'accepted' });
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('message that waited through a long pause: offers it after !resume', async () => {
    const policy = { admins: { ids: [ADMIN], groups: [] } };
    const middle = await createRunning({ now: 1_000_000, staleAfterMs: 15 * 60_000, policy });
    // What is queued behind a turn that runs is dropped with it; behind its last words it stays.
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('deploy it', { ts: '1001.000900', mention: true });
    await slash(middle, 'pause');
    await middle.clock.advance(10 * 60 * 60_000);
    middle.surface.gate = null;
    gate.resolve();
    await middle.clock.advance(10 * 60 * 60_000);
    await slash(middle, 'resume');
    expect(middle.record().inbox).toEqual([]);
    expect(middle.surface.offers.at(-1)?.view.text).toContain('deploy it');
    expect(middle.connections.flatMap(({ submitted }) => submitted)).toHaveLength(1);
  });

  it('survives a restart, and stops the old turn again', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    await slash(middle, 'pause');
    await middle.restart();
    expect(await middle.write('again')).toEqual({ outcome: 'refused', reason: 'paused' });
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-1'] });
    await middle.clock.settle();
    expect(middle.connection.aborts).toBeGreaterThan(0);
  });

  it('stops turns that Letta begins by itself', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    middle.connection.emit({ type: 'background', tasks: [task('task_1', { kind: 'memory' })] });
    middle.connection.end();
    await middle.clock.settle();
    await slash(middle, 'pause');
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-9'], clientMessageIdsByRun: {} });
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(1);
  });

  it('ends a turn not yet sent to the agent', async () => {
    const middle = createMiddle({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    await middle.write('list the files');
    await slash(middle, 'pause');
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toEqual([]);
    expect(middle.record().turn).toBeNull();
  });

  it('refuses people who are not admins, !resume too', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    expect(await slash(middle, 'pause', 'U01ALICE')).toContain('Only admins can do this.');
    expect(middle.connection.aborts).toBe(0);
    await slash(middle, 'pause');
    expect(await slash(middle, 'resume', 'U01ALICE')).toContain('Only admins can do this.');
    expect(await middle.write('again')).toMatchObject({ reason: 'paused' });
  });

  it('works from a thread', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    await middle.write('!pause', { user: ADMIN, mention: false });
    expect(middle.surface.whispered.at(-1)?.text).toContain('Paused.');
    expect(middle.connection.aborts).toBe(1);
  });

  it('leaves !status working, which says who paused', async () => {
    const middle = await createRunning({ policy: { admins: { ids: [ADMIN], groups: [] } } });
    await slash(middle, 'pause');
    await middle.write('!status');
    expect(middle.surface.whispered.at(-1)?.text).toContain('paused the agent');
  });
});
