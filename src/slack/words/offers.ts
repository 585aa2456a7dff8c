import type { OfferView } from '../../bridge/view/offer.ts';

/** The buttons of offers, and what a screen reader says of each. */
export const OFFER_LABELS: Readonly<Record<OfferView['buttons'][number], { label: string; says: string }>> = {
  run_now: { label: 'Run now', says: 'Run the late messages' },
  drop: { label: 'Discard', says: 'Discard the late messages' },
  send_again: { label: 'Try again', says: 'Send the messages to the agent again' },
  start_new: {
    label: 'Start a new conversation',
    says: 'Start a new conversation in this thread, with the messages that could not be run',
  },
  continue: { label: 'Continue', says: 'Let the agent continue' },
  ask_again: { label: 'Ask again', says: 'Let the agent ask again' },
  deny_with_this: { label: 'Deny and tell it', says: 'Deny the request, with this message as the reason' },
  keep_queued: { label: 'Keep for later', says: 'Keep the message until the agent is done' },
  make_schedule: { label: 'Schedule it', says: 'Make this schedule' },
  drop_schedule: { label: 'Don’t', says: 'Don’t make this schedule' },
  stop: { label: 'Stop', says: 'Stop the agent' },
};
