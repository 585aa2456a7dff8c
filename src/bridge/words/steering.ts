/** What the author of a waiting message hears who hands it to the running turn. */
export const STEERING = {
  handedOver: 'Your message joins the running turn right after the current tool. If no tool runs, it runs next.',
  nothingWaits: 'None of your messages is waiting here.',
  nothingRuns: 'No turn is running here, so there is nothing to join.',
  notOfPeople: 'No one in this thread began this turn, so your message runs when it has finished.',
  writeInThread: 'Write `!now` and your message in the thread of the running turn.',
  editedTooLate: 'The agent already had your message before you edited it. To change what it does, send a new message.',
} as const;

/** @param whose a mention of the turn's requester */
export function notYourTurnText(whose: string): string {
  return `This turn works for ${whose}, so only their messages can join it. Yours runs when it has finished.`;
}
