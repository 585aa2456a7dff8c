import { says } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolHandler } from '../../bridge/tools/tool.ts';
import { type SlackAnswer, SlackError } from '../api/slack-api.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { planning, resulting, ToolRefused } from './calls.ts';
import { emojiName } from './emoji.ts';
import type { ToolParts } from './parts.ts';
import { isTs } from './permalinks.ts';

type Call = ToolCall<'slack_react'>;

/** `slack_react`: an emoji on a message of this thread. Doing it twice changes nothing, so it may be done again. */
export function createReact({ api }: ToolParts): ToolHandler<'slack_react'> {
  async function find(call: Call): Promise<{ name: string; ts: string }> {
    const { input, message, address, signal } = call;
    const name = emojiName(input.emoji);
    if (name === null) throw new ToolRefused(TOOL_WORDS.noSuchEmoji);
    const ts = input.ts ?? message;
    if (ts === null) throw new ToolRefused(TOOL_WORDS.noMessageToReactTo);
    if (!isTs(ts)) throw new ToolRefused(TOOL_WORDS.badTime);
    const { channel, threadTs } = address;
    if (ts === threadTs || ts === message) return { name, ts };
    const range = { channel, oldest: ts, latest: ts, inclusive: true, limit: 5 };
    const answer =
      threadTs === null
        ? await api('conversations.history', range, signal)
        : await api('conversations.replies', { ...range, ts: threadTs }, signal);
    if (!holdsMessage(answer, ts)) throw new ToolRefused(TOOL_WORDS.notInThread);
    return { name, ts };
  }

  const react = (call: Call) =>
    resulting(async () => {
      const { name, ts } = await find(call);
      try {
        await api('reactions.add', { channel: call.address.channel, timestamp: ts, name }, call.signal);
        return says(TOOL_WORDS.reacted(name));
      } catch (error) {
        if (error instanceof SlackError && error.error === 'already_reacted')
          return says(TOOL_WORDS.alreadyReacted(name));
        throw error;
      }
    });

  return {
    prepare: (call) =>
      planning(async () => {
        const { name, ts } = await find(call);
        return { may: 'run', seal: `${ts}:${name}` };
      }),
    run: react,
    recall: react,
  };
}

function holdsMessage(answer: SlackAnswer, ts: string): boolean {
  const messages: unknown[] = Array.isArray(answer.messages) ? answer.messages : [];
  return messages.some((message) => (message as { ts?: unknown } | null)?.ts === ts);
}
