import type { RuntimeRef } from '../bridge/agent-event.ts';
import type { SeenSchedule } from '../bridge/ports.ts';
import { idInName, nameOf, promptAtLetta, type Schedule } from '../bridge/schedules/schedule.ts';
import type { FrameOf, WireCronTask } from './protocol/incoming.ts';
import { type CronFields, cronAdd, cronCommand, cronList, cronUpdate } from './protocol/outgoing.ts';
import type { Ask } from './requests.ts';

const ANSWERS_WITHIN_MS = 10_000;
/** Any rule; Letta wants one also for what runs once. */
const ONCE_RULE = '0 0 1 1 *';

/** Letta did not answer. */
class NoAnswer extends Error {}

/**
 * Makes Letta's schedules what they are to be. It asks for the list first and finds schedules by their names, so a
 * schedule that was made without a word about it is not made twice; of doubles one is kept. What somebody else changed
 * in one of them is undone: only what its owner confirmed runs in their name.
 * @returns `null`: Letta did not answer; asked again, it goes on from what was done
 */
export async function alignSchedules(
  ask: Ask,
  runtime: RuntimeRef,
  wanted: readonly Schedule[],
  orphan?: string,
): Promise<SeenSchedule[] | null> {
  try {
    const { tasks } = await answered(ask('cron_list_response', cronList, ANSWERS_WITHIN_MS));
    if (!tasks) throw new NoAnswer();
    const seen: SeenSchedule[] = [];
    for (const schedule of wanted) {
      const mine = tasks.filter(({ name }) => idInName(name) === schedule.id);
      seen.push(await alignOne(ask, runtime, schedule, mine));
    }
    const orphans = tasks.filter(({ name }) => orphan !== undefined && idInName(name) === orphan);
    for (const { id } of orphans) await deleteTask(ask, id);
    return seen;
  } catch (error) {
    if (error instanceof NoAnswer) return null;
    throw error;
  }
}

/** @returns `null`: Letta did not answer, so it may run or not */
export async function runSchedule(ask: Ask, id: string): Promise<'queued' | 'refused' | null> {
  const list = await ask('cron_list_response', cronList, ANSWERS_WITHIN_MS);
  if (!list) return null;
  const task = list.tasks?.find(({ name }) => idInName(name) === id);
  if (!task) return 'refused';
  const make = (requestId: string) => cronCommand('cron_trigger', requestId, task.id);
  const answer = await ask('cron_trigger_response', make, ANSWERS_WITHIN_MS);
  return answer && (answer.success === true ? 'queued' : 'refused');
}

async function answered<Answer>(answer: Promise<Answer | null>): Promise<Answer> {
  const given = await answer;
  if (given === null) throw new NoAnswer();
  return given;
}

async function alignOne(
  ask: Ask,
  runtime: RuntimeRef,
  schedule: Schedule,
  all: readonly WireCronTask[],
): Promise<SeenSchedule> {
  const { id, wanted } = schedule;
  // A schedule cannot change its agent: that of another one is deleted, and made again.
  const isOurs = ({ agent_id: agent }: WireCronTask) => agent === runtime.agentId;
  const kept = wanted === 'gone' ? undefined : all.find(isOurs);
  for (const task of all) if (task !== kept) await deleteTask(ask, task.id);
  if (wanted === 'gone') return { id, state: 'gone', lastFiredAt: null };
  if (kept) return keepTask(ask, runtime, schedule, kept);
  // It was there: somebody deleted it.
  if (all.length === 0 && schedule.confirmed !== null) return { id, state: 'gone', lastFiredAt: null };
  const make = (requestId: string) => cronAdd(requestId, runtime, fieldsOf(schedule));
  const { success, task, error } = await answered(ask('cron_add_response', make, ANSWERS_WITHIN_MS));
  if (success !== true || !task) return { id, state: 'refused', error: error ?? '', lastFiredAt: null };
  return setStatus(ask, schedule, task);
}

async function deleteTask(ask: Ask, task: string): Promise<void> {
  const make = (requestId: string) => cronCommand('cron_delete', requestId, task);
  await answered(ask('cron_delete_response', make, ANSWERS_WITHIN_MS));
}

async function keepTask(ask: Ask, runtime: RuntimeRef, schedule: Schedule, task: WireCronTask): Promise<SeenSchedule> {
  const isLive = task.status === 'active' || task.status === 'paused';
  if (!isLive || isSame(task, runtime, schedule)) return setStatus(ask, schedule, task);
  const make = (requestId: string) => cronUpdate(requestId, task.id, runtime.conversationId, fieldsOf(schedule));
  const answer = await answered(ask('cron_update_response', make, ANSWERS_WITHIN_MS));
  return setStatus(ask, schedule, answer.task ?? task);
}

function fieldsOf(schedule: Schedule): CronFields {
  const { cron, once, zone: timezone } = schedule;
  const prompt = promptAtLetta(schedule);
  const scheduledFor = once === null ? null : new Date(once).toISOString();
  return { name: nameOf(schedule), cron: cron ?? ONCE_RULE, timezone, prompt, scheduledFor };
}

function isSame(task: WireCronTask, runtime: RuntimeRef, schedule: Schedule): boolean {
  const { name, cron, timezone, prompt } = fieldsOf(schedule);
  const isSameTime = Date.parse(task.scheduled_for ?? '') === schedule.once || schedule.once === null;
  const isSameRule = task.cron === cron && task.timezone === timezone && isSameTime;
  return isSameRule && task.name === name && task.prompt === prompt && task.conversation_id === runtime.conversationId;
}

async function setStatus(ask: Ask, { id, wanted }: Schedule, task: WireCronTask): Promise<SeenSchedule> {
  if ((task.status !== 'active' && task.status !== 'paused') || task.status === wanted) return seenOf(id, task);
  const isPause = wanted === 'paused';
  const make = (requestId: string) => cronCommand(isPause ? 'cron_pause' : 'cron_resume', requestId, task.id);
  const answer: FrameOf<'cron_pause_response' | 'cron_resume_response'> = isPause
    ? await answered(ask('cron_pause_response', make, ANSWERS_WITHIN_MS))
    : await answered(ask('cron_resume_response', make, ANSWERS_WITHIN_MS));
  // Only a time that is over cannot be resumed.
  if (answer.success !== true && !isPause) return { ...seenOf(id, task), state: 'missed' };
  return seenOf(id, answer.task ?? task);
}

function seenOf(id: string, { status, last_fired_at: fired }: WireCronTask): SeenSchedule {
  const at = Date.parse(fired ?? '');
  const lastFiredAt = Number.isNaN(at) ? null : at;
  switch (status) {
    case 'active':
    case 'paused':
    case 'fired':
    case 'missed':
      return { id, state: status, lastFiredAt };
    default:
      return { id, state: 'gone', lastFiredAt };
  }
}
