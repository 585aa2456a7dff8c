import { randomUUID } from 'node:crypto';
import { BoundedMap } from '../bounded-map.ts';
import { appUninstalled, tokensRevoked } from './events.ts';
import type { JsonObject } from './model.ts';
import { Refusal } from './refusal.ts';
import { APP_ID } from './state.ts';
import type { Grant, Issued } from './tokens.ts';
import type { Code, SlackApp, World } from './world.ts';

const CODE_LIFETIME_MS = 10 * 60_000;
const MAX_CODES = 1_000;

export const newCodes = () => new BoundedMap<string, Code>(MAX_CODES);

/** The workspaces that an installation is for: one, or all of an organisation. */
export function worldsOf(app: SlackApp, id: string): World[] {
  return [...app.worlds.values()].filter(({ workspace: { team } }) => team.id === id || team.enterprise?.id === id);
}

/** Installs the app, or again. In an organisation's workspace its own installation goes before the organisation's. */
export function installApp(app: SlackApp, grant: Grant): Issued {
  const issued = app.tokens.install(grant);
  for (const world of worldsOf(app, grant.id)) {
    if (world.installedAs?.startsWith('T') && grant.id.startsWith('E')) continue;
    world.installedAs = grant.id;
    world.scopes.clear();
    for (const scope of grant.scopes) world.scopes.add(scope);
  }
  return issued;
}

/** All tokens of the installation end; the app is told, in any order (docs/slack.md, OAuth and rotation). */
export function uninstallApp(app: SlackApp, id: string): void {
  app.tokens.uninstall(id);
  const [first] = worldsOf(app, id);
  if (!first) return;
  const events = [appUninstalled(first), tokensRevoked(first)];
  for (const event of first.random() < 0.5 ? events : events.reverse()) first.emitEvent(event);
  for (const world of worldsOf(app, id)) if (world.installedAs === id) world.installedAs = null;
}

/** The code for a redirect after somebody allowed the app. */
export function makeCode(app: SlackApp, grant: Grant, redirectUri: string | null, now: number): string {
  const code = `${APP_ID}.${randomUUID().replaceAll('-', '')}`;
  app.codes.set(code, { grant, redirectUri, at: now, isUsed: false });
  return code;
}

/** `oauth.v2.access` with a code. @throws Refusal */
export function exchangeCode(app: SlackApp, code: string, redirectUri: string | null, now: number): JsonObject {
  const found = app.codes.get(code);
  if (!found || now - found.at > CODE_LIFETIME_MS) throw new Refusal('invalid_code');
  if (found.isUsed) throw new Refusal('code_already_used');
  // The code is spent also when the address is wrong: whoever stole it does not get a second try.
  found.isUsed = true;
  if (found.redirectUri !== redirectUri) throw new Refusal('bad_redirect_uri');
  return accessAnswer(app, found.grant, installApp(app, found.grant), found.grant.by);
}

/** What `oauth.v2.access` answers. @param by the person who installed the app; left out: a refresh */
export function accessAnswer(app: SlackApp, grant: Grant, issued: Issued, by?: string): JsonObject {
  const [world] = worldsOf(app, grant.id);
  if (!world) throw new Refusal('team_not_found');
  const { team, bot } = world.workspace;
  const isForAll = grant.id.startsWith('E');
  const { access_token, expires_in, refresh_token } = issued;
  return {
    app_id: APP_ID,
    ...(by !== undefined && { authed_user: { id: by } }),
    scope: grant.scopes.join(','),
    token_type: 'bot',
    access_token,
    bot_user_id: bot.userId,
    ...(refresh_token !== undefined && { refresh_token, expires_in }),
    team: isForAll ? null : { id: team.id, name: team.name },
    enterprise: team.enterprise,
    is_enterprise_install: isForAll,
  };
}

/** Slack takes an address that is configured, or one below it. */
export function isRedirectUrl({ redirectUrls }: SlackApp, url: string): boolean {
  return redirectUrls.some((allowed) => url === allowed || url.startsWith(`${allowed.replace(/\/$/, '')}/`));
}
