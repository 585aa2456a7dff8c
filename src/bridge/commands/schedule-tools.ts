import { createHash } from 'node:crypto';
import { makeThreadKey, ROLLING, type ThreadKey } from '../ids.ts';
import type { Clock, People } from '../ports.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { readSchedule } from '../thread/core/drafts.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { fails, says, type ToolResult } from '../tools/result.ts';
import type { ToolCall, ToolHandlers } from '../tools/tool.ts';
import { SCHEDULE_TOOLS, SCHEDULES, scheduleLine } from '../words/schedules.ts';

interface ScheduleToolParts {
  /** Asked at each call, because they are made with these tools. */
  workers(): Pick<ThreadWorkers, 'get' | 'schedules'>;
  people: Pick<People, 'getPerson'>;
  clock: Pick<Clock, 'now'>;
}

type Name = 'slack_schedule' | 'slack_schedules' | 'slack_unschedule';

/**
 * The tools with which the agent schedules itself. `slack_schedule` makes nothing: it shows the card that a person gets who
 * writes `!schedule`, and only that person's click makes the schedule, in their name.
 */
export function createScheduleTools({
  workers,
  people,
  clock,
}: ScheduleToolParts): ToolHandlers & Required<Pick<ToolHandlers, Name>> {
  const find = (call: ToolCall<'slack_unschedule'>): Schedule | null => {
    const key = keyOf(call);
    const here = workers()
      .schedules()
      .find((each) => each.key === key && each.schedule.id === call.input.id);
    return here && here.schedule.wanted !== 'gone' ? here.schedule : null;
  };

  const ask = async (call: ToolCall<'slack_schedule'>): Promise<ToolResult> => {
    const { input, requester, team } = call;
    const by = await people.getPerson(requester, team);
    const said = { when: input.when, what: input.prompt };
    const order = { name: 'schedule', ...said, id: idOf(call), by, isTop: false } as const;
    const text = await workers().get(keyOf(call)).command(order);
    return text.startsWith(SCHEDULES.confirm) ? says(SCHEDULE_TOOLS.asked) : fails(text);
  };

  const unschedule = async (call: ToolCall<'slack_unschedule'>): Promise<ToolResult> => {
    const { input, requester: by } = call;
    const change = { do: 'delete', id: input.id } as const;
    const text = await workers().get(keyOf(call)).command({ name: 'schedules', change, by, isAdmin: false });
    return text === SCHEDULES.deleted ? says(SCHEDULE_TOOLS.deleted) : fails(text);
  };

  return {
    slack_schedule: {
      async prepare({ input, requester, team }) {
        const by = await people.getPerson(requester, team);
        const wanted = readSchedule({ when: input.when, what: input.prompt }, by, clock.now());
        if (typeof wanted === 'string') return { may: 'no', why: wanted };
        return { may: 'run', seal: '' };
      },
      run: ask,
      recall: ask,
    },
    slack_schedules: {
      prepare: async () => ({ may: 'run', seal: '' }),
      async run(call) {
        const order = { name: 'schedules', change: null, by: call.requester, isAdmin: false } as const;
        return says(await workers().get(keyOf(call)).command(order));
      },
    },
    slack_unschedule: {
      async prepare(call) {
        const schedule = find(call);
        if (!schedule) return { may: 'no', why: SCHEDULE_TOOLS.notHere };
        if (schedule.owner !== call.requester) return { may: 'no', why: SCHEDULE_TOOLS.notTheirs };
        return { may: 'ask', facts: [scheduleLine(schedule, clock.now()).replace(/^- /, '')], seal: schedule.id };
      },
      run: unschedule,
      recall: async (call) => (find(call) ? null : says(SCHEDULE_TOOLS.deleted)),
    },
  };
}

function keyOf({ team, address }: Pick<ToolCall, 'team' | 'address'>): ThreadKey {
  return makeThreadKey({ team, channel: address.channel, root: address.threadTs ?? ROLLING });
}

/** The same for the same call, so that a call that is handled again asks once. */
function idOf({ key }: Pick<ToolCall, 'key'>): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
