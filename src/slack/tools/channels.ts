import { z } from 'zod';
import { BoundedMap } from '../../bounded-map.ts';
import type { ChannelId, UserId } from '../../bridge/ids.ts';
import type { ChannelKind } from '../../bridge/inbound.ts';
import type { Clock } from '../../bridge/ports.ts';
import { oneLine } from '../../bridge/text/one-line.ts';
import type { ToolCall } from '../../bridge/tools/tool.ts';
import { SlackError } from '../api/slack-api.ts';
import { nextCursor } from '../outbox/calls.ts';
import { cleanName } from '../people/clean-name.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { type ToolApi, ToolRefused } from './calls.ts';

/** A channel as Slack tells of it at this moment. */
export interface ToolChannel {
  id: ChannelId;
  /** With `#`; of a direct message its id. Foreign text. */
  name: string;
  kind: ChannelKind;
  /** Whether another organisation shares it, or is invited to. */
  isExternal: boolean;
  isArchived: boolean;
  isBotMember: boolean;
}

export interface ToolChannels {
  /**
   * The channel that a model means: an id, `<#C…>` or a `#name` of a channel that the bot can see. Rejects with a
   * ToolRefused.
   */
  find(given: string, signal: AbortSignal): Promise<ToolChannel>;
  /** Whether a person is a member, asked of Slack now. */
  isMember(channel: ChannelId, user: UserId, signal: AbortSignal): Promise<boolean>;
  /** A channel elsewhere that both the bot and the requester are in, asked of Slack now. Rejects with a ToolRefused. */
  findShared(given: string, call: Pick<ToolCall, 'requester' | 'staysHere' | 'signal'>): Promise<ToolChannel>;
}

const info = z.looseObject({
  channel: z.looseObject({
    id: z.string(),
    name: z.string().nullish(),
    is_im: z.boolean().nullish(),
    is_mpim: z.boolean().nullish(),
    is_private: z.boolean().nullish(),
    is_member: z.boolean().nullish(),
    is_archived: z.boolean().nullish(),
    is_ext_shared: z.boolean().nullish(),
    is_pending_ext_shared: z.boolean().nullish(),
  }),
});
const members = z.looseObject({ members: z.array(z.string()) });
const list = z.looseObject({ channels: z.array(z.looseObject({ id: z.string(), name: z.string().nullish() })) });

const ID = /^[CDG][A-Z0-9]{2,20}$/;
const NAME = /^#?([\p{L}\p{N}\p{M}_-]{1,80})$/u;
/** Pages of 1,000 members: a channel with more counts as one that the person is not in. */
const MEMBER_PAGES = 10;
/** Pages of 1,000 channels, for how many names, and how long an answer holds, in ms. */
const LIST_PAGES = 5;
const NAMES = 5_000;
const KEPT_MS = 10 * 60_000;

export function createToolChannels({ api, clock }: { api: ToolApi; clock: Clock }): ToolChannels {
  const names = new BoundedMap<string, ChannelId>(NAMES);
  let namesUntil = Number.NEGATIVE_INFINITY;

  async function fetchChannel(id: ChannelId, signal: AbortSignal): Promise<ToolChannel> {
    const { channel } = info.parse(await api('conversations.info', { channel: id }, signal));
    const isIm = channel.is_im === true;
    const isMpim = channel.is_mpim === true;
    return {
      // Slack may know the channel under a newer id.
      id: channel.id,
      name: isIm || !channel.name ? channel.id : `#${cleanName(channel.name)}`,
      kind: isIm ? 'im' : isMpim ? 'mpim' : channel.is_private ? 'group' : 'channel',
      isExternal: channel.is_ext_shared === true || channel.is_pending_ext_shared === true,
      isArchived: channel.is_archived === true,
      // A direct message that the bot sees is its own.
      isBotMember: isIm || isMpim || channel.is_member === true,
    };
  }

  async function listNames(signal: AbortSignal): Promise<void> {
    let cursor: string | null = '';
    for (let page = 0; page < LIST_PAGES && cursor !== null; page += 1) {
      const args = { types: 'public_channel,private_channel', exclude_archived: true, limit: 1_000 };
      const answer = await api('conversations.list', { ...args, ...(cursor !== '' && { cursor }) }, signal);
      for (const { id, name } of list.parse(answer).channels) if (name) names.set(name, id);
      cursor = nextCursor(answer);
    }
    namesUntil = clock.monotonic() + KEPT_MS;
  }

  async function idOf(given: string, signal: AbortSignal): Promise<ChannelId> {
    const words = given.trim();
    const id = /^<#([CDG][A-Z0-9]{2,20})(?:\|[^<>]*)?>$/.exec(words)?.[1] ?? words;
    if (ID.test(id)) return id;
    const name = NAME.exec(words)?.[1]?.toLowerCase();
    if (name === undefined) throw new ToolRefused(TOOL_WORDS.notAChannel);
    if (clock.monotonic() >= namesUntil) await listNames(signal);
    const found = names.get(name);
    if (found === undefined) throw new ToolRefused(TOOL_WORDS.noSuchChannel(oneLine(given, 80)));
    return found;
  }

  async function isMember(channel: ChannelId, user: UserId, signal: AbortSignal): Promise<boolean> {
    let cursor: string | null = '';
    for (let page = 0; page < MEMBER_PAGES && cursor !== null; page += 1) {
      const args = { channel, limit: 1_000, ...(cursor !== '' && { cursor }) };
      const answer = await api('conversations.members', args, signal);
      if (members.parse(answer).members.includes(user)) return true;
      cursor = nextCursor(answer);
    }
    return false;
  }

  async function find(given: string, signal: AbortSignal): Promise<ToolChannel> {
    const id = await idOf(given, signal);
    try {
      return await fetchChannel(id, signal);
    } catch (error) {
      const isUnknown = error instanceof SlackError && error.error === 'channel_not_found';
      throw isUnknown ? new ToolRefused(TOOL_WORDS.noSuchChannel(oneLine(given, 80))) : error;
    }
  }

  return {
    find,
    isMember,
    async findShared(given, { requester, staysHere, signal }) {
      if (staysHere) throw new ToolRefused(TOOL_WORDS.noRequester);
      if (!/^[UW]/.test(requester)) throw new ToolRefused(TOOL_WORDS.requesterIsBot);
      const channel = await find(given, signal);
      if (!channel.isBotMember) throw new ToolRefused(TOOL_WORDS.botNotMember);
      if (await isMember(channel.id, requester, signal)) return channel;
      // That a place exists which only its members see is told to no one else.
      if (channel.kind !== 'channel') throw new ToolRefused(TOOL_WORDS.noSuchChannel(oneLine(given, 80)));
      throw new ToolRefused(TOOL_WORDS.requesterNotMember(requester));
    },
  };
}
