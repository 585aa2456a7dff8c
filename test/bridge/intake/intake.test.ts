import { describe, expect, it } from 'vitest';
import { BridgeError } from '../../../src/errors.ts';
import { BOT, createMiddle, ROOT, TEAM, THREAD } from '../../support/middle.ts';

describe('a message at top level of a channel', () => {
  it('without a mention: ignored, nothing stored', async () => {
    const middle = createMiddle();
    expect(await middle.write('hello all', { mention: false })).toEqual({
      outcome: 'ignored',
      reason: 'not_a_thread_of_ours',
    });
    expect(middle.threads.records.size).toBe(0);
  });

  it('with only a mention: gets help once and starts no turn', async () => {
    const middle = createMiddle();
    expect(await middle.write('', { mention: true, ts: ROOT })).toEqual({ outcome: 'helped' });
    expect(await middle.write('', { mention: true, ts: ROOT, thread: null })).toEqual({ outcome: 'repeated' });
    expect(middle.surface.said).toHaveLength(1);
    expect(middle.connections).toHaveLength(0);
  });

  it('from a guest, stranger or bot: refused in private, nothing stored', async () => {
    for (const user of ['U04GUEST', 'U05EXT', 'U06BOT']) {
      const middle = createMiddle();
      expect(await middle.write('hi', { user })).toMatchObject({ outcome: 'refused' });
      expect(middle.surface.whispered).toMatchObject([{ user, address: { threadTs: null } }]);
      expect(middle.threads.records.size).toBe(0);
    }
  });

  it('event names another team: refused as external', async () => {
    const middle = createMiddle();
    expect(await middle.write('hi', { userTeam: 'T0OTHER' })).toEqual({
      outcome: 'refused',
      reason: 'user_is_external',
    });
  });

  it('in a shared channel: refused unless the policy names the channel', async () => {
    const middle = createMiddle();
    expect(await middle.write('hi', { external: true })).toEqual({ outcome: 'refused', reason: 'channel_is_external' });
  });
});

