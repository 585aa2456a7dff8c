import { commandName } from '../command-name.ts';
import { line } from '../printable.ts';

/** The last line of setup. @param isReady whether doctor found nothing to fix */
export function nextStep(isReady: boolean, botName: string): string {
  return isReady
    ? line`Next: start the bridge with ${commandName('start')}, and write in Slack: @${botName} what can you do?`
    : line`Next: fix what has a ✗ above, then run ${commandName('doctor')} again.`;
}
