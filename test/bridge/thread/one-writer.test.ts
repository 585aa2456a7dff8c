import { describe, expect, it } from 'vitest';
import type { ApprovalRequest } from '../../../src/bridge/agent-event.ts';
import type { PostRecord } from '../../../src/bridge/record/thread-record.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMiddle, createRunning, HandSurface, MapThreads } from '../../support/middle.ts';

const bash: ApprovalRequest = {
  requestId: 'perm-1',
  callId: 'call-1',
  tool: 'Bash',
  input: { command: 'touch x' },
  diffs: [],
  suggestions: [],
  questions: null,
};
const posts: PostRecord[] = [{ part: '0.0', ts: '2000.000001', hash: 'a' }];

/** A surface whose last turn's posts a test confirms by hand. */
class PostingSurface extends HandSurface {
  confirm: (posts: PostRecord[]) => Promise<void> = () => Promise.reject(new Error('no turn is shown'));

  override turn(options: Parameters<HandSurface['turn']>[0]) {
    this.confirm = options.onPosts;
    return super.turn(options);
  }
}

describe('while the disk fails for what happened at Letta', () => {
  it('a message: refused at once, taken once the disk is well', async () => {
    const middle = await createRunning();
    middle.threads.failing = 3;
    middle.connection.emit({ type: 'approval-asked', request: bash });
    await middle.clock.settle();
    await expect(middle.write('go on')).rejects.toThrow('disk full');
    // Somebody waits, so that the disk is tried without a pause.
    expect(middle.threads.failing).toBe(1);
    await expect(middle.write('go on', { ts: '1000.000777' })).rejects.toThrow('disk full');
    expect(await middle.write('go on', { ts: '1000.000777' })).toEqual({ outcome: 'accepted' });
    expect(middle.record().approvals).toHaveLength(1);
    expect(middle.record().inbox).toHaveLength(1);
  });

  it('a post: its surface hears at once, and tries again', async () => {
    const surface = new PostingSurface();
    const middle = await createRunning({ surface: () => surface });
    middle.threads.failing = 2;
    middle.connection.emit({ type: 'approval-asked', request: bash });
    await middle.clock.settle();
    await expect(surface.confirm(posts)).rejects.toThrow('disk full');
    await surface.confirm(posts);
    expect(middle.record().turn?.posts).toEqual(posts);
    expect(middle.record().approvals).toHaveLength(1);
  });
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
  middle.connection.emit({ type: 'approval-asked', request: bash });
  const posted = surface.confirm(posts);
  await Promise.all([asked, posted]);
  for (let round = 0; round < 9; round += 1) await middle.clock.settle();
  expect(most).toBe(1);
  expect(middle.record().approvals).toHaveLength(1);
});
