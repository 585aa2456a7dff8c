import { describe, expect, it } from 'vitest';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import { makeMessageKey } from '../../../src/bridge/ids.ts';
import type { InboundRevision } from '../../../src/bridge/inbound.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMiddle, createRunning, type Middle, ROOT, TEAM } from '../../support/middle.ts';

/** The agent runs a tool in the turn of Alice, and she has written one more message, which waits. */
async function atTool(options: Parameters<typeof createMiddle>[0] = {}): Promise<Middle> {
  const middle = await createRunning({ turnsDieWithLink: false, ...options });
  useTool(middle);
  await middle.write('use staging', { ts: '1000.000100' });
  await middle.clock.settle();
  return middle;
}

const first = (middle: Middle) => middle.connections[0]?.submitted[0]?.clientMessageId ?? '';

function loop(middle: Middle, runs: Record<string, string[]>, active: string[], isUsingTool = false): void {
  const status = active.length > 0 ? 'busy' : 'idle';
  const about = { activeRunIds: active, clientMessageIdsByRun: runs };
  middle.connection.emit({ type: 'loop', status, ...(isUsingTool && { isUsingTool: true as const }), ...about });
}

function useTool(middle: Middle, callId = 'call-1'): void {
  middle.connection.emit({ type: 'tool-called', runId: 'run-1', callId, tool: 'Bash', input: { command: 'make' } });
  loop(middle, { 'run-1': [first(middle)] }, ['run-1'], true);
  middle.connection.emit({ type: 'tool-started', callId, tool: 'Bash', input: { command: 'make' } });
}

/** The tool has ended, and Letta takes in what waits in its queue. */
async function endTool(middle: Middle, joins: readonly string[] = [], callId = 'call-1'): Promise<void> {
  middle.connection.emit({ type: 'tool-ended', callId, ok: true });
  middle.connection.emit({ type: 'tool-returned', callId, ok: true, output: 'made' });
  for (const clientMessageId of joins)
    middle.connection.emit({ type: 'user-message', clientMessageId, automatic: false });
  loop(middle, { 'run-1': [first(middle)] }, ['run-1']);
  await middle.clock.settle();
}

/** The next run of the turn answers all of its input. */
async function answerAll(middle: Middle, joined: readonly string[], text = 'on staging then'): Promise<void> {
  const runs = { 'run-1': [first(middle)], 'run-2': [first(middle), ...joined] };
  loop(middle, runs, ['run-2']);
  middle.connection.say(text, 'run-2', 'm-2');
  loop(middle, runs, []);
  middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
  await middle.clock.settle();
}

const clickAction = (middle: Middle, user = 'U01ALICE', token = middle.surface.last.live?.stop ?? '') =>
  ({
    ...{ name: 'send_now', token, choice: null, actor: { user, team: TEAM }, team: TEAM },
    ...{ channel: 'C01GEN', messageTs: '1.1', threadTs: ROOT },
  }) as Parameters<Middle['intake']['handleAction']>[0];

async function sendNow(middle: Middle, user = 'U01ALICE') {
  const outcome = await middle.intake.handleAction(clickAction(middle, user));
  await middle.clock.settle();
  return outcome;
}

const shown = (middle: Middle) =>
  middle.surface.last.items.map((item) => {
    if (item.kind === 'joined') return `joined: ${item.messages.join(' · ')}`;
    return item.kind === 'text' ? item.markdown : 'card';
  });

const joins = (middle: Middle) => middle.connections.flatMap((each) => each.joins);
const submitted = (middle: Middle) => middle.connections.flatMap((each) => each.submitted);
const lastLine = (content = '') => content.split('\n').at(-1);
const keyOf = (ts: string) => makeMessageKey({ team: TEAM, channel: 'C01GEN', ts });

function revise(middle: Middle, ts: string, text: string | null) {
  const place = { team: TEAM, channel: 'C01GEN', channelKind: 'channel', threadTs: ROOT, user: 'U01ALICE' } as const;
  const message = {
    ...{ ...place, key: keyOf(ts), ts, userTeam: null, external: false, mentionsBot: false, files: [] },
    spans: [{ kind: 'text', text: text ?? '' }],
  } as const;
  const revision =
    text === null ? { kind: 'deleted', ...message } : { kind: 'edited', message, mentionedBefore: false };
  return middle.intake.handleRevision(revision as unknown as InboundRevision);
}

