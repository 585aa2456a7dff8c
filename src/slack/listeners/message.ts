import type { Log } from '../../bridge/ports.ts';
import { readChannelChange } from '../channel-change.ts';
import { keyOfEvent, normalizeEvent } from '../normalize.ts';
import { readRevision } from '../revisions.ts';
import type { ListenerContext } from './context.ts';

/** Part of every conversation that we have ourselves: said only where everything is said. */
const COMMON: ReadonlySet<string> = new Set(['not_a_message', 'own_message', 'edited', 'deleted']);

/**
 * Keeps what a person said, before Bolt or anybody else sees the event. Resolves when the message is stored or is none
 * for us; rejects when it could not be stored.
 */
export function createMessageListener(context: ListenerContext) {
  const { intake, identity, log, metrics } = context;
  return async (body: Record<string, unknown>): Promise<void> => {
    const event = typeof body.event_id === 'string' ? body.event_id : null;
    const change = readChannelChange(body, identity());
    if (change) return intake.channelChanged(change);
    const normalized = normalizeEvent(body, identity());
    if (normalized.kind === 'ignored') {
      const revision = readRevision(body, identity());
      if (revision) {
        const outcome = await intake.revision(revision);
        metrics.count('slack_events', { outcome: outcome.outcome, reason: 'reason' in outcome ? outcome.reason : '' });
        log.info({ event, revision: revision.kind, ...outcome }, 'slack message changed');
        return;
      }
      const { reason, detail } = normalized;
      const key = COMMON.has(reason) ? null : keyOfEvent(body, identity());
      if (key) intake.passedOver(key, reason);
      const level: keyof Pick<Log, 'debug' | 'info'> = COMMON.has(reason) ? 'debug' : 'info';
      metrics.count('slack_events', { outcome: 'ignored', reason });
      log[level]({ event, reason, detail }, 'slack event ignored');
      return;
    }
    const { message } = normalized;
    const outcome = await intake.message(message);
    metrics.count('slack_events', { outcome: outcome.outcome, reason: 'reason' in outcome ? outcome.reason : '' });
    log.info({ event, message: message.key, ...outcome }, 'slack message taken in');
  };
}
