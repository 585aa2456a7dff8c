import { describe, expect, it } from 'vitest';
import { makeThreadKey, makeTurnId } from '../../../src/bridge/ids.ts';
import { recordInChannel } from '../../../src/bridge/record/channel-move.ts';
import type { LateEnd, Offer } from '../../../src/bridge/record/thread-record.ts';
import { createRunning, type Middle, ROOT, TEAM, THREAD } from '../../support/middle.ts';

const NEW = 'C09NEW';
const MOVED = makeThreadKey({ team: TEAM, channel: NEW, root: ROOT });
const change = { team: TEAM, from: 'C01GEN', to: NEW };

async function changed(middle: Middle): Promise<void> {
  await middle.intake.handleChannelChange(change);
  await middle.clock.settle();
}

describe('a channel whose id changes', () => {
  it('keeps its conversation under the new id', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.end();
    await middle.clock.settle();
    const { runtime } = middle.record();
    await changed(middle);
    expect(middle.threads.records.has(THREAD)).toBe(false);
    expect(middle.record(MOVED)).toMatchObject({ runtime, address: { channel: NEW, threadTs: ROOT } });
    expect(await middle.write('go on', { channel: NEW })).toEqual({ outcome: 'accepted' });
    expect(middle.connection.options.runtime).toEqual(runtime);
    expect(middle.surface.last.address.channel).toBe(NEW);
  });

  it('during a turn: the turn ends once there, and the queue follows', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('and then this');
    const stop = middle.record().turn?.stopToken ?? '';
    const [old] = middle.connections;
    await changed(middle);
    expect(old?.isClosed).toBe(true);
    middle.connection.ready({
      loop: 'busy',
      clientMessageIdsByRun: { 'run-1': [old?.submitted[0]?.clientMessageId ?? ''] },
    });
    await middle.clock.settle();
    expect(await middle.threads.findByToken(stop)).toBe(MOVED);
    middle.connection.past = [
      { kind: 'user', id: 'u', clientMessageId: old?.submitted[0]?.clientMessageId ?? null, text: 'x' },
      { kind: 'assistant', id: 'a', text: 'All of it.' },
    ];
    middle.connection.emit({ type: 'turn-ended', runId: 'run-1', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    const ended = middle.surface.views.filter((view) => view.ending);
    expect(ended).toHaveLength(1);
    expect(ended[0]).toMatchObject({ address: { channel: NEW }, items: [{ kind: 'text', markdown: 'All of it.' }] });
    await middle.clock.advance(10_000);
    expect(middle.connections.flatMap((connection) => connection.submitted)).toHaveLength(1);
    middle.connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun: {} });
    await middle.clock.settle();
    expect(middle.connection.submitted.map(({ content }) => content)).toEqual([
      expect.stringContaining('and then this'),
    ]);
  });

  it('keeps what was handled: redeliveries under either id are repeats', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await changed(middle);
    const again = { ts: ROOT, thread: null, mention: true };
    expect(await middle.write('list the files', { ...again, channel: NEW })).toEqual({ outcome: 'repeated' });
    expect(await middle.write('list the files', again)).toEqual({ outcome: 'repeated' });
    expect(await middle.write('late, under the old id', { ts: '1000.000500' })).toEqual({ outcome: 'accepted' });
    expect(middle.record(MOVED).inbox).toHaveLength(1);
    expect(middle.threads.records.size).toBe(1);
  });

  it('merges with messages that came under the new id first', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('in the new id already', { channel: NEW, ts: '1000.000300', mention: true });
    await changed(middle);
    const record = middle.record(MOVED);
    expect(record.turn?.items.map(({ ts }) => ts)).toEqual([ROOT]);
    expect(record.inbox.map(({ ts }) => ts)).toEqual(['1000.000300']);
    expect(record.runtime).toEqual({ agentId: 'agent-1', conversationId: 'conv-1', deviceId: null });
    await changed(middle);
    expect(middle.record(MOVED).inbox).toHaveLength(1);
  });

  it('disk fails: not acknowledged, and moved when Slack delivers it again', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.threads.failing = 1;
    await expect(middle.intake.handleChannelChange(change)).rejects.toThrow('disk full');
    expect(middle.threads.records.has(THREAD)).toBe(true);
    await changed(middle);
    expect([...middle.threads.records.keys()]).toEqual([MOVED]);
  });

  it('turn under the new id came first: keeps its conversation', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.end();
    await middle.clock.advance(1_000);
    await middle.write('deploy it', { channel: NEW, mention: true });
    middle.connection.ready({ runtime: { agentId: 'agent-1', conversationId: 'conv-2', deviceId: null } });
    await middle.clock.settle();
    middle.connection.begin('run-2');
    await changed(middle);
    expect(middle.record(MOVED).turn?.state).toBe('submitted');
    expect(middle.record(MOVED).runtime?.conversationId).toBe('conv-2');
    expect(middle.connection.options.runtime?.conversationId).toBe('conv-2');
  });

  it('during a turn tied to its link: keeps the link, answers once', async () => {
    const middle = await createRunning({ turnsDieWithLink: true });
    await middle.write('and then this');
    middle.connection.say('All of');
    await middle.clock.settle();
    const stop = middle.record().turn?.stopToken ?? '';
    await changed(middle);
    expect(middle.connections).toHaveLength(1);
    expect(middle.connection.isClosed).toBe(false);
    expect(middle.threads.records.has(THREAD)).toBe(false);
    expect(await middle.threads.findByToken(stop)).toBe(MOVED);
    middle.connection.say(' it.');
    middle.connection.end();
    await middle.clock.advance(1_000);
    const ended = middle.surface.views.filter((view) => view.ending);
    expect(ended).toHaveLength(1);
    expect(ended[0]).toMatchObject({
      address: { channel: NEW },
      items: [{ kind: 'text', markdown: 'All of it.' }],
      ending: { outcome: 'done' },
    });
    expect(middle.connection.submitted.at(-1)?.content).toContain('and then this');
    expect(middle.record(MOVED).turn?.items).toHaveLength(1);
    expect(middle.workers.live).toBe(1);
  });

  it('during a turn: Stop under the new id ends it', async () => {
    const middle = await createRunning({ turnsDieWithLink: true });
    await changed(middle);
    expect(await middle.write('!stop', { channel: NEW, mention: true })).toEqual({ outcome: 'command', name: 'stop' });
    expect(middle.connection.aborts).toBe(1);
  });

  it('turns under both ids: offers to send the newer message again', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('deploy it', { channel: NEW, mention: true });
    middle.connection.ready({ runtime: { agentId: 'agent-1', conversationId: 'conv-2', deviceId: null } });
    await middle.clock.settle();
    middle.connection.begin('run-2');
    await middle.clock.settle();
    const posts = [{ part: '0.0', ts: '1000.000700', hash: 'live', live: true as const }];
    await middle.threads.update(MOVED, (now) => now && { ...now, turn: now.turn && { ...now.turn, posts } });
    await changed(middle);
    const record = middle.record(MOVED);
    expect(record.turn?.items.map(({ ts }) => ts)).toEqual([ROOT]);
    expect(record.inbox).toEqual([]);
    expect(record.offers).toMatchObject([{ kind: 'send_again', certain: false, count: 1 }]);
    expect(middle.surface.offers.at(0)?.posts).toEqual(posts);
  });

  it('while a message is being judged: answers it under the new id', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.end();
    await middle.clock.settle();
    const gate = Promise.withResolvers<void>();
    const load = middle.threads.load.bind(middle.threads);
    middle.threads.load = async (key) => {
      const record = await load(key);
      middle.threads.load = load;
      await gate.promise;
      return record;
    };
    const writing = middle.write('go on', { mention: true });
    await middle.clock.settle();
    await changed(middle);
    gate.resolve();
    expect(await writing).toEqual({ outcome: 'accepted' });
    expect(middle.threads.records.has(THREAD)).toBe(false);
    expect(middle.record(MOVED).turn?.items).toHaveLength(1);
  });

  it('during a click: leaves one worker for the thread', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const token = middle.record().turn?.stopToken;
    if (!token) throw new Error('nothing runs');
    const moving = middle.intake.handleChannelChange(change);
    const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
    const click = { name: 'stop', token, choice: null, actor: { user: 'U01ALICE', team: TEAM }, ...where } as const;
    await Promise.allSettled([moving, middle.intake.handleAction(click)]);
    await middle.clock.settle();
    expect(middle.workers.live).toBe(1);
  });

  it('keeps the offers of both ids, each with the new message key', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const held = (key: string, ts: string, token: string) =>
      ({
        ...{
          token,
          kind: 'run_held',
          for: 'U01ALICE',
          madeAt: middle.clock.now(),
          certain: false,
          count: 1,
          posts: [],
        },
        ...{ state: { state: 'open' }, display: 'shown' },
        items: [{ key, ts, user: 'U01ALICE', spans: [], files: [], receivedAt: 0 }],
      }) as unknown as Offer;
    const old = middle.record();
    const there = {
      ...old,
      turn: null,
      inbox: [],
      seen: [],
      offers: [held(`${TEAM}:${NEW}:1000.000800`, '1000.000800', 'b')],
    };
    const joint = recordInChannel(
      { ...old, offers: [held(`${TEAM}:C01GEN:1000.000700`, '1000.000700', 'a')] },
      NEW,
      there,
    );
    const keys = joint.offers.flatMap(({ items }) => items.map(({ key }) => key));
    expect(keys).toEqual([`${TEAM}:${NEW}:1000.000700`, `${TEAM}:${NEW}:1000.000800`]);
    expect(recordInChannel({ ...old, offers: joint.offers }, NEW, joint).offers).toHaveLength(2);
  });

  it('keeps unfinished ends and handed-over files of both ids', async () => {
    const old = (await createRunning({ turnsDieWithLink: false })).record();
    const late = (turn: string): LateEnd => ({
      ...{ turn: makeTurnId(turn), requester: 'U01ALICE', startedAt: 0, posts: [] },
      ended: { outcome: 'done', by: null, line: null, tools: 0, durationMs: 0 },
    });
    const file = (path: string) => ({ path, at: 0 });
    const there = { ...old, turn: null, late: [late('t2')], handedOver: [file('/b')] };
    const joint = recordInChannel({ ...old, late: [late('t1')], handedOver: [file('/a')] }, NEW, there);
    const again = recordInChannel({ ...old, late: [late('t1')], handedOver: [file('/a')] }, NEW, joint);
    for (const record of [joint, again]) {
      expect(record.late?.map(({ turn }) => turn).sort()).toEqual(['turn-t1', 'turn-t2']);
      expect(record.handedOver?.map(({ path }) => path).sort()).toEqual(['/a', '/b']);
    }
  });
});
