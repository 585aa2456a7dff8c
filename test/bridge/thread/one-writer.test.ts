import { describe, expect, it } from 'vitest';
import { makeThreadKey, makeToken } from '../../../src/bridge/ids.ts';
import type { PostRecord } from '../../../src/bridge/record/thread-record.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMiddle, createRunning, HandSurface, MapThreads, type Middle, ROOT, TEAM } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

const posts: PostRecord[] = [{ part: '0.0', ts: '2000.000001', hash: 'a' }];

/** A surface whose last turn's posts a test confirms by hand. */
class PostingSurface extends HandSurface {
  confirm: (posts: PostRecord[]) => Promise<void> = () => Promise.reject(new Error('no turn is shown'));

  freeze: () => Promise<void> = () => Promise.resolve();

  override openTurn(options: Parameters<HandSurface['openTurn']>[0]) {
    this.confirm = options.onPosts;
    return super.openTurn(options);
  }
}

function approve(middle: Middle) {
  const card = middle.surface.last.items.find((item) => item.kind === 'card')?.card;
  const actor = { user: 'U01ALICE', team: TEAM };
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
  return middle.intake.handleAction({
    name: 'approve',
    token: card?.token ?? makeToken('none'),
    choice: null,
    actor,
    ...where,
  });
}

describe('while the disk fails for what happened at Letta', () => {
  it('a message: refused at once, taken once the disk is well', async () => {
    const middle = await createRunning();
    middle.threads.failing = 3;
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    await expect(middle.write('go on')).rejects.toThrow('disk full');
    // Somebody waits, so that the disk is tried without a pause.
    expect(middle.threads.failing).toBe(1);
    await expect(middle.write('go on', { ts: '1000.000777' })).rejects.toThrow('disk full');
    expect(await middle.write('go on', { ts: '1000.000777' })).toEqual({ outcome: 'accepted' });
    expect(middle.record().approvals).toHaveLength(1);
    expect(middle.record().inbox).toHaveLength(1);
  });

  it('a click: refused at once, and leaves nothing behind', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    middle.threads.failing = 9;
    middle.connection.emit({ type: 'approval-asked', request: { ...touchX, requestId: 'perm-2' } });
    await middle.clock.settle();
    await expect(approve(middle)).rejects.toThrow('disk full');
    middle.threads.failing = 0;
    await middle.clock.advance(60_000);
    expect(middle.record().approvals.map(({ state }) => state.state)).toEqual(['open', 'open']);
    expect(await approve(middle)).toEqual({ result: 'decided' });
  });

  it('a post: its surface hears at once, and tries again', async () => {
    const surface = new PostingSurface();
    const middle = await createRunning({ surface: () => surface });
    middle.threads.failing = 2;
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    await expect(surface.confirm(posts)).rejects.toThrow('disk full');
    await surface.confirm(posts);
    expect(middle.record().turn?.posts).toEqual(posts);
    expect(middle.record().approvals).toHaveLength(1);
  });
});

it('a post while the disk fails wholly: the agent is heard', async () => {
  const surface = new PostingSurface();
  const middle = await createRunning({ surface: () => surface });
  const load = MapThreads.prototype.load.bind(middle.threads);
  middle.threads.load = () => Promise.reject(new Error('unreadable'));
  middle.threads.failingAfter = 1;
  await expect(surface.confirm(posts)).rejects.toThrow('disk full');
  middle.connection.say('Still here.');
  await middle.clock.settle();
  expect(surface.last.items).toMatchObject([{ kind: 'text', markdown: 'Still here.' }]);
  middle.threads.load = load;
  await surface.confirm([]);
  middle.connection.end();
  await middle.clock.settle();
  expect(middle.record().turn).toBeNull();
});

it('a post under way while its channel moves: is stored first', async () => {
  const surface = new PostingSurface();
  const middle = await createRunning({ surface: () => surface });
  const under = surface.confirm;
  const later = Promise.withResolvers<void>();
  surface.freeze = async () => {
    await later.promise;
    await under(posts);
  };
  const moved = middle.intake.handleChannelChange({ team: TEAM, from: 'C01GEN', to: 'C02NEW' });
  await middle.clock.settle();
  later.resolve();
  await moved;
  const record = middle.record(makeThreadKey({ team: TEAM, channel: 'C02NEW', root: ROOT }));
  expect(record.turn?.posts).toEqual(posts);
  middle.connection.end();
  await middle.clock.settle();
  expect(surface.last.ending?.outcome).toBe('done');
});

it('a channel change told twice: its turn keeps its link', async () => {
  const surface = new PostingSurface();
  const middle = await createRunning({ surface: () => surface });
  const frozen = Promise.withResolvers<void>();
  surface.freeze = () => frozen.promise;
  const change = () => middle.intake.handleChannelChange({ team: TEAM, from: 'C01GEN', to: 'C02NEW' });
  const first = change();
  await middle.clock.settle();
  const second = change();
  await middle.clock.settle();
  frozen.resolve();
  await Promise.all([first, second]);
  middle.connection.end();
  await middle.clock.settle();
  expect(surface.last).toMatchObject({ address: { channel: 'C02NEW' }, ending: { outcome: 'done' } });
});

