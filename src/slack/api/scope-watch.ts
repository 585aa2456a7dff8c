import { type SlackApi, SlackError } from './slack-api.ts';

export interface ScopeWatch {
  /** The same calls, listened to. */
  api: SlackApi;
  /** The bot token's scopes as Slack told them last; `null`: it never did. */
  scopes(): readonly string[] | null;
}

/** What a refusal for a missing scope is about, of the methods that nothing works without. */
const SCOPE_OF: Readonly<Record<string, string>> = {
  'chat.postMessage': 'chat:write',
  'chat.update': 'chat:write',
  'users.info': 'users:read',
};

/** Knows what the bot token may do: Slack says it with every answer, and by what it refuses. */
export function watchScopes(inner: SlackApi): ScopeWatch {
  let lastScopes: readonly string[] | null = null;
  const refusedScopes = new Set<string>();
  return {
    api: {
      async call(method, args, options) {
        const scope = SCOPE_OF[method];
        try {
          const answer = await inner.call(method, args, options);
          const metadata = answer.response_metadata as { scopes?: unknown } | undefined;
          if (Array.isArray(metadata?.scopes)) lastScopes = metadata.scopes.map(String);
          if (scope !== undefined) refusedScopes.delete(scope);
          return answer;
        } catch (error) {
          if (scope !== undefined && error instanceof SlackError && error.error === 'missing_scope')
            refusedScopes.add(scope);
          throw error;
        }
      },
    },
    scopes: () => lastScopes?.filter((scope) => !refusedScopes.has(scope)) ?? null,
  };
}
