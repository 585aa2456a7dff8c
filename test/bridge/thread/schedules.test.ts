import { describe, expect, it } from 'vitest';
import type { Policy } from '../../../src/bridge/access/policy.ts';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import type { OfferAction } from '../../../src/bridge/inbound.ts';
import type { SeenSchedule } from '../../../src/bridge/ports.ts';
import type { Schedule } from '../../../src/bridge/schedules/schedule.ts';
import { createMiddle, type Middle, type MiddleOptions, ROOT, TEAM } from '../../support/middle.ts';

/** Sunday, 29 November 2026, 10:30 UTC. */
const NOW = Date.UTC(2026, 10, 29, 10, 30);
const MONDAY_9 = Date.UTC(2026, 10, 30, 9, 0, 5);

const start = (options: MiddleOptions = {}) => createMiddle({ now: NOW, ...options });

async function click(middle: Middle, name: OfferAction, user = 'U01ALICE') {
  const view = middle.surface.offers.findLast(({ view: { buttons } }) => buttons.includes(name))?.view;
  if (!view) throw new Error(`no button ${name}`);
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '3000.000001', threadTs: ROOT };
  const actor = { user, team: TEAM };
  const outcome = await middle.intake.handleAction({ name, token: view.token, choice: null, actor, ...where });
  await middle.clock.settle();
  return outcome;
}

async function proposed(middle: Middle, words = 'every Monday 9:00 :: post the open incidents', ts?: string) {
  const where = ts === undefined ? {} : { ts, thread: ROOT };
  await middle.write(`!schedule ${words}`, where);
}

/** A thread with a confirmed schedule that Letta has. */
async function scheduled(middle: Middle): Promise<Schedule> {
  await proposed(middle);
  await click(middle, 'make_schedule');
  middle.connection.ready();
  await middle.clock.settle();
  return only(middle);
}

function only(middle: Middle): Schedule {
  const [schedule] = middle.record().schedules ?? [];
  if (!schedule) throw new Error('no schedule');
  return schedule;
}

const firing = ({ id }: Schedule, at = MONDAY_9) => ({ name: `post the open incidents (slack-${id})`, at });

async function fire(middle: Middle, schedule: Schedule, at = MONDAY_9) {
  middle.connection.emit(
    { type: 'user-message', clientMessageId: `otid-${at}`, automatic: true, firing: firing(schedule, at) },
    { type: 'loop', status: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun: {} },
  );
  await middle.clock.settle();
}

/** A firing and its answer, as Letta's history has them. */
function ran(schedule: Schedule, at: number, text: string): HistoryItem[] {
  const head = `Scheduled task "post (slack-${schedule.id})" is firing.\nTimezone: UTC`;
  const input = `${head}\nCurrent time: ${new Date(at).toISOString().replace('Z', '+00:00')}[UTC]\n\nPrompt: x`;
  return [
    { kind: 'user', id: `u-${at}`, clientMessageId: `otid-${at}`, text: input },
    { kind: 'assistant', id: `a-${at}`, text },
  ];
}

const fires = (middle: Middle, lastFiredAt: number) => {
  middle.connection.onAlign = async (wanted): Promise<SeenSchedule[]> =>
    wanted.map(({ id, wanted: state }) => ({ id, state, lastFiredAt }));
};
const limits = (user: number, channel: number): Partial<Policy> => {
  const none = { rate: null, atOnce: null };
  return { limits: { user: { ...none, schedules: user }, channel: { ...none, schedules: channel } } };
};
const texts = ({ surface }: Middle) => surface.said.map(({ text }) => text);
const whispers = ({ surface }: Middle) => surface.whispered.map(({ text }) => text).join('\n');

