import { SlackError } from './slack-api.ts';

/** Sends a file's bytes to the URL that `files.getUploadURLExternal` gave. Rejects with a SlackError. */
export type Uploader = (url: string, bytes: Uint8Array<ArrayBuffer>, signal?: AbortSignal) => Promise<void>;

export interface UploaderOptions {
  /** Base of the Web API. Its host is allowed, too, because a test Slack takes uploads on its own host. */
  slackApiUrl: string;
  fetch: typeof globalThis.fetch;
  timeoutMs?: number;
}

const METHOD = 'upload_url';
const TIMEOUT_MS = 60_000;
/** Bytes for which a second is added to the time. */
const BYTES_PER_SECOND = 256 * 1024;
const SLACK_HOST = /(?:^|\.)slack(?:-gov)?\.com$/;

/**
 * The upload step (docs/slack.md, Files). It goes to Slack's hosts only and carries no token: whoever knows the URL may
 * upload.
 */
export function createUploader({ slackApiUrl, fetch, timeoutMs = TIMEOUT_MS }: UploaderOptions): Uploader {
  const own = new URL(slackApiUrl);
  return async (url, bytes, signal) => {
    if (!isSlackUrl(url, own)) throw new SlackError(METHOD, 'refused', 'unexpected_upload_url');
    const late = AbortSignal.timeout(timeoutMs + Math.ceil(bytes.length / BYTES_PER_SECOND) * 1_000);
    let response: Response;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: bytes,
        redirect: 'error',
        signal: AbortSignal.any([late, ...(signal ? [signal] : [])]),
      });
      await response.body?.cancel();
    } catch {
      signal?.throwIfAborted();
      // Without the cause, which may contain the URL.
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
