import { isDirect, type SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { MessageAddress } from '../../bridge/ports.ts';
import { fails, says, type ToolResult } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolHandler, ToolPlan } from '../../bridge/tools/tool.ts';
import { pause } from '../api/pause.ts';
import { type SlackAnswer, SlackError } from '../api/slack-api.ts';
import { lookCall, readLook } from '../outbox/calls.ts';
import { METADATA_TYPE, TOOL_PART } from '../outbox/post-metadata.ts';
import { permalink } from '../render/permalink.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { planning, recalling, resulting, ToolRefused } from './calls.ts';
import type { ToolChannel } from './channels.ts';
import type { ToolParts } from './parts.ts';
import { isTs } from './permalinks.ts';
import { mayMention, renderMessage, type ToolMessage } from './texts.ts';

type Call = ToolCall<'slack_post_message'>;

interface Target {
  channel: Pick<ToolChannel, 'id' | 'name'>;
  address: ThreadAddress;
  message: ToolMessage;
  /** Whether it is the thread in which the agent answers anyway. */
  isHere: boolean;
  /** Whether replies to it are for this conversation. */
  isJoined: boolean;
}

/** After a lost answer: when it is looked whether the message is there, in ms. */
const LOOKS_MS = [1_000, 3_000, 10_000];
const PAGES = 3;

/**
 * `slack_post_message`: a message where both bot and requester are, and where the policy lets the agent work. Its metadata
 * hold the call's key, so after a lost answer it is looked for, and never posted twice.
 */
