import { describe, expect, it } from 'vitest';
import type { ApprovalRequest, HistoryItem } from '../../../src/bridge/agent-event.ts';
import type { ActionName, InboundAction } from '../../../src/bridge/inbound.ts';
import type { Card, TurnView } from '../../../src/bridge/view/turn.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMiddle, createRunning, type Middle, ROOT, TEAM, THREAD, task } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

const texts = (view: TurnView) => view.items.flatMap((item) => (item.kind === 'text' ? [item.markdown] : []));
const cards = (view: TurnView): Card[] => view.items.flatMap((item) => (item.kind === 'card' ? [item.card] : []));

const question: ApprovalRequest = {
  ...touchX,
  requestId: 'perm-q',
  tool: 'AskUserQuestion',
  input: { questions: [{ question: 'Which color?', options: [] }] },
  questions: [
    {
      question: 'Which color?',
      header: 'Choice',
      multiSelect: false,
      options: [
        { label: 'Red', description: '' },
        { label: 'Blue', description: '' },
      ],
    },
  ],
};

function click(middle: Middle, name: ActionName, change: Partial<InboundAction> & { user?: string } = {}) {
  const card = middle.surface.last.items.flatMap((item) => (item.kind === 'card' ? [item.card] : [])).at(-1);
  const token = name === 'stop' ? middle.surface.last.live?.stop : card?.token;
  if (!token) throw new Error(`no button for ${name}`);
  return middle.intake.handleAction({
    name,
    token,
    choice: null,
    actor: { user: change.user ?? 'U01ALICE', team: TEAM },
    team: TEAM,
    channel: 'C01GEN',
    messageTs: '1.1',
    threadTs: ROOT,
    ...change,
  });
}

describe('the words of an answer', () => {
  it('make no view each where the surface looks by itself', async () => {
    const middle = await createRunning();
    let looks: (() => TurnView | null)[] = [];
    middle.surface.grows = (look) => looks.push(look) > 0;
    middle.connection.say('One');
    await middle.clock.settle();
    const { length } = middle.surface.views;
    for (const word of [' two', ' three', ' four']) {
      middle.connection.say(word);
      await middle.clock.settle();
    }
    expect(middle.surface.views).toHaveLength(length);
    expect(JSON.stringify(looks.at(-1)?.()?.items)).toContain('One two three four');
    looks = [];
    middle.connection.emit({ type: 'reasoning', runId: 'run-1', messageId: 'm-r', text: 'hm' });
    await middle.clock.settle();
    expect(looks).toEqual([]);
    expect(middle.surface.views.length).toBeGreaterThan(length);
  });
});

