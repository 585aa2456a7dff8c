import { describe, expect, it } from 'vitest';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import type { ActionName } from '../../../src/bridge/inbound.ts';
import type { Card, TurnView } from '../../../src/bridge/view/turn.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMiddle, createRunning, holdWrites, type Middle, ROOT, TEAM, task } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

const texts = (view: TurnView) => view.items.flatMap((item) => (item.kind === 'text' ? [item.markdown] : []));
const cards = (view: TurnView): Card[] => view.items.flatMap((item) => (item.kind === 'card' ? [item.card] : []));
const uncertain = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false, retry: true }));

async function asked(options: Parameters<typeof createMiddle>[0] = {}): Promise<Middle> {
  const middle = await createRunning(options);
  middle.connection.emit({ type: 'approval-asked', request: touchX });
  await middle.clock.settle();
  return middle;
}

function click(middle: Middle, name: ActionName) {
  const open = cards(middle.surface.last).findLast((card) => card.state.state === 'open');
  const token = name === 'stop' ? middle.surface.last.live?.stop : open?.token;
  if (!token) throw new Error(`no button for ${name}`);
  const actor = { user: 'U01ALICE', team: TEAM };
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
  return middle.intake.handleAction({ name, token, choice: null, actor, ...where });
}

const lost = (middle: Middle) => middle.connection.emit({ type: 'lost', reason: 'closed' });

