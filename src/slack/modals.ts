import type { ViewResponseAction } from '@slack/bolt';
import type { InputBlock, KnownBlock, ModalView } from '@slack/types';
import type { ModalRequest, SubmissionOutcome } from '../bridge/inbound.ts';
import { CALLBACK_IDS } from './action-ids.ts';
import { detailsView } from './details-view.ts';

/** PLATFORM.md 2.1. Lengths in UTF-16 units, the view's in bytes of JSON. */
const TITLE = 24;
const LABEL = 2000;
const TEXT = 3000;
const BLOCKS = 100;
/** Slack refuses a view over 250 KB (`view_too_large`); ids and defaults that it adds count too. */
const VIEW_BYTES = 200_000;

const INPUT_ACTION = 'bridge_text';
const INPUT_BLOCK = /^bridge_input_(\d{1,2})$/;

function inputBlockId(input: number): string {
  return `bridge_input_${input}`;
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${wholeCharacters(text, max - 1)}…`;
}

/** The first `max` units of `text`, never half of a surrogate pair. */
function wholeCharacters(text: string, max: number): string {
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff && max < text.length ? max - 1 : max);
}

function plain(text: string, max: number) {
  return { type: 'plain_text' as const, text: cut(text, max) || ' ', emoji: false };
}

function textInput(input: number, label: string, placeholder: string): InputBlock {
  return {
    type: 'input',
    block_id: inputBlockId(input),
    label: plain(label, LABEL),
    element: {
      type: 'plain_text_input',
      action_id: INPUT_ACTION,
      multiline: true,
      max_length: TEXT,
      placeholder: plain(placeholder, 150),
    },
  };
}

/** `text` in pieces of at most `max`, cut after a line's end where one is near; joined they are `text` again. */
function pages(text: string, max: number): string[] {
  const out: string[] = [];
  let rest = text;
  while (rest.length > max) {
    const newline = rest.lastIndexOf('\n', max - 1);
    const piece = newline >= max / 2 ? rest.slice(0, newline + 1) : wholeCharacters(rest, max);
    out.push(piece);
    rest = rest.slice(piece.length);
  }
  return rest === '' ? out : [...out, rest];
}

function textBlocks(text: string): KnownBlock[] {
  const all = text === '' ? ['(empty)'] : pages(text, TEXT);
  const shown: KnownBlock[] = [];
  let bytes = 0;
  let length = 0;
  for (const page of all) {
    const block: KnownBlock = { type: 'section', text: plain(page, TEXT) };
    bytes += Buffer.byteLength(JSON.stringify(block));
    if (shown.length === BLOCKS - 1 || bytes > VIEW_BYTES) {
      if (shown.length === all.length - 1 && bytes <= VIEW_BYTES) return [...shown, block];
      const mark = `… cut here: ${text.length - length} of ${text.length} characters are not shown.`;
      return [...shown, { type: 'section', text: plain(mark, TEXT) }];
    }
    shown.push(block);
    length += page.length;
  }
  return shown;
}

/** The modal that a click asked for. What it shows is plain text: nothing in it can ping or link. */
export function modalView(request: ModalRequest): ModalView {
  switch (request.kind) {
    case 'deny_with_reason':
      return {
        type: 'modal',
        callback_id: CALLBACK_IDS.deny_with_reason,
        private_metadata: request.token,
        title: plain('Deny with reason', TITLE),
        submit: plain('Deny', TITLE),
        close: plain('Cancel', TITLE),
        blocks: [textInput(0, `Why should ${cut(request.tool, 100)} not run?`, 'The agent reads this.')],
      };
    case 'answer_in_words':
      return {
        type: 'modal',
        callback_id: CALLBACK_IDS.answer_in_words,
        private_metadata: request.token,
        title: plain('Your answer', TITLE),
        submit: plain('Answer', TITLE),
        close: plain('Cancel', TITLE),
        blocks: request.questions
          .slice(0, BLOCKS)
          .map((question, input) => textInput(input, question, 'In your own words')),
      };
    case 'view_full':
      return {
        type: 'modal',
        callback_id: CALLBACK_IDS.view_full,
        title: plain(request.title, TITLE),
        close: plain('Close', TITLE),
        blocks: textBlocks(request.text),
      };
    case 'details':
      return detailsView(request);
    default:
      return request satisfies never;
  }
}

/** The texts typed into one of our modals, in the order of its inputs. */
export function submittedTexts(values: Record<string, Record<string, { value?: string | null }>>): string[] {
  const texts: string[] = [];
  for (const [blockId, actions] of Object.entries(values)) {
    const input = INPUT_BLOCK.exec(blockId)?.[1];
    if (input !== undefined) texts[Number(input)] = actions[INPUT_ACTION]?.value ?? '';
  }
  return Array.from(texts, (text) => text ?? '');
}

/** What a `view_submission` is acknowledged with (PLATFORM.md 6): nothing closes the modal. */
export function submissionAck(outcome: SubmissionOutcome): ViewResponseAction | undefined {
  if (outcome.result === 'decided') return undefined;
  if (outcome.result === 'invalid') {
    const errors = outcome.errors.map(({ input, text }) => [inputBlockId(input), cut(text, 300)] as const);
    return { response_action: 'errors', errors: Object.fromEntries(errors) };
  }
  const view: ModalView = {
    type: 'modal',
    title: plain('Nothing changed', TITLE),
    close: plain('Close', TITLE),
    blocks: [{ type: 'section', text: plain(outcome.notice, TEXT) }],
  };
  return { response_action: 'update', view };
}
