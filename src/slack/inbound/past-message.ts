import { z } from 'zod';
import type { ChannelKind } from '../../bridge/inbound.ts';
import type { PastMessage } from '../../bridge/ports.ts';
import type { OwnKind } from '../../bridge/record/thread-record.ts';
import { oneLine } from '../../bridge/text/one-line.ts';
import { METADATA_TYPE, TOOL_PART } from '../outbox/post-metadata.ts';
import { contentSpans } from './content.ts';
import { normalizeEvent, type SlackIdentity } from './normalize.ts';

/** Characters of a message of ours, which the conversation mostly knows better. */
const OWN_CHARACTERS = 240;

const head = z.looseObject({
  ts: z.string().regex(/^\d+\.\d+$/),
  subtype: z.string().nullish(),
  user: z.string().nullish(),
  text: z.string().nullish(),
  metadata: z
    .looseObject({
      event_type: z.string(),
      event_payload: z.looseObject({ turn: z.string(), part: z.string() }).nullish().catch(null),
    })
    .nullish()
    .catch(null),
});

export interface PastPlace {
  channel: string;
  channelKind: ChannelKind;
}

/**
 * A message from Slack's history as it goes along with a turn; `null`: it says nothing (somebody joined, Slack's own
 * words). Never throws.
 * @param isRoot the first message of a thread is kept whatever it is, our own one whole
 */
export function readPastMessage(
  wire: unknown,
  { channel, channelKind }: PastPlace,
  identity: SlackIdentity,
  isRoot: boolean,
): PastMessage | null {
  const parsed = head.safeParse(wire);
  if (!parsed.success) return null;
  const { ts, subtype, user, text } = parsed.data;
  const event = { ...parsed.data, type: 'message', channel, channel_type: channelKind };
  const read = normalizeEvent({ event }, identity);
  const spans = contentSpans(parsed.data, { hasPreviews: true });
  if (read.kind === 'message') {
    const { user: author, bot, files } = read.message;
    return { ts, user: author, ...(bot && { bot }), spans, files };
  }
  if (read.reason === 'own_message') {
    const words = isRoot ? spans : [{ kind: 'text' as const, text: oneLine(text ?? '', OWN_CHARACTERS) }];
    return { ts, user: identity.botUserId, spans: words, files: [], own: ownKindOf(parsed.data) };
  }
  if (!isRoot) return null;
  if (subtype === 'tombstone')
    return { ts, user: 'USLACKBOT', spans: [{ kind: 'text', text: '[this message was deleted]' }], files: [] };
  return { ts, user: user ?? 'USLACKBOT', spans, files: [] };
}

function ownKindOf({ metadata }: Pick<z.infer<typeof head>, 'metadata'>): OwnKind {
  const posted = metadata?.event_type === METADATA_TYPE ? metadata.event_payload : null;
  if (posted?.part === TOOL_PART) return 'answer';
  if (!posted?.turn.startsWith('turn-')) return 'notice';
  return posted.part.startsWith('card-') ? 'card' : 'answer';
}

/** What a message of ours is, and of which turn, by the metadata that only our own app can have put there. */
export function postedPart(wire: unknown): { kind: OwnKind; turn: string | null } {
  const parsed = head.safeParse(wire);
  const kind = parsed.success ? ownKindOf(parsed.data) : 'notice';
  const turn = kind === 'notice' ? null : (parsed.data?.metadata?.event_payload?.turn ?? null);
  return { kind, turn };
}
