import { z } from 'zod';
import type { InboundSessionStop } from '../../bridge/inbound.ts';
import type { SlackIdentity } from './normalize.ts';

const id = z.string().regex(/^[A-Z0-9]+$/);
const payload = z.looseObject({
  event: z.looseObject({
    type: z.literal('agent_session_stopped'),
    channel: id,
    user: id,
    thread_ts: z.string().regex(/^\d+\.\d+$/),
  }),
});

/**
 * Reads a click on the Stop button that Slack itself shows in agent apps (docs/slack.md, Agent sessions); `null` for
 * every other payload.
 */
export function readSessionStop(body: unknown, identity: SlackIdentity): InboundSessionStop | null {
  const parsed = payload.safeParse(body);
  if (!parsed.success) return null;
  const { channel, user, thread_ts } = parsed.data.event;
  return { team: identity.teamId, channel, threadTs: thread_ts, user };
}
