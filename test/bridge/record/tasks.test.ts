import { describe, expect, it } from 'vitest';
import { closedPolicy } from '../../../src/bridge/access/policy.ts';
import type { BackgroundTask } from '../../../src/bridge/agent-event.ts';
import { createRunning, type Middle, type MiddleOptions, ROOT, TEAM, task } from '../../support/middle.ts';

const subagent: BackgroundTask = task('task_1', { id: 'subagent-1', kind: 'subagent', what: 'count' });
const ADMIN = 'U03CARA';
const admins = { admins: { ids: [ADMIN], groups: [] } };
const slash = (text: string, user = 'U01ALICE') => ({
  ...{ team: TEAM, channel: 'C01GEN', channelKind: 'channel' as const, text },
  actor: { user, team: TEAM },
});
const whispered = (middle: Middle) => middle.surface.whispered.at(-1)?.text ?? '';
const said = (middle: Middle) => middle.surface.said.map(({ text }) => text).join('\n');

/** A turn of Alice's has ended; what it started goes on. */
async function leftRunning(tasks: BackgroundTask[], options: MiddleOptions = {}): Promise<Middle> {
  const middle = await createRunning(options);
  middle.connection.emit({ type: 'background', tasks });
  middle.connection.end();
  await middle.clock.settle();
  return middle;
}

async function background(middle: Middle, ...tasks: BackgroundTask[]): Promise<void> {
  middle.connection.emit({ type: 'background', tasks });
  await middle.clock.settle();
}

/** The agent gets its turn that ends things. */
async function endTurn(middle: Middle): Promise<void> {
  middle.connection.begin('run-2');
  middle.connection.end('end_turn', 'run-2');
  await middle.clock.settle();
}

describe('a background task that outlives its turn', () => {
  it('counts as running: in !status, Home tab, limits and drain', async () => {
    const user = { rate: null, atOnce: 1 };
    const limits = { user, channel: { rate: null, atOnce: null } };
    const middle = await leftRunning([subagent, task('bash_2')], { policy: { limits } });
    await middle.write('!status');
    expect(whispered(middle)).toContain(
      'In the background: subagent `count`, command `run bash_2` · agent in `/project`',
    );
    expect(whispered(middle)).not.toContain('Idle');
    expect(await middle.intake.viewHome('U01ALICE', TEAM)).toMatchObject({ threads: [{ doing: 'background' }] });
    expect(await middle.intake.handleCommand(slash('status'))).toContain('subagent `count`');
    const other = { thread: null, mention: true, ts: '5000.000001' };
    expect(await middle.write('and this', other)).toMatchObject({ outcome: 'refused', reason: 'user_at_once' });
    let drained = false;
    const draining = middle.workers.drain(60_000).then((left) => {
      drained = true;
      return left;
    });
    await middle.clock.advance(10_000);
    expect(drained).toBe(false);
    await background(middle);
    await middle.clock.advance(1_000);
    expect(await draining).toMatchObject({ running: 0 });
  });

  it('is shown with a Stop button after seconds, without one once ended', async () => {
    const middle = await leftRunning([subagent]);
    expect(middle.surface.offers).toEqual([]);
    await middle.clock.advance(4_000);
    const { view } = middle.surface.offers.at(-1) ?? {};
    expect(view).toMatchObject({ text: expect.stringContaining('subagent `count`'), buttons: ['stop'] });
    await background(middle, subagent, task('bash_2'));
    expect(middle.surface.offers.at(-1)?.view.text).toContain('command `run bash_2`');
    await background(middle);
    expect(middle.surface.offers.at(-1)?.view).toMatchObject({
      token: view?.token,
      text: expect.stringContaining('Ended in the background'),
      buttons: [],
    });
  });

  it('ends at once, or is memory work: is not shown', async () => {
    const middle = await leftRunning([subagent]);
    await background(middle, task('task_9', { kind: 'memory' }));
    await middle.clock.advance(60_000);
    expect(middle.surface.offers).toEqual([]);
    expect(middle.record().background).toBe(true);
    await middle.write('!stop');
    expect(whispered(middle)).toBe('Nothing is running here.');
  });

  it('is still known after a restart', async () => {
    const middle = await leftRunning([subagent]);
    await middle.restart();
    await middle.write('!status');
    expect(whispered(middle)).toContain('subagent `count`');
    middle.connection.ready();
    await background(middle, subagent);
    await middle.clock.advance(60_000);
    await middle.write('!stop');
    expect(whispered(middle)).toContain('I’m ending the background tasks: subagent `count`');
  });

  it('!new is refused until it is stopped', async () => {
    const middle = await leftRunning([subagent]);
    await middle.write('!new');
    expect(whispered(middle)).toContain('Write `!stop` first');
    expect(middle.record().runtime).not.toBeNull();
  });
});

