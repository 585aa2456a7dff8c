/** The one table of commands: `/agent name` and, where Slack forbids slash commands, `!name`. */
export const commands = [
  { name: 'help', help: 'what the agent can be asked, and these commands' },
  { name: 'status', help: 'what the agent is doing in this thread' },
  { name: 'stop', help: 'stop what the agent is doing now; messages that wait are dropped' },
  { name: 'new', help: 'forget this conversation: the next message starts another' },
] as const;

export type CommandName = (typeof commands)[number]['name'];

export type ParsedCommand = { kind: 'command'; name: CommandName } | { kind: 'unknown'; word: string };

function named(word: string): ParsedCommand {
  const found = commands.find((command) => command.name === word.toLowerCase());
  return found ? { kind: 'command', name: found.name } : { kind: 'unknown', word };
}

/** A message that is nothing but `!word`; "!stop the deploy" is a prompt. */
export function parseBang(text: string): ParsedCommand | null {
  const found = /^!([a-z]+)$/i.exec(text.trim());
  return found?.[1] ? named(found[1]) : null;
}

/** What stands behind `/agent`; nothing at all asks for help. */
export function parseSlash(text: string): ParsedCommand {
  const words = text.trim();
  return words === '' ? { kind: 'command', name: 'help' } : named(words);
}

/** Markdown. */
export function helpText(botUser: string): string {
  const rows = commands.map((command) => `- \`!${command.name}\` or \`/agent ${command.name}\`: ${command.help}`);
  return [
    `Mention <@${botUser}> with a task and the agent answers in the thread. Reply in the thread to go on; people who have not mentioned it there are only overheard.`,
    'When a tool needs consent, the person who asked gets a card with buttons.',
    '',
    ...rows,
    '',
    'Slash commands do not work inside threads; there, use the form with `!`.',
  ].join('\n');
}
