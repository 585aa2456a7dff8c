import { type SlackApi, SlackError } from './slack-api.ts';

export interface ScopeWatch {
  /** The same API; its answers are watched. */
  api: SlackApi;
  /** The bot token's scopes as Slack last listed them; `null`: it never did. */
  scopes(): readonly string[] | null;
}

/** The scope that Slack means by `missing_scope`, for the methods that the bridge cannot do without. */
const SCOPE_OF: Readonly<Record<string, string>> = {
  'chat.postMessage': 'chat:write',
  'chat.update': 'chat:write',
  'users.info': 'users:read',
};

/**
 * Tracks the bot token's scopes: Slack lists them with every answer, and refuses calls whose scope is missing.
 * @param known what Slack has listed earlier
 */
export function watchScopes(inner: SlackApi, known: readonly string[] | null = null): ScopeWatch {
  let lastScopes = known;
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
