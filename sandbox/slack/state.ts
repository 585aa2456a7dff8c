import { BoundedMap } from '../bounded-map.ts';
import type { Channel, JsonObject, SlackFile, SlackUser, StoredMessage, StoredView } from './model.ts';

export const TEAM = { id: 'T01SANDBOX', domain: 'sandbox', name: 'Sandbox' } as const;
const EXTERNAL_TEAM = 'T05EXT';
export const APP_ID = 'A0SANDBOX';
export const BOT = { userId: 'U0BOT', botId: 'B0BOT', name: 'agent' } as const;
/** Another app's bot: who `subtype: bot_message` of the control API speaks as. */
export const OTHER_BOT = { botId: 'B0OTHER', appId: 'A0OTHER', name: 'otherbot' } as const;

const MAX_UPLOADS = 500;
const MESSAGES_PER_CHANNEL = 20_000;

export interface Status {
  channel: string;
  thread: string;
  status: string;
  loadingMessages: string[];
  at: number;
}

export interface Session {
  channel: string;
  thread: string;
  status: string;
  title: string;
  at: number;
}

export interface UserGroup {
  id: string;
  handle: string;
  name: string;
  users: string[];
}

export interface PendingUpload {
  id: string;
  name: string;
  length: number;
  altText: string;
  content: Buffer | null;
}

/** Everything in the workspace. Ids and `ts` never repeat, not even after a reset, because clients dedupe by them. */
export class Workspace {
  readonly users = new Map<string, SlackUser>();
  readonly channels = new Map<string, Channel>();
  readonly userGroups = new Map<string, UserGroup>();
  readonly files = new Map<string, SlackFile>();
  readonly uploads = new BoundedMap<string, PendingUpload>(MAX_UPLOADS);
  /** Open modals of a user, the top one last. */
  readonly stacks = new Map<string, StoredView[]>();
  readonly homes = new Map<string, StoredView>();
  readonly statuses = new Map<string, Status>();
  readonly sessions = new Map<string, Session>();
  /** What an agent app suggests in a direct message. */
  readonly prompts = new Map<string, readonly JsonObject[]>();
  /** Ids that a channel had before (`channel_id_changed`). */
  readonly formerIds = new Map<string, string>();

  readonly #now: () => number;
  readonly #random: () => number;
  readonly #moreChannels: readonly string[];
  readonly #lastTs = new Map<string, number>();
  #counter = 0;

  constructor(now: () => number, random: () => number, moreChannels: readonly string[] = []) {
    this.#now = now;
    this.#random = random;
    this.#moreChannels = moreChannels;
    this.reset();
  }

