import type { UserId } from '../ids.ts';
import { inClear } from '../text/in-clear.ts';

/** Said in the thread, so that others know what is answered there. */
export function askedText(user: UserId, question: string): string {
  return `<@${user}> asked about this message: ${inClear(question, 300)}`;
}

/** Said below that when the agent was not asked after all. */
export function notAskedText(user: UserId): string {
  return `The agent did not get the question of <@${user}>: I told them why.`;
}

/** What the agent reads below the question. */
export function aboutText(ts: string): string {
  return `(About message ${ts}.)`;
}

export const NO_QUESTION = 'Write what you want to know.';
export const CANNOT_WRITE =
  'I can’t write here right now, so I did not ask the agent. If I’m not in this channel, invite me there and try again.';
export const QUESTION_REFUSED = 'I did not ask the agent: I told you why in the conversation.';

/** Said in the thread, so that others know what is answered there. `isRoot`: the thread begins with the message. */
export function reactedText(user: UserId, emoji: string, prompt: string, isRoot: boolean): string {
  const what = isRoot ? 'this message' : 'a message here';
  return `<@${user}> asked about ${what} with :${emoji}:: ${inClear(prompt, 300)}`;
}

/** What the agent reads below the words that the policy has for a reaction. */
export function reactionText(emoji: string, ts: string): string {
  return `(Asked by reacting with :${emoji}: to message ${ts}.)`;
}

export const NOT_BY_REACTION = 'I never take a reaction as an approval. To decide, use the buttons on the card.';
