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

describe('a mention without other words', () => {
  it.each(['', ' ', '​', 'ㅤ', '⠀'])("%j: its author's next plain reply is answered", async (text) => {
    const middle = createMiddle();
    expect(await middle.write(text, { mention: true, ts: ROOT })).toEqual({ outcome: 'helped' });
    expect(await middle.write('then list the files')).toEqual({ outcome: 'accepted' });
    const prompt = await started(middle);
    expect(prompt).toContain('then list the files');
    expect(prompt).not.toContain('earlier messages');
    expect(middle.surface.said).toHaveLength(1);
  });

  it('lets only its author, only in that thread, reply without mentioning', async () => {
    const middle = createMiddle();
    await middle.write('', { mention: true, ts: ROOT });
    expect(await middle.write('me, too', { user: 'U02BOB' })).toEqual({ outcome: 'context' });
    expect(await middle.write('elsewhere', { thread: null })).toMatchObject({ outcome: 'ignored' });
  });

  it('still counts after a restart, and catch-up knows the thread', async () => {
    const middle = createMiddle();
    await middle.write('', { mention: true, ts: ROOT });
    expect(middle.spoken).toHaveLength(1);
    await middle.restart();
    expect(await middle.write('then list the files')).toEqual({ outcome: 'accepted' });
  });

  it('from a person without access gets no help and stores nothing', async () => {
    const middle = createMiddle();
    expect(await middle.write('', { mention: true, ts: ROOT, user: 'U04GUEST' })).toMatchObject({ outcome: 'refused' });
    expect(middle.threads.records.size).toBe(0);
  });

  it("counts in another person's thread, also as !help or an unknown command", async () => {
    for (const text of ['', '!help', '!nonsense']) {
      const middle = await createRunning();
      await middle.write(text, { mention: true, user: 'U02BOB' });
      expect(await middle.write('now mine', { user: 'U02BOB' })).toEqual({ outcome: 'accepted' });
    }
  });
});

describe('a mention refused because the queue is full', () => {
  it('lets its author send it again as a plain reply', async () => {
    const middle = await createRunning({ queue: { perThread: 1, total: 100 } });
    await middle.write('first in the queue');
    expect(await middle.write('mine', { user: 'U02BOB', mention: true })).toMatchObject({ outcome: 'refused' });
    middle.connection.end();
    await middle.clock.advance(1_000);
    expect(await middle.write('mine, again', { user: 'U02BOB' })).toEqual({ outcome: 'accepted' });
  });
});

describe('a message without readable text', () => {
  const policy: Partial<Policy> = { bots: { ids: ['B0ALERTS'], inARow: 5, rate: { turns: 30, perMs: 3_600_000 } } };
  const alert = { user: 'B0ALERTS', bot: true, mention: true, unread: true };

  it('from an allowed bot: refused; the thread says so once an hour', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('', { ...alert, ts: ROOT })).toEqual({ outcome: 'refused', reason: 'unreadable' });
    expect(await middle.write('', { ...alert, thread: null })).toEqual({ outcome: 'refused', reason: 'unreadable' });
    expect(middle.connections).toHaveLength(0);
    expect(middle.surface.said.map(({ text }) => text)).toEqual([expect.stringContaining('I can’t read this message')]);
    await middle.clock.advance(60 * 60_000);
    await middle.write('', { ...alert, thread: null });
    expect(middle.surface.said).toHaveLength(2);
  });

  it('from a person: does not run, and the person is told', async () => {
    const middle = createMiddle();
    expect(await middle.write('', { ts: ROOT, unread: true })).toEqual({ outcome: 'refused', reason: 'unreadable' });
    expect(middle.surface.whispered).toMatchObject([
      { user: 'U01ALICE', text: expect.stringContaining('I did not run it') },
    ]);
  });

  it('runs when it also has text or files', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('look at this', { ...alert, ts: ROOT })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('', { ...alert, files: ['graph.png'] })).toEqual({ outcome: 'accepted' });
  });
});

describe('a muted thread', () => {
  const muted = async () => {
    const middle = createMiddle();
    await middle.write('start');
    await middle.write('!mute');
    expect(middle.surface.whispered.at(-1)?.text).toContain('`!unmute`');
    return middle;
  };

  it('is unmuted when the person who muted it mentions the agent', async () => {
    const middle = await muted();
    expect(await middle.write('go on')).toEqual({ outcome: 'context' });
    expect(await middle.write('now you', { mention: true })).toEqual({ outcome: 'accepted' });
    expect(middle.surface.whispered.at(-1)?.text).toContain('unmuted this thread');
    expect(await middle.write('and this')).toEqual({ outcome: 'accepted' });
  });

  it('is unmuted by a mention without other words', async () => {
    const middle = await muted();
    expect(await middle.write('', { mention: true })).toEqual({ outcome: 'helped' });
    expect(await middle.write('and this')).toEqual({ outcome: 'accepted' });
  });

  it('stays muted when another person mentions the agent, who is answered', async () => {
    const middle = await muted();
    expect(await middle.write('mine', { user: 'U02BOB', mention: true })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('go on')).toEqual({ outcome: 'context' });
  });
});

describe('an organisation with several workspaces', () => {
  it('accepts its member whichever twin event comes first, once', async () => {
    const twins = [{ userTeam: null }, { userTeam: TEAM }];
    for (const order of [twins, twins.toReversed()]) {
      const middle = createMiddle();
      const outcomes = [];
      for (const twin of order)
        outcomes.push(await middle.write('hi', { ts: ROOT, mention: true, thread: null, ...twin }));
      expect(outcomes).toEqual([{ outcome: 'accepted' }, { outcome: 'repeated' }]);
    }
  });

  it('shared channel: refused, also when the event does not say so', async () => {
    for (const external of [true, null]) {
      const middle = createMiddle();
      const outcome = await middle.write('hi', { ts: ROOT, channel: SHARED, external });
      expect(outcome).toEqual({ outcome: 'refused', reason: 'channel_is_external' });
    }
  });
});
