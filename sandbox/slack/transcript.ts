import type { SeenMessage } from './control/api.ts';
import { labelOf } from './interactions.ts';
import { isObject, type JsonObject, objects } from './model.ts';
import type { SmallSlack } from './server.ts';
import { slackDate } from './text/dates.ts';
import { unescapeText } from './text/tokens.ts';

/** Who reads, and how they see a moment: as its fallback text, or in the time zone of this machine. */
interface Reader {
  slack: SmallSlack;
  times: 'fallback' | 'local';
}

/** Tokens as people see them: names instead of ids. */
function readable(text: string, { slack, times }: Reader): string {
  const { users, channels } = slack.control.state();
  const user = (id: string) => users.find((u) => u.id === id)?.name ?? id;
  const channel = (id: string) => channels.find((c) => c.id === id)?.name ?? id;
  const readable = text.replace(
    /<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>/g,
    (_all, sign: string, value: string, label?: string) => {
      if (sign === '@') return `@${user(value)}`;
      if (sign === '#') return `#${channel(value)}`;
      if (sign === '!') {
        const [name = '', seconds, format = ''] = value.split('^');
        if (name === 'date' && times === 'local') return slackDate(Number(seconds), format, label ?? value);
        return label ?? `@${name}`;
      }
      return label === undefined || label === value ? value : `${label} (${value})`;
    },
  );
  return unescapeText(readable);
}

