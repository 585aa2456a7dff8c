import { describe, expect, it } from 'vitest';
import { makeMessageKey } from '../../../src/bridge/ids.ts';
import type { InboundMessage, InboundRevision } from '../../../src/bridge/inbound.ts';
import { BridgeError } from '../../../src/errors.ts';
import { BOT, createMiddle, createRunning, type Middle, ROOT, TEAM } from '../../support/middle.ts';

interface Said {
  user?: string;
  channel?: string;
  thread?: string | null;
  mention?: boolean;
  mentionedBefore?: boolean;
}

function messageOf(
  ts: string,
  text: string,
  { user = 'U01ALICE', thread = ROOT, mention = false }: Said,
): InboundMessage {
  const spans = [...(mention ? [{ kind: 'user', id: BOT } as const] : []), { kind: 'text', text } as const];
  return {
    key: makeMessageKey({ team: TEAM, channel: 'C01GEN', ts }),
    team: TEAM,
    channel: 'C01GEN',
    channelKind: 'channel',
    ts,
    threadTs: thread === ts ? null : thread,
    user,
    userTeam: null,
    external: false,
    spans,
    files: [],
    mentionsBot: mention,
  };
}

async function edit(middle: Middle, ts: string, text: string, said: Said = {}) {
  const { mentionedBefore = said.mention ?? false } = said;
  const revision: InboundRevision = { kind: 'edited', message: messageOf(ts, text, said), mentionedBefore };
  const outcome = await middle.intake.handleRevision(revision);
  await middle.clock.settle();
  return outcome;
}

async function remove(middle: Middle, ts: string, said: Said = {}) {
  const { key, team, channel, channelKind, threadTs, user } = messageOf(ts, '', said);
  const outcome = await middle.intake.handleRevision({
    kind: 'deleted',
    mentionsBot: said.mention ?? false,
    key,
    team,
    channel,
    channelKind,
    ts,
    threadTs,
    user,
  });
  await middle.clock.settle();
  return outcome;
}

async function nextTurn(middle: Middle): Promise<string> {
  middle.connection.end();
  await middle.clock.settle();
  return middle.connection.submitted.at(-1)?.content ?? '';
}

const LATER = '1000.000500';

