/** Where what a person wrote begins in a prompt of the bridge, by the heading that the bridge has sealed. */
const TRUSTED = /, trusted: /;

/**
 * What people wrote to the agent, without the bridge's envelope; `null`: the prompt has no envelope. Its lines begin with
 * the seal that the first line names; only the ones below a heading of a trusted message count.
 */
export function spokenWords(prompt: string): string | null {
  const seal = /^\[[^\]\s]+\] /.exec(prompt)?.[0];
  if (seal === undefined || !prompt.startsWith(`${seal}From Slack, `)) return null;
  const spoken: string[] = [];
  let isSpoken = false;
  for (const line of prompt.split('\n')) {
    if (line.startsWith(seal)) isSpoken = TRUSTED.test(line);
    else if (isSpoken) spoken.push(line);
  }
  return spoken.join('\n').trim();
}
