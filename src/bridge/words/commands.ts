import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';

export const NOTHING_RUNS = 'Nothing is running for you.';
export const WRITE_IN_THREAD = 'Write this command in the thread it is about.';
export const NO_REQUESTS = 'No requests yet.';
export const WHICH_MESSAGE = 'Which message? Choose *Copy link* in its menu, then write `why` and the link.';
export const ASK_THERE = 'Ask this in the channel of that message.';
export const NOT_PAUSED = 'The agent is not paused.';
export const RESUMED =
  'Resumed. I won’t run the messages that I refused during the pause: I told their authors to send them again.';

/** The head of the list of commands. */
export const WHERE_TO_WRITE =
  'In a thread, write `!` and the command, because Slack has no slash commands there: `!stop`. Elsewhere, write `/agent stop`.';

/** How to begin, in three sentences, and where the rest is; Markdown of ours. */
export function helpText(botUser: string): string {
  return [
    `Mention <@${botUser}> with a task, and I answer in the thread; reply there to continue.`,
    'I read messages of people who haven’t mentioned me there as background only.',
    'I ask before risky steps: the person who gave the task gets a card with buttons.',
    '\nMore: `!commands`, or `/agent commands` outside of threads, lists what else you can tell me.',
  ].join(' ');
}

/** @param since as `moment()` says it */
export function unseenText(since: string): string {
  return `I have seen no such message since ${since}, and I don’t remember earlier ones. Slack shows me only the channels that the app is in.`;
}

/** For a command that is about a thread, and was written where Slack does not say in which. */
export function whichThreadText(command: string): string {
  return `Slack doesn’t tell me in which thread you are. Write \`!${command}\` in the thread instead.`;
}

export function giveNumberText(most: number): string {
  return `Give a number from 1 to ${most}.`;
}

/** The head of a list of the caller's running threads. */
export function whichToStopText(threads: number): string {
  return `You have ${threads} running threads. Write \`!stop\` in the one to stop:`;
}

/** @param open turns that run. @param tasks what runs in the background */
export function pausedText(open: number, tasks: number): string {
  const turns = open === 1 ? '1 running turn' : `${open} running turns`;
  const ends = tasks === 0 ? '' : ` and ${tasks} background ${tasks === 1 ? 'task' : 'tasks'}`;
  return `Paused. I’m stopping ${turns}${ends}. Nothing new starts until an admin writes \`/agent resume\`.`;
}

/** @param words as the person wrote them: foreign text. @param similar the command that was probably meant */
export function unknownCommandText(words: string, mark: '!' | '', similar: string | null): string {
  const way = mark === '!' ? '!' : '/agent ';
  const meant = similar === null ? `\`${way}commands\` lists all commands.` : `Did you mean \`${way}${similar}\`?`;
  // `/agent fix the build` is no typing error: its author wants something done.
  const task = /\s/.test(words) ? ' To give me a task, mention me.' : '';
  return `There is no command ${asCode(`${mark}${oneLine(words, 40)}`)}. ${meant}${task}`;
}
