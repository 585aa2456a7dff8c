/** The Home tab. */
export const HOME = {
  waiting: 'Waiting for you',
  threads: 'Your threads',
  leftOpen: 'Left for you to decide',
  nothingRuns: 'Nothing is running for you.',
  tryThese: '*Try*',
  notify: '*Notify me* with a new message when an answer took long',
  works: '✅ Everything works',
  groupMessage: 'a group direct message',
  directMessage: 'our direct message',
} as const;

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
