/** What a person reads once below the first answer in a direct message. @param inChannels whether the agent works there, too */
export function headsUpText(inChannels: boolean): string {
  const where = inChannels ? 'in channels' : 'elsewhere';
  return `Heads-up: this agent has one memory for all its conversations; what you write here can come up ${where}.`;
}

/** The same on the Home tab. */
export function memoryText(inChannels: boolean): string {
  const where = inChannels ? ', including in channels' : '';
  return `This agent shares one memory, and usually one working copy, across its conversations. What you write in direct messages can come up elsewhere${where}.`;
}
