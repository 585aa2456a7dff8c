import type { IncomingMessage, ServerResponse } from 'node:http';
import { isRedirectUrl, makeCode, worldsOf } from './app.ts';
import { readBody } from './http.ts';
import type { SlackApp, World } from './world.ts';

const escapeHtml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

function sendPage(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(`<!DOCTYPE html><html lang="en"><head><title>Slack</title></head><body>${body}</body></html>`);
}

interface Wish {
  scopes: string[];
  redirectUri: string | null;
  state: string;
  team: string | null;
}

/** What the app asks for; a string says what is wrong, as Slack's own page does. */
function readWish(app: SlackApp, query: URLSearchParams): Wish | string {
  if (query.get('client_id') !== app.clientId) return 'invalid_client_id';
  const scopes = (query.get('scope') ?? '').split(',').filter((scope) => scope !== '');
  if (scopes.length === 0) return 'no_scopes';
  const given = query.get('redirect_uri');
  const redirectUri = given ?? app.redirectUrls[0] ?? null;
  if (redirectUri === null) return 'bad_redirect_uri';
  if (given !== null && !isRedirectUrl(app, given)) return 'bad_redirect_uri';
  return { scopes, redirectUri: given, state: query.get('state') ?? '', team: query.get('team') };
}

function choices(app: SlackApp): { id: string; name: string }[] {
  const teams = [...app.worlds.values()].map(({ workspace: { team } }) => team);
  const organisations = app.isOrgWide ? teams.flatMap(({ enterprise }) => enterprise ?? []) : [];
  const all = [...teams, ...organisations.map(({ id, name }) => ({ id, name: `${name} (organisation)` }))];
  return [...new Map(all.map(({ id, name }) => [id, { id, name }])).values()];
}

function form(app: SlackApp, { scopes, team }: Wish, query: URLSearchParams): string {
  const options = choices(app).map(({ id, name }) => {
    return `<option value="${id}"${id === team ? ' selected' : ''}>${escapeHtml(name)}</option>`;
  });
  const list = scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join('');
  return `<h1>Agent Bridge wants to access Slack</h1><form method="post" action="/oauth/v2/authorize?${escapeHtml(query.toString())}">
<label>Workspace <select name="team">${options.join('')}</select></label><ul>${list}</ul>
<button name="answer" value="allow">Allow</button> <button name="answer" value="cancel">Cancel</button></form>`;
}

/**
 * The page on which somebody allows the app: `GET /oauth/v2/authorize` shows it, its form leads to the app's redirect
 * URL with a code, or with `error=access_denied`.
 */
export async function serveAuthorize(
  app: SlackApp,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const wish = readWish(app, url.searchParams);
  if (typeof wish === 'string') return sendPage(response, 400, `<h1>Something went wrong: ${wish}</h1>`);
  if (request.method !== 'POST') return sendPage(response, 200, form(app, wish, url.searchParams));
  const answer = new URLSearchParams((await readBody(request, 10_000)).toString());
  const to = new URL(wish.redirectUri ?? app.redirectUrls[0] ?? '');
  if (answer.get('answer') !== 'allow') to.searchParams.set('error', 'access_denied');
  else {
    const id = answer.get('team') ?? '';
    const [world] = worldsOf(app, id);
    if (!world || (id.startsWith('E') && !app.isOrgWide)) return sendPage(response, 400, '<h1>No such workspace</h1>');
    const grant = { id, scopes: wish.scopes, by: personOf(world) };
    to.searchParams.set('code', makeCode(app, grant, wish.redirectUri, world.now()));
  }
  to.searchParams.set('state', wish.state);
  response.writeHead(302, { location: to.href }).end();
}

/** Whoever sits before the page: the first member of the workspace. */
function personOf({ workspace }: World): string {
  return [...workspace.users.values()].find(({ kind }) => kind === 'member')?.id ?? '';
}
