import { asCode } from '../text/as-code.ts';

/** Why Slack does not let the bridge write in a thread, as the beginning of a sentence. @param reason Slack's error code */
export function cannotWriteText(reason: string, channel: string): string {
  const place = `<#${channel}>`;
  switch (reason) {
    case 'not_in_channel':
    case 'channel_not_found':
      return `I am no longer in ${place}`;
    case 'is_archived':
    case 'is_inactive':
      return `${place} is archived`;
    case 'thread_gone':
      return `The first message of your thread in ${place} was deleted`;
    default:
      return `Slack does not let me write in ${place} (${asCode(reason)})`;
  }
}

/** What follows {@link cannotWriteText}. */
const WHAT = {
  card: 'so I can’t show there what the agent asks. It waits until I can write there again, for at most 12 hours.',
  answer: 'so I can’t post my answer there. I’ll keep trying for 12 hours. Here it is:',
  waits: 'so what you wrote there waits until I can answer:',
  givenUp: 'so here is my answer:',
  notRun: 'so I did not run what you wrote there:',
} as const;

/** @param why as {@link cannotWriteText} says it @param messages lines of Markdown, where the sentence ends in a colon */
export function heldUpText(why: string, what: keyof typeof WHAT, messages = ''): string {
  return [`${why}, ${WHAT[what]}`, messages].join('\n').trimEnd();
}
