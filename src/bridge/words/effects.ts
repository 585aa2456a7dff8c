/** What a turn changed. `isCertain`: it changed nothing else. */
export interface Counted {
  commands: number;
  files: number;
  others: number;
  isCertain: boolean;
}

/** What a turn changed, as a sentence. */
export function effectsText({ commands, files, others, isCertain }: Counted): string {
  const more = isCertain ? '' : ', maybe more';
  if (files + others === 0) {
    if (commands > 0) return `${counted(commands, 'command')} had run${more}.`;
    return isCertain ? 'Nothing was changed.' : 'I can’t tell whether anything was changed.';
  }
  const done = [
    ...(commands > 0 ? [counted(commands, 'command')] : []),
    ...(files > 0 ? [counted(files, 'file change')] : []),
    ...(others > 0 ? [counted(others, files + commands > 0 ? 'other step' : 'step')] : []),
  ];
  return `Already done: ${done.join(', ')}${more}.`;
}

function counted(count: number, thing: string): string {
  return `${count} ${count === 1 ? thing : `${thing}s`}`;
}

/** What a second try may do. */
export const AGAIN = {
  twice: 'Trying again may do it twice.',
  notReached: 'The agent did not get your message.',
  inDoubt: 'I can’t tell whether the agent got your message, so trying again may run it twice.',
} as const;
