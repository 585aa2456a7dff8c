import { isObject, type JsonObject } from '../model.ts';
import { tokenPattern } from './tokens.ts';

function addTokens(text: string, pings: Set<string>): void {
  for (const match of text.matchAll(tokenPattern())) {
    const value = (match[1] ?? '').split('|')[0] ?? '';
    if (value.startsWith('@')) pings.add(value.slice(1));
    else if (value.startsWith('!subteam^')) pings.add(value.slice('!subteam^'.length));
    else if (/^!(?:here|channel|everyone)$/.test(value)) pings.add(value.slice(1));
  }
}

function addNames(text: string, pings: Set<string>): void {
  for (const match of text.matchAll(/(?<![\w@])@(here|channel|everyone)\b/g)) pings.add(match[1] ?? '');
}

function addPings(value: unknown, pings: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) addPings(item, pings);
    return;
  }
  if (!isObject(value)) return;
  const { type, text } = value;
  if (type === 'plain_text') return;
  if (type === 'user' && typeof value.user_id === 'string') pings.add(value.user_id);
  if (type === 'usergroup' && typeof value.usergroup_id === 'string') pings.add(value.usergroup_id);
  if (type === 'broadcast' && typeof value.range === 'string') pings.add(value.range);
  if (type === 'mrkdwn' && typeof text === 'string') {
    addTokens(text, pings);
    if (value.verbatim !== true) addNames(text, pings);
  }
  if (type === 'markdown' && typeof text === 'string') addTokens(text, pings);
  for (const [key, inner] of Object.entries(value)) {
    if (key !== 'confirm' && key !== 'options' && key !== 'placeholder') addPings(inner, pings);
  }
}

/**
 * Whom a message notifies: user ids, user group ids, `here`, `channel`, `everyone` (docs/slack.md, Pings and misleading
 * text). `text` counts beside blocks too: it is the notification. `linkNames` also reads plain `@here` in a text that
 * is rendered.
 */
export function pingsOf(message: {
  text: string;
  blocks: JsonObject[];
  attachments: JsonObject[];
  linkNames?: boolean;
}): string[] {
  const pings = new Set<string>();
  addTokens(message.text, pings);
  if (message.linkNames && message.blocks.length === 0) addNames(message.text, pings);
  addPings(message.blocks, pings);
  for (const attachment of message.attachments) {
    for (const key of ['pretext', 'text', 'fallback']) {
      const value = attachment[key];
      if (typeof value === 'string') addTokens(value, pings);
    }
    addPings(attachment.blocks, pings);
  }
  return [...pings].sort();
}
