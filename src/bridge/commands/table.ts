import { editDistance } from '../text/edit-distance.ts';
import { WHERE_TO_WRITE } from '../words/commands.ts';
import { isStopWord, STOP_WORDS } from './stop-words.ts';

export interface Command {
  name: string;
  /** Other words for it. */
  aliases: readonly string[];
  /** The arguments, in words for people; `null`: it takes none, so a longer line is a prompt. */
  args: string | null;
  help: string;
  /** What it acts on. For `/agent` Slack does not say in which thread it was typed. */
  about: 'thread' | 'running' | 'anything';
  /** Left out: whoever may write to the agent. `admins_to_change`: only admins may give arguments. */
  who?: 'admins' | 'admins_to_change';
  /** `card`: only a card without buttons tells people of it, because everywhere else there is a button. */
  toldOn?: 'card';
}

/**
 * The one table of commands, the most used first: `/agent name` and, where Slack forbids slash commands, `!name` or
 * `@bot !name`.
 */
export const commands = [
  {
    name: 'stop',
    aliases: STOP_WORDS.slice(1),
    args: null,
    help: 'stop what the agent is doing and discard the queued messages. In a thread, the bare word does the same',
    about: 'running',
  },
  {
    name: 'status',
    aliases: [],
    args: null,
    help: 'show what the agent is doing in this thread, its model and how full its context is',
    about: 'running',
  },
  {
    name: 'new',
    aliases: ['reset'],
    args: null,
    help: 'forget this conversation: the next message starts a new one',
    about: 'thread',
  },
  {
    name: 'compact',
    aliases: [],
    args: null,
    help: 'let Letta summarise the earlier messages, so that the model has room again: the agent then knows only the summary of them',
    about: 'thread',
  },
  {
    name: 'fork',
    aliases: [],
    args: null,
    help: 'go on in a new thread, with a copy of this conversation: both threads know all that was said so far, and nothing of what the other one says from now on',
    about: 'thread',
  },
  {
    name: 'now',
    aliases: [],
    args: '[message]',
    help: 'send a message to the running turn, if that works for you: it joins right after the current tool. Without a message: those of yours that wait',
    about: 'thread',
  },
  {
    name: 'skills',
    aliases: [],
    args: null,
    help: 'list the skills of the agent’s machine and the commands that its user has installed, where the policy allows it',
    about: 'thread',
  },
  {
    name: 'run',
    aliases: [],
    args: '<command> [what it takes]',
    help: 'run a command that the user of the agent’s machine has installed, where the policy allows it',
    about: 'thread',
  },
  { name: 'queue', aliases: [], args: null, help: 'list the queued messages', about: 'running' },
  {
    name: 'schedule',
    aliases: [],
    args: '<when> :: <what>',
    help: 'let the agent do something at set times, such as `every Monday 9:00 :: post the open incidents`; you confirm it on a card first',
    about: 'thread',
  },
  {
    name: 'schedules',
    aliases: [],
    args: '[pause | resume | run | delete <id>]',
    help: 'list your schedules and those of this thread, or change one; admins see all',
    about: 'anything',
  },
  {
    name: 'mute',
    aliases: [],
    args: null,
    help: 'in this thread, answer only messages that mention the agent',
    about: 'thread',
  },
  { name: 'unmute', aliases: [], args: null, help: 'answer replies in this thread again', about: 'thread' },
  {
    name: 'share',
    aliases: [],
    args: null,
    help: 'show the last answer in this thread in the channel, too, if it answered you',
    about: 'thread',
  },
  {
    name: 'why',
    aliases: [],
    args: '<link to a message>',
    help: 'explain why a message was or was not answered',
    about: 'anything',
  },
  {
    name: 'agent',
    aliases: [],
    args: '[agent-… | on <device> | in <directory> | default]',
    help: 'show which agent answers in this channel, on which device and in which directory; admins can change it for new conversations',
    about: 'anything',
    who: 'admins_to_change',
  },
  {
    name: 'mode',
    aliases: [],
    args: '[guarded | standard | acceptEdits | strict | default]',
    help: 'show what the agent may do in this channel without asking; admins can change it',
    about: 'anything',
    who: 'admins_to_change',
  },
  {
    name: 'model',
    aliases: [],
    args: '[part of a name | <name> [effort]]',
    help: 'show which model this conversation uses and which there are, with a button to choose a model and tools: for admins, and for the person who began the thread where the policy allows. As `/agent model` in a channel: the model of new conversations there',
    about: 'thread',
  },
  {
    name: 'attach',
    aliases: [],
    args: '<conversation id> [on <device>]',
    help: 'give a conversation that began in another program a thread here: what was said last is shown, and replies go on with it; admins only',
    about: 'anything',
    who: 'admins',
  },
  {
    name: 'detach',
    aliases: [],
    args: null,
    help: 'give this thread’s conversation up: it stays at Letta, and the next message here starts a new one; admins only',
    about: 'thread',
    who: 'admins',
  },
  {
    name: 'audit',
    aliases: [],
    args: '[how many]',
    help: 'list the latest requests that you could decide, with their outcomes',
    about: 'anything',
  },
  {
    name: 'feedback',
    aliases: [],
    args: '[how many]',
    help: 'list what people think of answers (👍 and 👎 below them); admins only',
    about: 'anything',
    who: 'admins',
  },
  {
    name: 'usage',
    aliases: [],
    args: '[days, such as 7d]',
    help: 'show turns and tokens by person, channel and model; admins only',
    about: 'anything',
    who: 'admins',
  },
  {
    name: 'pause',
    aliases: [],
    args: null,
    help: 'stop everything, everywhere, and start nothing new; admins only',
    about: 'anything',
    who: 'admins',
  },
  {
    name: 'resume',
    aliases: [],
    args: null,
    help: 'let the agent work again; admins only',
    about: 'anything',
    who: 'admins',
  },
  { name: 'help', aliases: [], args: null, help: 'how to use the agent', about: 'anything' },
  { name: 'commands', aliases: ['more'], args: null, help: 'this list', about: 'anything' },
  {
    name: 'approve',
    aliases: [],
    args: '<id>',
    help: 'approve a request whose card has no buttons; the card shows its id',
    about: 'thread',
    toldOn: 'card',
  },
  {
    name: 'deny',
    aliases: [],
    args: '<id> [reason]',
    help: 'deny such a request',
    about: 'thread',
    toldOn: 'card',
  },
] as const satisfies readonly Command[];

