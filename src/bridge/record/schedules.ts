import type { Schedule, ScheduleDraft } from '../schedules/schedule.ts';
import type { ThreadRecord } from './thread-record.ts';

/** Its owner has confirmed it: from now on it is made at Letta. */
export function addSchedule(record: ThreadRecord, draft: ScheduleDraft, now: number): ThreadRecord {
  const schedules = record.schedules ?? [];
  if (schedules.some(({ id }) => id === draft.id)) return record;
  const made: Schedule = { ...draft, madeAt: now, wanted: 'active', confirmed: null, firedAt: 0 };
  return { ...record, schedules: [...schedules, made] };
}

export function findSchedule(record: ThreadRecord | null, id: string | null): Schedule | null {
  return record?.schedules?.find((schedule) => schedule.id === id) ?? null;
}

/** The same record when there is no such schedule, or nothing changes. */
export function changeSchedule(record: ThreadRecord, id: string, change: Partial<Schedule>): ThreadRecord {
  const known = findSchedule(record, id);
  const isSame = (name: string) => known?.[name as keyof Schedule] === change[name as keyof Schedule];
  if (!known || Object.keys(change).every(isSame)) return record;
  return { ...record, schedules: record.schedules?.map((each) => (each === known ? { ...each, ...change } : each)) };
}

/** The thread shows the firing of a schedule at that time. */
export function markFired(record: ThreadRecord, { id, at }: { id: string; at: number }): ThreadRecord {
  const known = findSchedule(record, id);
  return known && known.firedAt < at ? changeSchedule(record, id, { firedAt: at }) : record;
}

export function dropSchedule(record: ThreadRecord, id: string): ThreadRecord {
  if (!findSchedule(record, id)) return record;
  const left = record.schedules?.filter((schedule) => schedule.id !== id) ?? [];
  const { schedules: _, ...rest } = record;
  return left.length === 0 ? rest : { ...rest, schedules: left };
}
