import { describe, expect, it } from 'vitest';
import { type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { createOAuthApi } from '../../../src/slack/installations/oauth-api.ts';

interface Called {
  method: string;
  args: Record<string, unknown>;
  token: string | null;
}

function stage(answer: (called: Called) => Record<string, unknown>) {
  const called: Called[] = [];
  const apiWith = (token: string | null): SlackApi => ({
    async call(method, args) {
      const call = { method, args, token };
      called.push(call);
      return { ok: true, ...answer(call) };
    },
  });
  return { called, oauth: createOAuthApi({ clientId: '1.2', clientSecret: 'secret', apiWith }) };
}

const refuse = (error: string) => () => {
  throw new SlackError('auth.test', 'refused', error);
};

describe('the calls about installations', () => {
  it('refresh: asks without a token, with the app’s id and secret', async () => {
    const { oauth, called } = stage(() => ({
      access_token: 'xoxe.xoxb-2',
      refresh_token: 'xoxe-2',
      expires_in: 43_200,
    }));
    expect(await oauth.refresh('xoxe-1')).toEqual({ bot: 'xoxe.xoxb-2', refresh: 'xoxe-2', expiresInMs: 43_200_000 });
    const args = { client_id: '1.2', client_secret: 'secret', grant_type: 'refresh_token', refresh_token: 'xoxe-1' };
    expect(called).toEqual([{ method: 'oauth.v2.access', args, token: null }]);
  });

  it('refresh answered without a token: may have had its effect', async () => {
    const { oauth } = stage(() => ({}));
    await expect(oauth.refresh('xoxe-1')).rejects.toMatchObject({ failure: 'unknown' });
  });

  it.each(['account_inactive', 'token_revoked', 'token_expired', 'invalid_auth'])(
    'ask, answered with %s: the token is refused',
    async (error) => {
      expect(await stage(refuse(error)).oauth.ask('xoxb-1')).toBe('refused');
    },
  );

  it.each(['team_disabled', 'internal_error', 'org_login_required'])(
    'ask, answered with %s: says nothing of the app',
    async (error) => {
      await expect(stage(refuse(error)).oauth.ask('xoxb-1')).rejects.toMatchObject({ error });
    },
  );

  it('ask and uninstall: use the token of that installation', async () => {
    const { oauth, called } = stage(() => ({}));
    expect(await oauth.ask('xoxb-1')).toBe('accepted');
    await oauth.uninstall('xoxb-2');
    expect(called.map(({ method, token }) => [method, token])).toEqual([
      ['auth.test', 'xoxb-1'],
      ['apps.uninstall', 'xoxb-2'],
    ]);
    expect(called[1]?.args).toEqual({ client_id: '1.2', client_secret: 'secret' });
  });
});
