import type { TurnUse } from '../../bridge/turn/steps.ts';
import { tokensText } from '../../bridge/words/usage.ts';

/** Slack takes a dialog only within three seconds of the click. @param doing what to do again: `click` or `try` */
export function notOpenedText(doing: 'click' | 'try'): string {
  return `Slack did not open the window in time. Please ${doing} again.`;
}

export const NOTHING_ASKED = 'Nothing to show.';
export const NO_DETAILS = 'There is nothing to show.';

/** The dialog of "Ask the agent about this". */
export const ASK = {
  title: 'Ask the agent',
  withoutText: 'The agent gets this message.',
  label: 'What about it?',
  placeholder: 'For example: why did this fail?',
  where: 'The answer comes in the thread below that message, where others can read it.',
} as const;

/** The dialog that shows all of a request. */
export const FULL = {
  previous: 'Previous page',
  next: 'Next page',
  approveAtEnd: 'You can approve on the last page.',
  isRedacted: 'Secrets are hidden («redacted»).',
  onlyYou: 'Only you see here what the card hides because it may be secret.',
} as const;

/** The dialog that denies a request, and its form for a plan. */
export const DENY = {
  request: { title: 'Deny', submit: 'Deny', label: 'What should it do instead?' },
  plan: { title: 'Ask for changes', submit: 'Send', label: 'What should change?' },
  placeholder: 'The agent reads this.',
} as const;

/** The dialog for another command; `other`: someone else must approve it. */
export const EDIT = {
  label: 'Command to run',
  placeholder: 'A command',
  own: {
    title: 'Edit and approve',
    submit: 'Approve',
    says: 'Runs exactly as written. The thread shows the change; the agent is not told.',
  },
  other: {
    title: 'Edit command',
    submit: 'Ask for approval',
    says: 'This counts as your command: someone else must approve it before it runs, and sees that you wrote it.',
  },
} as const;

/** The dialog that saves a rule. */
export const RULE = {
  title: 'Approve, save rule',
  submit: 'Approve and save',
  reach:
    'It applies to every thread and every agent that works there, and to everyone who may use them. A rule can cover more than this command: for example every “cat”, for files anywhere.',
} as const;

/** @param rule foreign text */
export function offeredRuleText(rule: string): string {
  return `Letta offers this rule: “${rule}”`;
}

/** Where Letta saves a rule. @param directory foreign text; `null`: not known */
export function savedInText(directory: string | null, device: string | null): string {
  const folder = directory ?? 'the agent’s working directory';
  const where = device === null ? folder : `${folder} on ${device}`;
  return `Letta saves it in ${where}. It applies there until someone removes it from .letta/settings.json.`;
}

/** The dialog that asks what was wrong with an answer. */
export const FEEDBACK = {
  title: 'Not a good answer',
  submit: 'Send',
  label: 'What was wrong?',
  placeholder: 'One line is enough.',
  says: 'The people who run the agent can read this.',
} as const;

/** The dialog for an answer in words. */
export const ANSWER = {
  title: 'Your answer',
  submit: 'Answer',
  inWords: 'In your own words',
  orWrite: 'Or write your own',
  choose: 'Your choice',
  chooseOne: 'Choose one, or write your own.',
  chooseSome: 'Choose one or more, or write your own.',
} as const;

export const NOTHING_CHANGED = 'Nothing changed';

/** The dialog that shows what a turn did. */
export const DETAILS = {
  title: 'What it did',
  wait: '⏳ One moment…',
  earlierPage: '◀ Earlier page',
  laterPage: 'Later page ▶',
  failure: '⚠️ Why it failed',
  notKept: '(not kept)',
  thought: 'Thought',
  summary: 'Letta summarised the earlier messages, because the model’s context was full.',
  result: 'Result',
  inLetta: 'Open the conversation in Letta',
} as const;

export function pageText(page: number, pages: number): string {
  return `Page ${page} of ${pages}`;
}

export function listHeadText(done: number, all: number): string {
  return `The agent's list: ${done} of ${all} done`;
}

export function stepsNotKeptText(earlier: number): string {
  return `${earlier} earlier steps are not kept.`;
}

/** The model and what a turn used of it. */
export function usedText({ model, context, isAll, ...tokens }: TurnUse): string {
  return [
    tokensText(tokens, isAll),
    ...(model === null ? [] : [`model ${model}`]),
    ...(context === null ? [] : [`context ${context} %`]),
  ].join(' · ');
}
