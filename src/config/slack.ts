import * as check from './checks.ts';
import type { Reading } from './policy.ts';

/** How the app is installed by its users. */
export interface OAuthConfig {
  clientId: string;
  clientSecret: string;
  /** Where Slack sends the browser back; ends with /slack/oauth_redirect. */
  redirectUrl: string;
  /** 32 bytes that seal the stored tokens. */
  key: Uint8Array;
  /** The key before it, which only opens. */
  oldKey: Uint8Array | null;
  /** Whether the app is declared as an agent. */
  isAgent: boolean;
}

export interface SlackConfig {
  /** `null`: people install the app by OAuth. At least one of the two is there. */
  botToken: string | null;
  oauth: OAuthConfig | null;
  /** Ends with a slash. */
  apiUrl: string;
  mode: { kind: 'socket'; appToken: string } | { kind: 'http'; signingSecret: string; port: number };
}

const REDIRECT_PATH = '/slack/oauth_redirect';
const HTTP_PORT = 3000;
const OAUTH = ['SLACK_CLIENT_ID', 'SLACK_CLIENT_SECRET'] as const;

/** How the bridge reaches Slack, and Slack the bridge; `null` when something is wrong, which is reported then. */
export function readSlack(reading: Reading, port: number | null): SlackConfig | null {
  const { readSetting, readWithDefault, isSet, addProblem } = reading;
  const botToken = readSetting('SLACK_BOT_TOKEN', check.botTokenShape);
  const apiUrl = readSetting('SLACK_API_URL', check.webUrl, readWithDefault('SLACK_API_URL'));
  const appToken = readSetting('SLACK_APP_TOKEN', check.appTokenShape);
  const signingSecret = readSetting('SLACK_SIGNING_SECRET', check.signingSecretShape);
  const hasOAuth = OAUTH.some(isSet);
  const oauth = hasOAuth ? readOAuth(reading) : null;
  if (!isSet('SLACK_BOT_TOKEN') && !hasOAuth) {
    addProblem(
      'SLACK_BOT_TOKEN',
      'is missing',
      'Copy the Bot User OAuth Token from your Slack app, OAuth & Permissions; for several workspaces set SLACK_CLIENT_ID instead, as docs/workspaces.md says.',
    );
  }
  if (!hasOAuth && isSet('SLACK_REDIRECT_URL')) {
    addProblem('SLACK_REDIRECT_URL', 'needs OAuth', 'Set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET, or remove it.');
  }
  if (isSet('SLACK_APP_TOKEN') && isSet('SLACK_SIGNING_SECRET')) {
    addProblem(
      'SLACK_APP_TOKEN and SLACK_SIGNING_SECRET',
      'are both set, but events can arrive in only one way',
      'Keep SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP, and remove the other.',
    );
  } else if (!isSet('SLACK_APP_TOKEN') && !isSet('SLACK_SIGNING_SECRET')) {
    addProblem(
      'SLACK_APP_TOKEN or SLACK_SIGNING_SECRET',
      'is missing',
      'Make an app-level token with connections:write (Basic Information, App-Level Tokens) and set SLACK_APP_TOKEN; or set SLACK_SIGNING_SECRET for HTTP.',
    );
  } else if (hasOAuth && isSet('SLACK_APP_TOKEN') && !isSet('PORT')) {
    addProblem(
      'PORT',
      'is missing: with Socket Mode, too, people install the app over HTTP',
      'Set it to the port behind SLACK_REDIRECT_URL, such as 3000.',
    );
  }
  const mode = appToken
    ? ({ kind: 'socket', appToken } as const)
    : signingSecret && ({ kind: 'http', signingSecret, port: port ?? HTTP_PORT } as const);
  if (!apiUrl || !mode || (hasOAuth && !oauth)) return null;
  return { botToken, oauth, apiUrl: apiUrl.endsWith('/') ? apiUrl : `${apiUrl}/`, mode };
}

function readOAuth({ readSetting, readWithDefault, isSet, addProblem }: Reading): OAuthConfig | null {
  const clientId = readSetting('SLACK_CLIENT_ID', check.clientIdShape);
  const clientSecret = readSetting('SLACK_CLIENT_SECRET', check.clientSecretShape);
  const redirectUrl = readSetting('SLACK_REDIRECT_URL', check.redirectUrlShape);
  const key = readSetting('ENCRYPTION_KEY', check.encryptionKeyShape);
  const oldKey = readSetting('ENCRYPTION_KEY_OLD', check.encryptionKeyShape);
  const isAgent = readSetting('SLACK_AGENT', check.onOrOff, readWithDefault('SLACK_AGENT'));
  const where = 'Copy it from your Slack app, Basic Information, App Credentials.';
  for (const name of OAUTH) if (!isSet(name)) addProblem(name, 'is missing', where);
  if (!isSet('SLACK_REDIRECT_URL')) {
    addProblem(
      'SLACK_REDIRECT_URL',
      'is missing: Slack sends people back to it when they have installed the app',
      `Set it to the bridge’s public address, such as https://bridge.example.com${REDIRECT_PATH}, and add it in your Slack app (OAuth & Permissions, Redirect URLs).`,
    );
  }
  if (!isSet('ENCRYPTION_KEY')) {
    addProblem(
      'ENCRYPTION_KEY',
      'is missing: it encrypts the tokens of the workspaces',
      'Make one with `openssl rand -base64 32`, and keep a copy: without it every workspace must install the app again.',
    );
  }
  if (key && oldKey && Buffer.from(key).equals(oldKey)) {
    addProblem('ENCRYPTION_KEY and ENCRYPTION_KEY_OLD', 'are the same key', 'Remove ENCRYPTION_KEY_OLD.');
  }
  if (!(clientId && clientSecret && redirectUrl && key) || isAgent === null) return null;
  return { clientId, clientSecret, redirectUrl, key, oldKey, isAgent };
}