describe('a reply in a thread of ours', () => {
  it('by a person who mentioned the bot there: accepted without a mention', async () => {
    const middle = createMiddle();
    await middle.write('start');
    expect(await middle.write('go on')).toEqual({ outcome: 'accepted' });
  });

  it('by another person: context for the next turn', async () => {
    const middle = createMiddle();
    await middle.write('start');
    expect(await middle.write('I would not do that', { user: 'U02BOB' })).toEqual({ outcome: 'context' });
    expect(middle.record().inbox).toEqual([]);
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('and now?');
    const content = middle.connection.submitted[1]?.content ?? '';
    expect(content).toContain('from U02BOB, named "Name of U02BOB"');
    expect(content).toContain('I would not do that');
  });

  it('addressed to another person: context', async () => {
    const middle = createMiddle();
    await middle.write('start');
    const spans = [{ kind: 'user', id: 'U02BOB' } as const, { kind: 'text', text: ' what do you think?' } as const];
    expect(await middle.write('', { spans })).toEqual({ outcome: 'context' });
  });

  it('from a guest: ignored, and no context', async () => {
    const middle = createMiddle();
    await middle.write('start');
    expect(await middle.write('psst', { user: 'U04GUEST' })).toMatchObject({ outcome: 'ignored' });
    expect(middle.record().context).toEqual([]);
  });

  it("is queued in Slack's order when events come out of order", async () => {
    const middle = createMiddle();
    await middle.write('start');
    await middle.write('third', { ts: '1000.000900' });
    await middle.write('second', { ts: '1000.000800' });
    expect(middle.record().inbox.map((item) => item.ts)).toEqual(['1000.000800', '1000.000900']);
  });

  it("beyond the thread's queue limit: refused openly once, then in private", async () => {
    const middle = createMiddle({ queue: { perThread: 5, total: 100 } });
    await middle.write('start');
    for (let n = 0; n < 4; n += 1) await middle.write(`more ${n}`);
    expect(await middle.write('too much')).toEqual({ outcome: 'refused', reason: 'inbox_full' });
    // Openly, as a private notice may get lost; but a storm of them would help nobody.
    expect(middle.surface.said.map(({ text }) => text)).toEqual([
      '<@U01ALICE> Too many messages are already waiting here (5), so I did not queue this one. Send it again later.',
    ]);
    expect(await middle.write('and more')).toEqual({ outcome: 'refused', reason: 'inbox_full' });
    expect(middle.surface.said).toHaveLength(1);
    expect(middle.surface.whispered.at(-1)?.text).toMatch(/Too many messages/);
    // The turn's own message has not been sent, so it waits with them.
    expect(middle.record().turn?.state).toBe('prepared');
    expect(middle.record().inbox).toHaveLength(4);
  });

  it('beyond it, while Letta begins turns by itself: refused', async () => {
    const middle = createMiddle({ queue: { perThread: 5, total: 100 } });
    await middle.write('start');
    middle.connection.settle = () => new Promise(() => {});
    for (let round = 0; round < 4; round += 1) {
      // Letta begins a turn first, so the prepared one goes back into the queue; behind it, it waits for a round trip.
      const run = `run-auto-${round}`;
      middle.connection.emit({ type: 'user-message', clientMessageId: `cm-q-${round}`, automatic: true });
      middle.connection.say('a task is done', run, `m-${round}`);
      await middle.clock.settle();
      expect(middle.record().turn?.origin).toBe('agent');
      middle.connection.end('end_turn', run);
      await middle.clock.settle();
      expect(middle.record().turn?.state).toBe('prepared');
      for (let n = 0; n < 6; n += 1) await middle.write(`more ${round}${n}`);
      const { inbox, turn } = middle.record();
      expect(inbox.length + (turn?.items.length ?? 0)).toBe(5);
    }
  });

  it('beyond the limit of all queues: refused until a queue shrinks', async () => {
    const middle = createMiddle({ queue: { perThread: 50, total: 4 } });
    const roots = ['2000.000001', '2000.000002', '2000.000003'];
    const say = (thread: string | null, ts: string) => middle.write('hello', { thread, ts, mention: true });
    for (const ts of roots) await say(null, ts);
    // Three run; four wait.
    for (const ts of ['3000.000001', '3000.000002'])
      for (const root of roots.slice(0, 2)) await say(root, `${ts}${root.at(-1)}`);
    expect(middle.workers.waiting).toBe(4);
    expect(await say(roots[2] ?? '', '3000.000009')).toEqual({ outcome: 'refused', reason: 'queue_full' });
    expect(middle.surface.said.at(-1)).toMatchObject({
      address: { threadTs: roots[2] },
      text: expect.stringContaining('(4 in all threads)'),
    });
    // After a restart the count is known again without anybody writing.
    await middle.restart();
    expect(middle.workers.waiting).toBe(4);
    expect(await say(null, '4000.000001')).toEqual({ outcome: 'refused', reason: 'queue_full' });
    await middle.restart();
    await middle.write('!stop', { thread: roots[0] ?? '', ts: '5000.000001', mention: true });
    expect(middle.workers.waiting).toBe(2);
    // Its author was told to send it again: both would run. No thread remembers it, and looking back does.
    const again = { thread: null, ts: '4000.000001', mention: true, caughtUp: true };
    expect(await middle.write('hello', again)).toEqual({ outcome: 'repeated' });
    expect(await say(null, '4000.000002')).toEqual({ outcome: 'accepted' });
  });

  it('its write landed but reported an error: catch-up knows the thread', async () => {
    const middle = createMiddle();
    const write = () => middle.write('list the files', { ts: ROOT, thread: null, mention: true });
    middle.threads.failingAfter = 1;
    await expect(write()).rejects.toThrow('disk full');
    // Slack may never deliver it again.
    expect(middle.spoken).toEqual([THREAD]);
    expect(await write()).toEqual({ outcome: 'repeated' });
  });

  it('help whose write landed but reported an error: catch-up knows the thread', async () => {
    const middle = createMiddle();
    middle.threads.failingAfter = 1;
    await middle.write('!help', { ts: ROOT, thread: null, mention: true });
    expect(middle.record().participants).toEqual(['U01ALICE']);
    expect(middle.spoken).toEqual([THREAD]);
  });

  it('too old, its write landed but reported an error: offers Run now', async () => {
    const middle = createMiddle({ now: 4_600_000, staleAfterMs: 900_000 });
    const write = () => middle.write('deploy it', { ts: ROOT, thread: null, mention: true });
    middle.threads.failingAfter = 1;
    await expect(write()).rejects.toThrow('disk full');
    expect(await write()).toEqual({ outcome: 'repeated' });
    expect(middle.surface.offers).toMatchObject([{ view: { buttons: ['run_now', 'drop'] } }]);
  });

  it('disk fails: not acknowledged, and accepted when delivered again', async () => {
    const middle = createMiddle();
    await middle.write('start');
    middle.threads.failing = 1;
    await expect(middle.write('go on', { ts: '1000.000777' })).rejects.toThrow('disk full');
    expect(await middle.write('go on', { ts: '1000.000777' })).toEqual({ outcome: 'accepted' });
  });
});

