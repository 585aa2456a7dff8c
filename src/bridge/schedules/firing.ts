import type { Firing } from '../agent-event.ts';

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
