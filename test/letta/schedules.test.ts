import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crons } from '../../sandbox/letta/crons.ts';
import type { Outlet } from '../../sandbox/letta/outlet.ts';
import type { Schedule } from '../../src/bridge/schedules/schedule.ts';
import { decode } from '../../src/letta/protocol/decode.ts';
import type { ResponseFrame } from '../../src/letta/protocol/incoming.ts';
import type { Ask } from '../../src/letta/requests.ts';
import { alignSchedules } from '../../src/letta/schedules.ts';

const runtime = { agentId: 'agent-local-1', conversationId: 'local-conv-1' };
const MONDAY: Schedule = {
  id: 'abcd1234',
  owner: 'U01ALICE',
  prompt: 'post the open incidents',
  cron: '0 9 * * 1',
  once: null,
  zone: 'Europe/Berlin',
  madeAt: 0,
  wanted: 'active',
  confirmed: null,
  firedAt: 0,
};

/** What becomes of a request: it is answered, its answer is lost, or it is lost itself and may arrive later. */
type Luck = 'answered' | 'unheard' | 'lost' | 'late';

/** Letta's scheduler behind a link that loses frames and answers, as `luck` says. */
function letta(luck: Luck[] = []) {
  const agents = {
    createConversation: () => null,
    openConversation: () => {
      throw new Error('nothing fires here');
    },
  };
  const crons = new Crons(agents);
  const late: Record<string, unknown>[] = [];
  let asked = 0;
  const send = (frame: Record<string, unknown>): ResponseFrame | null => {
    let answer: ResponseFrame | null = null;
    const outlet = {
      sendReply(reply: Record<string, unknown>) {
        const decoded = decode(JSON.stringify(reply));
        if (decoded.kind === 'known' && reply.request_id !== undefined) answer = decoded.frame as ResponseFrame;
      },
    };
    crons.handle(outlet as unknown as Outlet, frame);
    return answer;
  };
  const ask = async (_: string, make: (id: string) => Record<string, unknown>) => {
    asked += 1;
    const frame = make(`r-${asked}`);
    const what = luck.shift() ?? 'answered';
    if (what === 'lost') return null;
    if (what === 'late') {
      late.push(frame);
      return null;
    }
    const answer = send(frame);
    return what === 'answered' ? answer : null;
  };
  const align = (...wanted: Schedule[]) => alignSchedules(ask as unknown as Ask, runtime, wanted);
  return { crons, align, ask: ask as unknown as Ask, arrive: () => late.splice(0).forEach(send), luck };
}

describe('the schedules at Letta', () => {
  it('are made in the thread’s conversation, with the owner’s zone', async () => {
    const { crons, align } = letta();
    expect(await align(MONDAY)).toEqual([{ id: 'abcd1234', state: 'active', lastFiredAt: null }]);
    expect(crons.tasks).toMatchObject([
      {
        cron: '0 9 * * 1',
        timezone: 'Europe/Berlin',
        conversation_id: 'local-conv-1',
        recurring: true,
        description: '',
      },
    ]);
  });

  it('are made once, whatever answers and frames are lost', async () => {
    const luck = fc.array(fc.constantFrom<Luck>('answered', 'unheard', 'lost', 'late'), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(luck, fc.constantFrom('active', 'paused', 'gone' as const), async (lucks, then) => {
        const { crons, align, arrive, luck: left } = letta([...lucks]);
        for (let tries = 0; left.length > 0 && tries < 20; tries += 1) await align(MONDAY);
        await align({ ...MONDAY, wanted: then });
        // What was on its way for long arrives at last, and the next comparison finds it.
        arrive();
        const [seen] = (await align({ ...MONDAY, wanted: then, confirmed: null })) ?? [];
        expect(seen?.state).toBe(then);
        expect(crons.tasks.map(({ status }) => status)).toEqual(then === 'gone' ? [] : [then]);
      }),
    );
  });

  it('are as their owner confirmed them, whatever else is written there', async () => {
    const { crons, align } = letta();
    await align(MONDAY);
    Object.assign(crons.tasks[0] ?? {}, {
      prompt: 'delete everything',
      cron: '* * * * *',
      conversation_id: 'local-conv-9',
    });
    await align({ ...MONDAY, confirmed: 'active' });
    expect(crons.tasks).toMatchObject([{ cron: '0 9 * * 1', conversation_id: 'local-conv-1' }]);
    expect(String(crons.tasks[0]?.prompt)).toContain('post the open incidents');
  });

  it('are not made again when somebody deleted them there', async () => {
    const { crons, align } = letta();
    expect(await align({ ...MONDAY, confirmed: 'active' })).toMatchObject([{ state: 'gone' }]);
    expect(crons.tasks).toEqual([]);
  });

  it('do not come back once they were deleted in the thread', async () => {
    const { crons, align, arrive, ask } = letta(['answered', 'late', 'answered']);
    await align(MONDAY);
    await align({ ...MONDAY, wanted: 'gone' });
    arrive();
    expect(crons.tasks).toHaveLength(1);
    await alignSchedules(ask, runtime, [], MONDAY.id);
    expect(crons.tasks).toEqual([]);
  });

  it('move with the thread to another agent', async () => {
    const { crons, align } = letta();
    await align(MONDAY);
    Object.assign(crons.tasks[0] ?? {}, { agent_id: 'agent-local-2' });
    await align({ ...MONDAY, confirmed: 'active' });
    expect(crons.tasks).toMatchObject([{ agent_id: 'agent-local-1' }]);
  });

  it('tell what ran once, what was missed, and what Letta refused', async () => {
    const { crons, align } = letta();
    const once = { ...MONDAY, cron: null, once: Date.UTC(2026, 10, 30, 8) };
    await align(once);
    crons.tick(once.once + 10 * 60_000);
    expect(await align({ ...once, confirmed: 'active' })).toMatchObject([{ state: 'missed' }]);
    const wrong = { ...MONDAY, id: 'wrong123', cron: '61 9 * * 1' };
    expect(await align(wrong)).toMatchObject([{ state: 'refused', error: expect.stringContaining('Invalid cron') }]);
  });
});