/** Text that Slack parses nothing in, in a form that {@link readable} leaves as it is. */
function escapeText(text: unknown): string {
  return String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function textOf(value: unknown): string {
  if (!isObject(value) || typeof value.text !== 'string') return '';
  return value.type === 'plain_text' ? escapeText(value.text) : value.text;
}

function richText(element: unknown): string {
  if (!isObject(element)) return '';
  switch (element.type) {
    case 'text':
      return escapeText(element.text);
    case 'link':
      return typeof element.text === 'string' ? `${element.text} (${String(element.url)})` : String(element.url);
    case 'user':
      return `<@${String(element.user_id)}>`;
    case 'channel':
      return `<#${String(element.channel_id)}>`;
    case 'broadcast':
      return `@${String(element.range)}`;
    case 'usergroup':
      return `@${String(element.usergroup_id)}`;
    case 'date':
      return `<!date^${String(element.timestamp)}^${String(element.format)}|${escapeText(element.fallback)}>`;
    case 'emoji':
      return `:${String(element.name)}:`;
    case 'rich_text_preformatted':
      return `\`\`\`\n${objects(element.elements).map(richText).join('')}\n\`\`\``;
    case 'rich_text_quote':
      return `> ${objects(element.elements).map(richText).join('').replaceAll('\n', '\n> ')}`;
    case 'rich_text_list':
      return objects(element.elements)
        .map((item) => `• ${richText(item)}`)
        .join('\n');
    default:
      return objects(element.elements).map(richText).join('');
  }
}

function elementText(item: JsonObject): string {
  const label = textOf(item.text) || textOf(item.placeholder);
  if (item.type === 'button') return `[${escapeText(labelOf(item))}]`;
  if (item.type === 'image') return `(image: ${String(item.alt_text)})`;
  const options = objects(item.options).map((option) => textOf(option.text));
  if (item.type === 'overflow') return `[⋯ ${options.join(' | ')}]`;
  return options.length > 0 ? `[${label || 'choose'}: ${options.join(' | ')}]` : `[${label || String(item.type)}]`;
}

const TASK_MARKS: Readonly<Record<string, string>> = { complete: '[x]', in_progress: '[>]', error: '[!]' };

const taskLine = (task: JsonObject) => `${TASK_MARKS[String(task.status)] ?? '[ ]'} ${String(task.title)}`;

function blockLines(item: JsonObject, reader: Reader): string[] {
  const lines = (text: string) => readable(text, reader).split('\n');
  switch (item.type) {
    case 'header':
      return lines(`# ${textOf(item.text)}`);
    case 'section': {
      const fields = objects(item.fields).map((field) => String(field.text));
      const accessory = isObject(item.accessory) ? [elementText(item.accessory)] : [];
      return [textOf(item.text), ...fields].filter(Boolean).flatMap(lines).concat(accessory);
    }
    case 'context':
      return lines(
        `· ${objects(item.elements)
          .map((part) => (part.type === 'image' ? elementText(part) : textOf(part)))
          .join(' · ')}`,
      );
    case 'markdown':
      return lines(String(item.text));
    case 'rich_text':
      return objects(item.elements).flatMap((part) => lines(richText(part)));
    case 'actions':
    case 'context_actions':
      return lines(objects(item.elements).map(elementText).join(' '));
    case 'input':
      return lines(`${textOf(item.label)}: ${isObject(item.element) ? elementText(item.element) : ''}`);
    case 'plan':
      return [String(item.title), ...objects(item.tasks).map(taskLine)].flatMap(lines);
    case 'task_card':
      return lines(taskLine(item));
    case 'divider':
      return ['────'];
    case 'image':
      return [`(image: ${String(item.alt_text)})`];
    case 'table':
      return (Array.isArray(item.rows) ? item.rows : []).map((row) =>
        objects(row)
          .map((cell) => String(cell.text ?? cell.value ?? richText(cell)))
          .join(' | '),
      );
    default:
      return [`(${String(item.type)})`];
  }
}

function messageText(message: SeenMessage, reader: Reader, indent: string): string {
  const lines =
    message.blocks.length > 0
      ? message.blocks.flatMap((item) => blockLines(item, reader))
      : readable(message.text, reader).split('\n');
  for (const file of message.files) lines.push(`(file: ${String(file.name)}, ${String(file.size)} bytes)`);
  const reactions = Object.entries(message.reactions).map(([name, by]) => `:${name}: ${by.length}`);
  if (reactions.length > 0) lines.push(reactions.join('  '));
  if (message.edited && lines.length > 0) lines.push(`${lines.pop()} (edited)`);
  const person = reader.slack.control.state().users.find((user) => user.id === message.ephemeral);
  const only = message.ephemeral === null ? '' : ` (only visible to ${person?.name ?? message.ephemeral})`;
  return [`${indent}${message.name}${only}`, ...lines.map((line) => `${indent}  ${line}`.trimEnd())].join('\n');
}

/** One message as a person sees it in a terminal, with times in the time zone of this machine. */
export function messageInTerminal(message: SeenMessage, slack: SmallSlack): string {
  return messageText(message, { slack, times: 'local' }, '');
}

/** The lines of a window or the Home tab. */
export function viewInTerminal(blocks: readonly JsonObject[], slack: SmallSlack): string {
  return blocks.flatMap((item) => blockLines(item, { slack, times: 'local' })).join('\n');
}

/**
 * A conversation as a person sees it in a terminal: authors, text, context lines, `[Buttons]`, "(edited)". Threads hang
 * indented under their roots. `thread` shows only that one, `user` adds what only this person sees, `bot` leaves out
 * what people wrote.
 */
export function transcript(
  slack: SmallSlack,
  channel: string,
  options: { thread?: string; user?: string; bot?: boolean } = {},
): string {
  const reader: Reader = { slack, times: 'fallback' };
  const all = slack.control.messages(channel, {
    ...(options.thread !== undefined && { thread_ts: options.thread }),
    ...(options.user !== undefined && { user: options.user }),
  });
  const messages = options.bot ? all.filter((message) => message.bot_id !== null) : all;
  const roots = messages.filter((message) => message.thread_ts === null);
  const known = new Set(roots.map((root) => root.ts));
  const parts: string[] = [];
  for (const root of roots) {
    parts.push(messageText(root, reader, ''));
    for (const reply of messages) if (reply.thread_ts === root.ts) parts.push(messageText(reply, reader, '  '));
  }
  for (const orphan of messages) {
    if (orphan.thread_ts !== null && !known.has(orphan.thread_ts)) parts.push(messageText(orphan, reader, '  '));
  }
  return parts.join('\n\n');
}
