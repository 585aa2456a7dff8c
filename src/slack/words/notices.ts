/** What people hear when Slack does not tell what the bridge asks. */
export const NOTICES = {
  unknownPerson: 'Slack can’t tell me right now who you are. Try again in a moment.',
  unknownChannel: 'Slack can’t tell me right now what channel this is. Try again in a moment.',
  unknownGroup: 'Slack can’t tell me right now who is in a user group. Try again in a moment.',
} as const;

/** @param error Slack's code */
export function appTokenRefusedText(error: string): string {
  return `Slack refused the app-level token (${error}).`;
}

/** Why a thread could not be read, as the rest of a sentence; other codes of Slack as they are. */
export const UNREAD = {
  limited: 'Slack limits how often I may read threads',
  missing_scope: 'the Slack app lacks the scope to read the history here',
  not_in_channel: 'the bot is not in this channel',
  channel_not_found: 'the bot cannot see this channel',
  thread_not_found: 'Slack no longer has the thread',
  unexpected: 'Slack answered something unexpected',
  silent: 'Slack did not answer',
  notThere: 'it is not there',
} as const;

export function unreadText(error: string): string {
  const words: Readonly<Record<string, string>> = UNREAD;
  return Object.hasOwn(words, error) ? (words[error] ?? error) : `Slack refuses it: ${error}`;
}
