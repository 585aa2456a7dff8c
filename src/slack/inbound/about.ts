import { z } from 'zod';

const text = z.string();
/** A message, or a reaction: a thread knows the reaction by the time of its event. */
const delivery = z.looseObject({
  event: z.union([
    z.looseObject({ type: z.enum(['message', 'app_mention']), channel: text, ts: text }),
    z.looseObject({ type: z.literal('reaction_added'), event_ts: text, item: z.looseObject({ channel: text }) }),
  ]),
});

/** The message that an event is or stands for, by which its thread will know it; `null`: none. Never throws. */
export function messageOfEvent(body: unknown): { channel: string; ts: string } | null {
  const { event } = delivery.safeParse(body).data ?? {};
  if (event === undefined) return null;
  if (event.type === 'reaction_added') return { channel: event.item.channel, ts: event.event_ts };
  return { channel: event.channel, ts: event.ts };
}
