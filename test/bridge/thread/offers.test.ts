import { describe, expect, it } from 'vitest';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import type { OfferAction } from '../../../src/bridge/inbound.ts';
import type { SurfaceOffer } from '../../../src/bridge/ports.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMiddle, type Middle, ROOT, TEAM } from '../../support/middle.ts';

const MINUTE = 60_000;
const STALE = { staleAfterMs: 15 * MINUTE };

/** A Slack ts so many ms before the middle's now. */
const ago = (middle: Middle, ms: number) => `${Math.floor((middle.clock.now() - ms) / 1000)}.000100`;

function lastOffer(middle: Middle): SurfaceOffer {
  const offer = middle.surface.offers.at(-1);
  if (!offer) throw new Error('nothing was offered');
  return offer;
}

async function click(middle: Middle, name: OfferAction, user = 'U01ALICE', token = lastOffer(middle).view.token) {
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '3000.000001', threadTs: ROOT };
  const outcome = await middle.intake.handleAction({
    name,
    token,
    choice: null,
    actor: { user, team: TEAM },
    ...where,
  });
  await middle.clock.settle();
  return outcome;
}

async function ready(middle: Middle): Promise<void> {
  middle.connection.ready();
  await middle.clock.settle();
}

async function answer(middle: Middle, text: string): Promise<void> {
  middle.connection.begin();
  middle.connection.say(text);
  middle.connection.end();
  await middle.clock.settle();
}

const unreachable = {
  type: 'unavailable',
  code: 'unavailable',
  notice: 'The device is away.',
  retryInMs: 5_000,
} as never;

/** A thread with one message that was found an hour late. */
async function held(): Promise<Middle> {
  const middle = createMiddle(STALE);
  await middle.write('deploy it', { ts: ago(middle, 60 * MINUTE), thread: null, mention: true, caughtUp: true });
  return middle;
}

const submitted = (middle: Middle) =>
  middle.connections.flatMap((each) => each.submitted.map(({ content }) => content));

