/** What an offer that waits on the Home tab is about, and what its reader can do there. */
export const OFFERED = {
  run_held: 'Your message arrived too late to run automatically. You can run or discard it.',
  send_again: 'You can try again.',
  start_new: 'You can start a new conversation with your message.',
  continue: 'You can let the agent continue.',
  ask_again: 'You can let the agent ask again.',
  schedule: 'You can confirm the schedule.',
  deny_or_keep: 'You can deny the request with your message, or keep it for later.',
} as const;
