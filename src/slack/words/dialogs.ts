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
