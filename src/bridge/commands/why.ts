import {
  isDirect,
  type MessageKey,
  makeMessageKey,
  makeThreadKey,
  parseMessageKey,
  ROLLING,
  type ThreadKey,
} from '../ids.ts';
import type { Threads } from '../ports.ts';
import { whereIs } from '../record/whereabouts.ts';
import { moment } from '../text/moment.ts';
import type { Decision, DecisionLog } from './decision-log.ts';

/** A message that a link names. `root`: of its thread, when the link says that it is a reply. */
export interface Linked {
  key: MessageKey;
  thread: ThreadKey;
}

/** `https://team.slack.com/archives/C123/p1700000000123456?thread_ts=1700000000.000100`, as Slack's "Copy link" gives it. */
const LINK = /\/archives\/([A-Z0-9]+)\/p(\d{10})(\d{6})(?:\?[^\s>|]*?\bthread_ts=(\d+\.\d+))?/;

/** The message behind a link to it; `null` when there is none in the text. */
export function linkedMessage(team: string, text: string): Linked | null {
  const found = LINK.exec(text);
  if (!found) return null;
  const [, channel = '', seconds = '', rest = '', threadTs] = found;
  const ts = `${seconds}.${rest}`;
  const root = threadTs ?? (isDirect(channel) ? ROLLING : ts);
  return { key: makeMessageKey({ team, channel, ts }), thread: makeThreadKey({ team, channel, root }) };
}

/** What the reasons of the log mean; the ones that are not here are named as they are. */
const BECAUSE: Readonly<Record<string, string>> = {
  not_for_the_bot: 'it was not for the agent: its author had not mentioned it in that thread',
  not_a_thread_of_ours: 'nobody had mentioned the agent in that thread',
  before_the_thread_was_ours: 'it stood there before the agent was asked into the thread',
  help_was_missed: 'it only mentioned the agent, while the bridge was away',
  command_was_missed: 'it was a command, given while the bridge was away; commands are not carried out later',
  paused: 'the agent was paused',
  inbox_full: 'too many messages were waiting in that thread',
  queue_full: 'too many messages were waiting in all threads together',
  record_too_large: 'the thread had no room for it',
  user_deactivated: 'the account is deactivated',
  user_is_guest: 'guests may not use the agent unless they are named',
  user_is_external: 'people of other organisations may not use the agent unless they are named',
  user_is_bot: 'it came from a bot that is not named',
  user_not_allowed: 'its author is not among those who may use the agent',
  channel_not_allowed: 'the agent is not open in that channel',
  channel_is_external: 'the channel is shared with another organisation and not named',
  direct_messages_closed: 'the agent does not answer direct messages',
  user_rate: 'its author had begun as many turns as are allowed in that time',
  channel_rate: 'as many turns had begun in that channel as are allowed in that time',
  user_at_once: 'the agent was at work for its author in as many threads as are allowed',
  channel_at_once: 'the agent was at work in as many threads of that channel as are allowed',
  unreachable: 'it would have answered what the agent asked, and Letta could not be reached',
  bots_in_a_row: 'bots had written as much there as they may before a person does',
  stale_from_a_bot: 'it came from a bot, and was found too late',
  own_message: 'the agent wrote it itself',
  not_speech: 'it is a notice of Slack, not something that a person said',
  slack_itself: 'Slack wrote it',
  empty: 'there was nothing in it to read',
  unreadable: 'all its words were in attachments or blocks that the agent does not get',
  other_app: 'it was meant for another app',
  other_workspace: 'it was meant for another workspace',
};

function because(reason: string | null): string {
  if (reason === null) return '';
  const words = Object.hasOwn(BECAUSE, reason) ? BECAUSE[reason] : undefined;
  return words === undefined ? ` (${reason.replaceAll('_', ' ')})` : `: ${words}`;
}

function decided({ outcome, reason, at }: Decision): string {
  const time = moment(at);
  switch (outcome) {
    case 'accepted':
      return `${time}: it was taken in for the agent.`;
    case 'context':
      return `${time}: it was overheard: it goes to the agent as context with the next turn, but is no task of its own.`;
    case 'command':
      return `${time}: it was a command, and carried out.`;
    case 'helped':
      return `${time}: it only mentioned the agent, and got help.`;
    case 'repeated':
      return `${time}: it had been handled before.`;
    case 'refused':
      return `${time}: it was refused${because(reason)}.`;
    default:
      return `${time}: it was not answered${because(reason)}.`;
  }
}

const NOW = {
  queued: 'It waits for its turn.',
  held: 'It came too late to be run unasked, and waits for its author’s word.',
  context: 'It waits to be told to the agent as context.',
  running: 'The agent is working on it.',
  overheard: 'It was told to the agent as context.',
  done: 'It was handled.',
  unknown: null,
} as const;

/** Explains, in Markdown of ours, what became of a message. */
export async function explain(linked: Linked, log: DecisionLog, threads: Pick<Threads, 'load'>): Promise<string> {
  const decision = log.find(linked.key);
  const record = await threads.load(linked.thread);
  const now = record ? NOW[whereIs(record, linked.key)] : null;
  const lines = [...(decision ? [decided(decision)] : []), ...(now ? [now] : [])];
  if (lines.length > 0) return lines.join(' ');
  return `No such message has reached the bridge since ${moment(log.since)}; what came before is not remembered. Slack tells the bridge only of channels that the app is in.`;
}

/** Where a linked message was written. */
export function channelOf(linked: Linked): string {
  return parseMessageKey(linked.key).channel;
}