describe('a waiting message', () => {
  it('is offered to its author’s running turn alone', async () => {
    const middle = await atTool();
    expect(middle.surface.last.live?.steering).toEqual({ isOffered: true, handedOver: 0, sent: 0 });
    expect(await sendNow(middle, 'U02BOB')).toMatchObject({ result: 'refused', reason: 'not_the_requester' });
    expect(joins(middle)).toEqual([]);
  });

  it('of somebody else is not offered', async () => {
    const middle = await createRunning();
    useTool(middle);
    await middle.write('me too', { user: 'U02BOB', mention: true });
    expect(middle.surface.last.live?.steering).toBeUndefined();
    expect(await sendNow(middle, 'U02BOB')).toMatchObject({ result: 'refused' });
    expect(await sendNow(middle)).toMatchObject({ result: 'refused' });
    await endTool(middle);
    expect(joins(middle)).toEqual([]);
  });

  it('sent now joins the turn, which shows where, and runs once', async () => {
    const middle = await atTool();
    expect(await sendNow(middle)).toEqual({ result: 'decided' });
    expect(joins(middle).map(({ content }) => lastLine(content))).toEqual(['use staging']);
    expect(joins(middle)[0]?.content).toContain('while you work on an earlier message');
    expect(middle.surface.last.live?.steering).toEqual({ isOffered: false, handedOver: 0, sent: 1 });
    const id = joins(middle)[0]?.clientMessageId ?? '';
    middle.connection.say('let me see. ');
    await endTool(middle, [id]);
    expect(middle.surface.last.live?.steering).toBeUndefined();
    await answerAll(middle, [id]);
    expect(shown(middle)).toEqual(['let me see. ', 'joined: use staging', 'on staging then']);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
    expect(submitted(middle)).toHaveLength(1);
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('sent now while the agent writes waits for the next tool', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('use staging');
    middle.connection.say('I think that');
    await sendNow(middle);
    expect(joins(middle)).toEqual([]);
    expect(middle.surface.last.live?.steering).toEqual({ isOffered: false, handedOver: 1, sent: 0 });
    useTool(middle);
    await middle.clock.settle();
    expect(joins(middle)).toHaveLength(1);
  });

  it('sent now without a tool becomes the next turn', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('use staging');
    middle.connection.say('the files');
    await sendNow(middle);
    middle.connection.end();
    await middle.clock.settle();
    expect(joins(middle)).toEqual([]);
    expect(submitted(middle).map(({ content }) => lastLine(content))).toEqual(['list the files', 'use staging']);
    expect(middle.record().turn?.items[0]).not.toHaveProperty('now');
  });

  it('sent now while a request waits joins behind its tool', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const request = { requestId: 'perm-1', callId: 'call-1', tool: 'Bash', input: { command: 'rm x' } };
    const runs = { 'run-1': [first(middle)] };
    middle.connection.emit({
      ...{ type: 'loop', status: 'waiting_on_approval', activeRunIds: ['run-1'], clientMessageIdsByRun: runs },
    });
    middle.connection.emit({
      type: 'approval-asked',
      request: { ...request, diffs: [], suggestions: [], questions: null },
    });
    await middle.write('use staging', { ts: '1000.000100' });
    await sendNow(middle);
    const id = joins(middle)[0]?.clientMessageId ?? '';
    // What is decided is what was shown, whatever joins meanwhile.
    const token = middle.record().approvals[0]?.token ?? '';
    await middle.intake.handleAction({ ...clickAction(middle, 'U01ALICE', token), name: 'approve' });
    await middle.clock.settle();
    expect(middle.connection.answers).toEqual([{ requestId: 'perm-1', decision: { behavior: 'allow' } }]);
    await endTool(middle, [id]);
    await answerAll(middle, [id]);
    expect(shown(middle)).toEqual(['card', 'joined: use staging', 'on staging then']);
  });

  it('sent now goes along with the files and the replies of others', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('staging is down', { user: 'U02BOB', ts: '1000.000050' });
    useTool(middle);
    await middle.write('use staging', { ts: '1000.000100', files: ['plan.txt'] });
    await sendNow(middle);
    expect(joins(middle)[0]?.content).toMatch(/staging is down[\s\S]*use staging[\s\S]*plan\.txt/);
    expect(middle.record().context).toEqual([]);
    const id = joins(middle)[0]?.clientMessageId ?? '';
    await endTool(middle, [id]);
    await answerAll(middle, [id]);
    expect(middle.surface.last.notPassedOn.join()).toContain('plan.txt');
    await middle.write('and now?');
    expect(submitted(middle).at(-1)?.content).not.toContain('staging is down');
  });

  it('does not join when its author has lost the right meanwhile', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    await middle.write('use staging');
    middle.connection.say('I think');
    expect(await sendNow(middle)).toEqual({ result: 'decided' });
    middle.people.kinds.U01ALICE = 'guest';
    useTool(middle);
    await middle.clock.settle();
    expect(joins(middle)).toEqual([]);
    await endTool(middle);
    await answerAll(middle, []);
    expect(submitted(middle)).toHaveLength(1);
    expect(middle.surface.whispered.at(-1)).toMatchObject({ user: 'U01ALICE' });
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
  });

  it('two of them join in order, others stay behind them', async () => {
    const middle = await atTool();
    await middle.write('what about me?', { user: 'U02BOB', mention: true });
    await middle.write('and be quick', { ts: '1000.000900' });
    await sendNow(middle);
    expect(joins(middle)).toHaveLength(1);
    expect(joins(middle)[0]?.content).toMatch(/use staging[\s\S]*and be quick/);
    expect(middle.record().inbox.map(({ user }) => user)).toEqual(['U02BOB']);
    const id = joins(middle)[0]?.clientMessageId ?? '';
    await endTool(middle, [id]);
    useTool(middle, 'call-2');
    await middle.write('one more', { ts: '1000.000950' });
    await sendNow(middle);
    expect(joins(middle)).toHaveLength(2);
    expect(joins(middle)[1]?.content).not.toContain('what about me?');
    const ids = joins(middle).map(({ clientMessageId }) => clientMessageId);
    await endTool(middle, ids.slice(1), 'call-2');
    await answerAll(middle, ids);
    const ended = middle.surface.views.find(({ ending }) => ending !== null);
    expect(ended?.items).toEqual([
      { kind: 'joined', messages: ['use staging', 'and be quick', 'one more'] },
      { kind: 'text', markdown: 'on staging then' },
    ]);
    expect(submitted(middle).map(({ content }) => lastLine(content))).toEqual(['list the files', 'what about me?']);
  });
});

