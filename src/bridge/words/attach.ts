import { asCode } from '../text/as-code.ts';
import { moment } from '../text/moment.ts';
import { plainName, plainWords } from '../text/plain-name.ts';

/* What people read when a conversation that began elsewhere gets a thread, or leaves one. Markdown of ours. */

/** @param command as it is written where its answer is read: outside of threads, `!attach` would be ignored */
export function attachUsageText(command: '!attach' | '/agent attach'): string {
  return `Write the id of the conversation: \`${command} conv-…\`, \`${command} local-conv-3\` or, on another machine, \`${command} local-conv-3 on <device>\`. Letta’s clients and the address of its web page show it.`;
}

export const ATTACH = {
  isDefault:
    'Each agent has a conversation called `default`, so I can’t tell which one you mean. Attach one that has an id of its own.',
  hasConversation:
    'This thread has a conversation already. Write `/agent attach` and the id in the channel, and the conversation gets a thread of its own. To use this thread, write `!detach` here first.',
  busy: 'I’m attaching a conversation right now. Try again in a moment.',
  noThread: 'Slack doesn’t let me begin a thread there. Invite me to the channel, then try again.',
  otherWorkspace:
    'People of another Slack workspace write in that conversation, so it can’t be shown here. Attach it in that workspace.',
  notKnown: 'This bridge can’t look up conversations.',
  nothingToGive: 'There is no conversation here to give up.',
  hasSchedules: 'This conversation has schedules. Delete them first: `!schedules` lists them.',
} as const;

interface Titled {
  /** Of the conversation. */
  id: string;
  /** Foreign text, as is the agent's name. */
  title: string | null;
  agentName: string | null;
}

function conversationText({ id, title, agentName }: Titled): string {
  const called = plainWords(title ?? '', 80);
  const agent = plainName(agentName ?? '');
  const name = called === '' ? asCode(id) : `**${called}** (${asCode(id)})`;
  return `conversation ${name}${agent === '' ? '' : ` of agent **${agent}**`}`;
}

/** The message that begins the thread. @param by the person's name: no mention, it notifies no one */
export function attachRootText(conversation: Titled, by: string): string {
  return `${plainName(by) || 'Someone'} brings a conversation here: ${conversationText(conversation)}. What was said last is in this thread.`;
}

/** Below the last messages, once the thread has the conversation. @param isTold whether its messages were shown above */
export function attachedText(conversation: Titled, by: string, isTold: boolean): string {
  const above = isTold ? ' Above is what was said last.' : ' Nothing was said in it yet.';
  return `— ${plainName(by) || 'Someone'} attached ${conversationText(conversation)} —\nReply here to go on with it.${above} What other clients ask in it shows here, too. \`!detach\` gives it up.`;
}

/** @param by the person's name */
export function detachedText(by: string, id: string): string {
  return `— ${plainName(by) || 'Someone'} detached the conversation ${asCode(id)} —\nIt is still at Letta; \`!attach ${id.replace(/[`\s]/g, '')}\` gives it a thread again. The next message here starts a new one.`;
}

/** @param url of the thread; `null`: not known. @param where the channel in words */
export function ownedText(url: string | null, where: string): string {
  const thread = url === null ? `a thread in ${where}` : `[a thread](${url}) in ${where}`;
  return `That conversation belongs to ${thread} already. Go on there; or write \`!detach\` there first, then attach it again.`;
}

/** @param found whose it is; @param bound the channel's agent: both are ids */
export function otherAgentText(found: string, bound: string): string {
  return `That conversation is of the agent ${asCode(found)}, and here ${asCode(bound)} answers. Attach it in a channel of its agent, or write \`/agent agent ${found.replace(/[^\w-]/g, '')}\` in this channel first.`;
}

export interface ToldWords {
  by: 'agent' | 'client' | 'schedule' | 'slack';
  name: string | null;
  at: number | null;
  text: string;
  cut: number;
  tools: number;
}

/** One message of the conversation, quoted under a line that says whose it is. Its text is foreign. */
export function toldText({ by, name, at, text, cut, tools }: ToldWords): string {
  const tool = tools === 0 ? '' : ` · after ${tools} ${tools === 1 ? 'tool' : 'tools'}`;
  const time = at === null ? '' : ` · ${moment(at, 'minutes')}`;
  const more = cut === 0 ? [] : [`… and ${cut} more ${cut === 1 ? 'character' : 'characters'}`];
  const lines = [...text.replace(TOKENS, '‹$1›').split(/\r\n|[\n\r\u2028\u2029]/), ...more];
  return [`**${whoText(by, name)}**${tool}${time}`, ...lines.map((line) => `> ${line}`)].join('\n');
}

/** What Slack would read as a mention or a date where the bridge itself writes. */
const TOKENS = /<([@#][A-Z0-9][^>\n]{0,80}|!(?:subteam|date)\^[^>\n]{0,200})>/g;

function whoText(by: ToldWords['by'], name: string | null): string {
  if (by === 'agent') return 'The agent';
  if (by === 'schedule') return 'A schedule';
  if (by === 'client') return 'Another client';
  const author = plainName(name ?? '');
  return author === '' ? 'From Slack' : `${author}, from Slack`;
}
