import type { ChannelId, SlackTs } from '../ids.ts';
import type { HandedFile } from '../record/thread-record.ts';

export type ToolPart =
  | { type: 'text'; text: string }
  /** base64 of an image that was checked: a bad one fails the whole turn. */
  | { type: 'image'; data: string; mediaType: string };

/** What the model gets. Texts may be long: the bridge cuts them with a mark, so put what matters first. */
export interface ToolResult {
  parts: readonly ToolPart[];
  isError?: true | undefined;
  /** What it put on the agent's machine, for the record: such files are read without a card, and emptied in time. */
  handed?: readonly HandedFile[] | undefined;
  /** The message that it posted elsewhere: replies to it belong to this conversation. */
  posted?: { channel: ChannelId; ts: SlackTs; threadTs: SlackTs | null } | undefined;
}

/** A result of one text. */
export function says(text: string): ToolResult {
  return { parts: [{ type: 'text', text }] };
}

/** An error that the model reads. */
export function fails(text: string): ToolResult {
  return { parts: [{ type: 'text', text }], isError: true };
}
