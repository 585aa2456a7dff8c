import { describe, expect, it } from 'vitest';
import { OTHER_CLIENT } from '../../../src/bridge/ids.ts';
import type { ActionName } from '../../../src/bridge/inbound.ts';
import type { Card, TurnView } from '../../../src/bridge/view/turn.ts';
import { createRunning, type Middle, ROOT, TEAM, THREAD } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

const texts = (view: TurnView) => view.items.flatMap((item) => (item.kind === 'text' ? [item.markdown] : []));
const cards = (view: TurnView): Card[] => view.items.flatMap((item) => (item.kind === 'card' ? [item.card] : []));

const ASKED_EARLIER =
  '**Asked from another client earlier:** `what is the time?`\nI read this in Letta’s history, which may lack the end.';

const ADMIN = 'U03CARA';
const admins = { ids: [ADMIN], groups: [] };

function click(middle: Middle, name: ActionName, user: string) {
  const token = cards(middle.surface.last).at(-1)?.token;
  if (!token) throw new Error('no card is shown');
  return middle.intake.handleAction({
    name,
    token,
    choice: null,
    actor: { user, team: TEAM },
    team: TEAM,
    channel: 'C01GEN',
    messageTs: '1.1',
    threadTs: ROOT,
  });
}

/** A thread with a turn of Alice's that is over; what Letta has of it is in the history. */
async function createQuiet(options: Parameters<typeof createRunning>[0] = {}): Promise<Middle> {
  const middle = await createRunning({ policy: { admins }, ...options });
  const id = middle.connection.submitted[0]?.clientMessageId ?? '';
  middle.connection.past = [
    { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
    { kind: 'assistant', id: 'm-1', text: 'a.txt' },
  ];
  middle.connection.say('a.txt');
  middle.connection.end();
  await middle.clock.settle();
  return middle;
}

/** Another client's input begins at once: Letta ties its run to it and echoes nothing. */
function beginForeign(middle: Middle, asked: string, { id = 'prog-1', tied = true, runId = 'run-f' } = {}): void {
  const { connection } = middle;
  connection.past = [...connection.past, { kind: 'user', id: `item-${id}`, clientMessageId: id, text: asked }];
  connection.emit({ type: 'loop', status: 'busy', activeRunIds: [], clientMessageIdsByRun: {} });
  const clientMessageIdsByRun = tied ? { [runId]: [id] } : {};
  connection.emit({ type: 'loop', status: 'busy', activeRunIds: [runId], clientMessageIdsByRun });
}

/** A thread whose input waits at Letta behind a turn that another client began, and the input's id. */
async function createWaiting(asked: string, options: Parameters<typeof createQuiet>[0] = {}) {
  const middle = await createQuiet(options);
  await middle.write('and b?', { ts: '1000.000002' });
  await middle.clock.settle();
  const id = middle.connection.submitted[1]?.clientMessageId ?? '';
  beginForeign(middle, asked);
  return { middle, connection: middle.connection, id };
}

/** From now on the history comes when it is let go. */
function holdHistory({ connection }: Middle): () => void {
  const read = connection.fetchHistory.bind(connection);
  const gate = Promise.withResolvers<void>();
  connection.fetchHistory = (limit) => gate.promise.then(() => read(limit));
  return gate.resolve;
}

describe('a turn that another client began', () => {
  it.each([true, false])('is shown as what it is (tied to its input: %s)', async (tied) => {
    const middle = await createQuiet();
    beginForeign(middle, 'what is the time?', { tied });
    middle.connection.say('Noon.', 'run-f', 'm-f');
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['Noon.']);
    expect(middle.surface.last.begunBy).toEqual(['**Asked from another client:** `what is the time?`']);
    expect(middle.record().turn).toMatchObject({ origin: 'agent', requester: OTHER_CLIENT, input: 'prog-1' });
    middle.connection.end('end_turn', 'run-f');
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.record()).toMatchObject({ turn: null, clients: { shown: ['m-1', 'prog-1', 'm-f'] } });
    expect(middle.surface.turns).toHaveLength(2);
  });

  it('queued behind a turn of the thread: its echo names it', async () => {
    const middle = await createRunning({ policy: { admins } });
    middle.connection.say('a.txt');
    middle.connection.end();
    middle.connection.emit({ type: 'user-message', clientMessageId: 'uuid-1', automatic: false, asked: 'and now?' });
    middle.connection.say('Now this.', 'run-f', 'm-f');
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['Now this.']);
    expect(middle.surface.last.begunBy).toEqual(['**Asked from another client:** `and now?`']);
  });

  it('heard late, behind others of theirs: each has its own words above', async () => {
    const middle = await createRunning({ policy: { admins } });
    const { connection } = middle;
    const over = { type: 'turn-ended', stopReason: 'end_turn', error: null } as const;
    connection.say('a.txt');
    const held = Promise.withResolvers<void>();
    middle.surface.gate = held.promise;
    connection.end();
    await middle.clock.settle();
    connection.past = [
      { kind: 'user', id: 'u-1', clientMessageId: 'prog-1', text: 'one?' },
      { kind: 'assistant', id: 'm-one', text: 'One.' },
      { kind: 'user', id: 'u-2', clientMessageId: 'prog-2', text: 'two?' },
      { kind: 'assistant', id: 'm-two', text: 'Two.' },
    ];
    connection.say('One.', 'run-f', 'm-one');
    connection.emit({ ...over, runId: 'run-f' });
    connection.emit({ type: 'user-message', clientMessageId: 'prog-2', automatic: false, asked: 'two?' });
    connection.say('Two.', 'run-g', 'm-two');
    connection.emit({ ...over, runId: 'run-g' });
    held.resolve();
    await middle.clock.advance(10_000);
    const ended = middle.surface.views.filter(({ ending }) => ending);
    expect(ended.map((view) => [view.begunBy?.[0], ...texts(view)])).toEqual([
      [undefined, 'a.txt'],
      ['**Asked from another client:** `one?`', 'One.'],
      ['**Asked from another client:** `two?`', 'Two.'],
    ]);
  });

  describe('two heard behind a turn, then the link was lost', () => {
    /** Nothing heard first is in the history, only what came behind it; then the machine died in `two?`. */
    async function createHeld() {
      const middle = await createRunning({ policy: { admins }, turnsDieWithLink: true });
      const { connection } = middle;
      connection.say('a.txt');
      const held = Promise.withResolvers<void>();
      middle.surface.gate = held.promise;
      connection.end();
      await middle.clock.settle();
      connection.emit({ type: 'reasoning', runId: 'run-f', messageId: 'm-one:reasoning', text: 'hm' });
      connection.say('One.', 'run-f', 'm-one');
      connection.emit({ type: 'turn-ended', stopReason: 'end_turn', error: null, runId: 'run-f' });
      connection.emit({ type: 'reasoning', runId: 'run-g', messageId: 'm-two:reasoning', text: 'hm' });
      connection.say('Two, and', 'run-g', 'm-two');
      connection.emit({ type: 'lost', reason: 'closed' });
      connection.past = [
        { kind: 'user', id: 'u-1', clientMessageId: 'prog-1', text: 'one?' },
        { kind: 'assistant', id: 'm-one', text: 'One.' },
        { kind: 'user', id: 'u-2', clientMessageId: 'prog-2', text: 'two?' },
        { kind: 'assistant', id: 'm-two', text: 'Two, and' },
      ];
      connection.ready({ newestItem: 'm-two', reconnected: true });
      await middle.clock.settle();
      held.resolve();
      await middle.clock.advance(10_000);
      return middle.surface.views.filter(({ ending }) => ending).slice(1);
    }

    it('each has its own words above', async () => {
      expect((await createHeld()).map((view) => [view.begunBy?.[0], ...texts(view)])).toEqual([
        ['**Asked from another client:** `one?`', 'One.'],
        ['**Asked from another client:** `two?`', 'Two, and'],
      ]);
    });

    it('the one that was cut off is not called done', async () => {
      const outcomes = (await createHeld()).map(({ ending }) => ending?.outcome);
      expect(outcomes).toEqual(['done', 'interrupted']);
    });
  });

  it('shows no secret and no markup of what was asked', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'use ghp_0123456789abcdefghijklmnopqrstuvwxyz01 `now` <!channel>');
    middle.connection.say('Done.', 'run-f', 'm-f');
    await middle.clock.settle();
    expect(middle.surface.last.begunBy?.[0]).not.toMatch(/ghp_0123|<|`now`/);
    expect(JSON.stringify(middle.record())).not.toContain('ghp_0123');
  });

  it('names no one in Slack while it is not known who asked', async () => {
    const middle = await createQuiet();
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-f'], clientMessageIdsByRun: {} });
    middle.connection.say('Noon.', 'run-f', 'm-f');
    await middle.clock.advance(5_000);
    expect(middle.surface.last.begunBy?.[0]).toContain('Not asked in Slack');
    expect(middle.record().turn?.requester).toBe(OTHER_CLIENT);
  });

  it.each([0, 3_000])('history out of reach for a while: is asked again (%d ms)', async (awayMs) => {
    const middle = await createQuiet();
    const { connection } = middle;
    const read = connection.fetchHistory.bind(connection);
    let isAway = true;
    connection.fetchHistory = (limit) => (isAway ? Promise.reject(new Error('away')) : read(limit));
    connection.past = [
      ...connection.past,
      { kind: 'user', id: 'u-n', clientMessageId: 'auto-1', text: '<task-notification>done</task-notification>' },
    ];
    connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-n'], clientMessageIdsByRun: {} });
    connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.advance(awayMs);
    isAway = false;
    await middle.clock.advance(10_000);
    expect(middle.record().turn).toMatchObject({ origin: 'agent', requester: 'U01ALICE' });
    expect(await click(middle, 'approve', 'U01ALICE')).toMatchObject({ result: 'decided' });
  });

  it('silent, and its beginning unheard: is shown while a message waits', async () => {
    const middle = await createQuiet();
    middle.connection.past.push({ kind: 'user', id: 'u2', clientMessageId: 'prog-1', text: 'go' });
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-f'], clientMessageIdsByRun: {} });
    await middle.write('and b?', { ts: '1000.000002' });
    await middle.clock.advance(20_000);
    expect(middle.record().turn?.origin).toBe('people');
    await middle.clock.advance(20_000);
    expect(middle.surface.last.begunBy).toEqual(['**Asked from another client:** `go`']);
    expect(middle.record()).toMatchObject({ turn: { origin: 'agent' }, inbox: [{ ts: '1000.000002' }] });
    middle.connection.emit({ type: 'turn-ended', runId: 'run-f', stopReason: 'end_turn', error: null });
    middle.connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun: {} });
    await middle.clock.advance(5_000);
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('heard from its middle on: the history has the rest', async () => {
    const middle = await createQuiet();
    middle.connection.past = [
      ...middle.connection.past,
      { kind: 'user', id: 'u-f', clientMessageId: 'prog-1', text: 'what is the time?' },
      { kind: 'assistant', id: 'm-f0', text: 'Let me see.' },
      { kind: 'tool', id: 't-f', callId: 'call-f', tool: 'Bash', result: 'real' },
      { kind: 'assistant', id: 'm-f', text: 'Noon.' },
    ];
    middle.connection.say('Noon.', 'run-f', 'm-f');
    middle.connection.emit({ type: 'turn-ended', runId: 'run-f', stopReason: 'end_turn', error: null });
    await middle.clock.advance(5_000);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(texts(middle.surface.last).join('\n\n')).toBe('Let me see.\n\nNoon.');
  });

  it('heard behind a held replay, then another: each has its own words', async () => {
    const middle = await createRunning({ policy: { admins } });
    const { connection } = middle;
    connection.say('a.txt');
    const held = Promise.withResolvers<void>();
    middle.surface.gate = held.promise;
    connection.end();
    connection.emit({ type: 'lost', reason: 'closed' });
    connection.ready({ reconnected: true, loop: 'busy', activeRunIds: ['run-f'] });
    await middle.clock.settle();
    connection.past = [
      { kind: 'user', id: 'u-1', clientMessageId: 'prog-1', text: 'one?' },
      { kind: 'assistant', id: 'm-one', text: 'One.' },
      { kind: 'user', id: 'u-2', clientMessageId: 'prog-2', text: 'two?' },
    ];
    connection.say('One.', 'run-f', 'm-one');
    connection.emit({ type: 'turn-ended', stopReason: 'end_turn', error: null, runId: 'run-f' });
    const tied = { activeRunIds: ['run-g'], clientMessageIdsByRun: { 'run-g': ['prog-2'] } };
    connection.emit({ type: 'loop', status: 'busy', ...tied });
    connection.say('Two.', 'run-g', 'm-two');
    held.resolve();
    await middle.clock.advance(10_000);
    const shown = new Map(middle.surface.views.map((view) => [view.turn, [view.begunBy?.[0], ...texts(view)]]));
    expect([...shown.values()].slice(1)).toEqual([
      ['**Asked from another client:** `one?`', 'One.'],
      ['**Asked from another client:** `two?`', 'Two.'],
    ]);
  });

  it('history out of reach: names no one in Slack', async () => {
    const middle = await createQuiet();
    middle.connection.fetchHistory = () => Promise.reject(new Error('away'));
    middle.connection.say('Noon.', 'run-f', 'm-f');
    await middle.clock.advance(5_000);
    expect(texts(middle.surface.last)).toEqual(['Noon.']);
    expect(middle.record().turn?.requester).toBe(OTHER_CLIENT);
  });

  it('found running by a new link: is shown as what it is', async () => {
    const middle = await createQuiet();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.past.push({ kind: 'user', id: 'u2', clientMessageId: 'prog-1', text: 'go' });
    const clientMessageIdsByRun = { 'run-f': ['prog-1'] };
    const approvals = [touchX];
    middle.connection.ready({
      loop: 'waiting_on_approval',
      activeRunIds: ['run-f'],
      clientMessageIdsByRun,
      approvals,
      reconnected: true,
    });
    await middle.clock.settle();
    expect(middle.surface.last.begunBy).toEqual(['**Asked from another client:** `go`']);
    expect(cards(middle.surface.last)).toMatchObject([{ asks: [ADMIN], state: { state: 'open' } }]);
  });

  it('known later to be Letta’s own: asks the thread’s person then', async () => {
    const middle = await createQuiet({ turnsDieWithLink: false, approvalTimeoutMs: 60_000 });
    const { connection } = middle;
    connection.fetchHistory = () => Promise.reject(new Error('away'));
    connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-f'], clientMessageIdsByRun: {} });
    connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.advance(5_000);
    expect(cards(middle.surface.last)).toMatchObject([{ asks: [ADMIN] }]);
    const { past } = connection;
    await middle.restart();
    const text = '<task-notification>done</task-notification>';
    middle.connection.past = [...past, { kind: 'user', id: 'u2', clientMessageId: 'auto-1', text }];
    middle.connection.ready({ loop: 'waiting_on_approval', activeRunIds: ['run-f'], approvals: [touchX] });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ asks: ['U01ALICE'] }]);
    expect(middle.record().approvals).toMatchObject([
      { requester: 'U01ALICE', expiresAt: middle.clock.now() + 60_000, state: { state: 'open' } },
    ]);
    expect(await click(middle, 'approve', 'U01ALICE')).toEqual({ result: 'decided' });
  });

  it('goes on after a restart under the same name', async () => {
    const middle = await createQuiet({ turnsDieWithLink: false });
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.settle();
    const { past } = middle.connection;
    await middle.restart();
    middle.connection.past = past;
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-f'], clientMessageIdsByRun: { 'run-f': ['prog-1'] } });
    middle.connection.say(' two', 'run-f', 'm-f');
    await middle.clock.settle();
    expect(middle.surface.last.begunBy).toEqual(['**Asked from another client:** `go`']);
    expect(middle.record().turn).toMatchObject({ requester: OTHER_CLIENT, input: 'prog-1' });
  });

  it('a message meanwhile waits and is answered after it', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.settle();
    await middle.write('and mine?', { ts: '1000.000002' });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    middle.connection.end('end_turn', 'run-f');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('is stopped for saying nothing only when a message waits', async () => {
    const middle = await createQuiet({ silenceMs: 60_000 });
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.advance(60 * 60_000);
    expect(middle.connection.aborts).toBe(0);
    expect(middle.record().turn).not.toBeNull();
    await middle.write('and mine?', { ts: '1000.000002' });
    await middle.clock.advance(5_000);
    expect(middle.connection.aborts).toBe(1);
  });

  it('cut off: offers no one to continue it', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ reconnected: true });
    await middle.clock.advance(30_000);
    expect(middle.surface.last.ending?.outcome).toBe('interrupted');
    expect(middle.surface.offers).toHaveLength(0);
  });
});