describe('a schedule before it is made', () => {
  it('shows its rule, its next times and what it does', async () => {
    const middle = start();
    await proposed(middle);
    const text = middle.surface.offers.at(-1)?.view.text ?? '';
    expect(text).toContain('every Monday at 9:00 (UTC)');
    expect(text).toContain('Mon 30 Nov 2026, 9:00 · Mon 7 Dec 2026, 9:00 · Mon 14 Dec 2026, 9:00');
    expect(text).toContain('post the open incidents');
    expect(text).toContain('machine must be on');
    expect(middle.record().schedules).toBeUndefined();
    expect(middle.connections).toHaveLength(0);
  });

  it('is confirmed by its owner alone', async () => {
    const middle = start();
    await proposed(middle);
    expect(await click(middle, 'make_schedule', 'U02BOB')).toMatchObject({ why: 'not_allowed' });
    expect(middle.record().schedules).toBeUndefined();
    expect(await click(middle, 'make_schedule')).toEqual({ result: 'decided' });
    expect(only(middle)).toMatchObject({ owner: 'U01ALICE', wanted: 'active', confirmed: null });
  });

  it('is not made after a no, or when its time is over', async () => {
    const middle = start();
    await proposed(middle, 'in 5 minutes :: look');
    await middle.clock.advance(10 * 60_000);
    expect(await click(middle, 'make_schedule')).toMatchObject({ why: 'not_allowed' });
    await click(middle, 'drop_schedule');
    expect(middle.record().schedules).toBeUndefined();
    expect(middle.surface.offers.at(-1)?.view).toMatchObject({
      buttons: [],
      text: '<@U01ALICE> did not schedule this.',
    });
  });

  it.each([
    ['a rule', 'every 2 minutes :: look', 'too often'],
    ['words', 'soon :: look', 'I don’t understand when that is'],
    ['a missing task', 'every day 9:00', 'Write when, then'],
    ['a long task', `every day 9:00 :: ${'x'.repeat(2_001)}`, 'too long'],
  ])('says what is wrong with %s', async (_, words, problem) => {
    const middle = start();
    await proposed(middle, words);
    expect(whispers(middle)).toContain(problem);
    expect(middle.surface.offers).toEqual([]);
  });

  it('is refused beyond the limits, also at the click', async () => {
    const middle = start({ policy: limits(1, 10) });
    await proposed(middle);
    await proposed(middle, 'every Friday 9:00 :: look', '1000.000002');
    await click(middle, 'make_schedule');
    const open = middle.surface.offers.find(({ view }) => view.text.includes('every Monday'))?.view;
    expect(open?.buttons).toContain('make_schedule');
    const where = { team: TEAM, channel: 'C01GEN', messageTs: '3000.000001', threadTs: ROOT };
    const actor = { user: 'U01ALICE', team: TEAM };
    const again = {
      name: 'make_schedule' as const,
      token: open?.token ?? only(middle).id,
      choice: null,
      actor,
      ...where,
    };
    expect(await middle.intake.handleAction(again as never)).toMatchObject({
      notice: expect.stringContaining('the limit'),
    });
    await proposed(middle, 'every Tuesday 9:00 :: look', '1000.000003');
    expect(whispers(middle)).toContain('You already have 1 schedule');
    expect(middle.record().schedules).toHaveLength(1);
  });

  it('is refused where the policy allows none', async () => {
    const middle = start({ policy: limits(5, 0) });
    await proposed(middle);
    expect(whispers(middle)).toContain('does not allow schedules here');
  });

  it('is refused beyond the limit of the workspace', async () => {
    const none = { rate: null, atOnce: null };
    const middle = start({ policy: { limits: { user: none, channel: none, workspace: { ...none, schedules: 1 } } } });
    await proposed(middle);
    await click(middle, 'make_schedule');
    await proposed(middle, 'every Friday 9:00 :: look', '1000.000002');
    expect(whispers(middle)).toContain('This workspace already has 1 schedule, which is the limit.');
  });
});

