import { z } from 'zod';

const event = z.looseObject({
  event: z.union([
    z.looseObject({ type: z.literal('app_uninstalled') }),
    z.looseObject({ type: z.literal('tokens_revoked'), tokens: z.looseObject({ bot: z.array(z.string()).min(1) }) }),
  ]),
});

/**
 * Whether Slack tells that the app was uninstalled, or its bot's tokens revoked (docs/slack.md, OAuth and rotation). Tokens
 * of people are none of ours.
 */
export function tellsOfRevocation({ body }: { body: unknown }): boolean {
  return event.safeParse(body).success;
}
