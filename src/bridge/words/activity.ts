/** The notice of a turn that waits only until a bridge that has just started knows more. */
export const RESUMING = 'I restarted and am asking how far the agent is.';
