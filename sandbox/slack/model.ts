/** An entry of the app in the menu of messages. */
export interface Shortcut {
  name: string;
  callbackId: string;
}

export type JsonObject = Record<string, unknown>;

export interface SlackUser {
  id: string;
  team: string;
  /** Handle, as in `username` of payloads; `@name` in control text becomes `<@id>`. */
  name: string;
  realName: string;
  kind: 'member' | 'guest' | 'external' | 'bot';
  deleted: boolean;
  botId?: string;
}

export type ChannelKind = 'public' | 'private' | 'im' | 'mpim';

export interface Channel {
  id: string;
  name: string;
  kind: ChannelKind;
  /** As people write it under the channel's name. */
  topic?: string;
  members: Set<string>;
  archived: boolean;
  created: number;
  creator: string;
  /** Oldest first. */
  messages: StoredMessage[];
  /** Visible messages by `ts`, and replies by the `ts` of their root. */
  byTs: Map<string, StoredMessage>;
  threads: Map<string, StoredMessage[]>;
  /** The person of an `im`. */
  partner?: string;
}

/**
 * What other people may still do with a file. `check_file_info`: only `files.info` tells more (Slack Connect);
 * `tombstone`: deleted; `hidden_by_limit`: too old for the plan.
 */
export type FileAccess = 'visible' | 'check_file_info' | 'tombstone' | 'hidden_by_limit';

export interface SlackFile {
  id: string;
  name: string;
  title: string;
  /** What a screen reader says of a picture. */
  altText?: string;
  mimetype: string;
  filetype: string;
  content: Buffer;
  /** Bytes that are served after `content`, made on the way, so that big files need no memory. */
  padding?: number;
  /** Default `hosted`. */
  mode?: 'hosted' | 'snippet' | 'email' | 'external';
  /** Default `visible`. */
  access?: FileAccess;
  /** Where an `external` file lies. */
  url?: string;
  /** Recorded with Slack's own recorder. */
  clip?: 'audio' | 'video';
  /** Slack's own words of a clip. */
  transcript?: string;
  user: string;
  created: number;
  shares: { channel: string; ts: string }[];
}

export interface StreamContent {
  /** What it was opened with; `null`: with nothing yet. A stream takes one kind of content only. */
  mode: 'markdown_text' | 'chunks' | null;
  /** Markdown texts and blocks in their order; texts that touch are one. */
  content: JsonObject[];
  /** Task cards and plan titles, by id: the same id changes the same card. */
  tasks: ReadonlyMap<string, JsonObject>;
}

/** A message that grows by `chat.appendStream` (docs/slack.md, Native streaming). */
export interface MessageStream extends StreamContent {
  startedAt: number;
  /** `dead`: it became too old. `stopped`: a person stopped it with Slack's own button. */
  state: 'in_progress' | 'completed' | 'dead' | 'stopped';
}

export interface StoredMessage {
  channel: string;
  ts: string;
  subtype?: string;
  /** The author; a foreign `bot_message` has only a `botId`. */
  user?: string;
  botId?: string;
  username?: string;
  text: string;
  blocks: JsonObject[];
  attachments: JsonObject[];
  files: SlackFile[];
  threadTs?: string;
  parentUser?: string;
  clientMsgId?: string;
  metadata?: JsonObject;
  /** Set while the "(edited)" mark shows. */
  edited?: { user: string; ts: string };
  /** Whether the app gave the blocks; otherwise Slack derived them from `text`. */
  hasOwnBlocks: boolean;
  /** Only this user sees it; it is in no history. */
  ephemeralFor?: string;
  /** A deleted root that still has replies. */
  isTombstone: boolean;
  reactions: Map<string, string[]>;
  /** Everyone whom any revision of it notifies: user ids, `here`, `channel`, `everyone`, user group ids. */
  pings: string[];
  revisions: number;
  /** Set when it was begun by `chat.startStream`. */
  stream?: MessageStream;
}

export interface StoredView {
  id: string;
  type: 'modal' | 'home';
  user: string;
  source: JsonObject;
  blocks: JsonObject[];
  hash: string;
  externalId: string;
  rootId: string;
  previousId: string | null;
  /** What people chose in it so far: block_id → action_id → state. */
  values: Record<string, JsonObject>;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