describe('a direct message', () => {
  const dm = { channel: 'D01', channelKind: 'im', mention: false, thread: null } as const;

  it('belongs to one rolling conversation; a thread in it has its own', async () => {
    const middle = createMiddle();
    expect(await middle.write('hello', dm)).toEqual({ outcome: 'accepted' });
    await middle.write('more', dm);
    await middle.write('aside', { ...dm, thread: '900.000001' });
    const keys = [...middle.threads.records.keys()];
    expect(keys).toEqual([`${TEAM}:D01:dm`, `${TEAM}:D01:900.000001`]);
    expect(middle.surface.views[0]?.address).toEqual({ team: TEAM, channel: 'D01', threadTs: null });
  });
});

describe('a slash command', () => {
  const command = {
    actor: { user: 'U01ALICE', team: TEAM },
    team: TEAM,
    channel: 'C01GEN',
    channelKind: 'channel',
  } as const;

  it('empty: answers with help; unknown: says so', async () => {
    const middle = createMiddle();
    expect(await middle.intake.handleCommand({ ...command, text: '' })).toContain(`<@${BOT}>`);
    expect(await middle.intake.handleCommand({ ...command, text: 'dance' })).toBe(
      'There is no command `dance`. `/agent commands` lists all commands.',
    );
    expect(await middle.intake.handleCommand({ ...command, text: 'stauts' })).toBe(
      'There is no command `stauts`. Did you mean `/agent status`?',
    );
    expect(await middle.intake.handleCommand({ ...command, text: 'fix the build' })).toContain(
      'To give me a task, mention me.',
    );
  });

  it('stop: stops the only running thread of its author', async () => {
    const middle = createMiddle();
    expect(await middle.intake.handleCommand({ ...command, text: 'stop' })).toBe('Nothing is running for you.');
    await middle.write('start');
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    await middle.clock.settle();
    expect(await middle.intake.handleCommand({ ...command, actor: { user: 'U02BOB', team: TEAM }, text: 'stop' })).toBe(
      'Nothing is running for you.',
    );
    expect(await middle.intake.handleCommand({ ...command, text: 'stop' })).toContain('Stopping.');
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(1);
    expect(middle.record(THREAD).turn?.stoppedBy).toBe('U01ALICE');
  });

  it('from a guest: refused', async () => {
    const middle = createMiddle();
    const answer = await middle.intake.handleCommand({
      ...command,
      actor: { user: 'U04GUEST', team: TEAM },
      text: 'status',
    });
    expect(answer).toContain('Guests');
  });
});

describe('a message delivered twice at the same moment', () => {
  it("gets help, a refusal or a command's answer once", async () => {
    for (const [text, user] of [
      ['', 'U01ALICE'],
      ['hi', 'U04GUEST'],
      ['!status', 'U01ALICE'],
    ] as const) {
      const middle = createMiddle();
      const twin = () => middle.write(text, { ts: ROOT, thread: null, mention: true, user });
      const outcomes = await Promise.all([twin(), twin()]);
      expect(outcomes.map(({ outcome }) => outcome)).toContain('repeated');
      expect(middle.surface.said.length + middle.surface.whispered.length).toBe(1);
    }
  });
});

describe('a message that cannot be handled at once', () => {
  it('command whose write fails: obeyed when Slack delivers it again', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.threads.failing = 1;
    const again = { ts: '1000.000900', mention: false };
    await expect(middle.write('!stop', again)).rejects.toThrow('disk full');
    expect(await middle.write('!stop', again)).toEqual({ outcome: 'command', name: 'stop' });
    expect(middle.record().turn).toBeNull();
  });

  it('no room in the record: refused openly and acknowledged', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.threads.update = () =>
      Promise.reject(new BridgeError('record_too_large', 'too large', { notice: 'Too much is waiting.' }));
    expect(await middle.write('more', { mention: true })).toEqual({ outcome: 'refused', reason: 'record_too_large' });
    expect(middle.surface.said.at(-1)?.text).toBe('<@U01ALICE> Too much is waiting.');
  });

  it('author cannot be looked up: accepted when Slack delivers it again', async () => {
    const middle = createMiddle();
    middle.people.failing = 1;
    const write = () => middle.write('list the files', { ts: ROOT, thread: null, mention: true });
    await expect(write()).rejects.toThrow('slack is away');
    expect(middle.threads.records.size).toBe(0);
    expect(await write()).toEqual({ outcome: 'accepted' });
  });
});
