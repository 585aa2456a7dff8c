import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILE_LIMITS, FileRefused } from '../../../src/bridge/turn/file-notes.ts';
import { type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { fixedToken } from '../../../src/slack/api/token-source.ts';
import { createDownloads } from '../../../src/slack/files/downloads.ts';
import { isFileAddress } from '../../../src/slack/files/hosts.ts';

const API = 'https://slack.com/api/';
const ADDRESS = 'https://files.slack.com/files-pri/T1-F1/download/a.bin';
const ref = { id: 'F1', name: 'a.bin', mimetype: null, size: null };
const { signal } = new AbortController();

interface World {
  file?: Record<string, unknown>;
  refuses?: string;
  response?: () => Response;
}

function downloads({ file = {}, refuses, response = () => new Response('abc') }: World) {
  const fetched: { url: string; token: string | null; redirect: string | undefined }[] = [];
  const api: SlackApi = {
    async call(method) {
      if (refuses) throw new SlackError(method, 'refused', refuses);
      const told = { id: 'F1', name: 'a.bin', mimetype: 'application/zip', size: 3, url_private_download: ADDRESS };
      return { ok: true, file: { ...told, ...file } };
    },
  };
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    fetched.push({
      ...{ url: String(url), token: new Headers(init?.headers).get('authorization') },
      redirect: init?.redirect,
    });
    return response();
  };
  const slack = createDownloads({ api, token: fixedToken('xoxb-1'), slackApiUrl: API, fetch });
  const read = async () => {
    const { bytes } = await slack.open(ref, signal);
    const pieces: Uint8Array[] = [];
    for await (const piece of bytes) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  };
  const why = () =>
    read().then(
      () => null,
      (error: unknown) => (error instanceof FileRefused ? error.why : error),
    );
  return { slack, read, why, fetched };
}

describe('addresses of files', () => {
  it('are Slack’s own hosts over https', () => {
    for (const host of [
      'files.slack.com',
      'files-edge.slack.com',
      'acme.enterprise.slack.com',
      'files.slack-gov.com',
    ]) {
      expect(isFileAddress(`https://${host}/files-pri/T1-F1/a`, API), host).toBe(true);
    }
  });

  it('are no others, however much they look like Slack’s', () => {
    const wrong = [
      ...['http://files.slack.com/a', 'https://files.slack.com.evil.example/a', 'https://evil.example/files.slack.com'],
      ...['https://files.slack.com@evil.example/', 'https://user:x@files.slack.com/', 'https://files.slack.com:8443/'],
      ...[
        'https://filesXslack.com/',
        'https://evil-files.slack.com.co/',
        'https://acme.slack.com/',
        'file:///etc/passwd',
      ],
      ...['https://docs.google.com/a', '//files.slack.com/a', 'https://files.slack.community/', ''],
    ];
    for (const address of wrong) expect(isFileAddress(address, API), address).toBe(false);
    fc.assert(fc.property(fc.webUrl(), (address) => !isFileAddress(address, API)));
  });

  it('of a test Slack are on the host of its Web API', () => {
    expect(isFileAddress('http://127.0.0.1:4000/files-pri/T1-F1/a', 'http://127.0.0.1:4000/api/')).toBe(true);
    expect(isFileAddress('http://127.0.0.1:4001/files-pri/T1-F1/a', 'http://127.0.0.1:4000/api/')).toBe(false);
  });
});

describe('a download', () => {
  it('carries the token and follows no redirect', async () => {
    const { read, fetched } = downloads({});
    expect(await read()).toBe('abc');
    expect(fetched).toEqual([{ url: ADDRESS, token: 'Bearer xoxb-1', redirect: 'manual' }]);
  });

  it('from another host: is not begun', async () => {
    const { why, fetched } = downloads({ file: { url_private_download: 'https://evil.example/a.bin' } });
    expect(await why()).toBe('not_slack');
    expect(fetched).toEqual([]);
  });

  it('answered with a login page: says that the scope is missing', async () => {
    const html = { headers: { 'content-type': 'text/html; charset=utf-8' } };
    expect(await downloads({ response: () => new Response('<html>', html) }).why()).toBe('no_scope');
    const away = { status: 302, headers: { location: 'https://acme.slack.com/' } };
    expect(await downloads({ response: () => new Response(null, away) }).why()).toBe('no_scope');
  });

  it('of an HTML file: no page of another size', async () => {
    const file = { mimetype: 'text/html', size: 3 };
    const html = { headers: { 'content-type': 'text/html' } };
    expect(await downloads({ file, response: () => new Response('abc', html) }).read()).toBe('abc');
    expect(await downloads({ file, response: () => new Response('<html>login', html) }).why()).toBe('no_access');
  });

  it('shorter than the file: failed', async () => {
    expect(await downloads({ file: { size: 4 } }).why()).toBe('failed');
  });

  it('announced too large: is not read', async () => {
    const headers = { 'content-length': String(FILE_LIMITS.bytes + 1) };
    expect(await downloads({ response: () => new Response('abc', { headers }) }).why()).toBe('too_large');
  });

  it.each([
    ['missing_scope', 'no_scope'],
    ['file_not_found', 'no_access'],
    ['file_deleted', 'deleted'],
    ['internal_error', 'failed'],
  ])('refused with %s: %s', async (refuses, wanted) => {
    expect(await downloads({ refuses }).why()).toBe(wanted);
  });

  it('of an e-mail: is its text', async () => {
    const { read, fetched } = downloads({ file: { mode: 'email', plain_text: 'Hello\n' } });
    expect(await read()).toBe('Hello\n');
    expect(fetched).toEqual([]);
  });

  it('of a canvas: is what Slack exports, of any size', async () => {
    const file = { mimetype: 'application/vnd.slack-docs', filetype: 'quip', size: 999 };
    const html = { headers: { 'content-type': 'text/html' } };
    expect(await downloads({ file, response: () => new Response('<h1>Plan</h1>', html) }).read()).toBe('<h1>Plan</h1>');
  });

  it('of an external file: nothing is fetched', async () => {
    const { slack, fetched } = downloads({ file: { mode: 'external', is_external: true } });
    expect((await slack.open(ref, signal)).file.withheld).toBe('external');
    expect(fetched).toEqual([]);
  });
});