describe('a turn', () => {
  it('waits in line for its start, and says its place', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.emit({ type: 'in-line', place: 5 });
    await middle.clock.settle();
    expect(middle.surface.last.live?.activity).toEqual({ kind: 'starting', place: 5 });
    middle.connection.emit({ type: 'in-line', place: null });
    await middle.clock.settle();
    expect(middle.surface.last.live?.activity).toEqual({ kind: 'starting' });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('carries a mention to a new conversation and its answer back, once', async () => {
    const middle = createMiddle();
    expect(await middle.write('list the files')).toEqual({ outcome: 'accepted' });
    expect(middle.surface.last.live?.activity.kind).toBe('starting');
    expect(middle.connection.options).toEqual({
      runtime: null,
      mode: 'strict',
      binding: null,
      title: 'list the files',
    });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.connection.submitted[0]?.content.split('\n').at(-1)).toBe('list the files');
    middle.connection.begin();
    middle.connection.say('a.txt');
    middle.connection.say(' b.txt');
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['a.txt b.txt']);
    middle.connection.end();
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['a.txt b.txt']);
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'done', line: null });
    expect(middle.record()).toMatchObject({ turn: null, inbox: [], runtime: { conversationId: 'conv-1' } });
  });

  it('event delivered again, also after a restart: begins no second turn', async () => {
    const middle = await createRunning();
    expect(await middle.write('list the files', { ts: ROOT, mention: true })).toEqual({ outcome: 'repeated' });
    middle.connection.end();
    await middle.clock.settle();
    await middle.restart();
    expect(await middle.write('list the files', { ts: ROOT, mention: true })).toEqual({ outcome: 'repeated' });
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('waits for the turn before it, then for one round trip', async () => {
    const middle = await createRunning();
    await middle.write('and count them');
    await middle.write('and sort them');
    expect(middle.connection.submitted).toHaveLength(1);
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.connection.settles).toBe(1);
    expect(middle.connection.submitted).toHaveLength(2);
    const content = middle.connection.submitted[1]?.content ?? '';
    expect(content).toContain('and count them');
    expect(content).toContain('and sort them');
    expect(middle.connections).toHaveLength(1);
  });

  it('round trip failed, link lost: the next turn gets its own', async () => {
    const middle = await createRunning({ turnsDieWithLink: true });
    const { connection, clock } = middle;
    await middle.write('and count them');
    connection.settle = () => Promise.reject(new Error('the device did not answer'));
    connection.end();
    await clock.settle();
    connection.emit({ type: 'lost', reason: 'reset' });
    connection.ready({ reconnected: true });
    await clock.settle();
    expect(connection.submitted).toHaveLength(2);
    connection.begin('run-2');
    await middle.write('and sort them');
    connection.settle = () => Promise.resolve();
    await clock.advance(3_000);
    const sync = Promise.withResolvers<void>();
    connection.settle = () => sync.promise;
    connection.end('end_turn', 'run-2');
    await clock.settle();
    expect(connection.submitted).toHaveLength(2);
    sync.resolve();
    await clock.settle();
    expect(connection.submitted).toHaveLength(3);
  });

  it('belongs to one requester: messages of two people run in two turns', async () => {
    const middle = await createRunning();
    await middle.write('mine', { user: 'U01ALICE' });
    await middle.write('his', { user: 'U02BOB', mention: true });
    await middle.write('mine again', { user: 'U01ALICE' });
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ requester: 'U01ALICE' });
    expect(middle.record().turn?.items).toHaveLength(1);
    middle.connection.begin('run-2');
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ requester: 'U02BOB' });
  });

  it('fails: says why, and what was changed, without its id', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'error', message: 'model is down', terminal: false });
    middle.connection.end('error', 'run-1', 'model is down');
    await middle.clock.settle();
    const { ending } = middle.surface.last;
    expect(ending?.outcome).toBe('failed');
    expect(ending?.line).toBe('The agent stopped with an error: model is down. Nothing was changed.');
  });

  it('run retried: drops the text of the first try', async () => {
    const middle = await createRunning();
    middle.connection.say('half an ans');
    middle.connection.emit({
      type: 'retrying',
      runId: 'run-1',
      attempt: 1,
      maxAttempts: 3,
      delayMs: 1000,
      reason: 'cut',
    });
    middle.connection.say('the answer', 'run-2', 'm-2');
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['the answer']);
  });

  it("begun by Letta: is shown, and belongs to the thread's starter", async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.say('the background task is done', 'run-9', 'm-9');
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ origin: 'agent', requester: 'U01ALICE' });
    middle.connection.end('end_turn', 'run-9');
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['the background task is done']);
    expect(middle.surface.turns).toHaveLength(2);
  });

  it("another client's turn ends: goes on", async () => {
    const middle = await createRunning();
    middle.connection.emit({
      type: 'loop',
      status: 'idle',
      activeRunIds: [],
      clientMessageIdsByRun: { 'run-x': ['cm-of-another-client'] },
    });
    middle.connection.emit({ type: 'turn-ended', runId: 'run-x', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    expect(middle.record().turn).not.toBeNull();
  });

  it("next turn begins early: its events wait for this one's last post", async () => {
    const middle = await createRunning();
    let open: () => void = () => undefined;
    middle.surface.gate = new Promise((resolve) => {
      open = resolve;
    });
    middle.connection.say('first');
    middle.connection.end();
    middle.connection.past = [{ kind: 'user', id: 'u9', clientMessageId: 'cm-q-1', text: '<task-notification>' }];
    middle.connection.say('second', 'run-2', 'm-2');
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['first']);
    middle.surface.gate = null;
    open();
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['second']);
    expect(middle.surface.turns).toHaveLength(2);
  });

  it('disk full for a moment: still ends', async () => {
    const middle = await createRunning();
    middle.connection.say('the answer');
    await middle.clock.settle();
    middle.threads.failing = 1;
    middle.connection.end();
    await middle.clock.advance(3_000);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.record().turn).toBeNull();
  });

  it('files and earlier messages not passed on: are named', async () => {
    const middle = createMiddle();
    await middle.write('look at this', { files: ['plan.pdf'], ts: '1000.000500', thread: ROOT, mention: true });
    middle.connection.ready();
    await middle.clock.settle();
    const missing = 'plan.pdf: I did not fetch it';
    expect(middle.surface.last.notPassedOn).toEqual(['earlier messages of this thread', missing]);
    expect(middle.connection.submitted[0]?.content).toContain(
      'not handed over to you: "plan.pdf": I did not fetch it.',
    );
  });
});

