import type { DeviceOffers } from '../agent-event.ts';
import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';
import { plainName, plainWords } from '../text/plain-name.ts';

export const DEVICE = {
  asking: 'I’m asking the agent’s machine. The list will be here in a moment.',
  busy: 'Too many people are waiting for this list. Try again in a moment.',
  notListed: 'I could not reach the agent’s machine, so there is no list. Try again later.',
  noSkills: 'No skills are known here yet: Letta tells them at the end of a turn.',
  noCommands: 'The agent’s machine has no commands of its own.',
  howToUse: 'To have a skill used, write “use the skill” and its name. To run a command, write `!run` and its name.',
  usage: 'Which command? `!skills` lists them; write `!run <name> [what it takes]`.',
  tooLong: 'That is too long: a command takes at most 2,000 characters.',
  begins: 'I’m asking the agent’s machine to run it. I’ll say here when it has; what you write meanwhile waits.',
  runs: 'A command is already running on the agent’s machine here. Try again when it is over.',
  isWorking: 'I’m working here. Write `!run` again when I’m done.',
  unsure: 'The agent’s machine didn’t say whether it ran the command. Look there before you run it again.',
  notAsked: 'I could not reach the agent’s machine, so the command did not run. Try again later.',
  waits: 'A command is running on the agent’s machine; I’ll begin when it is over.',
} as const;

const LISTED = 40;
const ABOUT = 120;
const OUTPUT = 2_000;

/** What the machine offers, Markdown of ours. All names and descriptions are foreign. */
export function offersText({ skills, commands }: DeviceOffers): string {
  const line = (name: string, about: string) => {
    const words = plainWords(about, ABOUT);
    return `- ${asCode(oneLine(name, 80))}${words === '' ? '' : `: ${words}`}`;
  };
  const list = (lines: readonly string[]) =>
    lines.length <= LISTED ? lines : [...lines.slice(0, LISTED), `- … and ${lines.length - LISTED} more`];
  return [
    ...(skills.length === 0
      ? [DEVICE.noSkills]
      : ['*Skills*', ...list(skills.map((each) => line(each.name, each.description)))]),
    ...(commands.length === 0
      ? [DEVICE.noCommands]
      : [
          '*Commands of the machine*',
          ...list(commands.map((each) => line(`${each.name} ${each.args}`.trim(), each.description))),
        ]),
    DEVICE.howToUse,
  ].join('\n');
}

export function unknownCommandText(name: string, known: readonly string[]): string {
  const some = known.slice(0, 10).map((each) => asCode(oneLine(each, 80)));
  const there = some.length === 0 ? DEVICE.noCommands : `It has ${some.join(', ')}.`;
  return `The agent’s machine has no command ${asCode(oneLine(name, 80))}. ${there}`;
}

/** Above the answer of a turn that a command of the machine began. @param command as {@link ranText} */
export function begunByCommandText(command: string): string {
  return `Begun by ${asCode(`!run ${command}`)}.`;
}

/**
 * Says in the thread what came of a command.
 * @param name of the person, no mention: it notifies no one. @param command as they gave it, without secrets
 * @param output the machine's words, without secrets
 */
export function ranText(name: string, command: string, ok: boolean, output: string): string {
  const who = plainName(name) || 'Someone';
  const line = asCode(oneLine(command, 200));
  const head = ok
    ? `${who} ran ${line} on the agent’s machine.`
    : `⚠️ ${who} ran ${line} on the agent’s machine, and it failed.`;
  const said = output.trim();
  if (said === '') return head;
  const shown = said.length <= OUTPUT ? said : `${said.slice(0, OUTPUT)}…`;
  return `${head}\n\`\`\`\n${shown.replaceAll('```', "'''")}\n\`\`\``;
}
