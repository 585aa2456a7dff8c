import type { ViewResponseAction } from '@slack/bolt';
import type { KnownBlock, ModalView, PlainTextOption } from '@slack/types';
import type { Question } from '../../bridge/agent-event.ts';
import type { ModalRequest, SubmissionOutcome } from '../../bridge/inbound.ts';
import { PLAN_TOOL } from '../../bridge/turn/steps.ts';
import { CALLBACK_IDS } from '../render/action-ids.ts';
import { ANSWER, DENY, EDIT, FEEDBACK, NOTHING_CHANGED, offeredRuleText, RULE, savedInText } from '../words/dialogs.ts';
import { askView } from './ask-view.ts';
import { detailsView } from './details-view.ts';
import { fullView } from './full-view.ts';
import { modalText, modalTitle } from './modal-text.ts';
import { modelsView } from './models-view.ts';
import { INPUT_ACTION, INPUT_BLOCK, inputBlockId, textInput } from './text-input.ts';

/** docs/slack.md, Size limits, in UTF-16 units. */
const TEXT = 3_000;
const OPTION = 75;
/** A modal holds 100 blocks; a question takes four. */
const QUESTIONS = 20;
/** Checkboxes and radio buttons are at most 10, a menu has at most 100 options. */
const LISTED = 10;
const MENU = 100;

const CHOICE_ACTION = 'bridge_choice';
const CHOICE_BLOCK = /^bridge_choice_(\d{1,2})$/;

/**
 * The question with its options, and a text field below; without options the text field only. The options are in no input
 * block, because Slack would mark both fields as optional, although one of them is needed.
 */
function questionInputs(question: Question, input: number): KnownBlock[] {
  const { options, multiSelect } = question;
  if (options.length === 0) return [textInput(input, { label: question.question, placeholder: ANSWER.inWords })];
  const hint = multiSelect ? ANSWER.chooseSome : ANSWER.chooseOne;
  return [
    section(question.question),
    { type: 'context', elements: [modalText(hint, TEXT)] },
    choiceBlock(question, input),
    textInput(input, { label: ANSWER.orWrite, placeholder: ANSWER.inWords, optional: true }),
  ];
}

function choiceBlock({ options, multiSelect }: Question, input: number): KnownBlock {
  const block_id = `bridge_choice_${input}`;
  const shared = { action_id: `${CHOICE_ACTION}_${input}`, options: optionsOf(options.slice(0, MENU)) };
  if (options.length <= LISTED) {
    const type = multiSelect ? 'checkboxes' : 'radio_buttons';
    return { type: 'actions', block_id, elements: [{ type, ...shared }] };
  }
  // Slack takes a menu of several choices in sections and inputs only.
  const type = multiSelect ? 'multi_static_select' : 'static_select';
  return { type: 'section', block_id, text: modalText(ANSWER.choose, TEXT), accessory: { type, ...shared } };
}

function optionsOf(options: Question['options']): PlainTextOption[] {
  return options.map(({ label, description }, index) => ({
    text: modalText(label.trim() || `Option ${index + 1}`, OPTION),
    value: String(index),
    ...(description.trim() === '' ? {} : { description: modalText(description, OPTION) }),
  }));
}

function section(text: string): KnownBlock {
  return { type: 'section', text: modalText(text, TEXT) };
}

/** The modal that a click asked for. It shows foreign text as plain text, so nothing in it can ping or link. */
export function modalView(request: ModalRequest): ModalView {
  if (request.kind === 'view_full') return fullView(request);
  if (request.kind === 'details') return detailsView(request);
  if (request.kind === 'ask') return askView(request);
  if (request.kind === 'models') return modelsView(request.dialog);
  const shared = {
    type: 'modal' as const,
    callback_id: CALLBACK_IDS[request.kind],
    private_metadata: request.token,
    close: modalTitle('Cancel'),
  };
  switch (request.kind) {
    case 'deny_with_reason': {
      const { title, submit, label } = request.tool === PLAN_TOOL ? DENY.plan : DENY.request;
      const blocks = [textInput(0, { label, placeholder: DENY.placeholder, optional: true })];
      return { ...shared, title: modalTitle(title), submit: modalTitle(submit), blocks };
    }
    case 'edit_command': {
      const { title, submit, says } = request.asksAnother ? EDIT.other : EDIT.own;
      const input = { label: EDIT.label, placeholder: EDIT.placeholder, initial: request.command };
      const blocks = [textInput(0, input), section(says)];
      return { ...shared, title: modalTitle(title), submit: modalTitle(submit), blocks };
    }
    case 'save_rule': {
      const { rule, directory, device } = request;
      const blocks = [section(offeredRuleText(rule)), section(savedInText(directory, device)), section(RULE.reach)];
      return { ...shared, title: modalTitle(RULE.title), submit: modalTitle(RULE.submit), blocks };
    }
    case 'feedback': {
      const { title, submit, label, placeholder, says } = FEEDBACK;
      const blocks = [textInput(0, { label, placeholder, optional: true }), section(says)];
      return { ...shared, title: modalTitle(title), submit: modalTitle(submit), blocks };
    }
    case 'answer_in_words':
      return {
        ...shared,
        title: modalTitle(ANSWER.title),
        submit: modalTitle(ANSWER.submit),
        blocks: request.questions.slice(0, QUESTIONS).flatMap(questionInputs),
      };
    default:
      return request satisfies never;
  }
}

/** The state of one input of a modal, as Slack sends it. */
export interface FilledIn {
  value?: string | null | undefined;
  selected_option?: { value: string } | null | undefined;
  selected_options?: readonly { value: string }[] | null | undefined;
}

type Filled = Readonly<Record<string, Readonly<Record<string, FilledIn>>>>;

/** The texts typed into one of our modals, in the order of its inputs. */
export function submittedTexts(values: Filled): string[] {
  const texts: string[] = [];
  for (const [blockId, actions] of Object.entries(values)) {
    const input = INPUT_BLOCK.exec(blockId)?.[1];
    if (input !== undefined) texts[Number(input)] = actions[INPUT_ACTION]?.value ?? '';
  }
  return Array.from(texts, (text) => text ?? '');
}

/** The options chosen in one of our modals, by question; a value that is not a number gives -1. */
export function submittedChoices(values: Filled): number[][] {
  const choices: number[][] = [];
  for (const [blockId, actions] of Object.entries(values)) {
    const input = CHOICE_BLOCK.exec(blockId)?.[1];
    const { selected_option: one, selected_options: many } = Object.values(actions)[0] ?? {};
    if (input === undefined) continue;
    const chosen = [...(one ? [one] : []), ...(many ?? [])];
    choices[Number(input)] = chosen.map(({ value }) => (/^\d{1,3}$/.test(value) ? Number(value) : -1));
  }
  return Array.from(choices, (chosen) => chosen ?? []);
}

/** The answer to a `view_submission` (docs/slack.md, Interactivity); `undefined` closes the modal. */
export function submissionAck(outcome: SubmissionOutcome): ViewResponseAction | undefined {
  if (outcome.result === 'decided') return undefined;
  if (outcome.result === 'invalid') {
    const errors = outcome.errors.map(({ input, text }) => [inputBlockId(input), modalText(text, 300).text] as const);
    return { response_action: 'errors', errors: Object.fromEntries(errors) };
  }
  return { response_action: 'update', view: noticeView(outcome.notice) };
}

/** Tells somebody why nothing changed. */
export function noticeView(notice: string): ModalView {
  const words = { title: modalTitle(NOTHING_CHANGED), close: modalTitle('Close') };
  return { type: 'modal', ...words, blocks: [section(notice)] };
}