describe('a failing disk', () => {
  it('after reconnecting: the turn is still closed', async () => {
    const middle = await createRunning();
    lost(middle);
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    middle.threads.failing = 3;
    const runtime = { agentId: 'agent-1', conversationId: 'conv-2', deviceId: null };
    middle.connection.ready({ reconnected: true, runtime });
    await middle.clock.advance(30_000);
    expect(middle.surface.last.ending?.outcome).toBe('interrupted');
    expect(middle.record()).toMatchObject({ turn: null, runtime });
  });

  it('before an input is sent: delays the input', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.threads.failing = 3;
    middle.connection.ready({ runtime: { agentId: 'a', conversationId: 'c', deviceId: null } });
    await middle.clock.advance(30_000);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('when a tool asks: delays the card', async () => {
    const middle = await createRunning();
    middle.threads.failing = 2;
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.advance(10_000);
    expect(cards(middle.surface.last)).toMatchObject([{ state: { state: 'open' } }]);
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
  });

  it('during a click: the click fails and decides nothing', async () => {
    const middle = await asked();
    middle.threads.failing = 1;
    await expect(click(middle, 'approve')).rejects.toThrow('disk full');
    expect(middle.connection.answers).toEqual([]);
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
  });
});

/** An input that may have arrived, or not: the link broke under it, and is there again. */
async function inDoubt(): Promise<Middle> {
  const middle = createMiddle({ turnsDieWithLink: false });
  await middle.write('list the files');
  middle.connection.onSubmit = uncertain;
  middle.connection.ready();
  await middle.clock.settle();
  lost(middle);
  middle.connection.onSubmit = () => Promise.resolve();
  middle.connection.ready({ reconnected: true });
  await middle.clock.settle();
  return middle;
}

describe('an input', () => {
  it('refused by Letta for a while: is sent again, same link', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.onSubmit = () =>
      Promise.reject(new BridgeError('letta_unreachable', 'too many', { retry: true }));
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.onSubmit = () => Promise.resolve();
    await middle.clock.advance(5_000);
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('link drops while it is stored: is sent over the next link', async () => {
    for (const turnsDieWithLink of [false, true]) {
      const middle = createMiddle({ turnsDieWithLink });
      await middle.write('list the files');
      const tell = holdWrites(middle, (record) => record?.turn?.state === 'submitted');
      middle.connection.ready();
      await middle.clock.settle();
      expect(middle.record().turn?.state).toBe('submitted');
      // What the link says waits behind the write.
      lost(middle);
      middle.connection.ready({ reconnected: true });
      tell();
      await middle.clock.settle();
      expect(middle.connection.submitted).toHaveLength(1);
      const id = middle.connection.submitted[0]?.clientMessageId ?? '';
      middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
      middle.connection.begin();
      await middle.clock.advance(1_000);
      expect(middle.surface.last.ending).toBeNull();
      middle.connection.say('a.txt');
      middle.connection.end();
      await middle.clock.settle();
      expect(middle.surface.last).toMatchObject({ ending: { outcome: 'done' } });
      expect(texts(middle.surface.last)).toEqual(['a.txt']);
    }
  });

  it('arrival in doubt: is sent again once', async () => {
    const middle = await inDoubt();
    await middle.clock.advance(58_000);
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('Stop was stored but reported an error: is stopped', async () => {
    const middle = await asked({ turnsDieWithLink: false });
    middle.threads.failingAfter = 1;
    await expect(click(middle, 'stop')).rejects.toThrow('disk full');
    await middle.clock.advance(2_000);
    expect(middle.connection.aborts).toBe(1);
    expect(middle.surface.last.live?.activity).toEqual({ kind: 'stopping' });
    await middle.clock.advance(2_000);
    expect(middle.connection.aborts).toBe(1);
  });

  it('Letta refuses the abort, or it is lost: tries until stopped', async () => {
    for (const abort of ['refused', 'lost'] as const) {
      const middle = await asked({ turnsDieWithLink: false });
      middle.connection.emit({
        type: 'loop',
        status: 'waiting_on_approval',
        activeRunIds: [],
        clientMessageIdsByRun: {},
      });
      middle.connection.onAbort = () =>
        abort === 'lost'
          ? Promise.resolve({ aborted: true })
          : Promise.reject(new BridgeError('input_refused', 'busy'));
      await click(middle, 'stop');
      await middle.clock.advance(2 * 60_000);
      expect(middle.surface.last.live?.activity).toEqual({ kind: 'stopping' });
      expect(middle.connection.aborts).toBeGreaterThan(1);
      middle.connection.onAbort = () => Promise.resolve({ aborted: true });
      middle.connection.end('cancelled');
      await middle.clock.settle();
      expect(middle.surface.last.ending?.outcome).toBe('stopped');
      const { aborts } = middle.connection;
      await middle.clock.advance(3_600_000);
      expect(middle.connection.aborts).toBe(aborts);
    }
  });

  it('arrival in doubt: the thread says so until it is known', async () => {
    for (const arrives of [true, false]) {
      const middle = await inDoubt();
      const waiting = { kind: 'waiting_for_letta', notice: expect.stringContaining('can’t tell yet whether') };
      expect(middle.surface.last.live?.activity).toEqual(waiting);
      if (arrives) middle.connection.begin();
      else await middle.clock.advance(12_000);
      await middle.clock.settle();
      expect(middle.surface.last.live?.activity).toEqual({ kind: 'thinking' });
      expect(middle.connection.submitted).toHaveLength(arrives ? 1 : 2);
    }
  });

  it('older than the newest history page: is found, not sent again', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const tools = Array.from(
      { length: 80 },
      (_, at): HistoryItem => ({ kind: 'tool', id: `t${at}`, callId: null, tool: 'Bash' }),
    );
    await middle.restart();
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      ...tools,
      { kind: 'assistant', id: 'm-1', text: 'done it all' },
    ];
    middle.connection.ready();
    await middle.clock.advance(30_000);
    expect(middle.connection.submitted).toEqual([]);
    expect(texts(middle.surface.last)).toEqual(['done it all']);
  });

  it('accepted after its turn ended: does not delay the next one', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    let accept: () => void = () => undefined;
    middle.connection.onSubmit = () => new Promise((resolve) => (accept = resolve));
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    middle.connection.end();
    await middle.write('and count them');
    middle.connection.onSubmit = () => Promise.resolve();
    accept();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('accepted but never begun: is sent again in the end', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.advance(61_000);
    expect(middle.connection.submitted).toHaveLength(2);
  });
});

describe('Stop', () => {
  it('message stored a moment before: is named among the dropped ones', async () => {
    const middle = await createRunning();
    await middle.write('just written', { user: 'U02BOB', mention: true });
    await click(middle, 'stop');
    await middle.clock.settle();
    expect(middle.surface.said[0]?.text).toContain('just written');
  });

  it('link drops while it is stored: aborts nothing else', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const tell = holdWrites(middle);
    const clicked = click(middle, 'stop');
    await middle.clock.settle();
    expect(middle.record().turn?.stoppedBy).toBe('U01ALICE');
    // What the link says waits behind the write: our turn is over, and Letta runs another client's.
    lost(middle);
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'a1', text: 'a.txt' },
    ];
    const runs = { activeRunIds: ['run-9'], clientMessageIdsByRun: { 'run-9': ['theirs'] } };
    middle.connection.ready({ reconnected: true, loop: 'busy', ...runs });
    tell();
    await clicked;
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(0);
    expect(middle.surface.views.find(({ ending }) => ending)?.ending?.outcome).toBe('stopped');
  });

  it('before Letta begins the turn: aborts again once it has begun', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.onAbort = () => Promise.resolve({ aborted: false });
    await click(middle, 'stop');
    await middle.clock.settle();
    middle.connection.onAbort = () => Promise.resolve({ aborted: true });
    middle.connection.begin();
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(2);
  });

  it('dropped messages: are shown as plain text, without links or mentions', async () => {
    const middle = await createRunning();
    await middle.write('look [here](https://evil.example) <!channel> `x`', { user: 'U02BOB', mention: true });
    await click(middle, 'stop');
    await middle.clock.settle();
    expect(middle.surface.said[0]?.text).toMatch(/^- <@U02BOB>: `[^`<>]+`$/m);
  });
});

describe('an approval request', () => {
  it('in a turn begun while the last one finishes: is shown', async () => {
    const middle = await createRunning();
    let open: () => void = () => undefined;
    middle.surface.gate = new Promise((resolve) => (open = resolve));
    middle.connection.end();
    await middle.clock.settle();
    lost(middle);
    middle.connection.past = [{ kind: 'user', id: 'u9', clientMessageId: 'cm-q-1', text: '<task-notification>' }];
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [touchX], reconnected: true });
    await middle.clock.settle();
    middle.surface.gate = null;
    open();
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ title: 'touch x', state: { state: 'open' } }]);
    expect(middle.surface.turns).toHaveLength(2);
  });

  it('in a turn begun while the history is read: stays open', async () => {
    const middle = await createRunning();
    lost(middle);
    middle.connection.ready({ reconnected: true });
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['r9'], clientMessageIdsByRun: {} });
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ state: { state: 'open' } }]);
    expect(middle.record().turn?.origin).toBe('agent');
  });

  it('asked again after its card was closed: can be decided', async () => {
    const middle = await asked({ turnsDieWithLink: false });
    lost(middle);
    middle.connection.ready({ loop: 'busy', approvals: [], reconnected: true });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ state: { state: 'closed' } }]);
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(1);
  });

  it('Letta refuses the decision: can be decided again', async () => {
    const middle = await asked();
    middle.connection.onAnswer = () => Promise.reject(new BridgeError('input_refused', 'no'));
    await click(middle, 'approve');
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ state: { state: 'open' } }]);
  });

  it('same id as a decided one: gets a new, open card', async () => {
    const middle = await asked();
    await click(middle, 'approve');
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    await middle.clock.settle();
    middle.connection.say('once more');
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(1);
    expect(middle.surface.last.items.map((item) => item.kind)).toEqual(['card', 'text', 'card']);
    expect(cards(middle.surface.last).map((card) => card.state.state)).toEqual(['decided', 'open']);
    expect(await click(middle, 'deny')).toEqual({ result: 'decided' });
  });
});

describe('an idle thread', () => {
  it('fresh link reports no background tasks: lets go of it', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'background', tasks: [task('bash_1')] });
    middle.connection.end();
    await middle.clock.settle();
    await middle.restart();
    middle.connection.ready();
    await middle.clock.advance(6 * 60_000);
    expect(middle.record().background).toBe(false);
    expect(middle.connection.isClosed).toBe(true);
  });

  it('fresh link reports background tasks: keeps it', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'background', tasks: [task('bash_1')] });
    middle.connection.end();
    await middle.clock.settle();
    await middle.restart();
    middle.connection.ready();
    middle.connection.emit({ type: 'background', tasks: [task('bash_1')] });
    await middle.clock.advance(6 * 60_000);
    expect(middle.record().background).toBe(true);
    expect(middle.connection.isClosed).toBe(false);
  });

  it('late text without an end: is interrupted after a while', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    middle.connection.say('left over', 'run-0', 'm-0');
    await middle.clock.advance(10_000);
    expect(middle.record().turn).toBeNull();
    expect(middle.surface.last.ending?.outcome).toBe('interrupted');
  });
});

describe('a turn that Letta began', () => {
  const begun = { type: 'user-message', clientMessageId: 'cm-q-1', automatic: true } as const;

  it('ends: the next input waits until Letta has answered a sync', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    const synced = Promise.withResolvers<void>();
    middle.connection.settle = () => synced.promise;
    middle.connection.emit(begun);
    middle.connection.say('The build is done.', 'run-2', 'm-2');
    middle.connection.end('end_turn', null);
    await middle.clock.settle();
    await middle.write('and now?');
    expect(middle.connection.submitted).toHaveLength(1);
    synced.resolve();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('while a message waits for Slack: shows its own work', async () => {
    const middle = await createRunning();
    await middle.write('and now?', { thread: ROOT });
    middle.people.failing = 100;
    middle.connection.end();
    await middle.clock.advance(1_000);
    expect(middle.surface.last.live?.activity).toMatchObject({ kind: 'waiting_for_letta' });
    middle.connection.emit(begun);
    middle.connection.say('The build is done.', 'run-2', 'm-2');
    await middle.clock.advance(1_000);
    expect(middle.record().turn?.origin).toBe('agent');
    expect(middle.surface.last.live?.activity.kind).not.toBe('waiting_for_letta');
  });
});

describe('a closed thread', () => {
  it('does not dial, at any step of what was under way', async () => {
    for (let steps = 0; steps < 40; steps += 1) {
      const middle = createMiddle();
      const written = middle.write('list the files').catch(() => undefined);
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      middle.workers.close();
      await written;
      await middle.clock.settle();
      expect(middle.connections.filter((connection) => !connection.isClosed)).toEqual([]);
    }
  });

  it('settles all waiting clicks', async () => {
    const middle = await asked();
    const waiting = [click(middle, 'approve'), click(middle, 'deny'), click(middle, 'view_full')];
    await new Promise<void>((resolve) => queueMicrotask(resolve));
    middle.workers.close();
    const settled = await Promise.race([
      Promise.allSettled(waiting),
      middle.clock.settle().then(() => 'somebody waits'),
    ]);
    expect(settled).toHaveLength(3);
  });
});
