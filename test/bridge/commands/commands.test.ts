import { describe, expect, it } from 'vitest';
import { closedPolicy } from '../../../src/bridge/access/policy.ts';
import { plainName } from '../../../src/bridge/text/plain-name.ts';
import { createRunning, type Middle, TEAM } from '../../support/middle.ts';

const lastWord = (middle: Middle) => middle.surface.whispered.at(-1)?.text ?? '';

describe('the word stop', () => {
  it('stops the turn, also when a bystander writes it', async () => {
    for (const user of ['U01ALICE', 'U02BOB']) {
      const middle = await createRunning();
      expect(await middle.write(' Stop ', { user, mention: false })).toEqual({ outcome: 'command', name: 'stop' });
      expect(middle.connection.aborts).toBe(1);
      expect(middle.record().turn?.stoppedBy).toBe(user);
    }
  });

  it('in a sentence: is a prompt', async () => {
    const middle = await createRunning();
    expect(await middle.write('stop the deploy')).toEqual({ outcome: 'accepted' });
    expect(middle.connection.aborts).toBe(0);
  });

  it('from a guest: stops nothing', async () => {
    const middle = await createRunning();
    await middle.write('stop', { user: 'U04GUEST', mention: false });
    expect(middle.connection.aborts).toBe(0);
  });

  it.each(['STOP!!!', 'stop.', '*stop*', 'stop please', 'cancel', 'Please abort!'])(
    '%j stops the turn',
    async (words) => {
      const middle = await createRunning();
      expect(await middle.write(words)).toEqual({ outcome: 'command', name: 'stop' });
      expect(middle.connection.aborts).toBe(1);
      expect(middle.record().inbox).toEqual([]);
    },
  );

  it('from a bystander when nothing runs: is context', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    expect(await middle.write('cancel!', { user: 'U02BOB', mention: false })).toEqual({ outcome: 'context' });
    expect(middle.surface.whispered).toEqual([]);
  });

  it('from a guest, like any command: refused in private each time', async () => {
    const middle = await createRunning();
    for (const words of ['!stop', 'STOP!', '!status', '!stop']) {
      const before = middle.surface.whispered.length;
      expect(await middle.write(words, { user: 'U04GUEST', mention: false })).toMatchObject({ outcome: 'refused' });
      expect(middle.surface.whispered.slice(before)).toMatchObject([{ user: 'U04GUEST' }]);
    }
    expect(middle.connection.aborts).toBe(0);
    expect(await middle.write('hello', { user: 'U04GUEST', mention: false })).toMatchObject({ outcome: 'ignored' });
  });

  it('from an approver who may not speak: stops the turn', async () => {
    const approvers = { requester: true, ids: ['U04GUEST'], groups: [] };
    const middle = await createRunning({ policy: { defaults: { ...closedPolicy.defaults, approvers } } });
    await middle.write('stop', { user: 'U04GUEST', mention: false });
    expect(middle.record().turn?.stoppedBy).toBe('U04GUEST');
    expect(await middle.write('!new', { user: 'U04GUEST', mention: false })).toMatchObject({ outcome: 'refused' });
  });

  it('is stored with its own key, so catch-up does not repeat it', async () => {
    const middle = await createRunning();
    const stop = { ts: '1000.000500', mention: false };
    // What is stored is all that the next life has: the mark must be in the write that stops.
    const writes: boolean[] = [];
    const { update } = middle.threads;
    middle.threads.update = async (key, change) => {
      const stored = await update.call(middle.threads, key, change);
      if (stored?.turn?.stoppedBy) writes.push(stored.seen.some((seen) => seen.key.endsWith('1000.000500')));
      return stored;
    };
    await middle.write('stop', stop);
    expect(writes[0]).toBe(true);
    await middle.restart();
    const before = middle.surface.whispered.length;
    expect(await middle.write('stop', { ...stop, caughtUp: true })).toEqual({ outcome: 'repeated' });
    expect(middle.surface.whispered).toHaveLength(before);
  });

  it('to another person, or any word with !: is context', async () => {
    const middle = await createRunning();
    const bob = { spans: [{ kind: 'user', id: 'U02BOB' } as const, { kind: 'text', text: ' stop' } as const] };
    expect(await middle.write('', { ...bob, mention: false, user: 'U03CARA' })).toEqual({ outcome: 'context' });
    expect(await middle.write('!important', { mention: false, user: 'U03CARA' })).toEqual({ outcome: 'context' });
    expect(middle.surface.whispered).toEqual([]);
  });
});