describe('a message with !now', () => {
  const say = (middle: Middle, text: string, user = 'U01ALICE') => middle.write(text, { user, ts: '1000.000700' });

  it('joins the running turn without a click', async () => {
    const middle = await atTool();
    expect(await say(middle, '!now use production')).toEqual({ outcome: 'accepted' });
    expect(joins(middle).map(({ content }) => lastLine(content))).toEqual(['use production']);
    // The other one waits on.
    expect(middle.record().inbox).toHaveLength(1);
  });

  it('of somebody else waits for its own turn, and says why', async () => {
    const middle = await atTool();
    expect(await say(middle, '!now use production', 'U02BOB')).toEqual({ outcome: 'accepted' });
    expect(joins(middle)).toEqual([]);
    expect(middle.surface.whispered.at(-1)?.text).toContain('<@U01ALICE>');
    expect(middle.record().inbox).toHaveLength(2);
  });

  it('is an ordinary message where nothing runs', async () => {
    const middle = createMiddle();
    await middle.write('!now list the files');
    middle.connection.ready();
    await middle.clock.settle();
    expect(lastLine(submitted(middle)[0]?.content)).toBe('list the files');
  });

  it('alone hands over what waits', async () => {
    const middle = await atTool();
    expect(await say(middle, '!now')).toEqual({ outcome: 'command', name: 'now' });
    expect(joins(middle)).toHaveLength(1);
    expect(middle.surface.whispered.at(-1)?.text).toContain('joins the running turn');
    await say(middle, '!now', 'U02BOB');
    expect(joins(middle)).toHaveLength(1);
  });

  it('is no answer to an open question', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const questions = [{ question: 'Which?', header: '', multiSelect: false, options: [] }];
    const request = { requestId: 'perm-q', callId: 'q', tool: 'AskUserQuestion', input: { questions }, diffs: [] };
    middle.connection.emit({ type: 'approval-asked', request: { ...request, suggestions: [], questions } });
    await middle.clock.settle();
    expect(await say(middle, '!now leave that')).toEqual({ outcome: 'accepted' });
    expect(middle.connection.answers).toEqual([]);
  });
});

