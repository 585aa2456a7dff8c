import type { SmallSlack } from '../../sandbox/slack/server.ts';

/** What somebody sees who installs the app. */
export interface Visit {
  status: number;
  page: string;
  /** The last address. */
  url: string;
}

/** A browser that keeps cookies and follows links: enough to install the app. */
export class InstallingBrowser {
  readonly #cookies = new Map<string, string>();

  async open(url: string, init: RequestInit = {}): Promise<Visit & { location: string | null }> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...(init.headers as Record<string, string>), ...(cookie !== '' && { cookie }) };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const set of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (set.split(';')[0] ?? '').split('=');
      if (/Expires=Thu, 01 Jan 1970/.test(set)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return { status: response.status, page: await response.text(), url, location: response.headers.get('location') };
  }

  /** Opens the page of the bridge. @returns the address of its link to Slack */
  async begin(installUrl: string): Promise<string> {
    const { page } = await this.open(installUrl);
    const href = /<a class="go" href="([^"]+)"/.exec(page)?.[1];
    if (href === undefined) throw new Error(`no link: ${page}`);
    return href.replaceAll('&amp;', '&');
  }

  /** Answers Slack's page. @returns the address to which Slack sends the browser back */
  async answer(slackUrl: string, team: string, answer: 'allow' | 'cancel' = 'allow'): Promise<string> {
    const { location, page } = await this.open(slackUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ team, answer }),
    });
    if (location === null) throw new Error(`Slack sends nobody back: ${page}`);
    return location;
  }

  /** All of it. */
  async install(installUrl: string, team: string, answer: 'allow' | 'cancel' = 'allow'): Promise<Visit> {
    return this.open(await this.answer(await this.begin(installUrl), team, answer));
  }
}

/** Settings of a bridge that people install from this Slack, over Socket Mode, on this port. */
export function oauthSettings(slack: SmallSlack, port: number): Record<string, string> {
  return {
    SLACK_BOT_TOKEN: '',
    SLACK_CLIENT_ID: slack.client.id,
    SLACK_CLIENT_SECRET: slack.client.secret,
    SLACK_REDIRECT_URL: redirectUrl(port),
    SLACK_ALLOWED_WORKSPACES: '*',
    ENCRYPTION_KEY: Buffer.from('0123456789abcdef0123456789ABCDEF').toString('base64'),
    PORT: String(port),
  };
}

export const redirectUrl = (port: number): string => `http://127.0.0.1:${port}/slack/oauth_redirect`;