  reset(): void {
    for (const map of [this.users, this.channels, this.userGroups, this.files, this.uploads]) map.clear();
    for (const map of [this.stacks, this.homes, this.statuses, this.sessions, this.prompts, this.formerIds])
      map.clear();
    const person = (id: string, name: string, realName: string, kind: SlackUser['kind']) =>
      this.users.set(id, {
        id,
        team: kind === 'external' ? EXTERNAL_TEAM : TEAM.id,
        name,
        realName,
        kind,
        deleted: false,
        ...(id === BOT.userId && { botId: BOT.botId }),
      });
    person('U01ALICE', 'alice', 'Alice Moreau', 'member');
    person('U02BOB', 'bob', 'Bob Okafor', 'member');
    person('U03CARA', 'cara', 'Cara Lind', 'member');
    person('U04GUEST', 'guest', 'Gus Guest', 'guest');
    person('U05EXT', 'ext', 'Eve External', 'external');
    person(BOT.userId, BOT.name, 'Agent', 'bot');
    const people = ['U01ALICE', 'U02BOB', 'U03CARA', 'U04GUEST'];
    const general = this.addChannel('C01GEN', 'general', 'public', [...people, 'U05EXT', BOT.userId]);
    general.topic = 'Releases on Thursdays';
    this.addChannel('C02ENG', 'eng', 'private', [...people, BOT.userId]);
    this.addChannel('C03OUT', 'outside', 'public', ['U01ALICE', 'U02BOB', 'U03CARA']);
    for (const id of this.#moreChannels) this.addChannel(id, id.toLowerCase(), 'public', ['U01ALICE', BOT.userId]);
    this.userGroups.set('S01ONCALL', {
      id: 'S01ONCALL',
      handle: 'oncall',
      name: 'On call',
      users: ['U01ALICE', 'U02BOB'],
    });
  }

  addChannel(id: string, name: string, kind: Channel['kind'], members: string[], partner?: string): Channel {
    const channel: Channel = {
      id,
      name,
      kind,
      members: new Set(members),
      archived: false,
      created: Math.floor(this.#now() / 1000),
      creator: members[0] ?? 'U01ALICE',
      messages: [],
      byTs: new Map(),
      threads: new Map(),
      ...(partner !== undefined && { partner }),
    };
    this.channels.set(id, channel);
    return channel;
  }

  /** A channel by id; the `D…` of a known user is made on demand (`U01ALICE` → `D01ALICE`). */
  findChannel(id: string): Channel | undefined {
    const known = this.channels.get(id);
    if (known) return known;
    const partner = id.startsWith('D') ? `U${id.slice(1)}` : '';
    const user = this.users.get(partner);
    return user && user.kind !== 'bot' ? this.openDirectMessage(partner) : undefined;
  }

  openDirectMessage(user: string): Channel {
    const id = `D${user.slice(1)}`;
    return this.channels.get(id) ?? this.addChannel(id, '', 'im', [user, BOT.userId], user);
  }

  isShared(channel: Channel): boolean {
    return [...channel.members].some((id) => this.users.get(id)?.kind === 'external');
  }

  /** Unique and increasing per channel; a string with six digits (docs/slack.md, Web API behaviour). */
  nextTs(channel: string): string {
    const micros = Math.max(
      this.#now() * 1000 + Math.floor(this.#random() * 1000),
      (this.#lastTs.get(channel) ?? 0) + 1,
    );
    this.#lastTs.set(channel, micros);
    return `${Math.floor(micros / 1_000_000)}.${String(micros % 1_000_000).padStart(6, '0')}`;
  }

  nextId(prefix: string): string {
    this.#counter += 1;
    const noise = Math.floor(this.#random() * 36 ** 3);
    return `${prefix}0${this.#counter.toString(36).toUpperCase().padStart(5, '0')}${noise.toString(36).toUpperCase().padStart(3, '0')}`;
  }

  nextBlockId(): string {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    let id = '';
    for (let n = 0; n < 5; n += 1) id += letters[Math.floor(this.#random() * letters.length)] ?? 'A';
    return id;
  }

  addMessage(message: StoredMessage): void {
    const channel = this.channels.get(message.channel);
    if (!channel) return;
    channel.messages.push(message);
    if (message.ephemeralFor === undefined) {
      channel.byTs.set(message.ts, message);
      if (message.threadTs !== undefined) {
        const replies = channel.threads.get(message.threadTs);
        if (replies) replies.push(message);
        else channel.threads.set(message.threadTs, [message]);
      }
    }
    const oldest = channel.messages.length > MESSAGES_PER_CHANNEL ? channel.messages[0] : undefined;
    if (oldest) this.#forgetMessage(channel, oldest);
  }

  /** A visible message; ephemeral ones are not found. */
  findMessage(channel: string, ts: string): StoredMessage | undefined {
    return this.channels.get(channel)?.byTs.get(ts);
  }

  repliesTo(channel: string, threadTs: string): readonly StoredMessage[] {
    return this.channels.get(channel)?.threads.get(threadTs) ?? [];
  }

  /** Removes a message; a root with replies leaves a placeholder. */
  removeMessage(message: StoredMessage): void {
    const channel = this.channels.get(message.channel);
    if (!channel) return;
    if (message.threadTs !== undefined || this.repliesTo(channel.id, message.ts).length === 0) {
      this.#forgetMessage(channel, message);
      return;
    }
    message.isTombstone = true;
    message.text = 'This message was deleted.';
    message.blocks = [];
    message.attachments = [];
    message.files = [];
  }

  #forgetMessage(channel: Channel, message: StoredMessage): void {
    channel.messages.splice(channel.messages.indexOf(message), 1);
    channel.byTs.delete(message.ts);
    if (message.threadTs === undefined) return;
    const rest = this.repliesTo(channel.id, message.threadTs).filter((other) => other !== message);
    if (rest.length > 0) channel.threads.set(message.threadTs, rest);
    else channel.threads.delete(message.threadTs);
  }

  /** Sessions as they are now: `processing` ends by itself after an hour (docs/slack.md, Agent sessions). */
  liveSessions(): Session[] {
    for (const session of this.sessions.values()) {
      if (session.status === 'processing' && this.#now() - session.at >= 3_600_000) session.status = 'active';
    }
    return [...this.sessions.values()];
  }

  /** Live statuses: they clear themselves two minutes after they were set (docs/slack.md, Assistant threads). */
  liveStatuses(): Status[] {
    for (const [key, status] of this.statuses) {
      if (this.#now() - status.at >= 120_000) this.statuses.delete(key);
    }
    return [...this.statuses.values()];
  }
}
