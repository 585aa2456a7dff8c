import { z } from 'zod';
import type { FileRef } from '../../bridge/inbound.ts';
import type { SlackFiles } from '../../bridge/ports.ts';
import { FILE_LIMITS, FileRefused } from '../../bridge/turn/file-notes.ts';
import type { FileTrouble } from '../../bridge/words/files.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import type { TokenSource } from '../api/token-source.ts';
import { readFile } from '../inbound/files.ts';
import { isFileAddress } from './hosts.ts';

export interface DownloadOptions {
  api: SlackApi;
  /** Goes to Slack's file hosts only. */
  token: TokenSource;
  /** Base of the Web API. */
  slackApiUrl: string;
  fetch: typeof globalThis.fetch;
}

const words = z.string().nullish().catch(null);
const info = z.looseObject({
  file: z.looseObject({
    mode: words,
    filetype: words,
    mimetype: words,
    url_private: words,
    url_private_download: words,
    /** Of an e-mail: its text. */
    plain_text: words,
  }),
});
type Info = z.output<typeof info>['file'];

/** Why `files.info` refuses, in our words; others are troubles that may pass. */
const REFUSALS: Readonly<Record<string, FileTrouble>> = {
  missing_scope: 'no_scope',
  no_permission: 'no_scope',
  not_allowed_token_type: 'no_scope',
  file_deleted: 'deleted',
  file_not_found: 'no_access',
  not_visible: 'no_access',
  access_denied: 'no_access',
  not_in_channel: 'no_access',
  channel_not_found: 'no_access',
};

/** Types whose content is HTML: for all others HTML means Slack's login page. */
const IS_HTML = /^(?:text\/html|application\/xhtml\+xml|application\/vnd\.slack-docs)$/;

/** Fetches files with the bot's token: asks Slack where a file is now, then downloads it as it is read. */
export function createDownloads({ api, token, slackApiUrl, fetch }: DownloadOptions): SlackFiles {
  async function fetchInfo(id: string, signal: AbortSignal): Promise<Record<string, unknown>> {
    signal.throwIfAborted();
    try {
      return await api.call('files.info', { file: id }, { client: 'control' });
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      throw new FileRefused(REFUSALS[error.error] ?? 'failed', error);
    }
  }

  async function* download(
    address: string,
    told: Info,
    file: FileRef,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    if (!isFileAddress(address, slackApiUrl)) throw new FileRefused('not_slack');
    let response: Response;
    try {
      response = await fetch(address, {
        headers: { authorization: `Bearer ${await token.get()}` },
        // A redirect leads to the login page, or to a host that must not get the token.
        redirect: 'manual',
        signal,
      });
    } catch {
      signal.throwIfAborted();
      // Without the cause, which may hold the address.
      throw new FileRefused('failed');
    }
    try {
      const trouble = troubleOf(response, told);
      if (trouble !== null) throw new FileRefused(trouble);
      let bytes = 0;
      for await (const piece of piecesOf(response, signal)) {
        bytes += piece.length;
        yield piece;
      }
      // A page of Slack's instead of an HTML file, or a download that broke off.
      if (told.mode !== 'email' && !isExported(told) && file.size !== null && bytes !== file.size) {
        throw new FileRefused(IS_HTML.test(told.mimetype ?? '') ? 'no_access' : 'failed');
      }
    } finally {
      await response.body?.cancel().catch(() => undefined);
    }
  }

  return {
    async open(ref, signal) {
      const answer = await fetchInfo(ref.id, signal);
      const told = info.safeParse(answer);
      const file = told.success ? readFile({ ...told.data.file, id: ref.id }) : null;
      if (!told.success || !file) throw new FileRefused('failed');
      const { plain_text: email, url_private_download, url_private, mode } = told.data.file;
      if (mode === 'email' && email) {
        const bytes = new TextEncoder().encode(email);
        return { file: { ...file, size: bytes.length }, bytes: once(bytes) };
      }
      const address = url_private_download || url_private;
      if (file.withheld || !address) return { file, bytes: once(new Uint8Array()) };
      // What Slack exports has another size than the document.
      const described = isExported(told.data.file) ? { ...file, size: null } : file;
      return { file: described, bytes: download(address, told.data.file, described, signal) };
    },
  };
}

/** Canvases and the like: the download is an export. */
function isExported({ mimetype, filetype }: Info): boolean {
  return mimetype === 'application/vnd.slack-docs' || filetype === 'quip' || filetype === 'canvas';
}

function troubleOf(response: Response, told: Info): FileTrouble | null {
  const { status } = response;
  if (status >= 300 && status < 400) return 'no_scope';
  if (status === 401 || status === 403) return 'no_access';
  if (status === 404 || status === 410) return 'deleted';
  if (status !== 200) return 'failed';
  const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === 'text/html' && !IS_HTML.test(told.mimetype ?? '') && !isExported(told)) return 'no_scope';
  const length = Number(response.headers.get('content-length') ?? 0);
  return length > FILE_LIMITS.bytes ? 'too_large' : null;
}

async function* piecesOf({ body }: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!body) return;
  try {
    for await (const piece of body) yield piece;
  } catch {
    signal.throwIfAborted();
    throw new FileRefused('failed');
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
