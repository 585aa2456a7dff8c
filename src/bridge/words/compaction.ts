import { plainName } from '../text/plain-name.ts';

export const COMPACTION = {
  begins:
    'I’m asking Letta to summarise the earlier messages. I’ll say here when it has; what you write meanwhile waits.',
  runs: 'Letta is already summarising the earlier messages here.',
  isWorking: 'I’m working here. Write `!compact` again when I’m done.',
  unsure:
    'Letta didn’t say whether it has summarised the earlier messages. `!status` shows how full the context is after the next answer.',
  notAsked: 'I could not reach Letta, so the earlier messages are not summarised. Try `!compact` again later.',
  waits: 'Letta is summarising the earlier messages; I’ll begin when it has.',
} as const;

/** Says in the thread what Letta made of it. @param name of the person, no mention: it notifies no one */
export function compactedText(name: string, messages: { before: number; after: number } | null): string {
  const who = plainName(name) || 'Someone';
  // A summary counts as a message, too.
  const isLess = messages !== null && messages.after < messages.before;
  const how = isLess ? ` (${messages.before} became ${messages.after})` : '';
  return `— ${who} had Letta summarise the earlier messages${how}: the agent knows only the summary of them now —`;
}
