import type {
  ActionsBlock,
  Button,
  ContextBlock,
  KnownBlock,
  MarkdownBlock,
  MrkdwnElement,
  Overflow,
  PlainTextElement,
  RichTextBlock,
  RichTextBlockElement,
  RichTextElement,
  SectionBlock,
  StaticSelect,
} from '@slack/types';
import type { Token } from '../../bridge/ids.ts';
import { LIMITS } from './limits.ts';
import { neutralizePlain } from './neutralize.ts';

/** Cuts to at most `max` UTF-16 units, never inside a character. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 2);
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 2 : max - 1)}…`;
}

/** Foreign text as plain text, which Slack does not parse. */
export function plain(text: string, max: number = LIMITS.line): PlainTextElement {
  return { type: 'plain_text', text: clip(neutralizePlain(clip(text, max)), max) || ' ', emoji: false };
}

/** The bridge's own mrkdwn. Foreign text in it must be neutralised before. */
export function mrkdwn(ours: string): MrkdwnElement {
  return { type: 'mrkdwn', text: ours, verbatim: true };
}

export function context(...elements: (PlainTextElement | MrkdwnElement)[]): ContextBlock {
  return { type: 'context', elements: elements.slice(0, LIMITS.contextElements) };
}

export function section(ours: string): SectionBlock {
  return { type: 'section', text: mrkdwn(ours) };
}

export function markdown(neutralized: string): MarkdownBlock {
  return { type: 'markdown', text: neutralized };
}

export function richText(...elements: RichTextBlockElement[]): RichTextBlock {
  return { type: 'rich_text', elements };
}

/** Foreign text in a code box; Slack parses nothing in it (docs/slack.md, Text: rules). */
export function preformatted(text: string): RichTextBlockElement {
  return { type: 'rich_text_preformatted', elements: [{ type: 'text', text: text || ' ' }] };
}

/** One line of foreign text. */
export function richLine(text: string, style?: { bold?: boolean; code?: boolean }): RichTextBlockElement {
  return { type: 'rich_text_section', elements: [{ type: 'text', text: text || ' ', ...(style ? { style } : {}) }] };
}

export interface ButtonOptions {
  actionId: string;
  token: Token;
  label: string;
  /** What a screen reader says. */
  says: string;
  style?: 'primary' | 'danger';
}

/** Begins with what is seen, unless it contains that: people who speak to their machine name what they see. */
function spokenLabel(label: string, says: string): string {
  const seen = label.replace(/…$/, '');
  // A mere sign cannot be said.
  if (!/[\p{L}\p{N}]/u.test(seen)) return says;
  return says.toLowerCase().includes(seen.toLowerCase()) ? says : `${seen}: ${says}`;
}

export function button({ actionId, token, label, says, style }: ButtonOptions): Button {
  return {
    type: 'button',
    action_id: actionId,
    text: plain(label, LIMITS.buttonText),
    value: token,
    accessibility_label: clip(neutralizePlain(clip(spokenLabel(label, says), LIMITS.buttonText)), LIMITS.buttonText),
    ...(style ? { style } : {}),
  };
}

export function actions(...elements: (Button | StaticSelect | Overflow)[]): ActionsBlock {
  return { type: 'actions', elements: elements.slice(0, LIMITS.actions) };
}

/** An actions block; none without elements, because Slack refuses an empty one. */
export function actionsIfAny(elements: (Button | StaticSelect | Overflow)[]): KnownBlock[] {
  return elements.length === 0 ? [] : [actions(...elements)];
}

/** A line of rich text, in which Slack parses nothing. */
export function richTextLine(...elements: RichTextElement[]): RichTextBlock {
  return richText({ type: 'rich_text_section', elements });
}

/** Foreign text as an element of rich text, made visible and clipped. */
export function richWords(words: string, style?: { bold?: boolean; code?: boolean }): RichTextElement {
  const shown = clip(neutralizePlain(clip(words, LIMITS.line)), LIMITS.line) || ' ';
  return { type: 'text', text: shown, ...(style ? { style } : {}) };
}

/** {@link mention} as elements of rich text, each with a space behind it. */
export function richMentions(ids: readonly string[]): RichTextElement[] {
  return ids.flatMap((id): RichTextElement[] => [richMention(id), { type: 'text', text: ' ' }]);
}

function richMention(id: string): RichTextElement {
  if (!IDS.test(id)) return { type: 'text', text: 'someone' };
  return id.startsWith('S') ? { type: 'usergroup', usergroup_id: id } : { type: 'user', user_id: id };
}

/**
 * A mention of a person or a user group (`S…`); an invalid id gives a word. It has no label, because a mention with a
 * label may not notify (docs/slack.md, Text: rules).
 */
export function mention(id: string): string {
  if (!IDS.test(id)) return 'someone';
  return id.startsWith('S') ? `<!subteam^${id}>` : `<@${id}>`;
}

const IDS = /^[A-Z0-9]{1,32}$/;
