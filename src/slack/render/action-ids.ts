import { makeToken, type Token } from '../../bridge/ids.ts';
import type { ActionName, AnswerAction, InboundClick, InboundForm } from '../../bridge/inbound.ts';

/**
 * The names of our buttons and modals in Slack's payloads. A button's `value` is only the token. The chosen option of a
 * question is in the `action_id`, because those must differ within a block (docs/slack.md, Interactivity).
 */
type PlainAction = Exclude<ActionName, 'answer' | 'view_page'> | AnswerAction;

export const ACTION_IDS: Readonly<Record<PlainAction, string>> = {
  approve: 'bridge_approve',
  deny: 'bridge_deny',
  deny_with_reason: 'bridge_deny_with_reason',
  edit_command: 'bridge_edit_command',
  allow_command: 'bridge_allow_command',
  allow_edits: 'bridge_allow_edits',
  save_rule: 'bridge_save_rule',
  view_full: 'bridge_view_full',
  stop: 'bridge_stop',
  send_now: 'bridge_send_now',
  details: 'bridge_details',
  feedback_good: 'bridge_feedback_good',
  feedback_bad: 'bridge_feedback_bad',
  share: 'bridge_share',
  answer_in_words: 'bridge_answer_in_words',
  run_now: 'bridge_run_now',
  drop: 'bridge_drop',
  send_again: 'bridge_send_again',
  start_new: 'bridge_start_new',
  continue: 'bridge_continue',
  ask_again: 'bridge_ask_again',
  deny_with_this: 'bridge_deny_with_this',
  keep_queued: 'bridge_keep_queued',
  make_schedule: 'bridge_make_schedule',
  drop_schedule: 'bridge_drop_schedule',
};

/** Of a button that leads to a message: Slack tells of the click, and it needs no answer. */
export const OPEN_ID = 'bridge_open';
/** Of a button that opens the dialog of models; its value is `makeModelsPlace`'s. */
export const MODELS_ID = 'bridge_models';
/** Of the menu of models in that dialog. */
export const MODEL_SELECT = 'bridge_model';
/** `callback_id` of that dialog. */
export const MODELS_DIALOG = 'bridge_models_dialog';
/** Of a menu of the Home tab. */
export const NOTIFY_AFTER_ID = 'bridge_notify_after';
/** The value of the option that takes back a choice. */
export const AS_USUAL = 'usual';

const ANSWER = /^bridge_answer:(\d{1,3}):(\d{1,3})$/;
const PAGE = /^bridge_view_page:(\d{1,3})$/;
/** `action_id` of a menu of options; the chosen option's value holds the token and the option's number. */
export const ANSWER_MENU = 'bridge_answer_menu';
const MENU_VALUE = /^(.{1,64}):(\d{1,3})$/;

/** `action_id` of a card's menu of less used actions; the chosen option's value names the action and holds its token. */
export const MORE_MENU = 'bridge_more';

/** What the menu of a card, or of a finished answer, may hold. */
export type MoreAction = Extract<
  PlainAction,
  'edit_command' | 'view_full' | 'save_rule' | 'stop' | 'details' | 'feedback_good' | 'feedback_bad' | 'share'
>;

const MORE_VALUE = /^(edit_command|view_full|save_rule|stop|details|feedback_good|feedback_bad|share):(.{1,60})$/;

/** The value of an option of a card's menu: at most 75 characters (docs/slack.md, Size limits). */
export function makeMoreValue(action: MoreAction, token: Token): string {
  return `${action}:${token}`;
}

export function parseMoreValue(value: string): { name: MoreAction; token: Token } | null {
  const [, name, token] = MORE_VALUE.exec(value) ?? [];
  return name === undefined || token === undefined ? null : { name: name as MoreAction, token: makeToken(token) };
}

/** `action_id` of one option's button; both numbers count from 0 in the order shown. */
export function makeAnswerActionId(question: number, option: number): string {
  return `bridge_answer:${question}:${option}`;
}

const DETAILS_PAGE = /^bridge_details:(\d{1,4})$/;

/** `action_id` of a button that turns to a page of the details, from 0. */
export function makeDetailsPageId(page: number): string {
  return `bridge_details:${page}`;
}

/** `action_id` of a button that turns to a page of the full view. */
export function makePageActionId(page: number): string {
  return `bridge_view_page:${page}`;
}

/** The value of an option of a menu: at most 75 characters (docs/slack.md, Size limits). */
export function makeMenuValue(token: Token, option: number): string {
  return `${token}:${option}`;
}

export function parseMenuValue(value: string): { token: Token; option: number } | null {
  const found = MENU_VALUE.exec(value);
  return found?.[1] === undefined ? null : { token: makeToken(found[1]), option: Number(found[2]) };
}

export interface ParsedActionId {
  name: InboundClick['name'];
  choice: { question: number; options: number[] } | null;
  page?: number;
}

/** What an `action_id` means; `null` when it is not one of ours. */
export function parseActionId(actionId: string): ParsedActionId | null {
  for (const [name, id] of Object.entries(ACTION_IDS)) {
    if (id === actionId) return { name: name as PlainAction, choice: null };
  }
  const detailsPage = DETAILS_PAGE.exec(actionId);
  if (detailsPage) return { name: 'details', choice: null, page: Number(detailsPage[1]) };
  const page = PAGE.exec(actionId);
  if (page) return { name: 'view_page', choice: null, page: Number(page[1]) };
  const answer = ANSWER.exec(actionId);
  if (!answer) return null;
  return { name: 'answer', choice: { question: Number(answer[1]), options: [Number(answer[2])] } };
}

/** `callback_id`s of our modals that are submitted; their `private_metadata` is the token. */
export const CALLBACK_IDS: Readonly<Record<InboundForm['name'] | 'view_full' | 'details', string>> = {
  approve: 'bridge_approve_full',
  deny_with_reason: 'bridge_deny_with_reason',
  edit_command: 'bridge_edit_command',
  save_rule: 'bridge_save_rule',
  answer_in_words: 'bridge_answer_in_words',
  feedback: 'bridge_feedback',
  view_full: 'bridge_view_full',
  details: 'bridge_details',
};

/** `callback_id` of the message shortcut that asks about a message, and of its dialog. */
export const ASK_SHORTCUT = 'ask_about_message';
export const ASK_DIALOG = 'bridge_ask';
/** Of the message shortcut that goes on from a message in a new thread. */
export const FORK_SHORTCUT = 'fork_from_message';

/** The submission that a modal's `callback_id` means; `null` when it is not one of ours that can be submitted. */
export function parseCallbackId(callbackId: string): InboundForm['name'] | null {
  for (const [name, id] of Object.entries(CALLBACK_IDS)) {
    if (id === callbackId && name !== 'view_full' && name !== 'details') return name as InboundForm['name'];
  }
  return null;
}
