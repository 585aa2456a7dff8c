import { BoundedMap } from '../bounded-map.ts';
import type { Channel, JsonObject, SlackFile, SlackUser, StoredMessage, StoredView } from './model.ts';

/** A workspace, and the organisation that it may belong to. */
export interface Team {
  id: string;
  domain: string;
  name: string;
  enterprise: { id: string; name: string } | null;
}

/** The app's bot in one workspace. */
export interface Bot {
  userId: string;
  botId: string;
  name: string;
}

export const TEAM: Team = { id: 'T01SANDBOX', domain: 'sandbox', name: 'Sandbox', enterprise: null };
const EXTERNAL_TEAM = 'T05EXT';
export const APP_ID = 'A0SANDBOX';
const BOT: Bot = { userId: 'U0BOT', botId: 'B0BOT', name: 'agent' };
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

export interface WorkspaceOptions {
  now: () => number;
  random: () => number;
  moreChannels?: readonly string[] | undefined;
  team?: Team | undefined;
  /** Letters at the end of all ids; left out: none. */
  suffix?: string | undefined;
  /** Left out: one of its own. In the workspaces of an organisation the bot is the same. */
  bot?: Bot | undefined;
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

  readonly team: Team;
  readonly bot: Bot;

  readonly #now: () => number;
  readonly #random: () => number;
  readonly #moreChannels: readonly string[];
  /** At the end of the ids of everybody and everything here, because Slack gives no id twice. */
  readonly #suffix: string;
  readonly #lastTs = new Map<string, number>();
  #counter = 0;

  constructor({ now, random, moreChannels = [], team = TEAM, suffix = '', bot }: WorkspaceOptions) {
    this.#now = now;
    this.#random = random;
    this.#moreChannels = moreChannels;
    this.#suffix = suffix;
    this.team = team;
    this.bot = bot ?? { ...BOT, userId: `${BOT.userId}${suffix}`, botId: `${BOT.botId}${suffix}` };
    this.reset();
  }

  reset(): void {
    for (const map of [this.users, this.channels, this.userGroups, this.files, this.uploads]) map.clear();
    for (const map of [this.stacks, this.homes, this.statuses, this.sessions, this.prompts, this.formerIds])
      map.clear();
    const { team, bot } = this;
    const own = (id: string) => `${id}${this.#suffix}`;
    const person = (id: string, name: string, realName: string, kind: SlackUser['kind']) =>
      this.users.set(id, {
        id,
        team: kind === 'external' ? EXTERNAL_TEAM : team.id,
        name,
        realName,
        kind,
        deleted: false,
        ...(id === bot.userId && { botId: bot.botId }),
      });
    person(own('U01ALICE'), 'alice', 'Alice Moreau', 'member');
    person(own('U02BOB'), 'bob', 'Bob Okafor', 'member');
    person(own('U03CARA'), 'cara', 'Cara Lind', 'member');
    person(own('U04GUEST'), 'guest', 'Gus Guest', 'guest');
    person(own('U05EXT'), 'ext', 'Eve External', 'external');
    person(bot.userId, bot.name, 'Agent', 'bot');
    const people = ['U01ALICE', 'U02BOB', 'U03CARA', 'U04GUEST'].map(own);
    const general = this.addChannel(own('C01GEN'), 'general', 'public', [...people, own('U05EXT'), bot.userId]);
    general.topic = 'Releases on Thursdays';
    this.addChannel(own('C02ENG'), 'eng', 'private', [...people, bot.userId]);
    this.addChannel(own('C03OUT'), 'outside', 'public', people.slice(0, 3));
    for (const id of this.#moreChannels)
      this.addChannel(own(id), id.toLowerCase(), 'public', [own('U01ALICE'), bot.userId]);
    const onCall = own('S01ONCALL');
    this.userGroups.set(onCall, { id: onCall, handle: 'oncall', name: 'On call', users: people.slice(0, 2) });
  }

  addChannel(id: string, name: string, kind: Channel['kind'], members: string[], partner?: string): Channel {
    const channel: Channel = {
      id,
      name,
      kind,
      members: new Set(members),
      archived: false,
      created: Math.floor(this.#now() / 1000),
      creator: members[0] ?? `U01ALICE${this.#suffix}`,
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
    return this.channels.get(id) ?? this.addChannel(id, '', 'im', [user, this.bot.userId], user);
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
    return `${prefix}0${this.#suffix}${this.#counter.toString(36).toUpperCase().padStart(5, '0')}${noise.toString(36).toUpperCase().padStart(3, '0')}`;
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