describe('messages queued behind a running turn', () => {
  it("are counted in the turn's view and listed by !queue", async () => {
    const middle = await createRunning();
    expect(middle.surface.last.live?.queued).toBe(0);
    await middle.write('count the lines');
    await middle.write('then delete them');
    expect(middle.surface.last.live?.queued).toBe(2);
    await middle.write('!queue');
    expect(lastWord(middle)).toContain('1. <@U01ALICE>: `count the lines`');
    expect(lastWord(middle)).toContain('2. <@U01ALICE>: `then delete them`');
  });

  it("are listed by the slash command for its author's running threads", async () => {
    const middle = await createRunning();
    await middle.write('count the lines');
    const slash = { team: TEAM, channel: 'C01GEN', channelKind: 'channel' as const, text: 'queue' };
    const answer = await middle.intake.handleCommand({ ...slash, actor: { user: 'U01ALICE', team: TEAM } });
    expect(answer).toContain('count the lines');
  });
});

describe('a command that changes the thread for everybody', () => {
  const aloud = (middle: Middle) => middle.surface.said.map(({ text }) => text);

  it('mute and unmute: said in the thread, once, without a mention', async () => {
    const middle = await createRunning();
    await middle.write('!mute');
    await middle.write('!mute');
    await middle.write('!unmute', { user: 'U02BOB' });
    expect(aloud(middle)).toEqual([
      '— Name of U01ALICE muted the agent: it answers only mentions —',
      '— Name of U02BOB unmuted the agent —',
    ]);
    // Only how to unmute is not in the thread.
    const whispered = middle.surface.whispered.map(({ text }) => text);
    expect(whispered).toEqual([expect.stringContaining('`!unmute`'), expect.stringContaining('`!unmute`')]);
  });

  it('a new conversation: said in the thread, unless there was none', async () => {
    const middle = await createRunning();
    await middle.write('!new');
    expect(aloud(middle)).toEqual([]);
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('!new');
    await middle.write('!new');
    expect(aloud(middle)).toEqual(['— Name of U01ALICE started a new conversation —']);
    const whispered = middle.surface.whispered.map(({ text }) => text);
    expect(whispered).toEqual([
      'I’m working here. Write `!stop` first.',
      'The next message here starts a new conversation.',
    ]);
  });

  it('a name with marks: shown as plain words', () => {
    expect(plainName('*[Bob](https://evil.example)* <!here> `x` @channel')).toBe(
      'Bob (https evil.example) !here x channel',
    );
  });
});

describe('!status', () => {
  it('says what runs, where and when it asks; ids come last', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('!status');
    expect(lastWord(middle)).toBe(
      'Idle · agent in `/project` · asks before everything but reads (guarded)\nIds: `agent-1`, `conv-1`',
    );
  });
});

describe('a muted thread', () => {
  it('answers mentions, and keeps other messages as context until !unmute', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('!mute');
    expect(lastWord(middle)).toContain('Muted');
    expect(await middle.write('and again', { mention: false })).toEqual({ outcome: 'context' });
    expect(await middle.write('and mine', { user: 'U02BOB', mention: true })).toEqual({ outcome: 'accepted' });
    await middle.write('!status');
    expect(lastWord(middle)).toContain('Muted');
    await middle.write('!unmute');
    expect(await middle.write('and again', { mention: false })).toEqual({ outcome: 'accepted' });
  });

  it('stays muted after a restart', async () => {
    const middle = await createRunning();
    await middle.write('!mute');
    await middle.restart();
    expect(await middle.write('and again', { mention: false })).toEqual({ outcome: 'context' });
  });

  it('/agent mute: says to write !mute in the thread', async () => {
    const middle = await createRunning();
    const slash = { team: TEAM, channel: 'C01GEN', channelKind: 'channel' as const, text: 'mute' };
    const answer = await middle.intake.handleCommand({ ...slash, actor: { user: 'U01ALICE', team: TEAM } });
    expect(answer).toContain('Write `!mute` in the thread');
    expect(middle.record().muted).toBeUndefined();
  });
});