describe('a schedule and Letta', () => {
  it('is on disk before Letta hears of it', async () => {
    const middle = start();
    await proposed(middle);
    await click(middle, 'make_schedule');
    middle.connection.onAlign = () => new Promise(() => undefined);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.aligned.at(-1)).toMatchObject([{ confirmed: null, wanted: 'active' }]);
    await middle.restart();
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.aligned.at(-1)).toMatchObject([{ id: only(middle).id }]);
    expect(only(middle).confirmed).toBe('active');
  });

  it('is tried again while Letta does not answer, not at once', async () => {
    const middle = start();
    await proposed(middle);
    await click(middle, 'make_schedule');
    middle.connection.onAlign = () => Promise.reject(new Error('no answer'));
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.aligned).toHaveLength(1);
    await middle.clock.advance(61_000);
    expect(middle.connection.aligned.length).toBeLessThanOrEqual(3);
    expect(only(middle).confirmed).toBeNull();
  });

  it('keeps its link, over a restart, too', async () => {
    const middle = start();
    await scheduled(middle);
    await middle.clock.advance(60 * 60_000);
    expect(middle.connection.isClosed).toBe(false);
    const before = middle.connections.length;
    await middle.restart();
    expect(middle.connections.length).toBe(before + 1);
  });

  it('does not ask a stubborn Letta without end', async () => {
    const middle = start();
    await scheduled(middle);
    middle.connection.onAlign = async (wanted) => wanted.map(({ id }) => ({ id, state: 'active', lastFiredAt: null }));
    const asked = middle.connection.aligned.length;
    await middle.write(`!schedules pause ${only(middle).id}`, { ts: '1000.000005', thread: ROOT });
    await middle.clock.settle();
    expect(middle.connection.aligned.length - asked).toBeLessThan(10);
  });

  it('is forgotten, and its owner told, when Letta refuses it', async () => {
    const middle = start();
    await proposed(middle);
    await click(middle, 'make_schedule');
    middle.connection.onAlign = async (wanted) =>
      wanted.map(({ id }) => ({ id, state: 'refused', error: 'Agent x has 50 active tasks', lastFiredAt: null }));
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.record().schedules).toBeUndefined();
    expect(texts(middle).at(-1)).toContain('Agent x has 50 active tasks');
  });
});

