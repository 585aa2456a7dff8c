import type { ContextBlock } from '@slack/types';
import type { ApprovalState } from '../../bridge/thread-record.ts';
import { context, mention, mrkdwn, plain, time } from './blocks.ts';

const DECIDED = { approved: ['✅', 'Approved'], denied: ['⛔', 'Denied'], answered: ['💬', 'Answered'] } as const;
const CLOSED = {
  answered_elsewhere: 'Answered elsewhere',
  turn_over: 'No longer needed: the turn is over',
  link_lost: 'Lost with the connection to Letta',
} as const;

export interface DecisionLine {
  block: ContextBlock;
  /** Not neutralised. */
  words: string;
}

/** What became of a card, in one line: outcome, who, when, what it was about, reason. `null` while it is open. */
export function decisionLine(state: ApprovalState, title: string): DecisionLine | null {
  switch (state.state) {
    case 'open':
      return null;
    case 'decided': {
      const [sign, word] = DECIDED[state.decision];
      const ours = `${sign} *${word}* by ${mention(state.by)} ${time(state.at)}`.trim();
      const more = state.words === null || state.words === '' ? [] : [plain(`“${oneLine(state.words)}”`)];
      return { block: context(mrkdwn(ours), plain(oneLine(title)), ...more), words: `${word}: ${title}` };
    }
    case 'closed': {
      const word = CLOSED[state.why];
      const ours = `◽ ${word} ${time(state.at)}`.trim();
      return { block: context(mrkdwn(ours), plain(oneLine(title))), words: `${word}: ${title}` };
    }
    default:
      return state satisfies never;
  }
}

const oneLine = (text: string) => text.slice(0, 2_000).replace(/\s+/g, ' ').trim();
