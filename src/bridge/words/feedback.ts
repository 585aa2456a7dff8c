import { inClear } from '../text/in-clear.ts';
import { moment } from '../text/moment.ts';

export const FEEDBACK_THANKS = 'Thank you. I noted it for the people who run me.';
export const FEEDBACK_OVER = 'This answer is too old, so I no longer note what you think of it.';
export const NO_FEEDBACK = 'No one has said yet what they think of an answer.';

const SIGNS = { good: '👍', bad: '👎' } as const;

export interface FeedbackLine {
  at: number;
  user: string;
  /** Where the answer is, in Markdown of ours. */
  where: string;
  verdict: keyof typeof SIGNS;
  words: string | null;
}

/** What people think of answers, the latest first, in Markdown of ours. */
export function feedbackText(counts: { good: number; bad: number }, lines: readonly FeedbackLine[]): string {
  const head = `${counts.good} ${SIGNS.good} · ${counts.bad} ${SIGNS.bad}`;
  const rows = lines.map(({ at, user, where, verdict, words }) => {
    const why = words === null ? '' : `: ${inClear(words, 300)}`;
    return `- ${moment(at, 'minutes')} ${SIGNS[verdict]} from <@${user}> in ${where}${why}`;
  });
  return [head, ...rows].join('\n');
}
