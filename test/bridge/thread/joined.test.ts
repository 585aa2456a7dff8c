import { describe, expect, it } from 'vitest';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { createMiddle, type Middle, TEAM, THREAD } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

const POSTED = { channel: 'C02ENG', ts: '2000.000001', threadTs: null };
const THERE = makeThreadKey({ team: TEAM, channel: POSTED.channel, root: POSTED.ts });
const runtime = { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null };

/** A thread that has had a turn, and from which the agent posted a message elsewhere. */
async function posted(turnsDieWithLink = true): Promise<Middle> {
  const middle = createMiddle({ takesTurns: true, turnsDieWithLink });
  await middle.write('ask the others');
  middle.connection.ready();
  await middle.clock.settle();
  await answer(middle, 'asked');
  await middle.workers.join(THREAD, POSTED, 'U01ALICE');
  return middle;
}

async function answer(middle: Middle, text: string): Promise<void> {
  middle.connection.begin();
  middle.connection.say(text);
  middle.connection.end();
  await middle.clock.settle();
}

const reply = (middle: Middle, text: string, ts: string) =>
  middle.write(text, { channel: POSTED.channel, thread: POSTED.ts, ts, mention: false });

/** Where which words were shown, in the order of the turns. */
function shown({ surface }: Middle): [channel: string, items: string][] {
  const turns = new Map(surface.views.map((view) => [view.turn, view]));
  return [...turns.values()].map(({ address, items }) => [address.channel, JSON.stringify(items)]);
}

