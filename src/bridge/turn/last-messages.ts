import type { HistoryItem } from '../agent-event.ts';
import { isClientMessageId } from '../ids.ts';
import { readFiring } from '../schedules/firing.ts';
import { redact } from '../text/redact.ts';

/** One message of a conversation's history, as it is shown to people. All texts are foreign. */
export interface ToldMessage {
  by: 'agent' | 'client' | 'schedule' | 'slack';
  /** Of `slack`: the name of its author; `null`: not told. */
  name: string | null;
  /** ms since 1970; `null`: not told. */
  at: number | null;
  /** Without what looks like a secret, and cut. */
  text: string;
  /** How many of its characters are left out. */
  cut: number;
  /** How many tools ran before it, since the message before. */
  tools: number;
}

/** Characters of a message that are shown. */
const MOST_CHARACTERS = 1_500;
/** How much of a text is searched for secrets: more than what is shown, so that none is cut in half. */
const LOOKED_AT = 6_000;

/** The newest messages of people, programs and the agent, oldest first. @param history oldest first */
export function lastMessages(history: readonly HistoryItem[], most: number): ToldMessage[] {
  const told: ToldMessage[] = [];
  let tools = 0;
  for (const item of history) {
    if (item.kind === 'tool' && item.result === undefined) tools += 1;
    const message = tellItem(item);
    if (!message || message.text === '') continue;
    told.push({ ...message, tools });
    tools = 0;
  }
  return told.slice(-most);
}

function tellItem(item: HistoryItem): Omit<ToldMessage, 'tools'> | null {
  const at = item.at ?? null;
  if (item.kind === 'assistant') return { by: 'agent', name: null, at, ...shorten(item.text) };
  // What Letta added by itself has no id, or says so at its beginning.
  if (item.kind !== 'user' || item.clientMessageId === null || LETTAS_OWN.test(item.text)) return null;
  if (isClientMessageId(item.clientMessageId)) {
    const { name, text } = readPrompt(item.text);
    return { by: 'slack', name, at, ...shorten(text) };
  }
  return { by: readFiring(item.text) ? 'schedule' : 'client', name: null, at, ...shorten(item.text) };
}

const LETTAS_OWN = /^\s*<(?:task-notification|skill_content|system-reminder)\b/;

function shorten(whole: string): { text: string; cut: number } {
  const text = whole.trim();
  const shown = redact(text.slice(0, LOOKED_AT)).text.slice(0, MOST_CHARACTERS).trimEnd();
  return { text: shown, cut: text.length > MOST_CHARACTERS ? text.length - MOST_CHARACTERS : 0 };
}

/**
 * What people wrote in an input that a bridge sent (`promptContent`), without its envelope and the context; the whole text
 * where it has another form. It is only shown: who wrote it is as sure as the history is.
 */
function readPrompt(text: string): { name: string | null; text: string } {
  const seal = /^\[([^\]\n]{1,100})\] From Slack, /.exec(text)?.[1];
  if (seal === undefined) return { name: null, text };
  const mark = `[${seal}] `;
  let name: string | null = null;
  let isTrusted = false;
  const words: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith(mark)) {
      const author = authorIn(line);
      isTrusted = author !== null;
      name = author ?? name;
    } else if (isTrusted) words.push(line);
  }
  return { name, text: words.join('\n') };
}

/** Who wrote what is below this line of the envelope, if they were trusted. A name has no quotes in it. */
function authorIn(line: string): string | null {
  const author = /named "([^"]*)", /.exec(line);
  const behind = author ? author.index + author[0].length : 0;
  return author && line.includes(', trusted: written to you by ', behind) ? (author[1] ?? null) : null;
}