describe('a message found too late', () => {
  it('is offered to its author instead of run', async () => {
    const middle = await held();
    expect(middle.connections).toEqual([]);
    expect(lastOffer(middle).view.text).toContain('<@U01ALICE>');
    expect(lastOffer(middle).view.text).toContain('deploy it');
    expect(lastOffer(middle).view.buttons).toEqual(['run_now', 'drop']);
    const [record] = [...middle.threads.records.values()];
    expect(record?.inbox).toEqual([]);
    expect(await middle.threads.listActive()).toEqual([]);
  });

  it('delivered late by Slack: offered; a late command: not carried out', async () => {
    const middle = createMiddle(STALE);
    const late = { ts: ago(middle, 60 * MINUTE), thread: null, mention: true };
    await middle.write('deploy it', late);
    expect(middle.connections).toEqual([]);
    expect(lastOffer(middle).view.buttons).toEqual(['run_now', 'drop']);
    await middle.write('!stop', { ts: ago(middle, 59 * MINUTE), thread: late.ts, mention: true });
    expect(middle.surface.whispered.at(-1)?.text).toContain('so I did not carry it out');
    expect(lastOffer(middle).view.buttons).toEqual(['run_now', 'drop']);
  });

  it('found in time: runs', async () => {
    const middle = createMiddle(STALE);
    await middle.write('deploy it', { ts: ago(middle, 14 * MINUTE), thread: null, mention: true, caughtUp: true });
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
    expect(middle.surface.offers).toEqual([]);
  });

  it('Run now: runs, and the offer then says for whom', async () => {
    const middle = await held();
    expect(await click(middle, 'run_now')).toEqual({ result: 'decided' });
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
    expect(submitted(middle)[0]).toContain('deploy it');
    expect(lastOffer(middle).view).toMatchObject({ buttons: [], text: expect.stringContaining('<@U01ALICE> ran') });
    expect(lastOffer(middle).posts).toHaveLength(1);
    await answer(middle, 'deployed');
    expect(middle.surface.last.ending?.outcome).toBe('done');
    const [record] = [...middle.threads.records.values()];
    expect(record?.offers).toMatchObject([{ items: [], display: 'shown', state: { choice: 'run' } }]);
  });

  it('Drop: never runs', async () => {
    const middle = await held();
    expect(await click(middle, 'drop')).toEqual({ result: 'decided' });
    expect(lastOffer(middle).view).toMatchObject({ buttons: [], text: expect.stringContaining('discarded') });
    await middle.clock.advance(MINUTE);
    expect(middle.connections).toEqual([]);
  });

  it('click by another person: refused', async () => {
    const middle = await held();
    expect(await click(middle, 'run_now', 'U02BOB')).toMatchObject({ result: 'refused', why: 'not_allowed' });
    expect(await click(middle, 'drop', 'U04GUEST')).toMatchObject({ result: 'refused', why: 'not_allowed' });
    expect(middle.connections).toEqual([]);
    expect(lastOffer(middle).view.buttons).toEqual(['run_now', 'drop']);
  });

  it('two clicks: the first wins', async () => {
    const middle = await held();
    const { token } = lastOffer(middle).view;
    const [first, second] = await Promise.all([click(middle, 'run_now'), click(middle, 'drop', 'U01ALICE', token)]);
    expect(first).toEqual({ result: 'decided' });
    expect(second).toMatchObject({ result: 'refused', why: 'already_decided' });
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
  });

  it('click of another kind of offer: refused', async () => {
    const middle = await held();
    expect(await click(middle, 'continue')).toMatchObject({ result: 'refused', why: 'expired' });
    expect(await click(middle, 'send_again')).toMatchObject({ result: 'refused', why: 'expired' });
  });

  it('restart: the offer can still be decided', async () => {
    const middle = await held();
    const { token } = lastOffer(middle).view;
    await middle.restart();
    expect(middle.surface.offers).toHaveLength(1);
    expect(await click(middle, 'run_now', 'U01ALICE', token)).toEqual({ result: 'decided' });
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
  });

  it('restart before the offer reached Slack: looks for it, then posts', async () => {
    const middle = createMiddle(STALE);
    middle.surface.gate = new Promise(() => undefined);
    await middle.write('deploy it', { ts: ago(middle, 60 * MINUTE), thread: null, mention: true, caughtUp: true });
    expect(middle.surface.offers).toMatchObject([{ resumed: false }]);
    middle.surface.gate = null;
    await middle.restart();
    expect(middle.surface.offers).toMatchObject([{ resumed: false }, { resumed: true }]);
    expect(await middle.threads.listActive()).toEqual([]);
  });

  it('newer messages run; late ones of one author share an offer', async () => {
    const middle = await held();
    const root = middle.record([...middle.threads.records.keys()][0]).address.threadTs;
    await middle.write('and this', { ts: ago(middle, 50 * MINUTE), thread: root, caughtUp: true });
    await middle.write('mine', {
      ts: ago(middle, 40 * MINUTE),
      thread: root,
      user: 'U02BOB',
      mention: true,
      caughtUp: true,
    });
    await middle.write('hello', { ts: ago(middle, MINUTE), thread: root, caughtUp: true });
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
    expect(submitted(middle)[0]).toContain('hello');
    expect(submitted(middle)[0]).not.toContain('deploy');
    const last = new Map(middle.surface.offers.map(({ view }) => [view.token, view.text]));
    expect([...last.values()]).toEqual([
      expect.stringMatching(/U01ALICE[\s\S]*these 2 messages[\s\S]*deploy it[\s\S]*and this/),
      expect.stringMatching(/U02BOB[\s\S]*mine/),
    ]);
    // The second showing edits the first message.
    expect(middle.surface.offers.filter(({ posts }) => posts.length > 0)).toHaveLength(1);
  });

  it('is never handled twice', async () => {
    const middle = await held();
    const ts = middle.record([...middle.threads.records.keys()][0]).address.threadTs ?? '';
    expect(await middle.write('deploy it', { ts, thread: null, mention: true, caughtUp: true })).toEqual({
      outcome: 'repeated',
    });
    await click(middle, 'drop');
    expect(await middle.write('deploy it', { ts, thread: null, mention: true })).toEqual({ outcome: 'repeated' });
  });

  it('!new: is not carried out', async () => {
    const middle = createMiddle({ ...STALE, now: 1_000_000 });
    await middle.write('hello');
    await ready(middle);
    await answer(middle, 'hi');
    const conversation = middle.record().runtime;
    await middle.write('!new', { caughtUp: true });
    expect(middle.record().runtime).toEqual(conversation);
    expect(middle.surface.whispered.at(-1)?.text).toContain('so I did not carry it out');
  });

  it('command already carried out: is not repeated', async () => {
    const middle = createMiddle({ ...STALE, now: 1_000_000 });
    await middle.write('hello');
    await ready(middle);
    await answer(middle, 'hi');
    await middle.write('!new', { ts: '1000.000700' });
    await middle.restart();
    const whispers = middle.surface.whispered.length;
    expect(await middle.write('!new', { ts: '1000.000700', caughtUp: true })).toEqual({ outcome: 'repeated' });
    expect(middle.surface.whispered).toHaveLength(whispers);
  });

  it('older than the first mention in its thread: ignored', async () => {
    const middle = createMiddle(STALE);
    const root = ago(middle, 5 * MINUTE);
    await middle.write('@agent', { ts: ago(middle, 2 * MINUTE), thread: root, mention: true });
    const before = await middle.write('earlier talk', { ts: ago(middle, 3 * MINUTE), thread: root, caughtUp: true });
    expect(before).toEqual({ outcome: 'ignored', reason: 'before_the_thread_was_ours' });
    const after = await middle.write('later talk', { ts: ago(middle, MINUTE), thread: root, caughtUp: true });
    expect(after).toEqual({ outcome: 'accepted' });
  });
});

