import { z } from 'zod';
import type { InboundAsk, InboundQuestion } from '../../bridge/inbound.ts';
import { submittedTexts } from '../modals/modals.ts';
import { ASK_DIALOG, ASK_SHORTCUT, FORK_SHORTCUT } from '../render/action-ids.ts';
import { channelKindOf, normalizeEvent, type SlackIdentity } from './normalize.ts';

const person = z.looseObject({ id: z.string().min(1), team_id: z.string().nullish() });
const id = z.string().regex(/^[A-Z0-9]+$/);
const ts = z.string().regex(/^\d+\.\d+$/);

const shortcut = z.looseObject({
  type: z.literal('message_action'),
  callback_id: z.enum([ASK_SHORTCUT, FORK_SHORTCUT]),
  trigger_id: z.string(),
  user: person,
  channel: z.looseObject({ id, name: z.string().nullish() }),
  message_ts: ts.nullish(),
  message: z.looseObject({ ts: ts.nullish(), thread_ts: ts.nullish() }),
});

/** A message shortcut, and the trigger that may open its dialog. */
export interface ReadAsk {
  shortcut: typeof ASK_SHORTCUT | typeof FORK_SHORTCUT;
  ask: InboundAsk;
  triggerId: string;
}

/** Reads our message shortcuts; `null`: it is another one. */
export function readAsk(body: unknown, identity: SlackIdentity): ReadAsk | null {
  const parsed = shortcut.safeParse(body);
  if (!parsed.success) return null;
  const { user, channel, message, message_ts, trigger_id: triggerId } = parsed.data;
  const messageTs = message.ts ?? message_ts;
  if (!messageTs) return null;
  const root = message.thread_ts ?? null;
  // As the event of that message, so that it is read as any other.
  const event = { ...message, type: 'message', channel: channel.id, ts: messageTs };
  const read = normalizeEvent({ event, team_id: identity.teamId }, identity);
  return {
    shortcut: parsed.data.callback_id,
    triggerId,
    ask: {
      team: identity.teamId,
      channel: channel.id,
      channelKind: channelKindOf(channel.id, channel.name?.startsWith('mpdm-') ? 'mpim' : null),
      ts: messageTs,
      threadTs: root,
      message: read.kind === 'message' ? read.message : null,
      actor: { user: user.id, team: user.team_id ?? null },
    },
  };
}

const submission = z.looseObject({
  type: z.literal('view_submission'),
  user: person,
  view: z.looseObject({
    callback_id: z.literal(ASK_DIALOG),
    private_metadata: z.string().min(1),
    state: z.looseObject({ values: z.record(z.string(), z.record(z.string(), z.looseObject({}))) }),
  }),
});

/** What the dialog carries: channel, message, its thread, and the time that the question counts as. */
const PLACE = /^([A-Z0-9]+) (\d+\.\d+) (-|\d+\.\d+) (\d+\.\d+)$/;

/** Reads what somebody typed into the shortcut's dialog; `null`: it is another dialog. */
export function readQuestion(body: unknown, team: string): InboundQuestion | null {
  const parsed = submission.safeParse(body);
  if (!parsed.success) return null;
  const { user, view } = parsed.data;
  const [, channel = '', messageTs = '', root = '-', askedTs = ''] = PLACE.exec(view.private_metadata) ?? [];
  if (channel === '') return null;
  const [text = ''] = submittedTexts(view.state.values);
  return {
    team,
    channel,
    channelKind: channelKindOf(channel, null),
    ts: messageTs,
    threadTs: root === '-' ? null : root,
    askedTs,
    text,
    actor: { user: user.id, team: user.team_id ?? null },
  };
}