describe('an idle thread', () => {
  it('closes its link, and returns to the same conversation', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    await middle.clock.advance(6 * 60_000);
    expect(middle.connection.isClosed).toBe(true);
    await middle.write('more');
    expect(middle.connections).toHaveLength(2);
    expect(middle.connection.options.runtime).toMatchObject({ conversationId: 'conv-1' });
  });

  it('background task running: keeps its link', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'background', tasks: [task('bash_1')] });
    middle.connection.end();
    await middle.clock.settle();
    await middle.clock.advance(60 * 60_000);
    expect(middle.connection.isClosed).toBe(false);
    middle.connection.emit({ type: 'background', tasks: [] });
    await middle.clock.advance(6 * 60_000);
    expect(middle.connection.isClosed).toBe(true);
  });
});

describe('an approval request', () => {
  it('is shown to the requester and decided by one click', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([
      { kind: 'approval', tool: 'Bash', title: 'touch x', asks: ['U01ALICE'], state: { state: 'open' } },
    ]);
    expect(middle.surface.last.live?.activity.kind).toBe('waiting_for_people');
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused', why: 'already_decided' });
    expect(await click(middle, 'deny')).toMatchObject({ result: 'refused', why: 'already_decided' });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([{ requestId: 'perm-1', decision: { behavior: 'allow' } }]);
    expect(cards(middle.surface.last)[0]?.state).toMatchObject({ decision: 'approved', by: 'U01ALICE' });
  });

  it('click by another person, guest or stranger: refused with a reason', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    for (const user of ['U02BOB', 'U04GUEST', 'U05EXT']) {
      const outcome = await click(middle, 'approve', { user });
      expect(outcome).toMatchObject({ result: 'refused', why: 'not_allowed' });
      expect(outcome.result === 'refused' && outcome.notice).toMatch(/\w/);
    }
    expect(middle.connection.answers).toEqual([]);
  });

  it('click with a forged or foreign token: refused', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    const stop = middle.surface.last.live?.stop ?? undefined;
    expect(await click(middle, 'approve', { token: 'made-up' as never })).toMatchObject({ why: 'expired' });
    expect(await click(middle, 'approve', { token: stop })).toMatchObject({ why: 'expired' });
    expect(middle.connection.answers).toEqual([]);
  });

  it('input changed since it was shown: click refused', async () => {
    const middle = await createRunning();
    const input = { command: 'touch x' };
    middle.connection.emit({ type: 'approval-asked', request: { ...touchX, input } });
    await middle.clock.settle();
    input.command = 'rm -rf /';
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused', why: 'expired' });
    expect(middle.connection.answers).toEqual([]);
    input.command = 'touch x';
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
  });

  it.each([
    ['the typed words', 'use /tmp', 'use /tmp'],
    ['who denied it where no reason was typed', ' ', 'Name of U01ALICE denied this in Slack.'],
  ])('Deny…: passes on %s', async (_, typed, message) => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    const opened = await click(middle, 'deny_with_reason');
    expect(opened).toMatchObject({ result: 'modal', modal: { kind: 'deny_with_reason', tool: 'Bash' } });
    const token = cards(middle.surface.last)[0]?.token ?? ('' as never);
    const actor = { user: 'U01ALICE', team: TEAM };
    await middle.intake.handleSubmission({ name: 'deny_with_reason', token, texts: [typed], actor, team: TEAM });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([{ requestId: 'perm-1', decision: { behavior: 'deny', message } }]);
  });

  it('answered outside Slack: its card closes', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    await middle.clock.settle();
    expect(cards(middle.surface.last)[0]?.state).toMatchObject({ state: 'closed', why: 'answered_elsewhere' });
    expect(await click(middle, 'approve')).toMatchObject({ why: 'expired' });
  });

  it('Letta unreachable: click refused, the card stays', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    expect(await click(middle, 'approve')).toMatchObject({ why: 'unreachable' });
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [touchX], reconnected: true });
    await middle.clock.settle();
    expect(await click(middle, 'approve')).toEqual({ result: 'decided' });
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(1);
  });

  it('link lost before Letta heard the decision: sends it again', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    middle.connection.onAnswer = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    await click(middle, 'approve');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.onAnswer = () => Promise.resolve('accepted');
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [touchX], reconnected: true });
    await middle.clock.settle();
    expect(middle.connection.answers.map((answer) => answer.decision)).toEqual([
      { behavior: 'allow' },
      { behavior: 'allow' },
    ]);
  });

  it('decision unheard for hours: its card opens again', async () => {
    const middle = await createRunning({ turnsDieWithLink: false, staleAfterMs: 15 * 60_000, now: 1_000_000 });
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    middle.connection.onAnswer = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    await middle.clock.settle();
    await click(middle, 'approve');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.onAnswer = () => Promise.resolve('accepted');
    await middle.clock.advance(12 * 3_600_000);
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [touchX], reconnected: true });
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(1);
    expect(cards(middle.surface.last)).toMatchObject([{ state: { state: 'open' } }]);
    await click(middle, 'approve');
    await middle.clock.settle();
    expect(middle.connection.answers).toHaveLength(2);
  });

  it('question: is answered by an option, never by a bare approval', async () => {
    const middle = await createRunning();
    middle.connection.emit({ type: 'approval-asked', request: question });
    await middle.clock.settle();
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused' });
    expect(await click(middle, 'answer', { choice: { question: 0, options: [7] } })).toMatchObject({
      result: 'refused',
    });
    expect(await click(middle, 'answer', { choice: { question: 0, options: [1] } })).toEqual({ result: 'decided' });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([
      {
        requestId: 'perm-q',
        decision: { behavior: 'allow', updatedInput: { ...question.input, answers: { 'Which color?': 'Blue' } } },
      },
    ]);
  });
});