describe('a request in a turn that another client began', () => {
  async function asked(options: Parameters<typeof createRunning>[0] = {}) {
    const middle = await createQuiet(options);
    beginForeign(middle, 'go');
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    return middle;
  }

  it('is for admins, not for who began the thread', async () => {
    const middle = await asked();
    expect(cards(middle.surface.last)).toMatchObject([{ asks: [ADMIN] }]);
    expect(await click(middle, 'approve', 'U01ALICE')).toMatchObject({ result: 'refused' });
    expect(middle.connection.answers).toEqual([]);
    expect(await click(middle, 'approve', ADMIN)).toEqual({ result: 'decided' });
    await middle.clock.settle();
    expect(middle.connection.answers).toMatchObject([{ requestId: 'perm-1', decision: { behavior: 'allow' } }]);
    expect(middle.audit.entries.at(-1)).toMatchObject({ requester: OTHER_CLIENT, by: ADMIN });
  });

  it('is for named approvers, too', async () => {
    const approvers = { requester: true, ids: ['U02BOB'], groups: [] };
    const defaults = { ...(await createQuiet()).policy.defaults, approvers };
    const middle = await asked({ policy: { admins, defaults } });
    expect(cards(middle.surface.last)).toMatchObject([{ asks: [ADMIN, 'U02BOB'] }]);
    expect(await click(middle, 'approve', 'U02BOB')).toEqual({ result: 'decided' });
  });

  it('never passes without a card', async () => {
    const defaults = { ...(await createQuiet()).policy.defaults, permissions: 'guarded' as const };
    const middle = await createQuiet({ policy: { admins, defaults } });
    beginForeign(middle, 'go');
    const read = { ...touchX, tool: 'Read', input: { file_path: '/project/a.txt' } };
    middle.connection.emit({ type: 'approval-asked', request: read });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ tool: 'Read', state: { state: 'open' } }]);
    expect(middle.connection.answers).toEqual([]);
  });

  it('decided in the other client: its card says so', async () => {
    const middle = await asked();
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ state: { state: 'closed', why: 'answered_elsewhere' } }]);
  });

  it('is not denied by the bridge after its time', async () => {
    const middle = await asked({ approvalTimeoutMs: 60_000 });
    await middle.clock.advance(10 * 60_000);
    expect(middle.connection.answers).toEqual([]);
    expect(middle.surface.directs).toEqual([]);
  });

  it('too big to be shown: is left to the other client', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    const huge = { ...touchX, input: { command: 'x'.repeat(300_000) } };
    middle.connection.emit({ type: 'approval-asked', request: huge });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([]);
    expect(middle.surface.said.at(-1)?.text).toContain('Decide it in the client that asked');
  });
});

