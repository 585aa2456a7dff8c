import { describe, expect, it } from 'vitest';
import { createScheduleTools } from '../../../src/bridge/commands/schedule-tools.ts';
import type { ToolInput } from '../../../src/bridge/tools/catalogue.ts';
import type { ToolCall } from '../../../src/bridge/tools/tool.ts';
import { createMiddle, type Middle, people, ROOT, TEAM } from '../../support/middle.ts';

const NOW = Date.UTC(2026, 10, 29, 10, 30);
const WEEKLY = { when: 'every Monday 9:00', prompt: 'post the open incidents' };

async function start() {
  const middle = createMiddle({ now: NOW });
  await middle.write('hello');
  const tools = createScheduleTools({ workers: () => middle.workers, people, clock: middle.clock });
  return { middle, tools };
}

type Name = 'slack_schedule' | 'slack_schedules' | 'slack_unschedule';

function call<N extends Name>(name: N, input: ToolInput<N>, requester = 'U01ALICE', key = 'key-1'): ToolCall<N> {
  const address = { team: TEAM, channel: 'C01GEN', threadTs: ROOT };
  return { name, input, key, team: TEAM, address, requester, signal: new AbortController().signal } as ToolCall<N>;
}

const drafts = (middle: Middle) => middle.record().offers.flatMap(({ draft }) => (draft ? [draft] : []));

async function confirm(middle: Middle): Promise<string> {
  const { token } = middle.record().offers.find(({ draft }) => draft) ?? {};
  if (!token) throw new Error('no card');
  const where = { team: TEAM, channel: 'C01GEN', messageTs: '3000.000001', threadTs: ROOT };
  const actor = { user: 'U01ALICE', team: TEAM };
  await middle.intake.handleAction({ name: 'make_schedule', token, choice: null, actor, ...where });
  return drafts(middle)[0]?.id ?? '';
}

describe('the agent’s tools for schedules', () => {
  it('ask the person of the turn once for each call', async () => {
    const { middle, tools } = await start();
    const wanted = call('slack_schedule', WEEKLY);
    expect(await tools.slack_schedule.prepare(wanted)).toMatchObject({ may: 'run' });
    await tools.slack_schedule.run(wanted, { may: 'run', seal: '' });
    await tools.slack_schedule.recall?.(wanted);
    expect(drafts(middle)).toMatchObject([{ owner: 'U01ALICE', prompt: 'post the open incidents', cron: '0 9 * * 1' }]);
    expect(middle.record().schedules).toBeUndefined();
  });

  it('tell the agent what is wrong with a rule', async () => {
    const { tools } = await start();
    const wanted = call('slack_schedule', { ...WEEKLY, when: 'every minute' });
    expect(await tools.slack_schedule.prepare(wanted)).toMatchObject({
      may: 'no',
      why: expect.stringContaining('too often'),
    });
  });

  it('list and delete what the owner has, after a card', async () => {
    const { middle, tools } = await start();
    await tools.slack_schedule.run(call('slack_schedule', WEEKLY), { may: 'run', seal: '' });
    const id = await confirm(middle);
    const listed = await tools.slack_schedules.run(call('slack_schedules', {}), { may: 'run', seal: '' });
    expect(JSON.stringify(listed.parts)).toContain(id);
    const gone = call('slack_unschedule', { id });
    expect(await tools.slack_unschedule.prepare(gone)).toMatchObject({
      may: 'ask',
      facts: [expect.stringContaining(id)],
    });
    expect(await tools.slack_unschedule.prepare(call('slack_unschedule', { id }, 'U02BOB'))).toMatchObject({
      may: 'no',
    });
    const stolen = await tools.slack_unschedule.run(call('slack_unschedule', { id }, 'U02BOB'), {
      may: 'ask',
      facts: [],
      seal: id,
    });
    expect(stolen.isError).toBe(true);
    await tools.slack_unschedule.run(gone, { may: 'ask', facts: [], seal: id });
    expect(middle.record().schedules?.[0]?.wanted).toBe('gone');
    expect(await tools.slack_unschedule.prepare(gone)).toMatchObject({ may: 'no' });
  });
});
