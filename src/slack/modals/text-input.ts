import type { InputBlock } from '@slack/types';
import { modalText } from './modal-text.ts';

/** docs/slack.md, Size limits, in UTF-16 units. */
const LABEL = 2_000;
const TEXT = 3_000;

export const INPUT_ACTION = 'bridge_text';
export const INPUT_BLOCK = /^bridge_input_(\d{1,2})$/;

/** @param input the field's number in its dialog, from 0 */
export function inputBlockId(input: number): string {
  return `bridge_input_${input}`;
}

interface TextInput {
  label: string;
  placeholder: string;
  initial?: string;
  optional?: boolean;
}

/** A field of a dialog for several lines. @param input its number, from 0 */
export function textInput(input: number, { label, placeholder, initial, optional = false }: TextInput): InputBlock {
  return {
    type: 'input',
    block_id: inputBlockId(input),
    label: modalText(label, LABEL),
    ...(optional ? { optional } : {}),
    element: {
      type: 'plain_text_input',
      action_id: INPUT_ACTION,
      multiline: true,
      max_length: TEXT,
      placeholder: modalText(placeholder, 150),
      ...(initial === undefined ? {} : { initial_value: initial }),
    },
  };
}