describe('an input of another client beside a turn of the thread', () => {
  it('joined it: is told, and ends what passes without a card', async () => {
    const defaults = { ...(await createQuiet()).policy.defaults, permissions: 'guarded' as const };
    const middle = await createRunning({ policy: { admins, defaults } });
    middle.connection.begin();
    const read = { ...touchX, tool: 'Read', input: { file_path: '/project/a.txt' } };
    middle.connection.emit({ type: 'approval-asked', request: read });
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(1);
    middle.connection.emit({ type: 'user-message', clientMessageId: 'prog-1', automatic: false, asked: 'read b, too' });
    middle.connection.emit({ type: 'approval-asked', request: { ...read, requestId: 'perm-2' } });
    await middle.clock.settle();
    expect(middle.surface.last.begunBy).toEqual(['**Also asked from another client:** `read b, too`']);
    expect(middle.connection.answers).toHaveLength(1);
    expect(cards(middle.surface.last)).toMatchObject([{ asks: ['U01ALICE'], offers: { grant: null } }]);
    expect(await click(middle, 'approve', 'U01ALICE')).toEqual({ result: 'decided' });
  });

  it('runs first: its words and requests are not taken for this turn’s', async () => {
    const middle = await createRunning({ policy: { admins } });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const foreign = { 'run-f': ['prog-1'] };
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-f'], clientMessageIdsByRun: foreign });
    middle.connection.say('Not for Alice.', 'run-f', 'm-f');
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual([]);
    expect(cards(middle.surface.last)).toMatchObject([{ asks: [ADMIN] }]);
    expect(await click(middle, 'approve', 'U01ALICE')).toMatchObject({ result: 'refused' });
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    middle.connection.emit({ type: 'turn-ended', runId: 'run-f', stopReason: 'end_turn', error: null });
    const both = { ...foreign, 'run-1': [id] };
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun: both });
    middle.connection.say('For Alice.');
    middle.connection.end();
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['For Alice.']);
    expect(middle.surface.last.ending?.outcome).toBe('done');
  });

  it.each([
    ['is shown behind the answer', {}],
    ['is shown behind the answer, its echo late', { isEchoed: true }],
    ['is looked for again over a new link', { isLinkLost: true }],
  ])('ran first: %s', async (_, { isLinkLost = false, isEchoed = false }: Record<string, boolean>) => {
    const { middle, connection, id } = await createWaiting('what is the time?');
    const echo = {
      type: 'user-message',
      clientMessageId: 'prog-1',
      automatic: false,
      asked: 'what is the time?',
    } as const;
    if (isEchoed) connection.emit(echo);
    connection.say('Noon.', 'run-f', 'm-f');
    connection.emit({ type: 'turn-ended', runId: 'run-f', stopReason: 'end_turn', error: null });
    connection.past.push(
      { kind: 'assistant', id: 'm-f', text: 'Noon.' },
      { kind: 'user', id: 'u2', clientMessageId: id, text: 'and b?' },
      { kind: 'assistant', id: 'm-2', text: 'b.txt' },
    );
    const clientMessageIdsByRun = { 'run-f': ['prog-1'], 'run-2': [id] };
    connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun });
    connection.say('b.txt', 'run-2', 'm-2');
    await middle.write('and c?', { ts: '1000.000003' });
    const letGo = holdHistory(middle);
    connection.end('end_turn', 'run-2');
    await middle.clock.settle();
    expect(connection.submitted).toHaveLength(2);
    if (isLinkLost) {
      connection.emit({ type: 'lost', reason: 'closed' });
      connection.ready({ newestItem: 'm-2', reconnected: true });
    }
    letGo();
    await middle.clock.settle();
    const ended = middle.surface.views.filter(({ ending }) => ending);
    expect(ended.map((view) => [view.begunBy?.[0], ...texts(view)])).toEqual([
      [undefined, 'a.txt'],
      [isEchoed ? '**Also asked from another client:** `what is the time?`' : undefined, 'b.txt'],
      [ASKED_EARLIER, 'Noon.'],
    ]);
    expect(connection.submitted).toHaveLength(3);
  });

  it('was joined by ours: shows behind the answer how it began', async () => {
    const { middle, connection, id } = await createWaiting('what is the time?');
    connection.say('Let me see.', 'run-f', 'm-f');
    connection.past.push(
      { kind: 'assistant', id: 'm-f', text: 'Let me see.' },
      { kind: 'tool', id: 't-1', callId: 'call-1', tool: 'Bash' },
      { kind: 'tool', id: 't-2', callId: 'call-1', tool: 'Bash', result: 'real' },
      { kind: 'user', id: 'u2', clientMessageId: id, text: 'and b?' },
      { kind: 'assistant', id: 'm-2', text: 'Noon, and b.txt' },
    );
    const clientMessageIdsByRun = { 'run-f': ['prog-1'], 'run-2': ['prog-1', id] };
    connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun });
    connection.say('Noon, and b.txt', 'run-2', 'm-2');
    connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun });
    connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    const [, answer, beginning] = middle.surface.views.filter(({ ending }) => ending);
    expect(answer && texts(answer)).toEqual(['Noon, and b.txt']);
    expect(beginning && texts(beginning)).toEqual(['Let me see.']);
    expect(beginning?.begunBy).toEqual([ASKED_EARLIER]);
    expect(beginning?.ending).toMatchObject({
      outcome: 'done',
      line: 'A message from this thread joined it: the rest is in the answer above.',
    });
  });

  it.each(['other', 'ours'])('runs with ours: nothing passes without a card (first: %s)', async (first) => {
    const defaults = { ...(await createQuiet()).policy.defaults, permissions: 'guarded' as const };
    const { middle, id } = await createWaiting('read a secret', { policy: { admins, defaults } });
    const clientMessageIdsByRun = { 'run-f': ['prog-1'], 'run-2': first === 'ours' ? [id, 'prog-1'] : ['prog-1', id] };
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun });
    const read = { ...touchX, tool: 'Read', input: { file_path: '/project/a.txt' } };
    middle.connection.emit({ type: 'approval-asked', request: read });
    middle.connection.emit({ type: 'approval-asked', request: { ...touchX, requestId: 'perm-2' } });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([]);
    const mine = { asks: ['U01ALICE'], offers: { grant: null } };
    expect(cards(middle.surface.last)).toMatchObject([mine, mine]);
    expect(middle.surface.last.begunBy).toEqual(['A message from another client joined this.']);
  });

  it('is stopped like any other by the Stop button', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.settle();
    const { stop } = middle.surface.last.live ?? {};
    await middle.intake.handleAction({
      name: 'stop',
      token: stop ?? ('' as NonNullable<typeof stop>),
      choice: null,
      actor: { user: 'U01ALICE', team: TEAM },
      team: TEAM,
      channel: 'C01GEN',
      messageTs: '1.1',
      threadTs: ROOT,
    });
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(1);
  });
});

