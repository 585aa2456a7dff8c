/** What the bot says in a channel that it was invited to. @param help how to begin; both are Markdown of ours */
export function welcomeText(help: string, prompts: readonly { message: string }[]): string {
  const [first] = prompts;
  const example = first === undefined ? [] : [`For example: ${first.message}`];
  return ['Hello! I bring an AI agent into your threads.', help, ...example].join('\n\n');
}

/** What its inviter hears where it may not work. @param notice why not, as one or two sentences */
export function notServedText(notice: string, channel: string): string {
  const how = `To allow this channel, add \`${channel}\` to \`channels\` in policy.yml or to SLACK_ALLOWED_CHANNELS.`;
  return `${notice} ${how}`;
}