export type CommandName = (typeof commands)[number]['name'];

export type ParsedCommand =
  | { kind: 'command'; name: CommandName; args: string }
  /** `word`: as it was typed, of any length. */
  | { kind: 'unknown'; word: string };

const TABLE: readonly (Command & { name: CommandName })[] = commands;

function findCommand(word: string): (Command & { name: CommandName }) | undefined {
  const lower = word.toLowerCase();
  return TABLE.find(({ name, aliases }) => name === lower || aliases.includes(lower));
}

/** Whether only admins may give the command with these arguments. */
export function isForAdmins(name: CommandName, args: string): boolean {
  const who = findCommand(name)?.who;
  return who === 'admins' || (who === 'admins_to_change' && args !== '');
}

/** What a command acts on. */
export function aboutOf(name: CommandName): Command['about'] {
  return findCommand(name)?.about ?? 'anything';
}

/**
 * Parses `!word`, with arguments if the command takes any, or a stop word alone. `null` for prompts, such as
 * "!stop the deploy" and "stop the deploy".
 */
export function parseBang(text: string): ParsedCommand | null {
  if (isStopWord(text)) return { kind: 'command', name: 'stop', args: '' };
  const found = /^!([a-z]+)(?:\s+(\S[\s\S]*))?$/i.exec(text.trim());
  if (!found?.[1]) return null;
  const [, word, args = ''] = found;
  const command = findCommand(word);
  if (!command) return args === '' ? { kind: 'unknown', word } : null;
  return args === '' || command.args !== null ? { kind: 'command', name: command.name, args } : null;
}

/** Parses what follows `/agent`; an empty text asks for help. */
export function parseSlash(text: string): ParsedCommand {
  if (isStopWord(text)) return { kind: 'command', name: 'stop', args: '' };
  const found = /^(\S+)(?:\s+(\S[\s\S]*))?$/.exec(text.trim());
  if (!found?.[1]) return { kind: 'command', name: 'help', args: '' };
  const [whole, word, args = ''] = found;
  const command = findCommand(word);
  if (!command || (args !== '' && command.args === null)) return { kind: 'unknown', word: whole };
  return { kind: 'command', name: command.name, args };
}

/** The list of commands, in Markdown of ours. */
export function commandList(): string {
  const rows = TABLE.filter(({ toldOn }) => toldOn === undefined).map(({ name, args, help }) => {
    return `- \`${args === null ? name : `${name} ${args}`}\`: ${help}`;
  });
  return [WHERE_TO_WRITE, '', ...rows].join('\n');
}

/** The command that was probably meant; `null` when none is similar. @param word as it was typed, of any length */
export function similarCommand(word: string): CommandName | null {
  const typed = word.toLowerCase();
  if (typed.length > LONGEST_NAME + 2) return null;
  const near = TABLE.flatMap(({ name, aliases }) => {
    return [name, ...aliases].map((each) => ({ name, distance: editDistance(typed, each), length: each.length }));
  }).filter(({ distance, length }) => distance <= (length < 7 ? 1 : 2));
  return near.toSorted((a, b) => a.distance - b.distance)[0]?.name ?? null;
}

const LONGEST_NAME = 9;

/** The table of commands in docs/using.md, in Markdown. */
export function commandsTable(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = TABLE.map(({ name, aliases, args, help, who }) => {
    const words = [`\`${cell(args === null ? name : `${name} ${args}`)}\``, ...aliases.map((alias) => `\`${alias}\``)];
    const whose = who === undefined ? 'everyone' : who === 'admins' ? 'admins' : 'everyone; admins can change it';
    return `| ${words.join(', ')} | ${cell(help)} | ${whose} |`;
  });
  return ['| command | what it does | who can use it |', '| --- | --- | --- |', ...rows].join('\n');
}