describe('the status of a thread', () => {
  it('says that the agent works for another client', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.settle();
    expect(await middle.workers.get(THREAD).command({ name: 'status' })).toContain('Working for another client');
  });
});

describe('a permission mode that another client set', () => {
  const changed = { type: 'device', mode: 'unrestricted', workingDirectory: '/project' } as const;

  it('is set back over a new link before the next message runs', async () => {
    const middle = await createQuiet();
    middle.connection.emit(changed);
    await middle.clock.settle();
    expect(middle.connections).toHaveLength(1);
    expect(await middle.workers.get(THREAD).command({ name: 'status' })).toContain('set the permission mode `unrestr');
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    expect(middle.connections).toHaveLength(2);
    expect(middle.connections[0]?.submitted).toHaveLength(1);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('is set back at once while a turn of the thread runs', async () => {
    const middle = await createRunning({ policy: { admins } });
    middle.connection.begin();
    middle.connection.emit(changed);
    await middle.clock.settle();
    expect(middle.connection.restored).toBe(1);
    expect(middle.surface.said.at(-1)?.text).toContain('setting it back');
    middle.connection.emit({ ...changed, mode: middle.connection.options.mode });
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    expect(middle.connections).toHaveLength(1);
  });

  it('is left alone while that client’s own turn runs', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    middle.connection.say('One', 'run-f', 'm-f');
    await middle.clock.settle();
    middle.connection.emit(changed);
    await middle.clock.settle();
    expect(middle.connection.restored).toBe(0);
    expect(middle.connections).toHaveLength(1);
  });

  it('is no other client’s when an admin saved the rule for edits', async () => {
    const middle = await createRunning({ policy: { admins } });
    middle.connection.begin();
    const suggestions = [{ id: 'save-default', text: 'Yes, and switch to accept edits mode for this session' }];
    middle.connection.emit({ type: 'approval-asked', request: { ...touchX, tool: 'Edit', suggestions } });
    await middle.clock.settle();
    const token = cards(middle.surface.last).at(-1)?.token ?? '';
    await middle.intake.handleSubmission({
      name: 'save_rule',
      token: token as never,
      actor: { user: ADMIN, team: TEAM },
      team: TEAM,
      texts: [],
    });
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(1);
    middle.connection.emit({ ...changed, mode: 'acceptEdits' });
    await middle.clock.settle();
    expect(middle.connection.restored).toBe(0);
  });
});

describe('turns of other clients that ran while the thread was not linked', () => {
  /** What others did meanwhile; then somebody writes in the thread, which dials again. */
  async function wake(middle: Middle, ...asked: string[]) {
    const { past } = middle.connection;
    await middle.clock.advance(10 * 60_000);
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    const later = asked.flatMap((text, at) => [
      { kind: 'user', id: `u-${at}`, clientMessageId: `prog-${at}`, text } as const,
      { kind: 'assistant', id: `a-${at}`, text: `Answer to ${text}.` } as const,
    ]);
    middle.connection.past = [...past, ...later];
    middle.connection.ready({ newestItem: middle.connection.past.at(-1)?.id ?? '' });
    await middle.clock.settle();
    return middle;
  }
  const endings = (middle: Middle) => middle.surface.views.filter(({ ending }) => ending);

  it('are shown before the next message is sent', async () => {
    const middle = await wake(await createQuiet(), 'what is the time?');
    const [, missed] = endings(middle);
    expect(missed && texts(missed)).toEqual(['Answer to what is the time?.']);
    expect(missed?.begunBy).toEqual([ASKED_EARLIER]);
    expect(missed?.ending?.outcome).toBe('done');
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('may be there: the message waits until that is known', async () => {
    const middle = await createQuiet();
    await middle.clock.advance(10 * 60_000);
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    const letGo = holdHistory(middle);
    middle.connection.ready({ newestItem: 'other' });
    await middle.clock.settle();
    expect(middle.connection.submitted).toEqual([]);
    letGo();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('were not there: the next link does not look again', async () => {
    const middle = await createQuiet();
    await middle.clock.advance(10 * 60_000);
    await middle.write('!compact', { ts: '1000.000002' });
    await middle.clock.settle();
    let looks = 0;
    const read = middle.connection.fetchHistory.bind(middle.connection);
    middle.connection.fetchHistory = (limit) => {
      looks += 1;
      return read(limit);
    };
    const { connection } = middle;
    connection.ready({ newestItem: 'a-summary' });
    await middle.clock.settle();
    const once = looks;
    connection.emit({ type: 'lost', reason: 'closed' });
    connection.ready({ newestItem: 'a-summary', reconnected: true });
    await middle.clock.settle();
    expect([once, looks]).toEqual([1, 1]);
  });

  it('one begins meanwhile: is heard, not shown as missed', async () => {
    const middle = await createQuiet();
    await middle.clock.advance(10 * 60_000);
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    const letGo = holdHistory(middle);
    middle.connection.ready({ newestItem: 'other' });
    await middle.clock.settle();
    beginForeign(middle, 'what is the time?');
    middle.connection.say('Noon.', 'run-f', 'm-f');
    letGo();
    await middle.clock.settle();
    expect(middle.surface.last.begunBy).toEqual(['**Asked from another client:** `what is the time?`']);
    middle.connection.past.push({ kind: 'assistant', id: 'm-f', text: 'Noon.' });
    middle.connection.end('end_turn', 'run-f');
    await middle.clock.advance(10_000);
    const shown = endings(middle).filter((view) => texts(view)[0] === 'Noon.');
    expect(shown.map((view) => view.begunBy?.[0])).toEqual(['**Asked from another client:** `what is the time?`']);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('none: the message is sent at once', async () => {
    const middle = await createQuiet();
    await middle.clock.advance(10 * 60_000);
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    middle.connection.fetchHistory = () => Promise.reject(new Error('nobody should ask'));
    middle.connection.ready({ newestItem: 'm-1' });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.connection.settles).toBe(0);
  });

  it('many: the latest three are shown, and how many there were', async () => {
    const middle = await wake(await createQuiet(), 'one', 'two', 'three', 'four', 'five');
    const shown = endings(middle).slice(1);
    expect(shown.map((view) => texts(view)[0])).toEqual(['Answer to three.', 'Answer to four.', 'Answer to five.']);
    expect(shown[0]?.begunBy?.[0]).toContain('2 earlier turns are not shown.');
    expect(shown[1]?.begunBy?.[0]).not.toContain('not shown');
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('are shown once, however often it dials', async () => {
    const middle = await wake(await createQuiet(), 'one');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ newestItem: 'other', reconnected: true, loop: 'busy' });
    await middle.clock.advance(60_000);
    expect(endings(middle).filter((view) => texts(view)[0] === 'Answer to one.')).toHaveLength(1);
  });

  it('heard before: are not shown again', async () => {
    const middle = await createQuiet();
    beginForeign(middle, 'go');
    middle.connection.say('Answer to go.', 'run-f', 'm-f');
    middle.connection.end('end_turn', 'run-f');
    await middle.clock.settle();
    middle.connection.past.push({ kind: 'assistant', id: 'm-f', text: 'Answer to go.' });
    await wake(middle);
    expect(endings(middle).filter((view) => texts(view)[0] === 'Answer to go.')).toHaveLength(1);
  });

  it('joined to a turn of the thread: are a part of that', async () => {
    const middle = await createQuiet();
    middle.connection.past.push(
      { kind: 'tool', id: 't-1', callId: 'call-1', tool: 'Bash', result: 'real' },
      { kind: 'user', id: 'u-j', clientMessageId: 'prog-j', text: 'me, too' },
      { kind: 'assistant', id: 'm-2', text: 'For both.' },
    );
    await wake(middle);
    expect(endings(middle)).toHaveLength(1);
  });

  it('begun behind a turn that died in its tool: are shown', async () => {
    const middle = await createQuiet();
    middle.connection.past.push({ kind: 'tool', id: 't-1', callId: 'call-1', tool: 'Bash' });
    await wake(middle, 'what is the time?');
    expect(endings(middle).map((view) => view.begunBy?.[0])).toEqual([undefined, ASKED_EARLIER]);
  });

  it('without an end in the history: say that it was not heard', async () => {
    const middle = await createQuiet();
    const unanswered = { kind: 'user', id: 'u-x', clientMessageId: 'prog-x', text: 'what is the time?' } as const;
    middle.connection.past.push(unanswered);
    await wake(middle);
    expect(endings(middle)[1]?.ending).toMatchObject({
      outcome: 'interrupted',
      line: expect.stringContaining('I did not hear how this ended, so it may be incomplete.'),
    });
  });

  it('in a history that cannot be read: hold up nothing', async () => {
    const middle = await createQuiet();
    await middle.clock.advance(10 * 60_000);
    await middle.write('and now?', { ts: '1000.000002' });
    await middle.clock.settle();
    middle.connection.fetchHistory = () => Promise.reject(new Error('away'));
    middle.connection.ready({ newestItem: 'other' });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('asked by another thread of the bridge: do not count', async () => {
    const middle = await createQuiet();
    middle.connection.past.push(
      { kind: 'user', id: 'u-t', clientMessageId: 'slack-T01-C01-2000.000001', text: 'from there' },
      { kind: 'assistant', id: 'a-t', text: 'Said there.' },
    );
    await wake(middle);
    expect(endings(middle)).toHaveLength(1);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('in a conversation of several threads: are not looked for', async () => {
    const middle = await createQuiet();
    const record = middle.record();
    await middle.clock.advance(10 * 60_000);
    middle.threads.records.set(THREAD, { ...record, isShared: true });
    await wake(middle, 'one');
    expect(endings(middle)).toHaveLength(1);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('in a thread from before this was kept: are not shown', async () => {
    const middle = await createQuiet();
    const { clients: _, ...before } = middle.record();
    await middle.clock.advance(10 * 60_000);
    middle.threads.records.set(THREAD, before);
    middle.connection.past.push({ kind: 'user', id: 'u-old', clientMessageId: 'prog-old', text: 'long ago' });
    await wake(middle);
    expect(endings(middle)).toHaveLength(1);
    expect(middle.record().clients).toEqual({ shown: [], from: 'u-old', newest: 'u-old' });
  });
});
