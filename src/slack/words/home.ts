/** The Home tab. */
export const HOME = {
  waiting: 'Waiting for you',
  threads: 'Your threads',
  leftOpen: 'Left for you to decide',
  nothingRuns: 'Nothing is running for you.',
  tryThese: '*Try*',
  notify: '*Notify me* with a new message when an answer took long',
  works: '✅ Everything works',
  addMachine: '*Let a machine dial in:* run this on it, with the bridge’s token in place of its name',
  groupMessage: 'a group direct message',
  directMessage: 'our direct message',
} as const;

/** @param machines what `machineText` and `moreText` say; empty: there is none */
export function machinesText(machines: readonly string[]): string {
  return machines.length === 0 ? 'No machine has dialled in yet' : `Machines: ${machines.join(', ')}`;
}

export function machineText(name: string, isOnline: boolean): string {
  return `${name} (${isOnline ? 'online' : 'offline'})`;
}

export function moreText(count: number): string {
  return `and ${count} more`;
}

/** What a thread is doing, before since when. */
export const DOING = {
  working: 'Working',
  waiting_for_people: 'Waiting for an answer',
  waiting_for_letta: 'Waiting for Letta',
  ending: 'Finishing',
  background: 'Running in the background',
} as const;

/** @param time as Slack shows it */
export function sinceText(time: string, place: string): string {
  return `Since ${time} in ${place}`;
}

/** @param broken names of parts with their states, foreign text */
export function brokenText(broken: readonly string[]): string {
  return `⛔ Out of order: ${broken.join(', ')}`;
}
