import { readChannelChange } from '../inbound/channel-change.ts';
import { readJoin } from '../inbound/joins.ts';
import { keyOfEvent, normalizeEvent } from '../inbound/normalize.ts';
import { readReaction } from '../inbound/reactions.ts';
import { readRevision } from '../inbound/revisions.ts';
import { readSessionStop } from '../inbound/session-stop.ts';
import { countIgnored, type ListenerContext } from './context.ts';

/** These occur all the time in our own conversations, so they are logged at debug level only. */
const COMMON: ReadonlySet<string> = new Set(['not_a_message', 'own_message', 'edited', 'deleted']);
/** Other listeners handle and log these events. */
const OTHERS: ReadonlySet<string | null> = new Set(['app_home_opened']);

/** What else the bridge wants to know, besides messages and their changes. */
async function handleOther(body: Record<string, unknown>, { intake, identity }: ListenerContext): Promise<boolean> {
  const change = readChannelChange(body, identity());
  const join = readJoin(body, identity());
  const stop = readSessionStop(body, identity());
  const reaction = readReaction(body, identity());
  if (change) await intake.handleChannelChange(change);
  if (join) await intake.handleJoin(join);
  if (stop) await intake.handleSessionStop(stop);
  if (reaction) await intake.handleReaction(reaction);
  return change !== null || join !== null || stop !== null || reaction !== null;
}

/**
 * Hands an event to the intake before Bolt sees it. Resolves when the message is stored or ignored; rejects when it
 * could not be stored.
 */
export function createMessageListener(context: ListenerContext) {
  const { intake, identity } = context;
  return async (body: Record<string, unknown>): Promise<void> => {
    if (await handleOther(body, context)) return;
    const normalized = normalizeEvent(body, identity());
    if (normalized.kind === 'message') {
      await intake.handleMessage(normalized.message);
      return;
    }
    const { reason, detail } = normalized;
    const revision = readRevision(body, identity());
    if (revision) {
      await intake.handleRevision(revision);
      return;
    }
    if (reason === 'not_a_message' && OTHERS.has(detail)) return;
    const key = COMMON.has(reason) ? null : keyOfEvent(body, identity());
    if (key) intake.noteIgnored(key, reason);
    const kind = reason === 'not_a_message' ? 'event' : 'message';
    const event = typeof body.event_id === 'string' ? body.event_id : null;
    countIgnored(context, { kind, reason, detail, event }, COMMON.has(reason) ? 'debug' : 'info');
  };
}
