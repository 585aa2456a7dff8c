import type { CallFault, SocketFault } from '../faults.ts';
import type { Gauge } from '../limits.ts';
import type { LogEntry } from '../log.ts';
import type { FileAccess, JsonObject, SlackFile } from '../model.ts';

/** A person cannot do this, or the request was wrong. */
export class ControlError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ControlError';
    this.status = status;
  }
}

/** A file as a person uploads it. */
export interface FileInput {
  name: string;
  content?: string | undefined;
  base64?: string | undefined;
  mimetype?: string | undefined;
  /** Bytes that follow the content: for big files. */
  padding?: number | undefined;
  mode?: SlackFile['mode'] | undefined;
  access?: FileAccess | undefined;
  /** Of an `external` file. */
  url?: string | undefined;
  clip?: SlackFile['clip'] | undefined;
  transcript?: string | undefined;
}

export interface MessageInput {
  channel: string;
  user: string;
  /** As a person types it: `@agent`, `@alice`, `@here`, `#general` become tokens, `&`, `<`, `>` are escaped. */
  text: string;
  thread_ts?: string | undefined;
  files?: FileInput[] | undefined;
  /**
   * `me_message`, `thread_broadcast`, `bot_message` (another app's bot), `channel_join`, …; `file_share` comes by
   * itself.
   */
  subtype?: string | undefined;
  /** Another app posts it with the token of `user`: Slack puts that app's ids beside the user. */
  by_app?: boolean | undefined;
  /** Of apps only; people type text. */
  blocks?: JsonObject[] | undefined;
  attachments?: JsonObject[] | undefined;
}

export interface InteractInput {
  user: string;
  /** The element's action_id or a button's label. */
  action: string;
  channel?: string | undefined;
  messageTs?: string | undefined;
  /** Instead of a message: the person's top modal or Home tab. */
  view?: 'modal' | 'home' | undefined;
  option?: string | string[] | undefined;
  value?: string | undefined;
}

export interface AckResult {
  acked: boolean;
  /** ms until the ack; null when none came. */
  ackMs: number | null;
  /** The ack's own payload, if it had one. */
  response: unknown;
}

export interface SubmitResult extends AckResult {
  response_action?: string;
  errors?: Record<string, string>;
  /** True when the modal is gone afterwards. */
  closed: boolean;
}

/** A message as people see it. */
export interface SeenMessage {
  channel: string;
  ts: string;
  thread_ts: string | null;
  user: string | null;
  bot_id: string | null;
  name: string;
  subtype: string | null;
  text: string;
  blocks: JsonObject[];
  attachments: JsonObject[];
  files: JsonObject[];
  metadata: JsonObject | null;
  /** Whether "(edited)" shows. */
  edited: boolean;
  /** How often its content was written; 1 for a fresh message. */
  revisions: number;
  deleted: boolean;
  /** The only one who sees it. */
  ephemeral: string | null;
  /** Of a natively streamed message: `in_progress` while it grows, `dead` when Slack gave it up. */
  stream: 'in_progress' | 'completed' | 'dead' | 'stopped' | null;
  /** Whom any revision of it would notify: user ids, user group ids, `here`, `channel`, `everyone`. */
  pings: string[];
  reactions: Record<string, string[]>;
  reply_count: number;
}

export interface SlackState {
  team: string;
  app: string;
  bot: string;
  now: number;
  users: { id: string; name: string; real_name: string; kind: string; team: string }[];
  channels: { id: string; name: string; kind: string; members: string[]; archived: boolean; messages: number }[];
  connections: { id: number; frozen: boolean }[];
  limits: 'on' | 'off';
  /** 429s per method. */
  ratelimited: Record<string, number>;
  /** Windows that calls were counted in during the last minute; empty with limits off. */
  gauges: Gauge[];
  statuses: { channel: string; thread_ts: string; status: string; loading_messages: string[]; age_ms: number }[];
  sessions: { channel: string; thread_ts: string; status: string; title: string }[];
  /** Names of the app's entries in the menu of messages. */
  shortcuts: string[];
  /** Payloads that are not acked yet or wait for a retry. */
  pending: number;
  faults: CallFault[];
}

