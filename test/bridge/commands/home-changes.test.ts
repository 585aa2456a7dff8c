import { describe, expect, it } from 'vitest';
import { watchHomes } from '../../../src/bridge/commands/home-changes.ts';
import type { ThreadRecord } from '../../../src/bridge/record/thread-record.ts';
import { MapThreads } from '../../support/middle.ts';
import { approvalRecord, inboxItem, offerOf, openTurn, threadKeyOf, threadRecord } from '../../support/records.ts';

const KEY = threadKeyOf(1);

async function changed(before: ThreadRecord | null, after: ThreadRecord | null) {
  const noted: (readonly string[] | null)[] = [];
  const disk = new MapThreads();
  await disk.update(KEY, () => before);
  await watchHomes(disk, (users) => void noted.push(users)).update(KEY, () => after);
  return noted;
}

describe('a write of a thread', () => {
  const turn = openTurn(1);
  const running = threadRecord(KEY, { turn });

  it('beginning or ending a turn: concerns its requester', async () => {
    expect(await changed(threadRecord(KEY), running)).toEqual([[turn.requester]]);
    expect(await changed(running, threadRecord(KEY))).toEqual([[turn.requester]]);
  });

  it('noting posts and text: concerns no one', async () => {
    const posts = [{ part: '0.0', ts: '1.000001', hash: 'h' }];
    const said = [{ runId: 'r', messageId: 'm', text: 'more' }];
    expect(await changed(running, threadRecord(KEY, { turn: { ...turn, posts, said } }))).toEqual([]);
  });

  it('queueing a message: concerns its author, too', async () => {
    const inbox = [{ ...inboxItem(2), user: 'U02BOB' }];
    expect(await changed(running, threadRecord(KEY, { turn, inbox }))).toEqual([[turn.requester, 'U02BOB']]);
  });

  it('opening or closing a request: concerns everyone', async () => {
    const asks = threadRecord(KEY, { turn, approvals: [approvalRecord(1)] });
    expect(await changed(running, asks)).toEqual([null]);
    expect(await changed(asks, running)).toEqual([null]);
  });

  it('leaving an offer, or a failed turn: concerns the person', async () => {
    const offers = [offerOf(1, { for: 'U02BOB' })];
    expect(await changed(threadRecord(KEY), threadRecord(KEY, { offers }))).toEqual([['U02BOB']]);
    expect(await changed(threadRecord(KEY, { offers }), threadRecord(KEY))).toEqual([['U02BOB']]);
    const failure = { for: 'U03CARA', at: 1, line: 'Failed.' };
    expect(await changed(threadRecord(KEY), threadRecord(KEY, { failure }))).toEqual([['U03CARA']]);
  });

  it('failing: concerns no one', async () => {
    const noted: unknown[] = [];
    const disk = new MapThreads();
    disk.update = () => Promise.reject(new Error('disk'));
    const watched = watchHomes(disk, (users) => void noted.push(users));
    await expect(watched.update(KEY, () => running)).rejects.toThrow('disk');
    expect(noted).toEqual([]);
  });
});