export function createPostMessage(parts: ToolParts): ToolHandler<'slack_post_message'> {
  const { api, channels, clock, workspace, nameOf } = parts;

  async function find(call: Call): Promise<Target> {
    const { input, rights, address: home, team } = call;
    const threadTs = input.thread_ts ?? null;
    if (threadTs !== null && !isTs(threadTs)) throw new ToolRefused(TOOL_WORDS.badTime);
    const message = renderMessage(input.text, mayMention(call), nameOf);
    if (message === null) throw new ToolRefused(TOOL_WORDS.tooLong);
    if (message.blocks.length === 0) throw new ToolRefused(TOOL_WORDS.nothingToPost);
    if (input.channel.trim() === home.channel && threadTs === home.threadTs)
      return {
        channel: { id: home.channel, name: 'this thread' },
        address: home,
        message,
        isHere: true,
        isJoined: false,
      };
    const channel = await channels.findShared(input.channel, call);
    if (channel.isArchived) throw new ToolRefused(TOOL_WORDS.archived);
    const place = { channel: channel.id, channelKind: channel.kind, external: channel.isExternal };
    if (!rights.at(place).mayWork) throw new ToolRefused(TOOL_WORDS.policyKeepsOut);
    const kind = channel.kind === 'mpim' && { kind: channel.kind };
    const address = { team, channel: channel.id, threadTs, ...kind };
    const isHere = channel.id === home.channel && threadTs === home.threadTs;
    return { channel, address, message, isHere, isJoined: !isHere && (await mayJoin(call, channel)) };
  }

  /**
   * Whoever may write in one of a conversation's threads can ask the agent what was said in the others. So replies are
   * for this conversation only in the same channel, or where everybody of the workspace, and no one else, can read both.
   */
  async function mayJoin({ address, signal }: Call, target: ToolChannel): Promise<boolean> {
    if (target.kind === 'im' || target.isExternal) return false;
    if (target.id === address.channel) return true;
    if (target.kind !== 'channel' || isDirect(address.channel)) return false;
    const home = await channels.find(address.channel, signal);
    return home.kind === 'channel' && !home.isExternal;
  }

  const sealOf = ({ address, isJoined }: Target) => `${address.channel}:${address.threadTs ?? ''}:${isJoined}`;

  function planOf(call: Call, target: Target): ToolPlan {
    const { channel, address, isHere, isJoined } = target;
    const seal = sealOf(target);
    if (isHere || call.rights.postUnasked.includes(channel.id)) return { may: 'run', seal };
    const thread = address.threadTs && permalink({ ...address, ts: address.threadTs }, workspace);
    const where = [`In ${channel.name} (${channel.id})`, ...(thread ? [`Thread: ${thread}`] : [])];
    return { may: 'ask', facts: [...where, ...(isJoined ? [TOOL_WORDS.repliesJoin] : [])], seal };
  }

  async function post(call: Call, target: Target): Promise<ToolResult> {
    const { address, message } = target;
    const since = sinceOf(clock.now());
    let answer: SlackAnswer;
    try {
      answer = await send(call, address, message, true);
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      if (error.failure === 'unknown') return lookAfterLoss(call, target, since);
      if (!/^(?:invalid_blocks|msg_blocks_too_long|msg_too_long)/.test(error.error)) throw error;
      // People agreed to all of it, so a part of it is not posted.
      if (message.plain === null) throw new ToolRefused(TOOL_WORDS.tooLong);
      answer = await send(call, address, message, false);
    }
    const posted = (answer.message ?? {}) as { thread_ts?: unknown };
    const ts = typeof answer.ts === 'string' ? answer.ts : null;
    // A root that is gone is no error: Slack posts at the top of the channel (docs/slack.md, Learned since).
    if (ts !== null && address.threadTs !== null && posted.thread_ts !== address.threadTs) {
      const isDeleted = await api('chat.delete', { channel: address.channel, ts }, call.signal).then(
        () => true,
        () => false,
      );
      throw new ToolRefused(isDeleted ? TOOL_WORDS.noSuchThread : TOOL_WORDS.postedOutside(ts));
    }
    return ts === null ? fails(TOOL_WORDS.postUnknown) : done(target, ts);
  }

  function send(call: Call, { channel, threadTs }: ThreadAddress, message: ToolMessage, hasBlocks: boolean) {
    const args = {
      channel,
      ...(threadTs !== null && { thread_ts: threadTs }),
      ...(hasBlocks ? { blocks: message.blocks, text: message.text } : { text: message.plain ?? '', mrkdwn: false }),
      ...{ parse: 'none', link_names: false, unfurl_links: false, unfurl_media: false },
      metadata: { event_type: METADATA_TYPE, event_payload: { turn: call.key, part: TOOL_PART } },
    };
    return api('chat.postMessage', args, call.signal);
  }

  async function lookAfterLoss(call: Call, target: Target, since: SlackTs): Promise<ToolResult> {
    for (const ms of LOOKS_MS) {
      if (!(await pause(clock, ms, call.signal))) break;
      const ts = await findPosted(call, target.address, since).catch((error: unknown) => {
        if (error instanceof SlackError) return null;
        throw error;
      });
      if (ts !== null) return done(target, ts);
    }
    return fails(TOOL_WORDS.postUnknown);
  }

  async function findPosted(call: Call, address: ThreadAddress, since: SlackTs): Promise<SlackTs | null> {
    let cursor: string | null = null;
    for (let page = 0; page < PAGES; page += 1) {
      const { method, args } = lookCall(address, since, cursor);
      const look = readLook(await api(method, args, call.signal), call.key);
      const [found] = look.found;
      if (found) return found.ts;
      cursor = look.cursor;
      if (cursor === null) return null;
    }
    return null;
  }

  function done({ channel, address, isHere, isJoined }: Target, ts: SlackTs): ToolResult {
    const at: MessageAddress = { channel: address.channel, ts, threadTs: address.threadTs };
    const where = isHere ? 'this thread' : `${channel.name} (${channel.id})`;
    const result = says(TOOL_WORDS.posted(where, ts, permalink(at, workspace)));
    return isJoined ? { ...result, posted: at } : result;
  }

  return {
    prepare: (call) => planning(async () => planOf(call, await find(call))),
    run: (call, plan) =>
      resulting(async () => {
        const target = await find(call);
        if (sealOf(target) !== plan.seal) throw new ToolRefused(TOOL_WORDS.placeChanged);
        return post(call, target);
      }),
    recall: (call) =>
      recalling(async () => {
        const target = await find(call);
        const ts = await findPosted(call, target.address, sinceOf(clock.now()));
        return ts === null ? fails(TOOL_WORDS.postNotFound) : done(target, ts);
      }),
  };
}

/** Slack's clock may be behind ours, and a call may have been made before a restart. */
const LOOK_BACK_MS = 24 * 60 * 60_000;

function sinceOf(now: number): SlackTs {
  return `${String(Math.floor((now - LOOK_BACK_MS) / 1000)).padStart(10, '0')}.000000`;
}
