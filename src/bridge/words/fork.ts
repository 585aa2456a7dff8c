import { plainName } from '../text/plain-name.ts';

/** What the person hears who goes on in a new thread. */
export const FORK = {
  begins: 'I’m copying the conversation. The link to the new thread will be here in a moment.',
  runs: 'A new thread is being made from this conversation already.',
  isWorking: 'I’m working here, so the copy would have half of an answer. Write `!fork` again when I’m done.',
  waits: 'The conversation is being copied for a new thread; I’ll begin when it is.',
  unsure:
    'Letta didn’t say whether it has copied the conversation, so there is no new thread. An unused copy may be left in Letta. Try again later.',
  notAsked: 'I could not reach Letta, so there is no new thread. Try again later.',
  notShown:
    'Slack did not let me begin a new thread here, so an unused copy of the conversation is left in Letta. Try again when I can post here.',
  notThere: 'I can’t find that message in the conversation. Write `!fork` in the thread to go on from its end.',
  notOurs: 'I don’t take part in that thread, so there is nothing to go on from.',
} as const;

const who = (name: string) => plainName(name) || 'Someone';

/** Begins the new thread. @param name of the person, no mention: it notifies no one. @param link to the old one, if known */
export function forkRootText(name: string, link: string | null, isPart: boolean): string {
  const from = link === null ? 'another thread' : `[another thread](${link})`;
  const what = isPart ? 'what was said there up to that message' : 'what was said there';
  return `— ${who(name)} goes on from ${from} here: I know ${what}. Reply below. —`;
}

/** Says in the old thread where it goes on. @param link to the new one, if known */
export function forkedText(name: string, link: string | null, isPart: boolean): string {
  const to = link === null ? 'a new thread' : `[a new thread](${link})`;
  return `— ${who(name)} goes on from ${isPart ? 'a message above' : 'here'} in ${to} —`;
}