describe('a message that waited for the device', () => {
  async function waiting(): Promise<Middle> {
    const middle = createMiddle(STALE);
    await middle.write('deploy it', { ts: ago(middle, 0), thread: null, mention: true });
    middle.connection.emit(unreachable);
    await middle.clock.settle();
    return middle;
  }
  const record = (middle: Middle) => middle.record([...middle.threads.records.keys()][0]);

  it('device away for a short time: runs', async () => {
    const middle = await waiting();
    await middle.clock.advance(10 * MINUTE);
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
  });

  it('link given to another thread for long: it is offered', async () => {
    const middle = createMiddle(STALE);
    await middle.write('hello', { ts: ago(middle, 0), thread: null, mention: true });
    await ready(middle);
    middle.connection.settle = () => new Promise(() => {});
    await answer(middle, 'hello');
    await middle.clock.advance(2_000);
    await middle.write('deploy it', { ts: ago(middle, 0), thread: record(middle).address.threadTs });
    middle.connection.emit({ type: 'released' });
    await middle.clock.advance(60 * MINUTE);
    await ready(middle);
    await middle.clock.advance(1_000);
    expect(submitted(middle)).toHaveLength(1);
    expect(lastOffer(middle).view.text).toContain('deploy it');
  });

  it('device away for long: its turn ends and it is offered', async () => {
    const middle = await waiting();
    await middle.clock.advance(60 * MINUTE);
    const root = record(middle).address.threadTs;
    await middle.write('are you there?', { ts: ago(middle, 0), thread: root });
    await ready(middle);
    await middle.clock.advance(1_000);
    expect(middle.surface.views.some((view) => view.ending?.outcome === 'interrupted')).toBe(true);
    expect(lastOffer(middle).view.text).toContain('deploy it');
    expect(submitted(middle)).toHaveLength(1);
    expect(submitted(middle)[0]).toContain('are you there?');
    expect(submitted(middle)[0]).not.toContain('deploy it');
  });

  it('device away for long and a restart: is offered', async () => {
    const middle = await waiting();
    await middle.clock.advance(30 * MINUTE);
    await middle.restart();
    await ready(middle);
    expect(submitted(middle)).toEqual([]);
    expect(lastOffer(middle).view.text).toContain('deploy it');
    expect(record(middle).turn).toBeNull();
    await click(middle, 'run_now');
    expect(submitted(middle)).toHaveLength(1);
  });

  it('Run now while the device is away: is offered again later', async () => {
    const middle = await waiting();
    await middle.clock.advance(30 * MINUTE);
    await ready(middle);
    await middle.clock.advance(10 * MINUTE);
    await click(middle, 'run_now');
    middle.connection.emit(unreachable);
    await middle.clock.advance(12 * 60 * MINUTE);
    await ready(middle);
    expect(submitted(middle)).toEqual([]);
    expect(record(middle).offers.filter((offer) => offer.state.state === 'open')).toHaveLength(1);
  });

  it('device known to be away: Run now is refused, the offer stays', async () => {
    const middle = await waiting();
    await middle.clock.advance(30 * MINUTE);
    await ready(middle);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    expect(await click(middle, 'run_now')).toMatchObject({ result: 'refused', why: 'unreachable' });
    expect(lastOffer(middle).view.buttons).toEqual(['run_now', 'drop']);
    expect(await click(middle, 'drop')).toEqual({ result: 'decided' });
  });

  /** Handed over, and the link breaks before anybody knows whether it arrived. It did not. */
  async function inDoubt(awayMs: number, meanwhile: 'nothing' | 'loss' | 'restart' = 'nothing'): Promise<Middle> {
    const middle = createMiddle({ ...STALE, turnsDieWithLink: false });
    const lose = () => middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('deploy it', { ts: ago(middle, 0), thread: null, mention: true });
    await ready(middle);
    expect(submitted(middle)).toHaveLength(1);
    lose();
    await middle.clock.advance(awayMs);
    if (meanwhile === 'restart') await middle.restart();
    await ready(middle);
    if (meanwhile === 'loss') {
      lose();
      await middle.clock.advance(1_000);
      await ready(middle);
    }
    // Looked for, and once more some seconds later.
    await middle.clock.advance(MINUTE);
    return middle;
  }

  it.each(['nothing', 'loss', 'restart'] as const)(
    'arrival unknown for long: is offered (meanwhile: %s)',
    async (meanwhile) => {
      const middle = await inDoubt(60 * MINUTE, meanwhile);
      expect(submitted(middle)).toHaveLength(1);
      expect(lastOffer(middle).view.text).toContain('deploy it');
      expect(record(middle).turn).toBeNull();
      await click(middle, 'run_now');
      expect(submitted(middle)).toHaveLength(2);
    },
  );

  it('arrival unknown for a short time: is sent again', async () => {
    const middle = await inDoubt(MINUTE);
    expect(submitted(middle)).toHaveLength(2);
    expect(middle.surface.offers).toEqual([]);
  });

  it('queued behind a long turn: runs without an offer', async () => {
    const middle = createMiddle(STALE);
    await middle.write('build it', { ts: ago(middle, 0), thread: null, mention: true });
    await ready(middle);
    middle.connection.begin();
    await middle.clock.settle();
    const root = record(middle).address.threadTs;
    await middle.write('then test it', { ts: ago(middle, -1_000), thread: root });
    await middle.clock.advance(60 * MINUTE);
    middle.connection.end();
    await middle.clock.settle();
    expect(submitted(middle)).toHaveLength(2);
    expect(middle.surface.offers).toEqual([]);
  });
});