/** What a person, or the world, does to the small Slack. `…Ts` and `ts` are message timestamps. */
export interface Control {
  message(input: MessageInput): Promise<{ channel: string; ts: string; thread_ts: string | null; text: string }>;
  interact(input: InteractInput): Promise<AckResult>;
  /** `values`: block_id or label → what was typed or chosen. */
  /** Chooses a shortcut of the app, by its name or callback id, in a message's menu. */
  shortcut(input: { user: string; channel: string; messageTs: string; shortcut: string }): Promise<AckResult>;
  viewSubmit(input: { user: string; values?: Record<string, string | string[]> | undefined }): Promise<SubmitResult>;
  viewClose(input: { user: string }): Promise<{ closed: boolean }>;
  command(input: {
    channel: string;
    user: string;
    command: string;
    text?: string | undefined;
    thread_ts?: string | undefined;
  }): Promise<AckResult>;
  /** Slackbot says in a channel what somebody made it say later, as `/remind #channel …` does. */
  remind(input: { channel: string; text: string }): Promise<{ ts: string }>;
  reaction(input: {
    channel: string;
    messageTs: string;
    user: string;
    name: string;
    remove?: boolean | undefined;
  }): Promise<{ changed: boolean }>;
  editMessage(input: { channel: string; messageTs: string; user: string; text: string }): Promise<{ ts: string }>;
  /** Slack finishes an upload after the message: a `message_changed` without the mark of an edit. */
  addFiles(input: { channel: string; messageTs: string; user: string; files: FileInput[] }): Promise<{ ts: string }>;
  /** Deletes a file, or restricts it otherwise; messages with it change. */
  restrictFile(input: { file: string; access: FileAccess }): Promise<Record<never, never>>;
  deleteMessage(input: { channel: string; messageTs: string; user?: string | undefined }): Promise<{ ts: string }>;
  openHome(input: { user: string; tab?: 'home' | 'messages' | undefined }): Promise<{ channel: string }>;
  /** A group direct message of these people and the bot. */
  openGroup(input: { users: string[] }): Promise<{ channel: string }>;
  member(input: {
    channel: string;
    user: string;
    joined: boolean;
    inviter?: string | undefined;
  }): Promise<{ changed: boolean }>;
  archive(input: { channel: string; archived?: boolean | undefined }): Promise<{ archived: boolean }>;
  changeChannelId(input: { channel: string; newId: string }): Promise<{ channel: string }>;
  stopSession(input: { channel: string; user: string; thread_ts: string }): Promise<Record<never, never>>;
  contextChanged(input: { user: string; channel: string }): Promise<Record<never, never>>;
  /** Deactivates or revives a person. */
  user(input: { user: string; deleted: boolean }): Promise<Record<never, never>>;
  /** Makes every Web API call fail with this word; null takes it back. */
  revoke(input: { error: string | null }): Promise<Record<never, never>>;
  verifyUrl(): Promise<{ verified: boolean }>;
  faults(input: CallFault | SocketFault | { kind: 'clear' }): Promise<Record<never, never>>;
  reset(): Promise<Record<never, never>>;
  /**
   * Oldest first. `thread_ts`: that thread with its root. `user`: with the ephemeral messages of this person.
   * `latest`: no more than so many of the newest.
   */
  messages(
    channel: string,
    filter?: { thread_ts?: string | undefined; user?: string | undefined; latest?: number | undefined },
  ): SeenMessage[];
  /** A file's content, as the client of somebody who may see it gets it; `null` when there is none of that id. */
  file(id: string): { name: string; mimetype: string; content: Buffer } | null;
  views(user: string): { modals: JsonObject[]; home: JsonObject | null };
  log(filter?: { type?: string | undefined; method?: string | undefined }): LogEntry[];
  state(): SlackState;
}