describe('Stop', () => {
  it('aborts, keeps the text, drops the queue and names its author', async () => {
    const middle = await createRunning();
    middle.connection.say('word1 word2');
    await middle.write('one more thing');
    expect(await click(middle, 'stop', { user: 'U02BOB' })).toEqual({ result: 'decided' });
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(1);
    expect(middle.surface.last.live).toMatchObject({ activity: { kind: 'stopping' }, stop: null });
    expect(middle.surface.said[0]?.text).toContain('one more thing');
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'stopped', by: 'U02BOB' });
    expect(texts(middle.surface.last)).toEqual(['word1 word2']);
    expect(middle.record().inbox).toEqual([]);
  });

  it('turn not yet sent: ends it without sending', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    await click(middle, 'stop');
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'stopped' });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toEqual([]);
  });

  it('turn already over: refused', async () => {
    const middle = await createRunning();
    const token = middle.surface.last.live?.stop ?? ('' as never);
    middle.connection.end();
    await middle.clock.settle();
    const late = { name: 'stop', token, choice: null, actor: { user: 'U01ALICE', team: TEAM } } as const;
    const where = { team: TEAM, channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT };
    expect(await middle.intake.handleAction({ ...late, ...where })).toMatchObject({
      result: 'refused',
      why: 'expired',
    });
    expect(middle.connection.aborts).toBe(0);
  });
});

