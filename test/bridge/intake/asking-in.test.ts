import { describe, expect, it } from 'vitest';
import type { Policy } from '../../../src/bridge/access/policy.ts';
import { createMiddle, createRunning, type Middle, ROOT, SHARED, TEAM } from '../../support/middle.ts';

const texts = (middle: Middle) =>
  middle.connections.flatMap(({ submitted }) => submitted.map(({ content }) => content));

async function started(middle: Middle): Promise<string> {
  middle.connection.ready();
  await middle.clock.settle();
  return texts(middle).join();
}

describe('a mention without words', () => {
  it.each(['', ' ', '​', 'ㅤ', '⠀'])(
    '%j makes its author a participant: the reply that help speaks of is answered',
    async (text) => {
      const middle = createMiddle();
      expect(await middle.write(text, { mention: true, ts: ROOT })).toEqual({ outcome: 'helped' });
      expect(await middle.write('then list the files')).toEqual({ outcome: 'accepted' });
      const prompt = await started(middle);
      expect(prompt).toContain('then list the files');
      expect(prompt).not.toContain('earlier messages');
      expect(middle.surface.said).toHaveLength(1);
    },
  );

  it('says so of its author only, and within the thread only', async () => {
    const middle = createMiddle();
    await middle.write('', { mention: true, ts: ROOT });
    expect(await middle.write('me, too', { user: 'U02BOB' })).toEqual({ outcome: 'context' });
    expect(await middle.write('elsewhere', { thread: null })).toMatchObject({ outcome: 'ignored' });
  });

  it('outlives a restart, and looking back knows the thread', async () => {
    const middle = createMiddle();
    await middle.write('', { mention: true, ts: ROOT });
    expect(middle.spoken).toHaveLength(1);
    await middle.restart();
    expect(await middle.write('then list the files')).toEqual({ outcome: 'accepted' });
  });

  it('of somebody who may not use the agent gives no help and keeps nothing', async () => {
    const middle = createMiddle();
    expect(await middle.write('', { mention: true, ts: ROOT, user: 'U04GUEST' })).toMatchObject({ outcome: 'refused' });
    expect(middle.threads.records.size).toBe(0);
  });

  it('in a thread of others, or with !help, counts as much', async () => {
    for (const text of ['', '!help', '!nonsense']) {
      const middle = await createRunning();
      await middle.write(text, { mention: true, user: 'U02BOB' });
      expect(await middle.write('now mine', { user: 'U02BOB' })).toEqual({ outcome: 'accepted' });
    }
  });
});

describe('a mention that is refused for now', () => {
  it('makes its author a participant where the thread is known: sent again as a plain reply it is taken', async () => {
    const middle = await createRunning({ queue: { perThread: 1, total: 100 } });
    await middle.write('first in the queue');
    expect(await middle.write('mine', { user: 'U02BOB', mention: true })).toMatchObject({ outcome: 'refused' });
    middle.connection.end();
    await middle.clock.advance(1_000);
    expect(await middle.write('mine, again', { user: 'U02BOB' })).toEqual({ outcome: 'accepted' });
  });
});

describe('a message whose words nobody gets', () => {
  const policy: Partial<Policy> = { bots: { ids: ['B0ALERTS'], inARow: 5 } };
  const alert = { user: 'B0ALERTS', bot: true, mention: true, unread: true };

  it('of an allowed bot is not run, and the thread says so, once an hour', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('', { ...alert, ts: ROOT })).toEqual({ outcome: 'refused', reason: 'unreadable' });
    expect(await middle.write('', { ...alert, thread: null })).toEqual({ outcome: 'refused', reason: 'unreadable' });
    expect(middle.connections).toHaveLength(0);
    expect(middle.surface.said.map(({ text }) => text)).toEqual([expect.stringContaining('I can’t read this message')]);
    await middle.clock.advance(60 * 60_000);
    await middle.write('', { ...alert, thread: null });
    expect(middle.surface.said).toHaveLength(2);
  });

  it('of a person is not run, and they are told', async () => {
    const middle = createMiddle();
    expect(await middle.write('', { ts: ROOT, unread: true })).toEqual({ outcome: 'refused', reason: 'unreadable' });
    expect(middle.surface.whispered).toMatchObject([
      { user: 'U01ALICE', text: expect.stringContaining('Nothing was run') },
    ]);
  });

  it('with words or files beside it is run', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('look at this', { ...alert, ts: ROOT })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('', { ...alert, files: ['graph.png'] })).toEqual({ outcome: 'accepted' });
  });
});

describe('a mute', () => {
  const muted = async () => {
    const middle = createMiddle();
    await middle.write('start');
    await middle.write('!mute');
    expect(middle.surface.whispered.at(-1)?.text).toContain('`!unmute`');
    return middle;
  };

  it('ends with the next mention by whoever muted, who is told', async () => {
    const middle = await muted();
    expect(await middle.write('go on')).toEqual({ outcome: 'context' });
    expect(await middle.write('now you', { mention: true })).toEqual({ outcome: 'accepted' });
    expect(middle.surface.whispered.at(-1)?.text).toContain('not muted any more');
    expect(await middle.write('and this')).toEqual({ outcome: 'accepted' });
  });

  it('ends with a mention without words, too', async () => {
    const middle = await muted();
    expect(await middle.write('', { mention: true })).toEqual({ outcome: 'helped' });
    expect(await middle.write('and this')).toEqual({ outcome: 'accepted' });
  });

  it('stays when somebody else mentions the agent, who is answered', async () => {
    const middle = await muted();
    expect(await middle.write('mine', { user: 'U02BOB', mention: true })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('go on')).toEqual({ outcome: 'context' });
  });
});

describe('people of one organisation with several workspaces', () => {
  it('are let in whichever event of their mention comes first', async () => {
    const twins = [{ userTeam: null }, { userTeam: TEAM }];
    for (const order of [twins, twins.toReversed()]) {
      const middle = createMiddle();
      const outcomes = [];
      for (const twin of order)
        outcomes.push(await middle.write('hi', { ts: ROOT, mention: true, thread: null, ...twin }));
      expect(outcomes).toEqual([{ outcome: 'accepted' }, { outcome: 'repeated' }]);
    }
  });

  it('a channel of which one of the events does not say whether it is shared is asked about', async () => {
    for (const external of [true, null]) {
      const middle = createMiddle();
      const outcome = await middle.write('hi', { ts: ROOT, channel: SHARED, external });
      expect(outcome).toEqual({ outcome: 'refused', reason: 'channel_is_external' });
    }
  });
});