describe('an interrupted turn', () => {
  async function cut(): Promise<Middle> {
    const middle = createMiddle();
    await middle.write('list the files');
    await ready(middle);
    middle.connection.begin();
    middle.connection.say('a.txt');
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const past: HistoryItem[] = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    middle.connection.past = past;
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    return middle;
  }

  it('link given up while Letta was away: can be continued', async () => {
    const middle = await cut();
    const { token } = lastOffer(middle).view;
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    expect(await click(middle, 'continue', 'U01ALICE', token)).toMatchObject({ why: 'unreachable' });
    await middle.write('!new', { mention: true });
    expect(await click(middle, 'continue', 'U01ALICE', token)).toEqual({ result: 'decided' });
    expect(middle.connections).toHaveLength(2);
  });

  it('can be continued once, by its requester', async () => {
    const middle = await cut();
    expect(middle.surface.last.ending?.outcome).toBe('interrupted');
    expect(lastOffer(middle).view.buttons).toEqual(['continue']);
    expect(await click(middle, 'continue', 'U02BOB')).toMatchObject({ why: 'not_allowed' });
    expect(await click(middle, 'continue')).toEqual({ result: 'decided' });
    expect(await click(middle, 'continue')).toMatchObject({ why: 'already_decided' });
    expect(middle.connection.submitted).toHaveLength(2);
    const [first, second] = middle.connection.submitted;
    expect(second?.content).toMatch(/U01ALICE[\s\S]*continue/);
    expect(second?.clientMessageId).not.toBe(first?.clientMessageId);
    expect(lastOffer(middle).view.buttons).toEqual([]);
  });

  it('requester writes: the Continue button goes away', async () => {
    const middle = await cut();
    await middle.write('go on');
    expect(lastOffer(middle).view).toMatchObject({ buttons: [], text: expect.stringContaining('has continued') });
    expect(await click(middle, 'continue')).toMatchObject({ why: 'expired' });
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('restart: keeps its Continue button', async () => {
    const middle = await cut();
    const { token } = lastOffer(middle).view;
    await middle.restart();
    expect(await click(middle, 'continue', 'U01ALICE', token)).toEqual({ result: 'decided' });
    await ready(middle);
    expect(middle.connection.submitted).toHaveLength(1);
  });
});

describe('an input whose arrival is unknown', () => {
  async function unknown(stopped: boolean): Promise<Middle> {
    const middle = createMiddle();
    await middle.write('deploy it');
    middle.connection.onSubmit = () =>
      Promise.reject(new BridgeError('link_lost', 'gone', { certain: false, retry: true }));
    middle.connection.fetchHistory = () => Promise.reject(new BridgeError('link_lost', 'no history', { retry: true }));
    await ready(middle);
    if (stopped) {
      const token = middle.surface.last.live?.stop;
      if (!token) throw new Error('no stop');
      const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
      const actor = { user: 'U01ALICE', team: TEAM };
      await middle.intake.handleAction({ name: 'stop', token, choice: null, actor, ...where });
    }
    await middle.clock.advance(5 * MINUTE);
    return middle;
  }

  it.each([false, true])('can be sent again by its author under a new id (stopped: %s)', async (stopped) => {
    const middle = await unknown(stopped);
    expect(lastOffer(middle).view.buttons).toEqual(['send_again']);
    expect(middle.surface.last.ending?.line).toContain('trying again may run it twice');
    expect(middle.record().turn).toBeNull();
    expect(await click(middle, 'send_again', 'U02BOB')).toMatchObject({ why: 'not_allowed' });
    middle.connection.onSubmit = () => Promise.resolve();
    expect(await click(middle, 'send_again')).toEqual({ result: 'decided' });
    const [first, second] = middle.connection.submitted;
    expect(second?.clientMessageId).toBe(`${first?.clientMessageId}-again1`);
    expect(second?.content).toContain('deploy it');
    await answer(middle, 'deployed');
    expect(middle.surface.last.ending?.outcome).toBe('done');
  });

  it('refused by Letta: the end says that it did not arrive', async () => {
    const middle = createMiddle();
    await middle.write('deploy it');
    middle.connection.onSubmit = () =>
      Promise.reject(
        new BridgeError('agent_not_found', 'no', { certain: true, retry: false, notice: 'No such agent.' }),
      );
    await ready(middle);
    expect(middle.surface.last.ending?.outcome).toBe('failed');
    expect(middle.surface.last.ending?.line).toBe('No such agent. The agent did not get your message.');
    middle.connection.onSubmit = () => Promise.resolve();
    expect(await click(middle, 'send_again')).toEqual({ result: 'decided' });
    expect(middle.connection.submitted).toHaveLength(2);
  });
});

const TASK = { id: 'bash_1', process: 'bash_1', kind: 'command', what: 'sleep 9', runtime: null } as const;

describe('a thread whose conversation no longer exists', () => {
  const gone = (code = 'conversation_not_found') =>
    ({ type: 'unavailable', code, notice: 'It does not exist any more.', retryInMs: null }) as never;

  /** A thread that was answered once; its next message finds out that the conversation is gone. */
  async function lost(code?: string, background = false): Promise<Middle> {
    const middle = createMiddle();
    await middle.write('first', { mention: true });
    await ready(middle);
    await answer(middle, 'one');
    if (background) middle.connection.emit({ type: 'background', tasks: [TASK] });
    await middle.clock.advance(10 * MINUTE);
    middle.connection.emit({ type: 'lost', reason: 'gone' });
    await middle.write('second');
    middle.connection.emit(gone(code));
    await middle.clock.settle();
    return middle;
  }

  it.each([
    ['conversation_not_found', false],
    ['agent_not_found', false],
    ['conversation_not_found', true],
  ])('offers to start anew with the message (%s, background task: %s)', async (code, background) => {
    const middle = await lost(code, background);
    const offered = middle.surface.offers.find(({ view }) => view.buttons.includes('start_new'));
    const token = offered?.view.token;
    expect(offered?.view.buttons).toEqual(['start_new']);
    expect(middle.surface.last.ending?.line).toContain('The agent did not get your message.');
    expect(middle.record().runtime).not.toBeNull();
    expect(await click(middle, 'start_new', 'U02BOB', token)).toMatchObject({ why: 'not_allowed' });
    expect(await click(middle, 'send_again', 'U01ALICE', token)).toMatchObject({ why: 'expired' });
    const before = middle.connections.length;
    expect(await click(middle, 'start_new', 'U01ALICE', token)).toEqual({ result: 'decided' });
    expect(middle.connections.length).toBe(before + 1);
    expect(middle.connection.options.runtime).toBeNull();
    await ready(middle);
    expect(middle.connection.submitted.map(({ content }) => content)).toEqual([expect.stringContaining('second')]);
    await answer(middle, 'two');
    expect(await click(middle, 'start_new', 'U01ALICE', token)).toMatchObject({ why: 'already_decided' });
    expect(middle.record()).toMatchObject({ turn: null, inbox: [], runtime: { conversationId: expect.any(String) } });
  });

  it('second offer clicked after a new start: keeps the new conversation', async () => {
    const middle = await lost();
    // As if something had made the thread look for its conversation before the click.
    await middle.write('third');
    const stale = middle.connection;
    await middle.clock.settle();
    stale.emit(gone());
    await middle.clock.settle();
    expect(middle.surface.offers.filter(({ view }) => view.buttons.includes('start_new')).length).toBeGreaterThan(1);
    const [first, second] = middle.record().offers.filter(({ state }) => state.state === 'open');
    expect(await click(middle, 'start_new', 'U01ALICE', first?.token)).toEqual({ result: 'decided' });
    await ready(middle);
    await answer(middle, 'two');
    const runtime = middle.record().runtime;
    expect(await click(middle, 'start_new', 'U01ALICE', second?.token)).toEqual({ result: 'decided' });
    // The new conversation goes on: a second click does not throw it away.
    expect(middle.record().runtime).toEqual(runtime);
  });
});
