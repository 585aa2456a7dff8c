import type { Firing, HistoryItem } from '../agent-event.ts';
import { isClientMessageId } from '../ids.ts';
import { idInName, type Schedule } from './schedule.ts';

const FIRST = /^Scheduled task "(.{1,200})" is firing\.\n/;
/** With the offset of its zone, and the zone's name behind it. */
const NOW = /^Current time: (\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d)\[/m;

/**
 * Reads the input of a turn that a schedule began, live or in the history (docs/letta-protocol.md, Schedules).
 * @param text without the reminders that Letta adds
 * @returns `null`: it is something else
 */
export function readFiring(text: string): Firing | null {
  const name = FIRST.exec(text)?.[1];
  // What follows is the schedule's prompt, which may hold anything.
  const head = text.slice(0, text.indexOf('\n\n'));
  const at = Date.parse(NOW.exec(head)?.[1] ?? '');
  return name === undefined || Number.isNaN(at) ? null : { name, at };
}

/** A firing of one of the bridge's schedules, in the history. */
export interface FoundFiring {
  /** Of the schedule. */
  id: string;
  /** The id of its input there. */
  input: string | null;
  at: number;
}

type Known = Pick<Schedule, 'id' | 'firedAt'>;

/** The newest input, if it is a firing of one of these schedules that the thread has not shown; `null`: it is not. */
export function lastFiring(history: readonly HistoryItem[], schedules: readonly Known[]): FoundFiring | null {
  const item = history.findLast(({ kind }) => kind === 'user');
  return item ? unheardFiring(item, schedules) : null;
}

/** Firings of these schedules after the last one that the thread has shown, oldest first. */
export function unheardFirings(history: readonly HistoryItem[], schedules: readonly Known[]): FoundFiring[] {
  return history.flatMap((item) => unheardFiring(item, schedules) ?? []);
}

/** A person's message is never a firing, whatever it says. */
function unheardFiring(item: HistoryItem, schedules: readonly Known[]): FoundFiring | null {
  if (item.kind !== 'user') return null;
  const { clientMessageId: input, text } = item;
  const firing = input !== null && isClientMessageId(input) ? null : readFiring(text);
  const id = firing && idInName(firing.name);
  const schedule = schedules.find((each) => each.id === id);
  return firing && schedule && firing.at > schedule.firedAt ? { id: schedule.id, input, at: firing.at } : null;
}
