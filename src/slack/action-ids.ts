import type { ActionName } from '../bridge/inbound.ts';

/**
 * The names that our buttons and modals carry through Slack and back. A button's `value` is the token and nothing
 * else; which option of a question was chosen stands in the `action_id`, which must differ within a block (PLATFORM.md 6).
 */
type PlainAction = Exclude<ActionName, 'answer'>;

export const ACTION_IDS: Readonly<Record<PlainAction, string>> = {
  approve: 'bridge_approve',
  deny: 'bridge_deny',
  deny_with_reason: 'bridge_deny_with_reason',
  view_full: 'bridge_view_full',
  stop: 'bridge_stop',
  details: 'bridge_details',
  answer_in_words: 'bridge_answer_in_words',
  run_now: 'bridge_run_now',
  drop: 'bridge_drop',
  send_again: 'bridge_send_again',
  continue: 'bridge_continue',
};

const ANSWER = /^bridge_answer:(\d{1,3}):(\d{1,3})$/;

/** `action_id` of one option's button; both numbers count from 0 in the order shown. */
export function makeAnswerActionId(question: number, option: number): string {
  return `bridge_answer:${question}:${option}`;
}

const DETAILS_PAGE = /^bridge_details:(\d{1,4})$/;

/** `action_id` of a button that turns to a page of the details, from 0. */
export function makeDetailsPageId(page: number): string {
  return `bridge_details:${page}`;
}

export interface ParsedActionId {
  name: ActionName;
  choice: { question: number; options: number[] } | null;
  page?: number;
}

/** What an `action_id` means; `null` when it is not one of ours. */
export function parseActionId(actionId: string): ParsedActionId | null {
  for (const [name, id] of Object.entries(ACTION_IDS)) {
    if (id === actionId) return { name: name as PlainAction, choice: null };
  }
  const page = DETAILS_PAGE.exec(actionId);
  if (page) return { name: 'details', choice: null, page: Number(page[1]) };
  const answer = ANSWER.exec(actionId);
  if (!answer) return null;
  return { name: 'answer', choice: { question: Number(answer[1]), options: [Number(answer[2])] } };
}

/** `callback_id`s of our modals; their `private_metadata` is the token. */
export const CALLBACK_IDS = {
  deny_with_reason: 'bridge_deny_with_reason',
  answer_in_words: 'bridge_answer_in_words',
  view_full: 'bridge_view_full',
  details: 'bridge_details',
} as const;

/** The submission that a modal's `callback_id` means; `null` when it is not one of ours that can be submitted. */
export function parseCallbackId(callbackId: string): 'deny_with_reason' | 'answer_in_words' | null {
  if (callbackId === CALLBACK_IDS.deny_with_reason) return 'deny_with_reason';
  return callbackId === CALLBACK_IDS.answer_in_words ? 'answer_in_words' : null;
}
