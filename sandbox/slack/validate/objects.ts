import { isObject, type JsonObject } from '../model.ts';
import { checkItems, checkKeys, checkString, type Problems } from './problems.ts';

type TextType = 'plain_text' | 'mrkdwn';

/** A text object (docs/slack.md, Size limits: 1–3000 unless the place says less). */
export function checkText(
  parent: JsonObject,
  key: string,
  limits: { max: number; types: readonly TextType[]; required?: boolean },
  pointer: string,
  problems: Problems,
): void {
  const text = parent[key];
  if (text === undefined || text === null) {
    if (limits.required) problems.addProblem(`missing required field: ${key}`, pointer);
    return;
  }
  const at = `${pointer}/${key}`;
  if (!isObject(text)) {
    problems.addProblem('must be an object', at);
    return;
  }
  checkTextObject(text, limits, at, problems);
}

export function checkTextObject(
  text: JsonObject,
  limits: { max: number; types: readonly TextType[] },
  at: string,
  problems: Problems,
): void {
  if (!limits.types.some((type) => type === text.type)) {
    problems.addProblem(`unsupported type: ${String(text.type)}`, `${at}/type`);
    return;
  }
  checkKeys(text, text.type === 'mrkdwn' ? ['type', 'text', 'verbatim'] : ['type', 'text', 'emoji'], at, problems);
  checkString(text, 'text', { min: 1, max: limits.max, required: true }, at, problems);
}

function checkConfirm(parent: JsonObject, pointer: string, problems: Problems): void {
  const confirm = parent.confirm;
  if (confirm === undefined) return;
  const at = `${pointer}/confirm`;
  if (!isObject(confirm)) {
    problems.addProblem('must be an object', at);
    return;
  }
  checkKeys(confirm, ['title', 'text', 'confirm', 'deny', 'style'], at, problems);
  checkText(confirm, 'title', { max: 100, types: ['plain_text'], required: true }, at, problems);
  checkText(confirm, 'text', { max: 300, types: ['plain_text', 'mrkdwn'], required: true }, at, problems);
  checkText(confirm, 'confirm', { max: 30, types: ['plain_text'], required: true }, at, problems);
  checkText(confirm, 'deny', { max: 30, types: ['plain_text'], required: true }, at, problems);
}

/** What each kind of menu takes; `min` and `max` count its options. */
interface OptionRules {
  min?: number;
  max: number;
  mrkdwn?: boolean;
  /** Whether an option may be a link. */
  url?: boolean;
}

function checkOption(option: JsonObject, { mrkdwn, url }: OptionRules, at: string, problems: Problems): void {
  const types: readonly TextType[] = mrkdwn ? ['plain_text', 'mrkdwn'] : ['plain_text'];
  checkKeys(option, ['text', 'value', 'description', ...(url ? ['url'] : [])], at, problems);
  checkText(option, 'text', { max: 75, types, required: true }, at, problems);
  checkText(option, 'description', { max: 75, types }, at, problems);
  checkString(option, 'value', { min: 1, max: 75, required: true }, at, problems);
  checkString(option, 'url', { max: 3000 }, at, problems);
}

function checkOptions(element: JsonObject, rules: OptionRules, at: string, problems: Problems): void {
  const { min = 1, max } = rules;
  const seen = new Set<unknown>();
  checkItems(element, 'options', { min, max, required: element.option_groups === undefined }, at, problems).forEach(
    (option, index) => {
      checkOption(option, rules, `${at}/options/${index}`, problems);
      if (seen.has(option.value)) problems.addProblem('option values must be unique', `${at}/options/${index}/value`);
      seen.add(option.value);
    },
  );
  checkItems(element, 'option_groups', { min: 1, max: 100 }, at, problems).forEach((group, index) => {
    const inside = `${at}/option_groups/${index}`;
    checkText(group, 'label', { max: 75, types: ['plain_text'], required: true }, inside, problems);
    checkOptions({ ...group, option_groups: undefined }, { max: 100 }, inside, problems);
  });
}

