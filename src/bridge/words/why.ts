import { moment } from '../text/moment.ts';

/** An outcome of `MessageOutcome` or of the log, its reason, and when: ms since 1970. */
interface Outcome {
  outcome: string;
  reason: string | null;
  at: number;
}
/** The reasons of the log in words for people; a reason that is not here is shown as it is. */
const BECAUSE: Readonly<Record<string, string>> = {
  not_for_the_bot: 'its author had not mentioned the agent in that thread',
  not_a_thread_of_ours: 'no one had mentioned the agent in that thread',
  before_the_thread_was_ours: 'it was written before the agent joined the thread',
  help_was_missed: 'it only mentioned the agent, and the bridge was not running then',
  command_was_missed: 'it was a command, and the bridge was not running then; the bridge does not run commands later',
  paused: 'the agent was paused',
  inbox_full: 'that thread had too many queued messages',
  queue_full: 'all threads together had too many queued messages',
  record_too_large: 'the thread’s record was too large to store it',
  lease_lost: 'another process of the bridge had taken over this workspace',
  no_owner: 'no process of the bridge served this workspace at that moment',
  user_deactivated: 'its author’s account is deactivated',
  user_is_guest: 'guests can’t use the agent unless an admin allows them',
  user_is_external: 'people of other organisations can’t use the agent unless an admin allows them',
  user_is_bot: 'it came from a bot that no admin has allowed',
  user_not_allowed: 'its author may not use the agent',
  channel_not_allowed: 'the agent is not allowed to work in that channel',
  channel_is_external: 'another organisation shares the channel, and no admin has allowed it',
  direct_messages_closed: 'the agent does not answer direct messages',
  group_direct_messages_closed: 'the agent does not answer group direct messages',
  user_rate: 'its author had reached the limit of turns for that time',
  channel_rate: 'that channel had reached the limit of turns for that time',
  user_at_once: 'its author had reached the limit of running threads',
  channel_at_once: 'that channel had reached the limit of running threads',
  workspace_rate: 'the workspace had reached the limit of turns for that time',
  workspace_at_once: 'the workspace had reached the limit of running threads',
  unreachable: 'it answered the agent’s question, but the bridge could not reach Letta',
  bots_rate: 'bots had reached the limit of turns in that channel',
  bots_in_a_row: 'bots had reached the limit of messages in a row there',
  stale_from_a_bot: 'it came from a bot and arrived too late',
  own_message: 'the agent wrote it itself',
  not_speech: 'it is a notice from Slack, not a message from a person',
  slack_itself: 'Slack wrote it',
  empty: 'it had no text',
  unreadable: 'all its text is in attachments or blocks that the agent does not get',
  other_app: 'it was meant for another app',
  other_workspace: 'it was meant for another workspace',
};

function reasonText(reason: string | null): string {
  if (reason === null) return '';
  const words = Object.hasOwn(BECAUSE, reason) ? BECAUSE[reason] : undefined;
  return words === undefined ? ` (${reason.replaceAll('_', ' ')})` : `: ${words}`;
}

/** What was decided about a message, and when. */
export function outcomeText({ outcome, reason, at }: Outcome): string {
  const time = moment(at);
  switch (outcome) {
    case 'accepted':
      return `${time}: I accepted it for the agent.`;
    case 'context':
      return `${time}: I noted it as background for the agent’s next turn, not as a task.`;
    case 'command':
      return `${time}: it was a command, and I carried it out.`;
    case 'helped':
      return `${time}: it only mentioned me, so I sent help.`;
    case 'repeated':
      return `${time}: I had handled it before.`;
    case 'refused':
      return `${time}: I refused it${reasonText(reason)}.`;
    default:
      return `${time}: I did not answer it${reasonText(reason)}.`;
  }
}

/** What a message in each state is waiting for, or what became of it; `null`: not known. */
export const NOW = {
  queued: 'It is in the queue.',
  held: 'It arrived too late to run automatically. Its author can choose *Run now* or *Discard*.',
  context: 'The agent gets it as background in its next turn.',
  running: 'The agent is working on it.',
  steered: 'Its author sent it to the running turn; it joins that, or runs next.',
  overheard: 'The agent got it as background.',
  done: 'It was answered, unless someone stopped or discarded it.',
  unknown: null,
} as const;
