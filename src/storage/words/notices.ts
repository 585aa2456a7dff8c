/** What people hear when the store does not do what the bridge asks. */
export const NOTICES = {
  full: 'Too much is queued in this conversation. Wait until some of it is done, or start a new one.',
  unreachable: 'I can’t reach my storage right now.',
  newer: 'This conversation was last used by a newer version of the bridge.',
  unreadable: 'I can’t read what I stored about this conversation.',
} as const;