describe('a turn of a schedule', () => {
  it('belongs to its owner, whoever began the thread', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    await fire(middle, schedule);
    expect(middle.record().turn).toMatchObject({
      origin: 'agent',
      requester: 'U01ALICE',
      schedule: { id: schedule.id },
    });
    expect(middle.surface.last.begunBy?.[0]).toContain('Schedule of <@U01ALICE>');
    middle.connection.say('three open incidents');
    middle.connection.end();
    await middle.clock.settle();
    expect(middle.record().turn).toBeNull();
    expect(only(middle).firedAt).toBe(MONDAY_9);
  });

  it('has no owner when the schedule was deleted here', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    await fire(middle, { ...schedule, id: 'zzzzzzzz' });
    expect(middle.record().turn?.schedule).toBeUndefined();
    // It has our mark, so it was deleted here once: it is deleted again.
    expect(middle.connection.aligned.length).toBeGreaterThan(1);
  });

  it('is stopped, and its schedule paused, when the owner lost access', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    middle.people.kinds = { U01ALICE: 'deactivated' };
    await middle.clock.advance(20_000);
    await fire(middle, schedule);
    expect(middle.connection.aborts).toBeGreaterThan(0);
    expect(only(middle)).toMatchObject({ wanted: 'paused', lostAccess: true });
    expect(texts(middle).at(-1)).toContain('I paused a schedule of <@U01ALICE>');
    expect(middle.connection.aligned.at(-1)).toMatchObject([{ wanted: 'paused' }]);
  });

  it('goes on when Slack cannot say who the owner is', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    middle.people.failing = 1_000;
    await middle.clock.advance(20_000);
    await fire(middle, schedule);
    expect(only(middle)).toMatchObject({ wanted: 'active' });
    expect(middle.connection.aborts).toBe(0);
  });

  it('unheard is posted late: the newest, once', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    const week = 7 * 24 * 60 * 60_000;
    middle.connection.past = [
      ...ran(schedule, MONDAY_9 - week, 'old news'),
      ...ran(schedule, MONDAY_9, 'three incidents'),
    ];
    fires(middle, MONDAY_9);
    middle.connection.emit({ type: 'schedules-changed' });
    await middle.clock.advance(5_000);
    const { last } = middle.surface;
    expect(JSON.stringify(last.items)).toContain('three incidents');
    expect(JSON.stringify(last.items)).not.toContain('old news');
    expect(last.begunBy?.[0]).toContain('Posted late: it ran on Mon 30 Nov 2026, 9:00');
    expect(last.begunBy?.[0]).toContain('An earlier run is not shown.');
    expect(last.ending?.outcome).toBe('done');
    const turns = middle.surface.turns.length;
    middle.connection.emit({ type: 'schedules-changed' });
    await middle.clock.advance(5_000);
    expect(middle.surface.turns.length).toBe(turns);
  });

  /** A turn of people is open, and only the history has the schedule's run. */
  async function firedWhileOpen(): Promise<Middle> {
    const middle = start();
    const schedule = await scheduled(middle);
    await middle.write('list the files', { ts: '1000.000020', thread: ROOT });
    middle.connection.begin();
    middle.connection.past = ran(schedule, MONDAY_9, 'three incidents');
    fires(middle, MONDAY_9);
    middle.connection.emit({ type: 'schedules-changed' });
    return middle;
  }

  it('unheard while another turn is open is posted after it', async () => {
    const middle = await firedWhileOpen();
    await middle.clock.settle();
    expect(middle.surface.last.begunBy?.[0]).toBeUndefined();
    middle.connection.say('here they are');
    middle.connection.end();
    await middle.clock.advance(5_000);
    expect(middle.surface.last.begunBy?.[0]).toContain('Posted late');
    expect(middle.surface.turns).toHaveLength(2);
  });

  it('unheard in a busy thread is posted before the next message runs', async () => {
    const middle = await firedWhileOpen();
    await middle.clock.advance(5_000);
    await middle.write('and count them', { ts: '1000.000021', thread: ROOT });
    middle.connection.end();
    await middle.clock.advance(5_000);
    const ended = middle.surface.views.filter(({ ending }) => ending);
    expect(ended.at(-1)?.begunBy?.[0]).toContain('Posted late');
    expect(middle.connection.submitted.at(-1)?.content).toContain('and count them');
    expect(middle.record().turn?.origin).toBe('people');
  });

  it('is shown once when its frames come after its history', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    middle.connection.past = ran(schedule, MONDAY_9, 'three incidents').slice(0, 1);
    fires(middle, MONDAY_9);
    middle.connection.emit({ type: 'schedules-changed' });
    await middle.clock.advance(1_000);
    await fire(middle, schedule);
    await middle.clock.advance(60_000);
    expect(middle.surface.turns).toHaveLength(1);
    expect(middle.surface.last.begunBy?.[0]).not.toContain('Posted late');
  });

  it('is known by the history when its beginning was lost', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    middle.connection.past = ran(schedule, MONDAY_9, 'three incidents').slice(0, 1);
    middle.connection.say('three', 'run-9');
    middle.connection.say(' incidents', 'run-9');
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ requester: 'U01ALICE', schedule: { id: schedule.id } });
    middle.connection.end('end_turn', 'run-9');
    await middle.clock.settle();
    expect(JSON.stringify(middle.surface.last.items)).toContain('three incidents');
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('shown in a turn with a lost link is not posted late', async () => {
    const middle = start({ turnsDieWithLink: true });
    const schedule = await scheduled(middle);
    await middle.write('list the files', { ts: '1000.000020', thread: ROOT });
    middle.connection.begin();
    const clientMessageId = middle.connection.submitted[0]?.clientMessageId ?? '';
    const { connection } = middle;
    connection.past = [
      { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
      { kind: 'tool', id: 't1', callId: 'c-1', tool: 'Bash', result: 'real' },
      ...ran(schedule, MONDAY_9, 'three incidents'),
    ];
    connection.emit({ type: 'lost', reason: 'reset' });
    connection.ready({ reconnected: true });
    await middle.clock.advance(30_000);
    expect(JSON.stringify(middle.surface.last.items)).toContain('three incidents');
    fires(middle, MONDAY_9);
    connection.emit({ type: 'schedules-changed' });
    await middle.clock.advance(30_000);
    expect(middle.surface.turns).toHaveLength(1);
  });

  it('unheard and shown before a crash is not shown again', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    middle.connection.past = ran(schedule, MONDAY_9, 'three incidents');
    fires(middle, MONDAY_9);
    middle.connection.emit({ type: 'schedules-changed' });
    await middle.clock.advance(5_000);
    const { past, onAlign } = middle.connection;
    const turns = middle.surface.turns.length;
    await middle.restart();
    Object.assign(middle.connection, { past, onAlign });
    middle.connection.ready();
    await middle.clock.advance(5_000);
    expect(middle.surface.turns.length).toBe(turns);
  });

  it('found running by a new link is known by the history', async () => {
    const middle = start();
    const schedule = await scheduled(middle);
    await middle.restart();
    middle.connection.past = ran(schedule, MONDAY_9, 'half').slice(0, 1);
    const request = { requestId: 'r-1', callId: 'c-1', tool: 'Bash', input: { command: 'ls' } };
    const approvals = [{ ...request, diffs: [], suggestions: [], questions: null }];
    middle.connection.ready({ loop: 'waiting_on_approval', activeRunIds: ['run-9'], approvals });
    await middle.clock.settle();
    expect(middle.record().turn).toMatchObject({ requester: 'U01ALICE', schedule: { id: schedule.id } });
    expect(middle.record().approvals[0]).toMatchObject({ requester: 'U01ALICE' });
  });
});

