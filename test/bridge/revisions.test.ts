import { describe, expect, it } from 'vitest';
import { makeMessageKey } from '../../src/bridge/ids.ts';
import type { InboundMessage, InboundRevision } from '../../src/bridge/inbound.ts';
import { BridgeError } from '../../src/errors.ts';
import { BOT, createMiddle, createRunning, type Middle, ROOT, TEAM } from '../support/middle.ts';

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
  const outcome = await middle.intake.revision(revision);
  await middle.clock.settle();
  return outcome;
}

async function remove(middle: Middle, ts: string, said: Said = {}) {
  const { key, team, channel, channelKind, threadTs, user } = messageOf(ts, '', said);
  const outcome = await middle.intake.revision({
    kind: 'deleted',
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

describe('a message that waits behind a running turn', () => {
  it('runs as its author changed it', async () => {
    const middle = await createRunning();
    await middle.write('delete everything', { ts: LATER });
    expect(await edit(middle, LATER, 'count the lines')).toEqual({ outcome: 'changed' });
    const content = await nextTurn(middle);
    expect(content).toContain('count the lines');
    expect(content).not.toContain('delete everything');
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('does not run once its author deleted it', async () => {
    const middle = await createRunning();
    await middle.write('delete everything', { ts: LATER });
    expect(await remove(middle, LATER)).toEqual({ outcome: 'withdrawn' });
    await nextTurn(middle);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.record().inbox).toEqual([]);
  });

  it('stays as it was when the change has no room, and its author is told', async () => {
    const middle = await createRunning();
    await middle.write('count', { ts: LATER });
    const { update } = middle.threads;
    middle.threads.update = () =>
      Promise.reject(new BridgeError('record_too_large', 'too large', { notice: 'Too long.' }));
    expect(await edit(middle, LATER, 'x'.repeat(10))).toEqual({ outcome: 'refused', reason: 'record_too_large' });
    middle.threads.update = update;
    expect(middle.surface.whispered.at(-1)?.text).toBe('Too long. Your message counts as it was before.');
    expect(await nextTurn(middle)).toContain('count');
  });

  it('is not changed by somebody who may not speak here any more', async () => {
    const middle = await createRunning();
    await middle.write('count the lines', { ts: LATER });
    expect(await edit(middle, LATER, 'delete everything', { user: 'U04GUEST' })).toMatchObject({ outcome: 'refused' });
    expect(await nextTurn(middle)).toContain('count the lines');
  });
});

describe('a message that waits for Letta to come back', () => {
  it('is sent as its author changed it', async () => {
    const middle = createMiddle();
    await middle.write('delete everything');
    await edit(middle, ROOT, 'count the lines', { thread: null, mention: true });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted.map(({ content }) => content.includes('count the lines'))).toEqual([true]);
    expect(middle.connection.submitted[0]?.content).not.toContain('delete everything');
  });

  it('is never sent once deleted, and its turn ends and says so', async () => {
    const middle = createMiddle();
    await middle.write('delete everything');
    expect(await remove(middle, ROOT, { thread: null })).toEqual({ outcome: 'withdrawn' });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toEqual([]);
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'stopped', line: expect.stringContaining('deleted') });
    expect(middle.record().turn).toBeNull();
  });

  it('is sent as changed even while its first form was on its way into a prompt', async () => {
    const middle = createMiddle();
    await middle.write('delete everything');
    const message = messageOf(ROOT, 'count the lines', { thread: null, mention: true });
    middle.connection.ready();
    // Both at once: the prompt is being written while the change is being stored.
    await middle.intake.revision({ kind: 'edited', message, mentionedBefore: true });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    const sent = middle.connection.submitted[0]?.content ?? '';
    const said = middle.record().turn?.items[0]?.spans;
    expect(sent.includes('count the lines')).toBe(JSON.stringify(said).includes('count the lines'));
  });
});

describe('a message that went to the agent', () => {
  it('stays said, whatever its author makes of it', async () => {
    const middle = await createRunning();
    expect(await edit(middle, ROOT, 'something else', { thread: null, mention: true })).toEqual({
      outcome: 'ignored',
      reason: 'ran_already',
    });
    await nextTurn(middle);
    expect(await edit(middle, ROOT, 'again', { thread: null, mention: true })).toMatchObject({ reason: 'ran_already' });
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('asks its author, when it is deleted, whether to stop', async () => {
    const middle = await createRunning();
    expect(await remove(middle, ROOT, { thread: null })).toEqual({ outcome: 'asked' });
    const { turn } = middle.record();
    expect(middle.surface.whispered).toMatchObject([{ user: 'U01ALICE', stop: turn?.stopToken }]);
    expect(middle.connection.aborts).toBe(0);
  });
});

describe('a message that was not for the agent', () => {
  it('begins a turn once its author adds the mention, and only one, however long ago it was written', async () => {
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

  it('begins a turn although it had only been overheard, before or after it went along as context', async () => {
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

  it('is overheard as changed, and not at all once deleted', async () => {
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

  it('stays none of our business without a mention', async () => {
    const middle = createMiddle();
    expect(await edit(middle, ROOT, 'hello all', { thread: null })).toMatchObject({ reason: 'not_for_the_bot' });
    expect(await remove(middle, ROOT, { thread: null })).toMatchObject({ outcome: 'ignored' });
    expect(middle.threads.records.size).toBe(0);
  });

  it('is not run again when it is so old that nobody remembers whether it ran', async () => {
    const middle = await createRunning();
    await nextTurn(middle);
    middle.threads.records.set(middle.record().key, { ...middle.record(), seen: [] });
    await middle.clock.advance(48 * 3_600_000);
    const asked = { mention: true, mentionedBefore: false };
    expect(await edit(middle, LATER, 'list', asked)).toMatchObject({ reason: 'too_old_to_know' });
  });
});
