import { commandName } from '../command-name.ts';
import { line } from '../printable.ts';

/** The last line of setup. @param isReady whether doctor found nothing to fix @param botName `null`: nobody has installed the app yet */
export function nextStep(isReady: boolean, botName: string | null): string {
  if (isReady && botName === null)
    return `Next: start the bridge with ${commandName('start')}, install the app at the address above, and mention it in Slack.`;
  return isReady
    ? line`Next: start the bridge with ${commandName('start')}, and write in Slack: @${botName ?? ''} what can you do?`
    : line`Next: fix what has a ✗ above, then run ${commandName('doctor')} again.`;
}