describe('Stop for background tasks', () => {
  it('ends a task directly when Letta has a way to', async () => {
    const monitor = task('monitor_1', { kind: 'monitor' });
    const middle = await leftRunning([monitor]);
    middle.connection.onEndTask = async () => {
      middle.connection.emit({ type: 'background', tasks: [] });
      return { ended: true };
    };
    await middle.write('stop');
    await middle.clock.advance(30_000);
    expect(middle.connection.ended).toEqual(['monitor_1']);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.surface.said).toEqual([]);
    expect(middle.record()).not.toHaveProperty('endTasks');
  });

  it('has the agent end the rest, with only the stopping tools allowed', async () => {
    const middle = await leftRunning([subagent, task('bash_2')]);
    await middle.write('!stop', { user: 'U02BOB' });
    await middle.clock.settle();
    const [, asked] = middle.connection.submitted;
    expect(asked?.tools).toEqual(['TaskStop', 'KillBash']);
    expect(asked?.content).toContain('"task_id":"task_1"');
    expect(asked?.content).toContain('"task_id":"bash_2"');
    expect(middle.record().turn).toMatchObject({ requester: 'U02BOB', ends: ['task_1', 'bash_2'] });
    middle.connection.begin('run-2');
    const call = (requestId: string, tool: string, input: Record<string, unknown>) => ({
      type: 'approval-asked' as const,
      request: { requestId, callId: null, tool, input, diffs: [], suggestions: [], questions: null },
    });
    middle.connection.emit(
      call('p1', 'TaskStop', { task_id: 'task_1' }),
      call('p2', 'TaskStop', { task_id: 'task_77' }),
      call('p3', 'Bash', { command: 'touch x' }),
      call('p4', 'Agent', { prompt: 'go on' }),
      call('p5', 'TaskStop', { task_id: 'bash_2' }),
    );
    await middle.clock.settle();
    const heard = middle.connection.answers.map(({ requestId, decision }) => [requestId, decision.behavior]);
    expect(heard.toSorted()).toEqual([
      ['p1', 'allow'],
      ['p2', 'deny'],
      ['p3', 'deny'],
      ['p4', 'deny'],
      ['p5', 'allow'],
    ]);
    expect(middle.record().approvals).toEqual([]);
    await background(middle);
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.advance(30_000);
    expect(middle.surface.said).toEqual([]);
    expect(middle.record()).toMatchObject({ turn: null, background: false });
    expect(middle.record()).not.toHaveProperty('endTasks');
    expect(middle.audit.entries.filter(({ via }) => via === 'stop')).toHaveLength(2);
  });

  it("queued behind a turn of Letta's own: people decide that turn's requests", async () => {
    const middle = await leftRunning([subagent]);
    await middle.write('!stop', { user: 'U02BOB' });
    await middle.clock.settle();
    const runs = (activeRunIds: string[], clientMessageIdsByRun: Record<string, string[]>) => ({
      ...{ type: 'loop' as const, status: 'busy' as const },
      ...{ activeRunIds, clientMessageIdsByRun },
    });
    const call = (requestId: string, command: string) => ({
      type: 'approval-asked' as const,
      request: {
        ...{ requestId, callId: null, tool: 'Bash', input: { command } },
        ...{ diffs: [], suggestions: [], questions: null },
      },
    });
    middle.connection.emit(runs(['run-9'], {}), call('p1', 'touch a'));
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([]);
    expect(middle.record().approvals).toMatchObject([{ requestId: 'p1', state: { state: 'open' } }]);
    // Asked again, it is the same card; once the agent has read the input, it may do nothing else.
    middle.connection.emit(call('p1', 'touch a'));
    const { clientMessageId = '' } = middle.connection.submitted.at(-1) ?? {};
    middle.connection.emit(runs(['run-10'], { 'run-10': [clientMessageId] }), call('p2', 'touch b'));
    await middle.clock.settle();
    expect(middle.connection.answers).toMatchObject([{ requestId: 'p2', decision: { behavior: 'deny' } }]);
    expect(middle.record().approvals).toHaveLength(1);
  });

  it('before Letta has named the run: people decide its requests', async () => {
    const middle = await leftRunning([subagent]);
    await middle.write('!stop', { user: 'U02BOB' });
    await middle.clock.settle();
    const fields = { callId: null, tool: 'Bash', diffs: [], suggestions: [], questions: null };
    const request = { ...fields, requestId: 'p1', input: { command: 'touch a' } };
    middle.connection.emit({ type: 'approval-asked', request });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([]);
    expect(middle.record().approvals).toMatchObject([{ requestId: 'p1', state: { state: 'open' } }]);
  });

  it('denies a call it heard; people decide about others', async () => {
    const middle = await leftRunning([subagent]);
    await middle.write('!stop', { user: 'U02BOB' });
    await middle.clock.settle();
    middle.connection.begin('run-2');
    const asks = (requestId: string, callId: string) => ({
      type: 'approval-asked' as const,
      request: {
        ...{ requestId, callId, tool: 'Bash', input: { command: 'touch a' } },
        ...{ diffs: [], suggestions: [], questions: null },
      },
    });
    const input = { command: 'touch a' };
    middle.connection.emit({ type: 'tool-called', runId: 'run-2', callId: 'call-1', tool: 'Bash', input });
    // The machine was away: what it asks first may be of a turn that Letta began after this one.
    middle.connection.emit(asks('p1', 'call-1'), asks('p2', 'call-9'));
    await middle.clock.settle();
    expect(middle.connection.answers).toMatchObject([{ requestId: 'p1', decision: { behavior: 'deny' } }]);
    expect(middle.record().approvals).toMatchObject([{ requestId: 'p2', state: { state: 'open' } }]);
  });

  it('tells its author once what could not be stopped', async () => {
    const middle = await leftRunning([subagent, task('bash_2')]);
    await middle.write('!stop', { user: 'U02BOB' });
    await middle.clock.settle();
    await background(middle, subagent);
    await endTurn(middle);
    await middle.clock.advance(60_000);
    expect(said(middle)).toContain('<@U02BOB>, I could not stop this, so it keeps running: subagent `count`.');
    expect(said(middle)).not.toContain('bash_2');
    expect(middle.surface.said).toHaveLength(1);
    expect(middle.connection.submitted).toHaveLength(2);
    // Whoever tries again is heard again.
    await middle.write('!stop');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(3);
  });

  it('ends the turn and its tasks, and stops their reports', async () => {
    const middle = await createRunning();
    await background(middle, subagent);
    middle.connection.onEndTask = () => Promise.resolve({ ended: true });
    await middle.write('STOP!!!');
    expect(whispered(middle)).toMatch(/^Stopping\. I’m ending the background tasks: subagent `count`\./);
    expect(middle.connection.aborts).toBe(1);
    middle.connection.end('cancelled');
    await middle.clock.settle();
    await background(middle);
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-9'], clientMessageIdsByRun: {} });
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    await middle.clock.settle();
    expect(middle.connection.aborts).toBeGreaterThan(1);
  });

  it('also ends tasks that the turn starts while stopping', async () => {
    const middle = await createRunning();
    await middle.write('stop');
    await background(middle, task('bash_2'));
    expect(middle.connection.ended).toEqual(['bash_2']);
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.connection.submitted.at(-1)?.tools).toEqual(['TaskStop', 'KillBash']);
  });

  it('task ended with the turn: needs no turn of its own', async () => {
    const middle = await createRunning();
    await background(middle, task('bash_2'));
    await middle.write('stop');
    middle.connection.emit({ type: 'background', tasks: [] });
    middle.connection.end('cancelled');
    await middle.clock.advance(30_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.surface.said).toEqual([]);
  });

  it('task could not be ended: later turns of Letta run on', async () => {
    const middle = await leftRunning([subagent]);
    await middle.write('!stop');
    await middle.clock.settle();
    await endTurn(middle);
    await middle.clock.advance(60_000);
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-9'], clientMessageIdsByRun: {} });
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ origin: 'agent', stoppedBy: null });
  });

  it('button: works for people who may stop, refused to others', async () => {
    const middle = await leftRunning([subagent]);
    await middle.clock.advance(4_000);
    const token = middle.surface.offers.at(-1)?.view.token;
    const click = (user: string) =>
      middle.intake.handleAction({
        ...{ name: 'stop', token: token as never, choice: null, team: TEAM, channel: 'C01GEN', messageTs: '1.1' },
        ...{ actor: { user, team: TEAM }, threadTs: ROOT },
      });
    expect(await click('U04GUEST')).toMatchObject({ result: 'refused' });
    expect(middle.connection.ended).toEqual([]);
    expect(await click('U02BOB')).toEqual({ result: 'decided' });
    await middle.clock.settle();
    expect(middle.connection.ended).toEqual(['subagent-1']);
    await background(middle);
    expect(await click('U02BOB')).toMatchObject({ result: 'refused', why: 'expired' });
  });

  it('link lost: is carried out after reconnecting, also after a restart', async () => {
    const middle = await leftRunning([subagent]);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    await middle.write('!stop');
    await middle.restart();
    expect(middle.connection.ended).toEqual([]);
    middle.connection.ready();
    await background(middle, subagent);
    expect(middle.connection.ended).toEqual(['subagent-1']);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('runs before messages that came meanwhile', async () => {
    const middle = await leftRunning([task('bash_2')]);
    await middle.write('!stop');
    await middle.write('and then count');
    await middle.clock.settle();
    expect(middle.connection.submitted.at(-1)?.tools).toBeDefined();
    await background(middle);
    await endTurn(middle);
    await middle.clock.settle();
    expect(middle.connection.submitted.at(-1)?.content).toContain('and then count');
    expect(middle.connection.submitted.at(-1)?.tools).toBeUndefined();
  });
});

describe('!pause with background tasks', () => {
  it('ends them in every thread and tells how many', async () => {
    const middle = await leftRunning([subagent], { policy: { ...admins, defaults: closedPolicy.defaults } });
    const answer = await middle.intake.handleCommand(slash('pause', ADMIN));
    expect(answer).toContain(' and 1 background task.');
    await middle.clock.settle();
    expect(middle.connection.ended).toEqual(['subagent-1']);
    expect(middle.connection.submitted).toHaveLength(2);
    expect(middle.connection.aborts).toBe(0);
    await endTurn(middle);
    await middle.clock.advance(60_000);
    expect(said(middle)).toContain(`<@${ADMIN}>, I could not stop this, so it keeps running: subagent \`count\``);
    expect(middle.surface.said).toHaveLength(1);
  });

  it('ends those that start while paused', async () => {
    const middle = await createRunning({ policy: admins });
    await middle.intake.handleCommand(slash('pause', ADMIN));
    await background(middle, task('bash_2'));
    expect(middle.connection.ended).toEqual(['bash_2']);
  });
});