describe('a lost link', () => {
  it('App Server: the turn is interrupted with text from the history', async () => {
    const middle = await createRunning();
    middle.connection.say('word1');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    expect(middle.surface.last.live?.activity.kind).toBe('waiting_for_letta');
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'word1 word2 word3' },
    ];
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('interrupted');
    expect(texts(middle.surface.last)).toEqual(['word1 word2 word3']);
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('relay: the turn goes on in the same message', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.say('word1');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.ready({ loop: 'busy', clientMessageIdsByRun: { 'run-1': [id] }, reconnected: true });
    middle.connection.say(' word9');
    await middle.clock.settle();
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'word1 word2 … word9' },
    ];
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(texts(middle.surface.last)).toEqual(['word1 word2 … word9']);
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('Letta runs its own turn now: ends the open one, shows both', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>' },
    ];
    // A run of a notification is tied to no input (docs/letta-protocol.md, Activity nobody asked for).
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun: { 'run-1': [id] } });
    middle.connection.say('and the task is done', 'run-2', 'm-2');
    await middle.clock.settle();
    expect(middle.surface.turns).toHaveLength(2);
    const [first, second] = middle.surface.turns.map((turn) => middle.surface.views.findLast((v) => v.turn === turn));
    expect(first?.ending?.outcome).toBe('done');
    expect(first && texts(first)).toEqual(['a.txt']);
    expect(second && texts(second)).toEqual(['and the task is done']);
  });

  it('missed end, another run reported: ends the turn from the history', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.say('a.txt');
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt and b.txt' },
      { kind: 'user', id: 'u9', clientMessageId: 'cm-q-1', text: '<task-notification>' },
    ];
    const clientMessageIdsByRun = { 'run-1': [id] };
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun });
    middle.connection.say('the task is done', 'run-2', 'm-2');
    await middle.clock.settle();
    const [first, second] = middle.surface.turns.map((turn) => middle.surface.views.findLast((v) => v.turn === turn));
    expect(first?.ending?.outcome).toBe('done');
    expect(first && texts(first)).toEqual(['a.txt and b.txt']);
    expect(second && texts(second)).toEqual(['the task is done']);
  });

  it('input queued at an App Server begins: its turn goes on', async () => {
    const middle = await createRunning();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    middle.connection.ready({ reconnected: true });
    middle.connection.begin('run-2');
    middle.connection.say('a.txt', 'run-2', 'm-2');
    await middle.clock.settle();
    expect(middle.surface.last.live).not.toBeNull();
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('input queued at Letta behind another turn: is not sent again', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const note = { kind: 'user', id: 'u1', clientMessageId: 'cm-q-1', text: '<task-notification>' } as const;
    middle.connection.past = [note];
    const runs = { activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': ['cm-q-1'] } };
    middle.connection.emit({ type: 'loop', status: 'busy', ...runs }, { type: 'lost', reason: 'closed' });
    // The server had not noticed: the turn of the notification goes on.
    middle.connection.ready({ loop: 'busy', ...runs, reconnected: true });
    await middle.clock.advance(30_000);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-1', stopReason: 'end_turn', error: null });
    middle.connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun: {} });
    middle.connection.past = [note, { kind: 'user', id: 'u2', clientMessageId: id, text: 'list the files' }];
    middle.connection.begin('run-2');
    middle.connection.say('a.txt', 'run-2', 'm-2');
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.advance(30_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(texts(middle.surface.last)).toEqual(['a.txt']);
  });

  it('history read while the turn begins: each text appears once', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    const input = { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' } as const;
    const tool = { kind: 'tool', id: 't1', callId: 'call-9', tool: 'Bash' } as const;
    middle.connection.past = [input, { kind: 'assistant', id: 'm-2', text: 'a.txt b.txt' }, tool];
    middle.connection.ready({ reconnected: true });
    // On its way while the history is read.
    middle.connection.begin('run-2');
    middle.connection.say('a.txt', 'run-2', 'm-2');
    middle.connection.say(' b.txt', 'run-2', 'm-2');
    await middle.clock.settle();
    expect(middle.surface.last.items).toEqual([{ kind: 'text', markdown: 'a.txt b.txt' }]);
    middle.connection.say(' c.txt', 'run-2', 'm-2');
    middle.connection.past = [input, { kind: 'assistant', id: 'm-2', text: 'a.txt b.txt c.txt' }, tool];
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.settle();
    expect(middle.surface.last.items).toEqual([{ kind: 'text', markdown: 'a.txt b.txt c.txt' }]);
    expect(middle.surface.last.ending?.outcome).toBe('done');
  });

  it('old idle status: asks Letta before the history decides', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const loop = (status: 'idle' | 'waiting_on_approval') =>
      middle.connection.emit({ type: 'loop', status, activeRunIds: [], clientMessageIdsByRun: { 'run-1': [id] } });
    loop('idle');
    // What follows is lost with the device's socket; the history has it.
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'Let me see.' },
      { kind: 'tool', id: 't1', callId: 'call-9', tool: 'Bash' },
    ];
    middle.connection.settle = () => {
      loop('waiting_on_approval');
      return Promise.resolve();
    };
    await middle.clock.advance(20_000);
    expect(middle.surface.last.ending).toBeNull();
    expect(texts(middle.surface.last)).toEqual(['Let me see.']);
  });

  it('turn stopped in silence: later text of Letta stays out', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.begin('run-1');
    const clientMessageIdsByRun = { 'run-1': [id] };
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun, reconnected: true });
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'tool', id: 't1', callId: 'call-9', tool: 'Bash', result: 'real' },
      { kind: 'user', id: 'u2', clientMessageId: 'auto-cm-q-1', text: '<task-notification>' },
      { kind: 'assistant', id: 'm-2', text: 'The task is done.' },
    ];
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.surface.last.ending).not.toBeNull();
    expect(texts(middle.surface.last)).toEqual([]);
  });

  it('late end of a stopped turn: the next turn goes on', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    await click(middle, 'stop');
    const loop = (status: 'busy' | 'idle') =>
      middle.connection.emit({ type: 'loop', status, activeRunIds: [], clientMessageIdsByRun: {} });
    loop('busy');
    loop('idle');
    await middle.write('count them');
    await middle.clock.advance(30_000);
    expect(middle.connection.submitted).toHaveLength(2);
    middle.connection.emit({ type: 'turn-ended', runId: null, stopReason: 'cancelled', error: null });
    await middle.clock.settle();
    expect(middle.surface.last.ending).toBeNull();
    middle.connection.begin('run-2');
    middle.connection.say('three', 'run-2', 'm-2');
    middle.connection.end('end_turn', 'run-2');
    await middle.clock.settle();
    expect(middle.surface.last).toMatchObject({ ending: { outcome: 'done' } });
    expect(texts(middle.surface.last)).toEqual(['three']);
  });

  it('decided request, lost link: is not asked in the next turn', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const earlier: HistoryItem[] = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'tool', id: 't1', callId: touchX.callId, tool: 'Bash' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt' },
      { kind: 'user', id: 'u2', clientMessageId: 'auto-cm-q-1', text: '<task-notification>' },
    ];
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    await click(middle, 'deny');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    const other = { ...touchX, requestId: 'perm-2', callId: 'call-2' };
    middle.connection.past = [...earlier, { kind: 'tool', id: 't2', callId: 'call-2', tool: 'Bash' }];
    const runs = { activeRunIds: ['run-2'], clientMessageIdsByRun: { 'run-1': [id] } };
    middle.connection.ready({ loop: 'waiting_on_approval', ...runs, approvals: [other], reconnected: true });
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ origin: 'agent' });
    expect(cards(middle.surface.last)).toHaveLength(1);
    middle.connection.past = [...middle.connection.past, { kind: 'assistant', id: 'm-2', text: 'By itself.' }];
    const clientMessageIdsByRun = runs.clientMessageIdsByRun;
    middle.connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun });
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['By itself.']);
  });

  it('late end of a stopped turn: a turn of Letta goes on', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const input = { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' } as const;
    const note = { kind: 'user', id: 'u2', clientMessageId: 'auto-cm-q-1', text: '<task-notification>' } as const;
    middle.connection.past = [input, note];
    await click(middle, 'stop');
    const runs = { 'run-1': [id] };
    const loop = (status: 'busy' | 'idle', activeRunIds: string[]) =>
      middle.connection.emit({ type: 'loop', status, activeRunIds, clientMessageIdsByRun: runs });
    loop('idle', []);
    loop('busy', ['run-2']);
    middle.connection.say('By itself.', 'run-2', 'm-2');
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ origin: 'agent' });
    middle.connection.emit({ type: 'turn-ended', runId: 'run-1', stopReason: 'cancelled', error: null });
    await middle.clock.settle();
    expect(middle.surface.last.ending).toBeNull();
    middle.connection.past = [input, note, { kind: 'assistant', id: 'm-2', text: 'By itself.' }];
    loop('idle', []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    expect(middle.surface.turns).toHaveLength(2);
    expect(middle.surface.last).toMatchObject({ ending: { outcome: 'done' } });
    expect(texts(middle.surface.last)).toEqual(['By itself.']);
  });

  it("request came before this turn's end was known: belongs to the next", async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt' },
      { kind: 'user', id: 'u9', clientMessageId: 'cm-q-1', text: '<task-notification>' },
    ];
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    const status = 'waiting_on_approval';
    const clientMessageIdsByRun = { 'run-1': [id], 'run-2': ['cm-q-1'] };
    middle.connection.emit({ type: 'loop', status, activeRunIds: ['run-2'], clientMessageIdsByRun });
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ origin: 'agent' });
    expect(middle.record().approvals.map(({ state }) => state.state)).toEqual(['closed', 'open']);
  });

  it('late repair of a settled turn: stays out of the next', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-2', text: 'a.txt' },
    ];
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    expect(middle.surface.last).toMatchObject({ ending: { outcome: 'done' } });
    await middle.write('and more');
    middle.connection.begin('run-2');
    middle.connection.say('b.txt', 'run-2', 'm-3');
    middle.connection.emit({ type: 'text-repaired', runId: 'run-2', messageId: 'm-2', text: 'a.txt', before: 'm-3' });
    await middle.clock.settle();
    expect(middle.surface.last.items).toEqual([{ kind: 'text', markdown: 'b.txt' }]);
  });

  it('text missing at the end: waits for the history before ending', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    const clientMessageIdsByRun = { 'run-1': [id] };
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun, reconnected: true });
    middle.connection.say(' word9');
    const read = middle.connection.fetchHistory;
    middle.connection.fetchHistory = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.surface.last.ending).toBeNull();
    middle.connection.fetchHistory = read;
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'word1 word2 … word9' },
    ];
    await middle.clock.advance(6_000);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(texts(middle.surface.last)).toEqual(['word1 word2 … word9']);
  });

  it('input never arrived: is sent again under the same id', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.onSubmit = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.onSubmit = () => Promise.resolve();
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    const ids = middle.connection.submitted.map((input) => input.clientMessageId);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
  });

  it.each([false, true])('a summary in place of the input: is not sent again (hosted: %s)', async (hosted) => {
    const middle = createMiddle({ turnsDieWithLink: !hosted });
    await middle.write('list the files');
    middle.connection.onSubmit = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.onSubmit = () => Promise.resolve();
    middle.connection.past = [{ kind: 'summary', id: 's' }];
    middle.connection.ready({ reconnected: true });
    await middle.clock.advance(60_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.surface.last.offer?.buttons).toEqual(['send_again']);
    expect(middle.surface.last.ending?.line).toContain('trying again may run it twice');
  });

  it('hosted input missing: is sent again after a second look', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    middle.connection.onSubmit = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.onSubmit = () => Promise.resolve();
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    await middle.clock.advance(11_000);
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('hosted input in the queue of a stopped turn: not sent again', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ reconnected: true, queued: [id] });
    await middle.clock.advance(120_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(JSON.stringify(middle.surface.last.live)).toContain('has arrived');
    // It has begun, and its first words are on their way.
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    await middle.clock.advance(11_000);
    expect(middle.surface.last.ending).toBeNull();
    middle.connection.begin();
    middle.connection.say('a.txt');
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.surface.last).toMatchObject({ ending: { outcome: 'done' } });
    expect(texts(middle.surface.last)).toEqual(['a.txt']);
  });

  it('hosted input left the queue unheard: the history tells its end', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    middle.connection.ready();
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.ready({ reconnected: true, queued: [id] });
    await middle.clock.advance(1_000);
    middle.connection.past = [{ kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' }];
    await middle.clock.advance(60_000);
    expect(middle.surface.last.ending?.outcome).toBe('interrupted');
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('hosted input stopped on its way: aborted once it begins', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    middle.connection.onSubmit = () => Promise.reject(new BridgeError('link_lost', 'gone', { certain: false }));
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!stop');
    middle.connection.ready({ reconnected: true });
    await middle.clock.advance(2_000);
    expect(middle.surface.last.ending).toBeNull();
    middle.connection.begin();
    await middle.clock.settle();
    expect(middle.connection.aborts).toBeGreaterThan(0);
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('stopped');
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('permanent failure: ends the turn; the next message tries again', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.emit({
      type: 'unavailable',
      code: 'several_agents',
      notice: 'Set LETTA_AGENT_ID.',
      retryInMs: null,
    });
    await middle.clock.settle();
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'failed' });
    expect(middle.surface.last.ending?.line).toContain('Set LETTA_AGENT_ID.');
    await middle.write('again');
    expect(middle.connections).toHaveLength(2);
  });

  it('passing failure: the thread says so while the message waits', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    middle.connection.emit({
      type: 'unavailable',
      code: 'environment_offline',
      notice: 'box is offline.',
      retryInMs: 1000,
    });
    await middle.clock.settle();
    expect(middle.surface.last.live?.activity).toEqual({ kind: 'waiting_for_letta', notice: 'box is offline.' });
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
  });
});

