import { SlackError } from './slack-api.ts';

/** Sends a file's bytes to where `files.getUploadURLExternal` said they go. Rejects with a SlackError. */
export type Uploader = (url: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;

export interface UploaderOptions {
  /** Base of the Web API: a Slack that is not slack.com keeps its files on its own host. */
  slackApiUrl: string;
  fetch: typeof globalThis.fetch;
  timeoutMs?: number;
}

const METHOD = 'upload_url';
const TIMEOUT_MS = 60_000;
const SLACK_HOST = /(?:^|\.)slack(?:-gov)?\.com$/;

/**
 * The upload step (docs/slack.md, Files). It goes to Slack's hosts only and carries no token: the address itself is the
 * right.
 */
export function createUploader({ slackApiUrl, fetch, timeoutMs = TIMEOUT_MS }: UploaderOptions): Uploader {
  const own = new URL(slackApiUrl);
  return async (url, bytes) => {
    if (!isSlackUrl(url, own)) throw new SlackError(METHOD, 'refused', 'unexpected_upload_url');
    let response: Response;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: bytes,
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
    } catch {
      // The cause is left out on purpose: it may name the address.
      throw new SlackError(METHOD, 'unknown', 'request_failed');
    }
    if (response.ok) return;
    throw new SlackError(METHOD, response.status >= 500 ? 'unknown' : 'refused', `http_${response.status}`);
  };
}

function isSlackUrl(url: string, own: URL): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, host, hostname } = new URL(url);
  return (protocol === own.protocol && host === own.host) || (protocol === 'https:' && SLACK_HOST.test(hostname));
}