describe('the list of schedules', () => {
  const list = async (middle: Middle, user: string) => {
    middle.surface.whispered.length = 0;
    await middle.write('!schedules', { user, ts: `2000.0000${user.slice(1, 3)}`, thread: null, mention: true });
    return whispers(middle);
  };

  it('shows people their own, and admins all', async () => {
    const middle = start({ policy: { admins: { ids: ['U03CARA'], groups: [] } } });
    const { id } = await scheduled(middle);
    expect(await list(middle, 'U01ALICE')).toContain(id);
    expect(await list(middle, 'U02BOB')).not.toContain(id);
    expect(await list(middle, 'U03CARA')).toContain(id);
  });

  it('lets admins change the schedules of others', async () => {
    const middle = start({ policy: { admins: { ids: ['U03CARA'], groups: [] } } });
    const { id } = await scheduled(middle);
    await middle.write(`!schedules delete ${id}`, { user: 'U02BOB', ts: '2000.000007' });
    expect(middle.record().schedules).toHaveLength(1);
    await middle.write(`!schedules delete ${id}`, { user: 'U03CARA', ts: '2000.000008' });
    expect(middle.record().schedules).toBeUndefined();
  });

  it('says that it was not made where another thread keeps the conversation', async () => {
    const middle = start();
    await proposed(middle);
    await click(middle, 'make_schedule');
    const notice = 'kept';
    middle.connection.emit({ type: 'unavailable', code: 'conversation_kept', notice, retryInMs: null });
    await middle.clock.settle();
    expect(middle.record().schedules).toBeUndefined();
    expect(texts(middle)).toContainEqual(expect.stringContaining('I did not make the schedule'));
  });
});
