import { z } from 'zod';
import { type SlackApi, SlackError } from '../api/slack-api.ts';

/** A pair of tokens that Slack has just given. */
export interface FreshTokens {
  bot: string;
  refresh: string | null;
  /** ms from now. */
  expiresInMs: number | null;
}

/** The calls about installations themselves. All reject with a SlackError. */
export interface OAuthApi {
  /** Uses up a refresh token. `refused` with `invalid_refresh_token`: Slack does not take it any more. */
  refresh(refreshToken: string): Promise<FreshTokens>;
  /** What Slack says of a token; rejects when Slack cannot be asked, or does not say clearly. */
  ask(botToken: string): Promise<'accepted' | 'refused'>;
  /** Uninstalls the app where this token is from. */
  uninstall(botToken: string): Promise<void>;
}

export interface OAuthApiOptions {
  clientId: string;
  clientSecret: string;
  /** The Web API with this token; `null`: without one. */
  apiWith(token: string | null): SlackApi;
}

/** Not `team_disabled` and the like: then the app is still installed. */
const GONE: ReadonlySet<string> = new Set([
  'account_inactive',
  'app_uninstalled',
  'invalid_auth',
  'not_authed',
  'token_expired',
  'token_revoked',
]);

const access = z.looseObject({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).nullish(),
  expires_in: z.number().positive().nullish(),
});

export function createOAuthApi({ clientId, clientSecret, apiWith }: OAuthApiOptions): OAuthApi {
  const client = { client_id: clientId, client_secret: clientSecret };
  return {
    async refresh(refreshToken) {
      const args = { ...client, grant_type: 'refresh_token', refresh_token: refreshToken };
      // One try: the caller knows what a repeated one would mean.
      const answer = await apiWith(null).call('oauth.v2.access', args, { client: 'live' });
      const parsed = access.safeParse(answer);
      if (!parsed.success) throw new SlackError('oauth.v2.access', 'unknown', 'unexpected_answer');
      const { access_token, refresh_token, expires_in } = parsed.data;
      return {
        bot: access_token,
        refresh: refresh_token ?? null,
        expiresInMs: expires_in ? expires_in * 1_000 : null,
      };
    },
    async ask(botToken) {
      try {
        await apiWith(botToken).call('auth.test', {}, { client: 'control' });
        return 'accepted';
      } catch (error) {
        if (error instanceof SlackError && error.failure === 'refused' && GONE.has(error.error)) return 'refused';
        throw error;
      }
    },
    async uninstall(botToken) {
      await apiWith(botToken).call('apps.uninstall', client, { client: 'control' });
    },
  };
}
