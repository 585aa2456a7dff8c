/** Why a file of a message is missing, and what would help; each follows the file's name. */
const MISSING = {
  empty: 'it is empty',
  deleted: 'it was deleted',
  too_old: 'Slack hides files this old on your plan',
  external: 'it is kept outside Slack, upload a copy',
  no_scope: 'the Slack app may not read files (files:read), ask an admin to add that',
  no_access: 'Slack does not let me see it, share it in this conversation',
  not_slack: 'its address is not one of Slack’s',
  slow: 'the download took too long, send it again',
  failed: 'the download failed, send it again',
  device: 'the agent’s machine did not take it',
  not_fetched: 'I did not fetch it',
} as const;

/** Why a file was not handed over. */
export type FileTrouble = keyof typeof MISSING | 'too_large' | 'too_many';

/** For example "60 MB, the limit is 20 MB". @param size in words; `null`: not known, or not above the limit */
export function troubleText(
  why: FileTrouble,
  { size, limit, perTurn }: { size: string | null; limit: string; perTurn: number },
): string {
  if (why === 'too_large') return `${size ?? 'too large'}, the limit is ${limit}`;
  if (why === 'too_many') return `more than ${perTurn} files, send it in another message`;
  return MISSING[why];
}
