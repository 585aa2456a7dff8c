import { describe, expect, it } from 'vitest';
import type { ActionName } from '../../../src/bridge/inbound.ts';
import { createMiddle, createRunning, type Middle, ROOT, TEAM } from '../../support/middle.ts';

/** Another client's input runs, and that of Alice waits behind it in Letta's queue. */
async function behindAnother(): Promise<{ middle: Middle; id: string }> {
  const middle = createMiddle({ turnsDieWithLink: false });
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  const id = middle.connection.submitted[0]?.clientMessageId ?? '';
  middle.connection.emit({ type: 'queue', clientMessageIds: [id] });
  const clientMessageIdsByRun = { 'run-o': ['prog-1'] };
  middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-o'], clientMessageIdsByRun });
  await middle.clock.settle();
  return { middle, id };
}

/** Letta has stopped what ran, and leaves these in its queue. */
async function abort({ connection, clock }: Middle, messages: string[], own: string[] = []): Promise<void> {
  connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun: {} });
  connection.emit({ type: 'queue', clientMessageIds: messages, paused: [...messages, ...own] });
  await clock.settle();
}

async function stop(middle: Middle): Promise<void> {
  const token = middle.record().turn?.stopToken;
  if (!token) throw new Error('no turn is open');
  await middle.intake.handleAction({
    ...{ name: 'stop' satisfies ActionName, token, choice: null, actor: { user: 'U01ALICE', team: TEAM }, team: TEAM },
    ...{ channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT },
  });
  await middle.clock.settle();
}

describe('Letta’s queue after an abort', () => {
  it('a message of the thread: goes on', async () => {
    const { middle, id } = await behindAnother();
    await abort(middle, [id]);
    expect([middle.connection.resumes, middle.connection.withdrawals]).toEqual([1, []]);
    middle.connection.emit({ type: 'queue', clientMessageIds: [] });
    middle.connection.begin();
    middle.connection.say('a.txt');
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('a message beside another client’s: goes on with it', async () => {
    const { middle, id } = await behindAnother();
    await abort(middle, ['prog-2', id]);
    expect(middle.connection.resumes).toBe(1);
  });

  it('a message that people stopped: leaves the queue, and never runs', async () => {
    const { middle, id } = await behindAnother();
    await stop(middle);
    await abort(middle, [id]);
    expect([middle.connection.resumes, middle.connection.withdrawals]).toEqual([0, [id]]);
    middle.connection.emit({ type: 'queue', clientMessageIds: [] });
    await middle.clock.settle();
    expect(middle.record().turn).toBeNull();
    expect(middle.surface.last.ending?.outcome).toBe('stopped');
  });

  it('another client’s message alone: is left to that client', async () => {
    const middle = await createRunning();
    middle.connection.end('cancelled');
    await abort(middle, ['prog-2'], ['cm-q-1']);
    await middle.clock.advance(60_000);
    expect(middle.connection.resumes).toBe(0);
  });

  it('the run of a schedule: goes on once the turn is over', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'queue', clientMessageIds: [], paused: ['cm-q-1'] });
    await middle.clock.settle();
    expect(middle.connection.resumes).toBe(0);
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.connection.resumes).toBe(1);
  });

  it('found by a new link: goes on', async () => {
    const { middle, id } = await behindAnother();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ queued: [id], paused: [id], reconnected: true });
    await middle.clock.settle();
    expect(middle.connection.resumes).toBe(1);
  });

  it('Letta did not hear it: is asked again, until it did', async () => {
    const { middle, id } = await behindAnother();
    middle.connection.onResume = () => Promise.reject(new Error('no answer'));
    await abort(middle, [id]);
    expect(middle.connection.resumes).toBe(1);
    middle.connection.onResume = () => Promise.resolve();
    await middle.clock.advance(3_000);
    expect(middle.connection.resumes).toBe(2);
    await middle.clock.advance(60_000);
    expect(middle.connection.resumes).toBe(2);
  });
});