it('a message while its thread moves: the turn keeps its conversation', async () => {
  const surface = new PostingSurface();
  const middle = await createRunning({ surface: () => surface, turnsDieWithLink: false });
  const { runtime } = middle.record();
  const underNewId = { channel: 'C02NEW', mention: true };
  await middle.write('hello', { ...underNewId, ts: '1000.000555' });
  middle.connection.ready({ runtime: { agentId: 'agent-1', conversationId: 'conv-2', deviceId: null } });
  await middle.clock.settle();
  const frozen = Promise.withResolvers<void>();
  const waits = [Promise.resolve(), frozen.promise];
  surface.freeze = () => waits.shift() ?? Promise.resolve();
  const moved = middle.intake.handleChannelChange({ team: TEAM, from: 'C01GEN', to: 'C02NEW' });
  await middle.clock.settle();
  await middle.write('and this', { ...underNewId, ts: '1000.000888' });
  frozen.resolve();
  await moved;
  await middle.clock.settle();
  const record = middle.record(makeThreadKey({ team: TEAM, channel: 'C02NEW', root: ROOT }));
  expect(record).toMatchObject({ runtime, turn: { state: 'submitted' } });
  expect(middle.connection.options.runtime).toEqual(runtime);
  expect(record.inbox.map(({ ts }) => ts)).toEqual(['1000.000888']);
});

it('a post of a thread that closes: is stored', async () => {
  const surface = new PostingSurface();
  const middle = await createRunning({ surface: () => surface });
  middle.workers.close();
  await surface.confirm(posts);
  expect(middle.record().turn?.posts).toEqual(posts);
});

it('writes of one thread: never overlap', async () => {
  const surface = new PostingSurface();
  const middle = createMiddle({ surface: () => surface });
  let writing = 0;
  let most = 0;
  const update = MapThreads.prototype.update.bind(middle.threads);
  const clock = createFakeClock();
  middle.threads.update = async (key, change) => {
    writing += 1;
    most = Math.max(most, writing);
    await clock.settle();
    const stored = await update(key, change);
    writing -= 1;
    return stored;
  };
  await middle.write('list the files');
  middle.connection.ready();
  for (let round = 0; round < 9; round += 1) await middle.clock.settle();
  middle.connection.begin();
  const asked = middle.write('and count them');
  middle.connection.emit({ type: 'approval-asked', request: touchX });
  const posted = surface.confirm(posts);
  await Promise.all([asked, posted]);
  for (let round = 0; round < 9; round += 1) await middle.clock.settle();
  expect(most).toBe(1);
  expect(middle.record().approvals).toHaveLength(1);
});

describe('a click whose write landed but reported an error', () => {
  it('counts, once the disk can say so: nothing else happens before', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    const load = MapThreads.prototype.load.bind(middle.threads);
    middle.threads.failingAfter = 1;
    let unreadable = false;
    middle.threads.load = (key) => (unreadable ? Promise.reject(new Error('unreadable')) : load(key));
    const clicked = approve(middle);
    const update = MapThreads.prototype.update.bind(middle.threads);
    middle.threads.update = async (key, change) => {
      unreadable = true;
      return update(key, change);
    };
    await expect(clicked).rejects.toThrow('disk full');
    middle.connection.say('behind it');
    await middle.clock.advance(20_000);
    expect(middle.connection.answers).toEqual([]);
    expect(middle.surface.last.items.some((item) => item.kind === 'text')).toBe(false);
    unreadable = false;
    await middle.clock.advance(60_000);
    expect(middle.connection.answers).toMatchObject([{ requestId: 'perm-1', decision: { behavior: 'allow' } }]);
    expect(middle.surface.last.items.some((item) => item.kind === 'text')).toBe(true);
    expect(await approve(middle)).toMatchObject({ result: 'refused', why: 'already_decided' });
  });
});

it('Stop that could not be stored: leaves no trace, works later', async () => {
  const middle = await createRunning();
  middle.connection.emit({ type: 'approval-asked', request: touchX });
  await middle.clock.settle();
  const before = middle.record();
  middle.threads.failing = 1;
  const token = middle.surface.last.live?.stop ?? makeToken('none');
  const actor = { user: 'U01ALICE', team: TEAM };
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
  const stop = () => middle.intake.handleAction({ name: 'stop', token, choice: null, actor, ...where });
  await expect(stop()).rejects.toThrow('disk full');
  await middle.clock.settle();
  expect(middle.record()).toEqual(before);
  expect(middle.connection.aborts).toBe(0);
  expect(await stop()).toEqual({ result: 'decided' });
  await middle.clock.settle();
  expect(middle.connection.aborts).toBe(1);
});
