import type { PlainTextElement } from '@slack/types';
import { clip } from '../render/blocks.ts';
import { neutralizePlain } from '../render/neutralize.ts';

/** docs/slack.md, Size limits, in UTF-16 units. */
const TITLE = 24;

/** Foreign text as plain text, which Slack does not parse; invisible characters are shown as codes. */
export function modalText(text: string, max: number): PlainTextElement {
  return { type: 'plain_text', text: clip(neutralizePlain(clip(text, max)), max) || ' ', emoji: false };
}

/** A modal's title, and the words on its two buttons. */
export function modalTitle(text: string): PlainTextElement {
  return modalText(text, TITLE);
}
