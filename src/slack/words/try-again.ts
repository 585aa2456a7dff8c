/** For people whose click, dialog or command nobody could take in time: the bridge is moving to another machine. */
export const TRY_AGAIN = {
  title: 'Try again',
  close: 'Back',
  /** It certainly had no effect. */
  nothingDone: 'The bridge is restarting, so nothing happened. Please try again in a few seconds.',
  /** It may have had its effect. */
  notKnown: 'The bridge did not answer in time. Check whether it happened before you try again.',
} as const;
