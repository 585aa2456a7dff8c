import { z } from 'zod';
import type { UserId } from '../../bridge/ids.ts';
import type { RawContent } from './content.ts';
import { richTextSpans } from './rich-text.ts';

type Fields = Record<string, unknown>;

/** One field of a wrong type must not hide the others. */
const optionalText = z.string().nullish().catch(null);
const flag = z.boolean().nullish().catch(null);
const attachment = z.looseObject({
  is_msg_unfurl: flag,
  is_share: flag,
  from_url: optionalText,
  pretext: optionalText,
  title: optionalText,
  text: optionalText,
  blocks: z.unknown().optional(),
});

/** Blocks lie in blocks; a mention that lies deeper is not looked for. */
const DEEPEST = 6;
const CODE = /```[\s\S]*?```|`[^`\n]+`/g;
/** A line that begins with `>`, and all after a line that begins with `>>>`; Slack writes `&gt;`. */
const QUOTED = /^[ \t]*(?:(?:&gt;|>){3}[\s\S]*|(?:&gt;|>).*)$/gm;

/**
 * Whether a message addresses the bot: a mention in its own words, in whichever part of it they are. A mention in a
 * quote, in code or in a forwarded message is somebody else's, or about the bot.
 */
export function mentionsUser({ text, blocks, attachments }: RawContent, user: UserId): boolean {
  const typed = typeof text === 'string' ? text : '';
  // Of what people type, Slack sends both; only rich text tells a quote and code from the rest for sure.
  if (richTextSpans(blocks) !== null) return isMentionedInBlock(blocks, user, 0);
  return (
    isMentionedInText(typed, user) ||
    isMentionedInBlock(blocks, user, 0) ||
    (Array.isArray(attachments) && attachments.some((item) => isMentionedInAttachment(item, user)))
  );
}

function isMentionedInText(text: string, user: UserId): boolean {
  const token = `<@${user}`;
  if (!text.includes(token)) return false;
  const own = text.replace(CODE, ' ').replace(QUOTED, ' ');
  return own.includes(`${token}>`) || own.includes(`${token}|`);
}

function isMentionedInAttachment(item: unknown, user: UserId): boolean {
  const { data } = attachment.safeParse(item);
  if (!data || data.is_share || data.is_msg_unfurl || data.from_url) return false;
  const texts = [data.pretext, data.title, data.text];
  return texts.some((each) => isMentionedInText(each ?? '', user)) || isMentionedInBlock(data.blocks, user, 0);
}

function isMentionedInBlock(value: unknown, user: UserId, depth: number): boolean {
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return false;
  if (Array.isArray(value)) return value.some((each) => isMentionedInBlock(each, user, depth));
  const part = value as Fields & { style?: { code?: unknown } };
  switch (part.type) {
    case 'user':
      return part.user_id === user && part.style?.code !== true;
    case 'rich_text_quote':
    case 'rich_text_preformatted':
    case 'plain_text':
      return false;
    case 'mrkdwn':
    case 'markdown':
      return typeof part.text === 'string' && isMentionedInText(part.text, user);
    default:
      return ['text', 'fields', 'elements', 'body', 'children', 'blocks', 'cards'].some((name) =>
        isMentionedInBlock(part[name], user, depth + 1),
      );
  }
}