describe('a thread below a message that the agent posted elsewhere', () => {
  it('belongs to the conversation that it was posted from', async () => {
    const middle = await posted();
    expect(middle.record(THERE)).toMatchObject({ runtime, isShared: true, participants: ['U01ALICE'] });
    expect(middle.record().isShared).toBe(true);
  });

  it('joined twice: is left as it is', async () => {
    const middle = await posted();
    const before = middle.record(THERE);
    await middle.workers.join(THREAD, POSTED, 'U02BOB');
    expect(middle.record(THERE)).toEqual(before);
  });

  it('a reply there: runs in that conversation, answered there alone', async () => {
    const middle = await posted();
    await middle.clock.advance(5_000);
    await reply(middle, 'yes, go', '2000.000002');
    await middle.clock.advance(5_000);
    expect(middle.connections.map(({ options, isClosed }) => [options.runtime?.conversationId, isClosed])).toEqual([
      [undefined, true],
      ['conv-1', false],
    ]);
    middle.connection.ready();
    await middle.clock.settle();
    await answer(middle, 'going');
    const turns = shown(middle);
    expect(turns.map(([channel]) => channel)).toEqual(['C01GEN', 'C02ENG']);
    expect(turns[1]?.[1]).toContain('going');
    expect(turns[0]?.[1]).not.toContain('going');
  });

  it('afterwards a message in the first thread: goes on there', async () => {
    const middle = await posted();
    await middle.clock.advance(5_000);
    await reply(middle, 'yes, go', '2000.000002');
    await middle.clock.advance(5_000);
    middle.connection.ready();
    await middle.clock.settle();
    await answer(middle, 'going');
    await middle.clock.advance(5_000);
    await middle.write('and now?', { mention: true });
    await middle.clock.advance(5_000);
    middle.connection.ready();
    await middle.clock.settle();
    await answer(middle, 'done');
    expect(shown(middle).map(([channel]) => channel)).toEqual(['C01GEN', 'C02ENG', 'C01GEN']);
    expect(middle.connections.filter(({ isClosed }) => !isClosed)).toHaveLength(1);
  });

  it('a reply while the first thread works: waits until that is done', async () => {
    const middle = await posted();
    await middle.write('one more thing', { mention: true });
    await middle.clock.settle();
    middle.connection.begin('run-2');
    await reply(middle, 'yes, go', '2000.000002');
    await middle.clock.advance(60_000);
    expect(middle.connections).toHaveLength(1);
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.advance(10_000);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.connection.submitted[0]?.content).toContain('yes, go');
  });

  it('after a restart: the thread whose turn goes on is linked first', async () => {
    const middle = await posted(false);
    await middle.write('one more thing', { mention: true });
    await middle.clock.settle();
    middle.connection.begin('run-2');
    await middle.clock.settle();
    await reply(middle, 'yes, go', '2000.000002');
    const { clientMessageId = '' } = middle.connection.submitted.at(-1) ?? {};
    await middle.restart();
    const busy = {
      loop: 'busy' as const,
      activeRunIds: ['run-2'],
      clientMessageIdsByRun: { 'run-2': [clientMessageId] },
    };
    // Whichever thread was first, the link that finds Letta at work ends up with the thread whose turn that is.
    for (let n = 0; n < 3; n += 1) {
      for (const link of middle.connections.filter(({ isClosed }) => !isClosed)) link.ready(busy);
      await middle.clock.advance(3_000);
    }
    middle.connection.say('here it is', 'run-2', 'm-2');
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.advance(10_000);
    expect(shown(middle).filter(([, items]) => items.includes('here it is'))).toEqual([
      ['C01GEN', expect.stringContaining('here it is')],
    ]);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted.map(({ content }) => content.includes('yes, go'))).toEqual([true]);
  });

  it.each([
    ['of people', false],
    ['of another client', true],
  ])('after a restart: an ended turn (%s) leaves the link', async (_, isOfClient) => {
    const middle = await posted(false);
    const echo = {
      type: 'user-message',
      clientMessageId: 'prog-1',
      automatic: false,
      asked: 'one more thing',
    } as const;
    if (isOfClient) middle.connection.emit(echo);
    else await middle.write('one more thing', { mention: true });
    await middle.clock.settle();
    const first = isOfClient ? 'prog-1' : (middle.connection.submitted.at(-1)?.clientMessageId ?? '');
    const clientMessageIdsByRun = { 'run-2': [first] };
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun });
    await middle.clock.settle();
    // It ends unheard, and nobody can tell the first thread so before the other one is at work.
    middle.connection.fetchHistory = () => Promise.reject(new Error('away'));
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ reconnected: true });
    await reply(middle, 'yes, go', '2000.000002');
    await middle.clock.advance(10_000);
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin('run-3');
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    const second = middle.connection.submitted.at(-1)?.clientMessageId ?? '';
    await middle.restart();
    const asking = {
      loop: 'waiting_on_approval' as const,
      activeRunIds: ['run-3'],
      clientMessageIdsByRun: { 'run-2': [first], 'run-3': [second] },
      approvals: [touchX],
    };
    for (let n = 0; n < 3; n += 1) {
      for (const link of middle.connections.filter(({ isClosed }) => !isClosed)) {
        link.past = [
          { kind: 'user', id: 'u-2', clientMessageId: first, text: 'one more thing' },
          { kind: 'assistant', id: 'm-2', text: 'here it is' },
          { kind: 'user', id: 'u-3', clientMessageId: second, text: 'yes, go' },
        ];
        link.ready(asking);
      }
      await middle.clock.advance(3_000);
    }
    expect(shown(middle).filter(([, items]) => items.includes('touch x'))).toEqual([['C02ENG', expect.any(String)]]);
    expect(middle.record().approvals).toEqual([]);
    expect(middle.record(THERE).approvals).toMatchObject([{ requester: 'U01ALICE', state: { state: 'open' } }]);
  });

  it('a thread with a conversation of its own: keeps it', async () => {
    const middle = createMiddle({ takesTurns: true });
    await middle.write('ask the others');
    middle.connection.ready();
    await middle.clock.settle();
    await answer(middle, 'asked');
    await middle.write('hello', { channel: POSTED.channel, thread: POSTED.ts, ts: '2000.000002', mention: true });
    middle.connection.ready({ runtime: { ...runtime, conversationId: 'conv-2' } });
    await middle.clock.settle();
    await middle.workers.join(THREAD, POSTED, 'U01ALICE');
    expect(middle.record(THERE).runtime?.conversationId).toBe('conv-2');
    expect(middle.record(THERE).isShared).toBeUndefined();
  });
});