describe('a message that was sent now and did not join', () => {
  const sent = async (options: Parameters<typeof createMiddle>[0] = {}) => {
    const middle = await atTool(options);
    await sendNow(middle);
    return { middle, id: joins(middle)[0]?.clientMessageId ?? '' };
  };

  it('goes on as the next turn, which Letta begins by itself', async () => {
    const { middle, id } = await sent();
    await endTool(middle);
    await answerAll(middle, []);
    expect(middle.record().turn).toMatchObject({ clientMessageId: id, state: 'submitted', requester: 'U01ALICE' });
    const runs = { 'run-1': [first(middle)], 'run-3': [id] };
    middle.connection.emit({ type: 'user-message', clientMessageId: id, automatic: false });
    loop(middle, runs, ['run-3']);
    middle.connection.say('staging it is', 'run-3', 'm-3');
    loop(middle, runs, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-3', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    expect(shown(middle)).toEqual(['staging it is']);
    expect(middle.surface.turns).toHaveLength(2);
    expect(middle.record().turn).toBeNull();
    expect(submitted(middle)).toHaveLength(1);
  });

  it('begins the next turn while the last view is on its way', async () => {
    const { middle, id } = await sent();
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    await endTool(middle);
    await answerAll(middle, []);
    const runs = { 'run-1': [first(middle)], 'run-3': [id] };
    middle.connection.emit({ type: 'user-message', clientMessageId: id, automatic: false });
    loop(middle, runs, ['run-3']);
    middle.connection.say('staging it is', 'run-3', 'm-3');
    loop(middle, runs, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-3', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    middle.surface.gate = null;
    gate.resolve();
    await middle.clock.settle();
    expect(shown(middle)).toEqual(['staging it is']);
    expect(middle.record().turn).toBeNull();
    expect(joins(middle)).toHaveLength(1);
  });

  it('seems to have joined when word of the turn’s end was lost', async () => {
    const { middle, id } = await sent();
    await endTool(middle);
    middle.connection.say('the files', 'run-1', 'm-1');
    // The end of the turn is lost; the next thing heard is the begin of the next one.
    middle.connection.emit({ type: 'user-message', clientMessageId: id, automatic: false });
    await middle.clock.settle();
    expect(middle.record().turn?.items).toHaveLength(2);
    const user = (clientMessageId: string): HistoryItem => ({
      ...{ kind: 'user', id: `u-${clientMessageId}`, clientMessageId, text: '' },
    });
    middle.connection.past = [user(first(middle)), { kind: 'assistant', id: 'm-1', text: 'the files' }, user(id)];
    loop(middle, { 'run-1': [first(middle)], 'run-3': [id] }, ['run-3']);
    await middle.clock.settle();
    middle.connection.say('staging it is', 'run-3', 'm-3');
    loop(middle, { 'run-1': [first(middle)], 'run-3': [id] }, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-3', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    expect(middle.surface.turns).toHaveLength(2);
    expect(shown(middle)).toEqual(['staging it is']);
    expect(middle.record().turn).toBeNull();
  });

  it('waits again when Letta certainly did not get it', async () => {
    const middle = await atTool();
    middle.connection.onJoin = () =>
      Promise.reject(new BridgeError('link_lost', 'no link', { certain: true, retry: true }));
    await sendNow(middle);
    expect(middle.record().inbox).toMatchObject([{ now: true }]);
    middle.connection.onJoin = () => Promise.resolve();
    await middle.clock.advance(3_000);
    expect(joins(middle)).toHaveLength(2);
  });

  it('waits for its own turn when Letta refused it', async () => {
    const middle = await atTool();
    middle.connection.onJoin = () => Promise.reject(new BridgeError('input_refused', 'no', { notice: 'No.' }));
    await sendNow(middle);
    await middle.clock.advance(60_000);
    expect(joins(middle)).toHaveLength(1);
    expect(middle.record().inbox).toHaveLength(1);
    expect(middle.record().inbox[0]).not.toHaveProperty('now');
  });

  it('is taken out of Letta’s queue by Stop, which is told', async () => {
    const { middle, id } = await sent();
    await middle.intake.handleAction({ ...clickAction(middle), name: 'stop' });
    await middle.clock.settle();
    expect(middle.connection.withdrawals).toEqual([id]);
    middle.connection.end('cancelled', 'run-1');
    await middle.clock.settle();
    expect(middle.surface.said.at(-1)?.text).toContain('use staging');
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
    expect(middle.surface.last.ending?.outcome).toBe('stopped');
  });

  it('is asked for again once the queue of Letta names it', async () => {
    const { middle, id } = await sent();
    middle.connection.onWithdraw = () => Promise.resolve(false);
    await middle.intake.handleAction({ ...clickAction(middle), name: 'stop' });
    await middle.clock.settle();
    expect(middle.connection.withdrawals).toEqual([id]);
    middle.connection.onWithdraw = () => Promise.resolve(true);
    middle.connection.emit({ type: 'queue', clientMessageIds: [id] });
    await middle.clock.settle();
    expect(middle.connection.withdrawals).toEqual([id, id]);
    expect(middle.record().turn?.steered).toEqual([]);
  });

  it('left in the queue by another client: Letta goes on', async () => {
    const { middle, id } = await sent();
    middle.connection.end('cancelled', 'run-1');
    middle.connection.emit({ type: 'queue', clientMessageIds: [id], paused: [id] });
    await middle.clock.settle();
    expect(middle.connection.resumes).toBe(1);
    expect(middle.connection.withdrawals).toEqual([]);
    middle.connection.emit({ type: 'queue', clientMessageIds: [] });
    await answerAll(middle, [id]);
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
    expect(submitted(middle)).toHaveLength(1);
  });

  it('left in the queue by Stop: leaves it first', async () => {
    const { middle, id } = await sent();
    const gone = Promise.withResolvers<boolean>();
    middle.connection.onWithdraw = () => gone.promise;
    await middle.intake.handleAction({ ...clickAction(middle), name: 'stop' });
    middle.connection.emit({ type: 'queue', clientMessageIds: [id], paused: [id, 'cm-q-2'] });
    middle.connection.end('cancelled', 'run-1');
    await middle.clock.settle();
    expect(middle.connection.resumes).toBe(0);
    gone.resolve(true);
    middle.connection.emit({ type: 'queue', clientMessageIds: [], paused: ['cm-q-2'] });
    await middle.clock.settle();
    expect(middle.connection.resumes).toBe(1);
  });

  it('and ran in spite of the Stop, is stopped, too', async () => {
    const { middle, id } = await sent();
    middle.connection.onWithdraw = () => Promise.resolve(false);
    await middle.intake.handleAction({ ...clickAction(middle), name: 'stop' });
    await middle.clock.settle();
    middle.connection.end('end_turn', 'run-1');
    await middle.clock.settle();
    const aborts = middle.connection.aborts;
    loop(middle, { 'run-1': [first(middle)], 'run-3': [id] }, ['run-3']);
    await middle.clock.settle();
    expect(middle.connection.aborts).toBeGreaterThan(aborts);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-3', stopReason: 'cancelled', error: null });
    await middle.clock.settle();
    expect(middle.surface.last.ending?.outcome).toBe('stopped');
    expect(middle.record().turn).toBeNull();
  });

  it('edited: is taken out of Letta’s queue and sent anew', async () => {
    const { middle, id } = await sent();
    expect(await revise(middle, '1000.000100', 'use production')).toEqual({ outcome: 'changed' });
    await middle.clock.settle();
    expect(middle.connection.withdrawals).toEqual([id]);
    expect(joins(middle).map(({ content }) => lastLine(content))).toEqual(['use staging', 'use production']);
    // Letta ignores an id that was in its queue.
    expect(joins(middle)[1]?.clientMessageId).not.toBe(id);
  });

  it('deleted, is taken out of Letta’s queue and never runs', async () => {
    const { middle, id } = await sent();
    expect(await revise(middle, '1000.000100', null)).toEqual({ outcome: 'withdrawn' });
    await middle.clock.settle();
    expect(middle.connection.withdrawals).toEqual([id]);
    await endTool(middle);
    await answerAll(middle, []);
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
    expect(joins(middle)).toHaveLength(1);
    expect(submitted(middle)).toHaveLength(1);
  });

  it('deleted too late, offers its author to stop the turn', async () => {
    const { middle, id } = await sent();
    middle.connection.onWithdraw = () => Promise.resolve(false);
    await revise(middle, '1000.000100', null);
    await endTool(middle, [id]);
    const told = middle.surface.whispered.at(-1);
    expect(told).toMatchObject({ user: 'U01ALICE', stop: middle.record().turn?.stopToken });
    expect(told?.text).toContain('deleted');
    await answerAll(middle, [id]);
    expect(shown(middle)).toContain('joined: use staging');
  });

  it('edited too late, tells its author', async () => {
    const { middle, id } = await sent();
    middle.connection.onWithdraw = () => Promise.resolve(false);
    await revise(middle, '1000.000100', 'use production');
    await endTool(middle, [id]);
    expect(middle.surface.whispered.at(-1)?.text).toContain('already had your message');
  });
});

describe('after a crash, a message that was sent now', () => {
  const user = (clientMessageId: string): HistoryItem => ({
    ...{ kind: 'user', id: `u-${clientMessageId}`, clientMessageId, text: '' },
  });
  const tool = (id: string, result?: 'real'): HistoryItem => ({
    ...{ kind: 'tool', id, callId: 'call-1', tool: 'Bash', ...(result && { result }) },
  });

  async function crashed(options: Parameters<typeof createMiddle>[0] = {}) {
    const middle = await atTool(options);
    await sendNow(middle);
    const id = joins(middle)[0]?.clientMessageId ?? '';
    const own = first(middle);
    await middle.restart();
    return { middle, id, own };
  }

  it('and never arrived runs next, under another id', async () => {
    const { middle, id, own } = await crashed({ turnsDieWithLink: true });
    middle.connection.past = [user(own), tool('t-1')];
    middle.connection.ready();
    await middle.clock.settle();
    await middle.clock.advance(10_000);
    expect(middle.surface.views.some(({ ending }) => ending?.outcome === 'interrupted')).toBe(true);
    const again = submitted(middle).at(-1);
    expect(lastLine(again?.content)).toBe('use staging');
    expect(again?.clientMessageId).not.toBe(id);
    expect(submitted(middle)).toHaveLength(2);
  });

  it('and never arrived is offered to its author when that took long', async () => {
    const { middle, own } = await crashed({ turnsDieWithLink: true, staleAfterMs: 15 * 60_000, now: 1_001_000 });
    await middle.clock.advance(60 * 60_000);
    middle.connection.past = [user(own), tool('t-1')];
    middle.connection.ready();
    await middle.clock.advance(10_000);
    expect(submitted(middle)).toHaveLength(1);
    const { view } = middle.surface.offers.at(-1) ?? {};
    expect(view?.text).toContain('use staging');
    expect(view?.buttons).toEqual(['run_now', 'drop']);
    expect(middle.record()).toMatchObject({ turn: null, inbox: [] });
  });

  it('joins the turn that goes on', async () => {
    const { middle, id, own } = await crashed();
    const runs = { 'run-1': [own], 'run-2': [own, id] };
    middle.connection.past = [user(own), tool('t-1')];
    middle.connection.ready({
      loop: 'busy',
      activeRunIds: ['run-1'],
      clientMessageIdsByRun: { 'run-1': [own] },
      queued: [id],
    });
    await middle.clock.settle();
    middle.connection.emit({ type: 'user-message', clientMessageId: id, automatic: false });
    middle.connection.past = [user(own), tool('t-1'), user(id), { kind: 'assistant', id: 'm-2', text: 'on staging' }];
    loop(middle, runs, ['run-2']);
    middle.connection.say('on staging', 'run-2', 'm-2');
    loop(middle, runs, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.advance(2_000);
    expect(shown(middle)).toEqual(['joined: use staging', 'on staging']);
    expect(middle.record().turn).toBeNull();
    expect(submitted(middle)).toHaveLength(1);
    expect(joins(middle)).toHaveLength(1);
  });

  it('has joined unheard: the history tells where', async () => {
    const { middle, id, own } = await crashed();
    middle.connection.past = [
      ...[user(own), { kind: 'assistant', id: 'm-1', text: 'one moment' } as const, tool('t-1'), tool('t-2', 'real')],
      ...[user(id), { kind: 'assistant', id: 'm-2', text: 'on staging' } as const],
    ];
    middle.connection.ready({ clientMessageIdsByRun: {} });
    await middle.clock.advance(3_000);
    expect(shown(middle)).toEqual(['one moment', 'joined: use staging', 'on staging']);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(middle.record().turn).toBeNull();
    expect(submitted(middle)).toHaveLength(1);
  });

  it('has not joined a turn that died in its call', async () => {
    const { middle, id, own } = await crashed({ turnsDieWithLink: true });
    middle.connection.past = [user(own), tool('t-1'), user(id)];
    middle.connection.ready({ clientMessageIdsByRun: { 'run-1': [own] } });
    await middle.clock.settle();
    middle.connection.past = [user(own), tool('t-1'), user(id), { kind: 'assistant', id: 'm-2', text: 'on staging' }];
    const runs = { 'run-1': [own], 'run-2': [id] };
    loop(middle, runs, ['run-2']);
    middle.connection.say('on staging', 'run-2', 'm-2');
    loop(middle, runs, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.advance(20_000);
    expect(middle.surface.turns).toHaveLength(2);
    expect(middle.surface.views.some(({ ending }) => ending?.outcome === 'interrupted')).toBe(true);
    expect(shown(middle)).toEqual(['on staging']);
    expect(middle.record().turn).toBeNull();
    expect(submitted(middle)).toHaveLength(1);
  });

  it('has not joined where Letta names a run for it alone', async () => {
    const { middle, id, own } = await crashed({ turnsDieWithLink: true });
    middle.connection.past = [
      ...[user(own), tool('t-1'), tool('t-2', 'real')],
      ...[user(id), { kind: 'assistant', id: 'm-2', text: 'on staging' } as const],
    ];
    middle.connection.ready({ clientMessageIdsByRun: { 'run-1': [own], 'run-2': [id] } });
    await middle.clock.advance(20_000);
    expect(middle.surface.turns).toHaveLength(2);
    expect(shown(middle)).toEqual(['on staging']);
    expect(middle.record().turn).toBeNull();
    expect(submitted(middle)).toHaveLength(1);
  });

  it('never arrived, and a later one runs before it', async () => {
    const middle = await atTool({ turnsDieWithLink: true });
    await sendNow(middle);
    const own = first(middle);
    await middle.write('and tell me', { ts: '1000.000200' });
    await sendNow(middle);
    const [lost = '', arrived = ''] = joins(middle).map(({ clientMessageId }) => clientMessageId);
    const before = [
      user(own),
      tool('t-1'),
      tool('t-2', 'real'),
      { kind: 'assistant', id: 'm-1', text: 'done' } as const,
    ];
    await endTool(middle);
    middle.connection.say('done');
    loop(middle, { 'run-1': [own] }, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-1', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    const runs = { 'run-1': [own], 'run-2': [arrived] };
    middle.connection.emit({ type: 'user-message', clientMessageId: arrived, automatic: false });
    middle.connection.past = [...before, user(arrived), { kind: 'assistant', id: 'm-2', text: 'it is blue' }];
    loop(middle, runs, ['run-2']);
    middle.connection.say('it is blue', 'run-2', 'm-2');
    loop(middle, runs, []);
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.advance(20_000);
    const blue = middle.surface.views.findLast(({ items }) => JSON.stringify(items).includes('it is blue'));
    expect(blue?.ending?.outcome).toBe('done');
    expect(middle.surface.turns).toHaveLength(3);
    expect(submitted(middle).map(({ content }) => lastLine(content))).toEqual([expect.anything(), 'use staging']);
    expect(submitted(middle).at(-1)?.clientMessageId).not.toBe(lost);
  });

  it('has run in a turn of its own: both answers are shown', async () => {
    const { middle, id, own } = await crashed();
    middle.connection.past = [
      ...[user(own), tool('t-1'), { kind: 'assistant', id: 'm-1', text: 'the files' } as const],
      ...[user(id), { kind: 'assistant', id: 'm-2', text: 'on staging' } as const],
    ];
    middle.connection.ready({ clientMessageIdsByRun: {} });
    await middle.clock.advance(20_000);
    expect(middle.surface.turns).toHaveLength(2);
    expect(middle.surface.views.some(({ items }) => JSON.stringify(items).includes('the files'))).toBe(true);
    expect(shown(middle)).toEqual(['on staging']);
    expect(middle.record().turn).toBeNull();
    expect(submitted(middle)).toHaveLength(1);
  });
});
