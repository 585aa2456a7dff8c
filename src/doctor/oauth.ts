import type { Config } from '../config/config.ts';
import type { OAuthConfig } from '../config/slack.ts';
import type { FetchLike } from '../letta/hosted-api.ts';
import { type SlackApi, SlackError } from '../slack/api/slack-api.ts';
import { type AddFinding, fine, trouble } from './report.ts';

/** No code of Slack's looks like it, so nothing is installed. */
const NO_CODE = 'doctor';
const WAIT_MS = 10_000;
/** Refusals that name the app itself; any other means that Slack knows it. */
const CLIENT_REFUSED: ReadonlySet<string> = new Set(['invalid_client_id', 'bad_client_secret']);

export interface OAuthCheckParts {
  /** The Web API without a token. */
  api: SlackApi;
  fetch: FetchLike;
}

/** Checks that Slack knows the app by its id and secret, and that its pages answer at their public address. */
export async function checkOAuth(
  oauth: OAuthConfig,
  { policies }: Pick<Config, 'policies'>,
  { api, fetch }: OAuthCheckParts,
  addFinding: AddFinding,
): Promise<void> {
  const { redirectUrl } = oauth;
  const word = await askAbout(api, oauth);
  if (word === null) addFinding(trouble('oauth_unknown'));
  else if (CLIENT_REFUSED.has(word)) addFinding(trouble('oauth_client', { error: word }));
  else addFinding(fine('installing', `Slack knows the app; ${whoMayInstall(policies.workspaces)} may install it`));
  const page = redirectUrl.replace(/oauth_redirect$/, 'install');
  const status = await statusOf(page, fetch);
  if (status === 200) addFinding(fine('installing', `people install the app at ${page}`));
  else addFinding(trouble('install_page', { page, status: status ?? 'no answer' }));
  if (oauth.oldKey !== null) addFinding(trouble('old_key'));
}

type Client = Pick<OAuthConfig, 'clientId' | 'clientSecret' | 'redirectUrl'>;

/** Asks Slack about an app with a code that it cannot have given. @returns its word; `null`: it did not answer */
function askAbout(api: SlackApi, { clientId, clientSecret, redirectUrl }: Client): Promise<string | null> {
  const args = { client_id: clientId, client_secret: clientSecret, code: NO_CODE, redirect_uri: redirectUrl };
  return wordOf(api.call('oauth.v2.access', args, { client: 'live' }));
}

/** What Slack has against an app's id and secret, in words; `null`: nothing. */
export async function refusalOfClient(api: SlackApi, client: Client): Promise<string | null> {
  const word = await askAbout(api, client);
  if (word === null) return 'this machine cannot reach Slack';
  return CLIENT_REFUSED.has(word) ? `Slack refuses it (${word})` : null;
}

/** Slack's word for a refusal; `null`: Slack did not answer. */
async function wordOf(call: Promise<unknown>): Promise<string | null> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    return error instanceof SlackError && error.failure === 'refused' ? error.error : null;
  }
}

async function statusOf(url: string, fetch: FetchLike): Promise<number | null> {
  try {
    const { status } = await fetch(url, { method: 'GET', headers: {}, signal: AbortSignal.timeout(WAIT_MS) });
    return status;
  } catch {
    return null;
  }
}

function whoMayInstall({ everyone, ids }: Config['policies']['workspaces']): string {
  return everyone ? 'every workspace' : ids.join(', ');
}
