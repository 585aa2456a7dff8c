import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';
import { plainName, plainWords } from '../text/plain-name.ts';
import { redact } from '../text/redact.ts';
import { ANOTHER_CLIENT } from './clients.ts';

export const STATUS = {
  idle: 'Idle',
  finishing: 'finishing',
  runsCommand: 'A command is running on the agent’s machine',
  summarises: 'Letta is summarising the earlier messages',
  copies: 'The conversation is being copied for a new thread',
  muted: 'Muted: I answer only messages that mention me.',
  nothingQueued: 'Nothing is queued.',
  howToChange: 'Edit or delete your message to change or withdraw it.',
} as const;

/** @param user `null`: no one in Slack asked */
export function workingForText(user: string | null, doing: string): string {
  return `Working for ${user === null ? ANOTHER_CLIENT : `<@${user}>`}: ${doing}`;
}

/** @param doing one of {@link STATUS} */
export function cannotStopText(doing: string): string {
  return `${doing}: I can’t stop that. I’ll say here when it is over.`;
}

/** @param tasks as `describeTasks()` says them */
export function inBackgroundText(tasks: string): string {
  return `In the background: ${tasks}`;
}

export function queuedText(count: number): string {
  return `Queued: ${count}.`;
}

/** @param line the cause and what was changed; foreign text @param at as `moment()` says it */
export function lastFailureText(line: string, at: string): string {
  return `The last turn failed (${at}): ${plainWords(line, 400)}`;
}

export function undecidedText(count: number): string {
  return `Waiting for a decision: ${count}.`;
}

/** @param list machines that dial the bridge; their names are foreign text */
export function machinesText(list: readonly { name: string; isOnline: boolean }[]): string {
  const names = list.slice(0, 10).map(({ name, isOnline }) => `${asCode(name)} (${isOnline ? 'online' : 'offline'})`);
  const more = list.length > 10 ? [`${list.length - 10} more`] : [];
  return names.length === 0 ? 'No machine has dialled in yet.' : `Machines: ${[...names, ...more].join(', ')}`;
}

/** Rules that are named; of the others the number is told. */
const RULES_NAMED = 5;

/** What runs without asking by rules on the agent's machine, whoever saved them there: foreign texts. */
export function savedRulesTexts(rules: readonly string[]): string[] {
  if (rules.length === 0) return [];
  const named = rules.slice(0, RULES_NAMED).map((rule) => asCode(oneLine(redact(rule.slice(0, 2_000)).text, 100)));
  const more = rules.length > RULES_NAMED ? ` and ${rules.length - RULES_NAMED} more` : '';
  return [
    `Runs without asking, by rules on the agent’s machine: ${named.join(', ')}${more}. They hold for the whole directory; remove them in its \`.letta/settings.json\`.`,
  ];
}

/** Which agent, and where it works, as far as both are known. The values are foreign text. */
export function whereTexts(place: {
  agentName: string | null;
  device: string | null;
  workingDirectory: string | null;
}) {
  const { agentName, device, workingDirectory } = place;
  const name = plainName(agentName ?? '');
  const words = [
    ...(name === '' ? [] : [`**${name}**`]),
    ...(workingDirectory ? [`in ${asCode(workingDirectory)}`] : []),
    ...(device ? [`on ${asCode(device)}`] : []),
  ];
  return words.length === 0 ? [] : [`agent ${words.join(' ')}`];
}
