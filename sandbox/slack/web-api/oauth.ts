import { accessAnswer, exchangeCode, uninstallApp } from '../app.ts';
import { tokensRevoked } from '../events.ts';
import { Refusal } from '../refusal.ts';
import type { SlackApp } from '../world.ts';
import type { Args } from './args.ts';
import type { Methods } from './method.ts';

/** The app's id and secret, as arguments or by HTTP Basic (which arrives as arguments here). */
function checkClient({ clientId, clientSecret }: SlackApp, args: Args): void {
  if (args.string('client_id') !== clientId) throw new Refusal('invalid_client_id');
  if (args.string('client_secret') !== clientSecret) throw new Refusal('bad_client_secret');
}

/** Installing and uninstalling: `oauth.v2.*`, `auth.revoke`, `apps.uninstall` (docs/slack.md, OAuth and rotation). */
export const oauth: Methods = {
  'oauth.v2.access': {
    scopes: [],
    tier: 'hundreds',
    token: 'none',
    run({ world, args }) {
      const { app } = world;
      checkClient(app, args);
      const type = args.string('grant_type') || 'authorization_code';
      if (type === 'refresh_token') {
        const { grant, ...issued } = app.tokens.refresh(args.string('refresh_token') ?? '');
        return accessAnswer(app, grant, issued);
      }
      if (type !== 'authorization_code') throw new Refusal('invalid_grant_type');
      return exchangeCode(app, args.string('code') ?? '', args.string('redirect_uri') ?? null, world.now());
    },
  },
  'oauth.v2.exchange': {
    scopes: [],
    tier: 'T3',
    token: 'none',
    run({ world, args }) {
      const { app } = world;
      checkClient(app, args);
      const { grant, ...issued } = app.tokens.exchange(args.required('token'));
      return accessAnswer(app, grant, issued);
    },
  },
  'auth.revoke': {
    scopes: [],
    tier: 'T3',
    run({ world, args, token }) {
      if (args.bool('test') === true) return { revoked: false };
      world.app.tokens.revoke(token);
      // It ends one token; the app stays installed.
      world.emitEvent(tokensRevoked(world));
      return { revoked: true };
    },
  },
  'apps.uninstall': {
    scopes: [],
    tier: 'T1',
    run({ world, args, token }) {
      checkClient(world.app, args);
      const found = world.app.tokens.find(token);
      if (!found) throw new Refusal('client_id_token_mismatch');
      uninstallApp(world.app, found.grant.id);
      return {};
    },
  },
};
