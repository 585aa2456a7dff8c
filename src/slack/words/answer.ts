/** Around the text of an answer. */
export const ANSWER_NOTES = {
  continues: 'The answer continues.',
  theAnswer: 'The answer',
  theRest: 'The rest of the answer',
  silent: 'The agent had nothing to say',
  done: '✅ Done',
  /** Replaces text that was live when the process ended and that we cannot read again. */
  forgotten: '… (I restarted and could not reload this text yet)',
  /** Replaces a message that is obsolete but that Slack does not let us delete. */
  replaced: '(replaced by the text below)',
} as const;

/** The menu of a finished answer. */
export const ANSWER_MENU = {
  details: 'Details',
  good: '👍 Good answer',
  bad: '👎 Not good…',
  share: 'Also to the channel',
} as const;

/** How a turn ended that took long, before how long. */
export const TOOK = {
  done: '✅ Done in',
  stopped: '⛔ Stopped after',
  failed: '⚠️ Failed after',
  interrupted: '⚠️ Interrupted after',
} as const;

/** Messages that wait for the end of the turn. */
export function waitingText(queued: number): string {
  return queued === 1 ? '1 message waiting' : `${queued} messages waiting`;
}

/** Waiting messages that join the running turn. @param isSent whether Letta has them already */
export function joiningText(count: number, isSent: boolean): string {
  const what = count === 1 ? '1 message joins' : `${count} messages join`;
  return isSent ? `${what} after this tool` : `${what} after the next tool`;
}

/** Where messages joined the turn. @param messages what each says, in one short line: foreign text */
export function joinedText(messages: readonly string[]): string {
  const said = messages.map((message) => (message === '' ? 'files' : `“${message}”`)).join(' · ');
  return `↪ Joined here: ${said}`;
}

/** Does not name the threads, because some may be private. */
export function alongsideText(threads: number): string {
  const others = threads === 1 ? 'Another thread is' : `${threads} other threads are`;
  return `⚠️ ${others} changing files in the same folder, so changes may conflict.`;
}

/** @param what lines of ours and foreign text @param more how many there are besides */
export function notPassedOnText(what: readonly string[], more: number): string {
  const rest = more > 0 ? ` · and ${more} more` : '';
  return `Not passed on to the agent: ${what.join(' · ')}${rest}`;
}

/** @param more characters, rounded */
export function inFileText(name: string, more: string): string {
  return `The answer continues in the file below: ${name}, ${more} more characters`;
}

export function willBeFileText(more: string): string {
  return `The rest will follow as a file: ${more} more characters so far`;
}