const PICKERS = [
  'users_select',
  'conversations_select',
  'channels_select',
  'external_select',
  'multi_users_select',
  'multi_conversations_select',
  'multi_channels_select',
  'multi_external_select',
  'datepicker',
  'timepicker',
  'datetimepicker',
];
const OTHER_INPUTS = ['email_text_input', 'url_text_input', 'number_input', 'rich_text_input', 'file_input'];

export const ACTION_ELEMENTS = [
  'button',
  'workflow_button',
  'overflow',
  'static_select',
  'multi_static_select',
  'radio_buttons',
  'checkboxes',
  'plain_text_input',
  'feedback_buttons',
  'icon_button',
  ...PICKERS,
];
export const INPUT_ELEMENTS = [
  'plain_text_input',
  'static_select',
  'multi_static_select',
  'radio_buttons',
  'checkboxes',
  ...PICKERS,
  ...OTHER_INPUTS,
];

/** An interactive element; sizes as in docs/slack.md, Size limits. */
export function checkElement(element: JsonObject, allowed: readonly string[], at: string, problems: Problems): void {
  const { type } = element;
  if (typeof type !== 'string' || !allowed.includes(type)) {
    problems.addProblem(`unsupported type: ${String(type)}`, `${at}/type`);
    return;
  }
  checkString(element, 'action_id', { min: 1, max: 255 }, at, problems);
  checkText(element, 'placeholder', { max: 150, types: ['plain_text'] }, at, problems);
  checkConfirm(element, at, problems);
  switch (type) {
    case 'button':
      checkKeys(
        element,
        ['type', 'text', 'action_id', 'url', 'value', 'style', 'confirm', 'accessibility_label'],
        at,
        problems,
      );
      checkText(element, 'text', { max: 75, types: ['plain_text'], required: true }, at, problems);
      checkString(element, 'value', { max: 2000 }, at, problems);
      checkString(element, 'url', { max: 3000 }, at, problems);
      checkString(element, 'accessibility_label', { max: 75 }, at, problems);
      if (element.style !== undefined && element.style !== 'primary' && element.style !== 'danger') {
        problems.addProblem('must be one of: primary, danger', `${at}/style`);
      }
      return;
    case 'static_select':
    case 'multi_static_select':
      checkOptions(element, { max: 100 }, at, problems);
      return;
    case 'radio_buttons':
    case 'checkboxes':
      checkOptions(element, { max: 10, mrkdwn: true }, at, problems);
      return;
    case 'overflow':
      checkKeys(element, ['type', 'action_id', 'options', 'confirm'], at, problems);
      checkOptions(element, { min: 2, max: 5, url: true }, at, problems);
      return;
    case 'plain_text_input':
      checkPlainTextInput(element, at, problems);
      return;
    default:
      return;
  }
}

function checkPlainTextInput(element: JsonObject, at: string, problems: Problems): void {
  checkKeys(
    element,
    [
      'type',
      'action_id',
      'initial_value',
      'multiline',
      'min_length',
      'max_length',
      'dispatch_action_config',
      'focus_on_load',
      'placeholder',
    ],
    at,
    problems,
  );
  const { min_length: min, max_length: max, initial_value: initial } = element;
  const fits = (value: unknown, low: number) =>
    value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= 3000);
  if (!fits(min, 0)) problems.addProblem('must be between 0 and 3000', `${at}/min_length`);
  if (!fits(max, 1)) problems.addProblem('must be between 1 and 3000', `${at}/max_length`);
  if (typeof min === 'number' && typeof max === 'number' && min > max) {
    problems.addProblem('must not be more than max_length', `${at}/min_length`);
  }
  const limit = typeof max === 'number' ? max : 3000;
  if (typeof initial === 'string' && initial.length > limit) {
    problems.addProblem(`must be less than ${limit + 1} characters`, `${at}/initial_value`);
  }
}
