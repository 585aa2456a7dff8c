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
import { stateOfMessage } from '../record/message-state.ts';
import { moment } from '../text/moment.ts';
import { unseenText } from '../words/commands.ts';
import { NOW, outcomeText } from '../words/why.ts';
import type { OutcomeLog } from './outcome-log.ts';

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

/** Explains, in Markdown of ours, what became of a message. */
export async function explainMessage(linked: Linked, log: OutcomeLog, threads: Pick<Threads, 'load'>): Promise<string> {
  const decision = log.findOutcome(linked.key);
  const record = await threads.load(linked.thread);
  const now = record ? NOW[stateOfMessage(record, linked.key)] : null;
  const isAccepted = decision === null || decision.outcome === 'accepted' || decision.outcome === 'repeated';
  // A message that is done may also have been refused, or a command.
  if (now === NOW.done) return isAccepted ? now : outcomeText(decision);
  const lines = [...(decision ? [outcomeText(decision)] : []), ...(now ? [now] : [])];
  if (lines.length > 0) return lines.join(' ');
  return unseenText(moment(log.since));
}

/** Where a linked message was written. */
export function channelOfLink(linked: Linked): string {
  return parseMessageKey(linked.key).channel;
}