describe('a queued message behind a running turn', () => {
  it('edited: runs with the new text', async () => {
    const middle = await createRunning();
    await middle.write('delete everything', { ts: LATER });
    expect(await edit(middle, LATER, 'count the lines')).toEqual({ outcome: 'changed' });
    const content = await nextTurn(middle);
    expect(content).toContain('count the lines');
    expect(content).not.toContain('delete everything');
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it.each(['stop', 'STOP!!!', '*Cancel*, please'])('edited to %j: stops the turn and never runs', async (words) => {
    const middle = await createRunning();
    await middle.write('delete everything', { ts: LATER });
    expect(await edit(middle, LATER, words)).toEqual({ outcome: 'began', as: 'command' });
    expect(middle.record()).toMatchObject({ inbox: [], turn: { stoppedBy: 'U01ALICE' } });
    expect(middle.surface.said).toEqual([]);
    expect(middle.surface.whispered.at(-1)).toMatchObject({ user: 'U01ALICE', text: 'Stopping.' });
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('edited to a command: executes the command and never runs', async () => {
    const middle = await createRunning();
    await middle.write('delete everything', { ts: LATER });
    expect(await edit(middle, LATER, '!queue')).toEqual({ outcome: 'began', as: 'command' });
    expect(middle.surface.whispered.at(-1)?.text).toBe('Nothing is queued.');
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('deleted: never runs', async () => {
    const middle = await createRunning();
    await middle.write('delete everything', { ts: LATER });
    expect(await remove(middle, LATER)).toEqual({ outcome: 'withdrawn' });
    await nextTurn(middle);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.record().inbox).toEqual([]);
  });

  it('edit too large for the record: keeps the old text, with notice', async () => {
    const middle = await createRunning();
    await middle.write('count', { ts: LATER });
    const { update } = middle.threads;
    middle.threads.update = () =>
      Promise.reject(new BridgeError('record_too_large', 'too large', { notice: 'Too long.' }));
    expect(await edit(middle, LATER, 'x'.repeat(10))).toEqual({ outcome: 'refused', reason: 'record_too_large' });
    middle.threads.update = update;
    expect(middle.surface.whispered.at(-1)?.text).toBe('Too long. I’ll use your message as it was before the edit.');
    expect(await nextTurn(middle)).toContain('count');
  });

  it('edited by a person without access: keeps the old text', async () => {
    const middle = await createRunning();
    await middle.write('count the lines', { ts: LATER });
    expect(await edit(middle, LATER, 'delete everything', { user: 'U04GUEST' })).toMatchObject({ outcome: 'refused' });
    expect(await nextTurn(middle)).toContain('count the lines');
  });
});

describe('a message that waits for Letta to return', () => {
  it('edited: is sent with the new text', async () => {
    const middle = createMiddle();
    await middle.write('delete everything');
    await edit(middle, ROOT, 'count the lines', { thread: null, mention: true });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted.map(({ content }) => content.includes('count the lines'))).toEqual([true]);
    expect(middle.connection.submitted[0]?.content).not.toContain('delete everything');
  });

  it('deleted: is never sent, and its turn ends as deleted', async () => {
    const middle = createMiddle();
    await middle.write('delete everything');
    expect(await remove(middle, ROOT, { thread: null })).toEqual({ outcome: 'withdrawn' });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toEqual([]);
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'stopped', line: expect.stringContaining('deleted') });
    expect(middle.record().turn).toBeNull();
  });

  it('edited while its prompt is written: sent text and record agree', async () => {
    const middle = createMiddle();
    await middle.write('delete everything');
    const message = messageOf(ROOT, 'count the lines', { thread: null, mention: true });
    middle.connection.ready();
    // Both at once: the prompt is being written while the change is being stored.
    await middle.intake.handleRevision({ kind: 'edited', message, mentionedBefore: true });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    const sent = middle.connection.submitted[0]?.content ?? '';
    const said = middle.record().turn?.items[0]?.spans;
    expect(sent.includes('count the lines')).toBe(JSON.stringify(said).includes('count the lines'));
  });
});

describe('a message that went to the agent', () => {
  it('edited: is not sent again', async () => {
    const middle = await createRunning();
    expect(await edit(middle, ROOT, 'something else', { thread: null, mention: true })).toEqual({
      outcome: 'ignored',
      reason: 'ran_already',
    });
    await nextTurn(middle);
    expect(await edit(middle, ROOT, 'again', { thread: null, mention: true })).toMatchObject({ reason: 'ran_already' });
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('gets a file after it ran: tells its author', async () => {
    const middle = await createRunning();
    const message = messageOf(ROOT, 'list the files', { thread: null, mention: true });
    const files = [{ id: 'F1', name: 'a.png', mimetype: null, size: null }];
    await middle.intake.handleRevision({
      ...{ kind: 'edited', message: { ...message, files }, mentionedBefore: true, hasAddedFiles: true },
    });
    expect(middle.surface.whispered).toMatchObject([{ text: expect.stringContaining('Send them in a new message') }]);
  });

  it('edited to a stop word: stops the turn; other commands are ignored', async () => {
    const middle = await createRunning();
    expect(await edit(middle, ROOT, 'stop!', { mention: true })).toEqual({ outcome: 'began', as: 'command' });
    expect(middle.record().turn?.stoppedBy).toBe('U01ALICE');
    expect(await edit(middle, ROOT, '!new', { mention: true })).toMatchObject({ outcome: 'ignored' });
  });

  it('deleted: offers its author a Stop button, without stopping by itself', async () => {
    const middle = await createRunning();
    expect(await remove(middle, ROOT, { thread: null })).toEqual({ outcome: 'asked' });
    const { turn } = middle.record();
    expect(middle.surface.whispered).toMatchObject([{ user: 'U01ALICE', stop: turn?.stopToken }]);
    expect(middle.connection.aborts).toBe(0);
  });
});

describe('a message that was not for the agent', () => {
  it('edited to add the mention: begins one turn, at any age', async () => {
    const middle = createMiddle({ staleAfterMs: 15 * 60_000 });
    expect(await middle.write('list the files', { mention: false })).toMatchObject({ outcome: 'ignored' });
    const asked = { thread: null, mention: true, mentionedBefore: false };
    expect(await edit(middle, ROOT, 'list the files', asked)).toEqual({ outcome: 'began', as: 'accepted' });
    expect(await edit(middle, ROOT, 'list the files', asked)).toMatchObject({ outcome: 'changed' });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(await edit(middle, ROOT, 'list the files', asked)).toMatchObject({ reason: 'ran_already' });
  });

  it('overheard, then edited to add the mention: begins a turn', async () => {
    for (const late of [false, true]) {
      const middle = await createRunning();
      await middle.write('the build is red', { ts: LATER, user: 'U02BOB', mention: false });
      if (late) {
        await middle.write('go on', { ts: '1000.000600' });
        await nextTurn(middle);
        middle.connection.begin('run-2');
        await middle.clock.settle();
      }
      const asked = { user: 'U02BOB', mention: true, mentionedBefore: false };
      expect(await edit(middle, LATER, 'the build is red', asked)).toEqual({ outcome: 'began', as: 'accepted' });
      expect(middle.record().inbox.map(({ ts }) => ts)).toEqual([LATER]);
      expect(middle.record().context).toEqual([]);
    }
  });

  it('overheard, then edited or deleted: the prompt has only the latest state', async () => {
    const middle = await createRunning();
    await middle.write('the build is red', { ts: LATER, user: 'U02BOB', mention: false });
    await middle.write('my password is 1234', { ts: '1000.000510', user: 'U02BOB', mention: false });
    await edit(middle, LATER, 'the build is green', { user: 'U02BOB' });
    await remove(middle, '1000.000510', { user: 'U02BOB' });
    await middle.write('go on', { ts: '1000.000600' });
    const content = await nextTurn(middle);
    expect(content).toContain('green');
    expect(content).not.toContain('red');
    expect(content).not.toContain('1234');
  });

  it('edited to add the mention while paused: refused in private', async () => {
    const middle = await createRunning({ policy: { admins: { ids: ['U09ADMIN'], groups: [] } } });
    await middle.write('the build is red', { ts: LATER, user: 'U02BOB', mention: false });
    await middle.write('!pause', { ts: '1000.000600', user: 'U09ADMIN' });
    const asked = { user: 'U02BOB', mention: true, mentionedBefore: false };
    expect(await edit(middle, LATER, 'the build is red', asked)).toEqual({ outcome: 'refused', reason: 'paused' });
    expect(middle.surface.whispered.at(-1)).toMatchObject({ user: 'U02BOB' });
    expect(middle.surface.whispered.at(-1)?.text).toContain('Send your message again then.');
  });

  it('edited to add the mention by a person without access: refused privately', async () => {
    const middle = await createRunning({ users: ['U01ALICE', 'U02BOB'] });
    await middle.write('the build is red', { ts: LATER, user: 'U02BOB', mention: false });
    middle.policy.users = { ...middle.policy.users, ids: ['U01ALICE'] };
    const asked = { user: 'U02BOB', mention: true, mentionedBefore: false };
    expect(await edit(middle, LATER, 'the build is red', asked)).toMatchObject({ reason: 'user_not_allowed' });
    expect(middle.surface.whispered).toMatchObject([{ user: 'U02BOB' }]);
  });

  it('edited to add the mention beyond a limit: refused with one notice', async () => {
    const limits = { user: { rate: { turns: 1, perMs: 60_000 }, atOnce: null }, channel: { rate: null, atOnce: null } };
    const asked = { user: 'U02BOB', mention: true, mentionedBefore: false };
    const full = await createRunning({ queue: { perThread: 1, total: 10 } });
    const often = await createRunning({ policy: { limits } });
    for (const middle of [full, often]) {
      await middle.write('the build is red', { ts: LATER, user: 'U02BOB', mention: false });
      await middle.write('so is mine', { ts: '1000.000510', user: 'U02BOB', mention: false });
      expect(await edit(middle, LATER, 'fix it', asked)).toEqual({ outcome: 'began', as: 'accepted' });
      if (middle === often) await nextTurn(middle);
      expect(middle.surface.said.length + middle.surface.whispered.length).toBe(0);
      const outcome = await edit(middle, '1000.000510', 'fix mine', asked);
      expect(outcome).toEqual({ outcome: 'refused', reason: middle === full ? 'inbox_full' : 'user_rate' });
      expect(middle.surface.said.length + middle.surface.whispered.length).toBe(1);
    }
  });

  it('edited or deleted without a mention: ignored', async () => {
    const middle = createMiddle();
    expect(await edit(middle, ROOT, 'hello all', { thread: null })).toMatchObject({ reason: 'not_for_the_bot' });
    expect(await remove(middle, ROOT, { thread: null })).toMatchObject({ outcome: 'ignored' });
    expect(middle.threads.records.size).toBe(0);
  });

  it('edited to add the mention when too old: ignored', async () => {
    const middle = await createRunning();
    await nextTurn(middle);
    middle.threads.records.set(middle.record().key, { ...middle.record(), seen: [] });
    await middle.clock.advance(48 * 3_600_000);
    const asked = { mention: true, mentionedBefore: false };
    expect(await edit(middle, LATER, 'list', asked)).toMatchObject({ reason: 'too_old_to_know' });
  });
});

describe('a message edited or deleted before the bridge could store it', () => {
  async function begun() {
    const middle = createMiddle({ now: 1_000_000 });
    await middle.write('list', { ts: ROOT, thread: null, mention: true });
    middle.threads.failing = 1;
    await expect(middle.write('drop the table', { ts: LATER, mention: true })).rejects.toThrow('disk full');
    return middle;
  }
  const again = (middle: Middle) => middle.write('drop the table', { ts: LATER, mention: true });
  const texts = (middle: Middle) => JSON.stringify(middle.record().inbox.map(({ spans }) => spans));

  it('deleted: its redelivery does not run, also after a restart', async () => {
    for (const restarted of [false, true]) {
      const middle = await begun();
      expect(await remove(middle, LATER)).toEqual({ outcome: 'ignored', reason: 'not_taken_in' });
      if (restarted) await middle.restart();
      expect(await again(middle)).toEqual({ outcome: 'repeated' });
      expect(texts(middle)).toBe('[]');
    }
  });

  it('deleted: is remembered only when it mentioned the agent', async () => {
    const middle = createMiddle({ now: 1_000_000 });
    const elsewhere = { thread: null };
    expect(await remove(middle, LATER, elsewhere)).toEqual({ outcome: 'ignored', reason: 'ran_already' });
    expect(await remove(middle, LATER, { ...elsewhere, mention: true })).toMatchObject({ reason: 'not_taken_in' });
    expect(await middle.write('drop the table', { ts: LATER, thread: null, mention: true })).toEqual({
      outcome: 'repeated',
    });
  });

  it('edited: is stored with the new text, its redelivery is a repeat', async () => {
    const middle = await begun();
    expect(await edit(middle, LATER, 'count the rows', { mention: true })).toEqual({
      outcome: 'began',
      as: 'accepted',
    });
    expect(await again(middle)).toEqual({ outcome: 'repeated' });
    expect(texts(middle)).toContain('count the rows');
    expect(texts(middle)).not.toContain('drop');
  });

  it('edited to drop the mention: its redelivery does not run', async () => {
    const middle = createMiddle({ now: 1_000_000 });
    middle.threads.failing = 1;
    const write = () => middle.write('drop the table', { ts: ROOT, thread: null, mention: true });
    await expect(write()).rejects.toThrow('disk full');
    const silent = { thread: null, mentionedBefore: true };
    expect(await edit(middle, ROOT, 'drop the table', silent)).toMatchObject({ outcome: 'ignored' });
    expect(await write()).toEqual({ outcome: 'repeated' });
    expect(middle.threads.records.size).toBe(0);
  });

  it("edited, but older than the thread's first mention: ignored", async () => {
    const middle = createMiddle({ now: 1_100_000 });
    await middle.write('have a look', { ts: '1050.000001', mention: true });
    expect(await edit(middle, LATER, 'what I said before', {})).toMatchObject({ reason: 'before_the_thread_was_ours' });
    await middle.write('have a look', { ts: '1060.000001', mention: true });
    expect(middle.record().context).toEqual([]);
    expect(middle.record().inbox.map(({ ts }) => ts)).not.toContain(LATER);
  });
});

describe('a queued message edited to no words', () => {
  it('does not run, and its author is told', async () => {
    const middle = await createRunning();
    await middle.write('then count them', { ts: '1000.000020' });
    expect(await edit(middle, '1000.000020', '  ', { mention: true, mentionedBefore: true })).toEqual({
      outcome: 'withdrawn',
    });
    expect(middle.record().inbox).toEqual([]);
    expect(middle.surface.whispered.at(-1)?.text).toContain('so I won’t run it');
  });
});