describe('a restart of the bridge', () => {
  it('idle thread: goes on in the same conversation', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    await middle.restart();
    expect(middle.connections).toHaveLength(1);
    await middle.write('more');
    expect(middle.connection.options.runtime).toMatchObject({ conversationId: 'conv-1' });
  });

  it('running turn: shows waiting for Letta until Letta reports', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.say('word1');
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    await middle.restart();
    await middle.clock.settle();
    expect(middle.surface.last.live?.activity.kind).toBe('waiting_for_letta');
    const clientMessageIdsByRun = { 'run-1': [id] };
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun });
    await middle.clock.settle();
    expect(middle.surface.last.live?.activity.kind).not.toBe('waiting_for_letta');
  });

  it('turn of Letta, behind it another: is found in the history', async () => {
    // Its echo was the first that was heard of it, or came late.
    for (const first of ['echo', 'text'] as const) {
      const middle = await createRunning({ turnsDieWithLink: false });
      middle.connection.end();
      await middle.clock.settle();
      const echo = { type: 'user-message', clientMessageId: 'cm-q-1', automatic: true } as const;
      if (first === 'echo') middle.connection.emit(echo);
      middle.connection.say('the background task is done', 'run-9', 'm-9');
      if (first === 'text') middle.connection.emit(echo);
      middle.surface.gate = new Promise(() => {});
      middle.connection.end('end_turn', 'run-9');
      await middle.clock.settle();
      await middle.restart();
      middle.surface.gate = null;
      middle.connection.past = [
        { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>' },
        { kind: 'assistant', id: 'm-9', text: 'the background task is done' },
        { kind: 'user', id: 'u3', clientMessageId: 'cm-q-2', text: '<task-notification>' },
      ];
      middle.connection.ready();
      await middle.clock.advance(30_000);
      expect(texts(middle.surface.last)).toEqual(['the background task is done']);
      expect(middle.surface.last.ending?.outcome).toBe('done');
    }
  });

  it('turn of Letta died with the bridge: the next one is separate', async () => {
    const middle = await createRunning();
    middle.connection.end();
    await middle.clock.settle();
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.say('the first task', 'run-8', 'm-8');
    await middle.clock.settle();
    const died = middle.record().turn?.id;
    await middle.restart();
    middle.connection.past = [{ kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>' }];
    middle.connection.ready();
    // While the history is read.
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-2', automatic: true });
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-9'], clientMessageIdsByRun: {} });
    middle.connection.say('the second task', 'run-9', 'm-9');
    await middle.clock.settle();
    const viewsOf = (turn: string) => middle.surface.views.findLast((view) => view.turn === turn);
    expect(viewsOf(died ?? '')?.ending?.outcome).toBe('interrupted');
    expect(middle.record().turn?.id).not.toBe(died);
    expect(texts(middle.surface.last)).toEqual(['the second task']);
  });

  it('message waiting: is sent', async () => {
    const middle = createMiddle();
    await middle.write('list the files');
    await middle.restart();
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connections[0]?.submitted).toEqual([]);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('message arrived: is not sent again; the history has its answer', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    await middle.restart();
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt' },
    ];
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toEqual([]);
    expect(texts(middle.surface.last)).toEqual(['a.txt']);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.record().turn).toBeNull();
  });

  it('turn already ended: shows its end, though its link is gone', async () => {
    const middle = await createRunning();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.surface.gate = new Promise(() => {});
    middle.connection.end();
    await middle.clock.settle();
    middle.surface.gate = null;
    await middle.restart();
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt' },
    ];
    middle.connection.ready();
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['a.txt']);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.record().turn).toBeNull();
  });

  it('Stop after the turn had ended: keeps all its text', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.surface.gate = new Promise(() => {});
    middle.connection.end();
    await middle.clock.settle();
    middle.surface.gate = null;
    await middle.restart();
    await middle.write('!stop', { mention: true });
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'tool', id: 't1', callId: 'call-9', tool: 'Bash', result: 'real' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: 'a task is done' },
      { kind: 'assistant', id: 'm-1', text: 'a.txt' },
    ];
    middle.connection.ready();
    await middle.clock.settle();
    expect(texts(middle.surface.last)).toEqual(['a.txt']);
    expect(middle.surface.last.ending?.outcome).toBe('done');
  });

  it('hosted approval: same card, live again; dead one: closed', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    middle.connection.emit({ type: 'approval-asked', request: touchX });
    await middle.clock.settle();
    const token = cards(middle.surface.last)[0]?.token;
    await middle.restart();
    middle.connection.ready({ loop: 'waiting_on_approval', approvals: [touchX] });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ token, state: { state: 'open' } }]);
    await middle.restart();
    middle.connection.ready({ loop: 'busy', approvals: [] });
    await middle.clock.settle();
    expect(cards(middle.surface.last)).toMatchObject([{ token, state: { state: 'closed', why: 'link_lost' } }]);
  });
});

describe('commands', () => {
  it('!stop, !status, !new: apply to their thread, answered in private', async () => {
    const middle = await createRunning();
    await middle.write('!status');
    expect(middle.surface.whispered.at(-1)).toMatchObject({ user: 'U01ALICE' });
    expect(middle.surface.whispered.at(-1)?.text).toContain('conv-1');
    await middle.write('!new');
    expect(middle.record().runtime).not.toBeNull();
    await middle.write('!stop');
    expect(middle.connection.aborts).toBe(1);
    middle.connection.end('cancelled');
    await middle.clock.settle();
    await middle.write('!new');
    expect(middle.record().runtime).toBeNull();
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('more words behind a command: is a prompt', async () => {
    const middle = await createRunning();
    expect(await middle.write('!stop the deploy')).toEqual({ outcome: 'accepted' });
    expect(middle.connection.aborts).toBe(0);
  });
});

describe('two threads', () => {
  it('one waits: the other still runs', async () => {
    const middle = await createRunning();
    await middle.write('other thread', { ts: '2000.000001', thread: null, mention: true });
    expect(middle.connections).toHaveLength(2);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.record(THREAD).turn).not.toBeNull();
  });
});
