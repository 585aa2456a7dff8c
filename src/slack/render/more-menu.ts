import type { Button, Overflow } from '@slack/types';
import type { Token } from '../../bridge/ids.ts';
import { ANSWER_MENU } from '../words/answer.ts';
import { BUTTONS } from '../words/cards.ts';
import { ACTION_IDS, MORE_MENU, type MoreAction, makeMoreValue } from './action-ids.ts';
import { button, plain } from './blocks.ts';
import { LIMITS } from './limits.ts';

export interface MoreOption {
  action: MoreAction;
  /** What the action is about: the card's token, or the turn's for Stop. */
  token: Token;
  label: string;
  /** What a screen reader says where it is a button. */
  says: string;
}

/** So many options a menu must have (docs/slack.md, Size limits). */
const FEWEST = 2;

/** A card's menu of less used actions; a single one is a button, because Slack may refuse a menu of one. */
export function moreMenu(options: readonly MoreOption[]): (Button | Overflow)[] {
  if (options.length < FEWEST) {
    return options.map(({ action, token, label, says }) =>
      button({ actionId: ACTION_IDS[action], token, label, says }),
    );
  }
  return [
    {
      type: 'overflow',
      action_id: MORE_MENU,
      options: options.map(({ action, token, label }) => ({
        text: plain(label, LIMITS.option),
        value: makeMoreValue(action, token),
      })),
    },
  ];
}

/** The menu of a finished answer: what it did, and what its reader thinks of it. */
export function answerMenu(token: Token): Overflow {
  const option = (action: MoreAction, label: string) => ({
    text: { ...plain(label, LIMITS.option), emoji: true },
    value: makeMoreValue(action, token),
  });
  return {
    type: 'overflow',
    action_id: ACTION_IDS.details,
    options: [
      option('details', ANSWER_MENU.details),
      option('feedback_good', ANSWER_MENU.good),
      option('feedback_bad', ANSWER_MENU.bad),
      option('share', ANSWER_MENU.share),
    ],
  };
}

/** The card's own Stop; none once the turn is being stopped. */
export function stopOption(stop: Token | null): MoreOption[] {
  return stop === null ? [] : [{ action: 'stop', token: stop, ...BUTTONS.stop }];
}
