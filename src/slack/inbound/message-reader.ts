import { z } from 'zod';
import type { FoundMessage, MessageReader } from '../../bridge/ports.ts';
import { emojiName } from '../../bridge/text/emoji-name.ts';
import { BridgeError } from '../../errors.ts';
import type { CallMeter } from '../api/call-meter.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import type { HistoryTier } from './history.ts';
import { channelKindOf, normalizeEvent, type SlackIdentity } from './normalize.ts';
import { postedPart } from './past-message.ts';

export interface MessageReaderOptions {
  api: SlackApi;
  identity: SlackIdentity;
  /** How much of the history Slack lets the app read. */
  tier: HistoryTier;
  meter: Pick<CallMeter, 'countRecent'>;
}

/** No call is made when so many were made in the last minute, by whomever: turns and catch-up need the rest. */
const PER_MINUTE = { full: 30, limited: 1 } as const;
const METHOD = 'conversations.replies';

const reaction = z.looseObject({ name: z.string(), users: z.array(z.string()), count: z.number() });
const page = z.looseObject({
  messages: z.array(
    z.looseObject({
      ts: z.string(),
      thread_ts: z.string().nullish().catch(null),
      reactions: z.array(reaction).catch([]).default([]),
    }),
  ),
});

/** Slack has no such message for us, now and later. */
const GONE: ReadonlySet<string> = new Set(['thread_not_found', 'message_not_found', 'channel_not_found']);

/** Reads single messages: what they say, and in which thread they are. */
export function createMessageReader({ api, identity, tier, meter }: MessageReaderOptions): MessageReader {
  return {
    async readMessage(channel, ts) {
      if (meter.countRecent(METHOD) >= PER_MINUTE[tier]) throw failed('Slack limits how often messages may be read');
      // The bounds hold for replies: asked with the time of a reply, some Slacks answer with its whole thread.
      const args = { channel, ts, oldest: ts, latest: ts, inclusive: true, limit: 15, include_all_metadata: true };
      const answer = await api.call(METHOD, args, { client: 'live' }).catch((error: unknown) => {
        if (error instanceof SlackError && GONE.has(error.error)) return null;
        throw error;
      });
      if (answer === null) return null;
      const parsed = page.safeParse(answer);
      if (!parsed.success) throw failed('Slack answered something unexpected');
      const wire = parsed.data.messages.find((each) => each.ts === ts);
      return wire ? found(wire, channel) : null;
    },
  };

  function found(wire: z.output<typeof page>['messages'][number], channel: string): FoundMessage {
    const event = { ...wire, type: 'message', channel };
    const read = normalizeEvent({ event }, identity);
    const { thread_ts: root } = wire;
    const isOwn = read.kind === 'ignored' && read.reason === 'own_message';
    return {
      threadTs: root && root !== wire.ts ? root : null,
      channelKind: channelKindOf(channel, null),
      message: read.kind === 'message' ? read.message : null,
      own: isOwn ? postedPart(wire) : null,
      // Slack names only some of many (docs.slack.dev/reference/methods/reactions.get).
      reactions: wire.reactions.flatMap(({ name, users, count }) => {
        const emoji = emojiName(name);
        return emoji === null ? [] : [{ emoji, users, isComplete: users.length >= count }];
      }),
    };
  }
}

function failed(why: string): BridgeError {
  return new BridgeError('slack_failed', why, { retry: true });
}
