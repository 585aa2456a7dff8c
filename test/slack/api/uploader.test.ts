import { describe, expect, it } from 'vitest';
import { createUploader } from '../../../src/slack/api/uploader.ts';

function uploaderWith(status: number, slackApiUrl = 'https://slack.com/api/') {
  const sent: { url: string; body: string; headers: Headers }[] = [];
  const fetch = async (url: string | URL | Request, init: RequestInit = {}) => {
    const body = new TextDecoder().decode(init.body as Uint8Array);
    sent.push({ url: String(url), body, headers: new Headers(init.headers) });
    return new Response('OK', { status });
  };
  return { sent, upload: createUploader({ slackApiUrl, fetch }) };
}
const bytes = new TextEncoder().encode('# größer');

describe('the file uploader', () => {
  it('sends the bytes to the URL that Slack gave, without a token', async () => {
    const { sent, upload } = uploaderWith(200);
    await upload('https://files.slack.com/upload/v1/abc', bytes);
    expect(sent).toMatchObject([{ url: 'https://files.slack.com/upload/v1/abc', body: '# größer' }]);
    expect(sent[0]?.headers.get('authorization')).toBeNull();
  });

  it('refuses every host except Slack’s and that of the Web API', async () => {
    const { sent, upload } = uploaderWith(200);
    for (const url of [
      'https://files.slack.com.evil.example/x',
      'https://notslack.com/x',
      'http://files.slack.com/x',
      'http://127.0.0.1:80/x',
      'file:///etc/passwd',
      'nonsense',
    ])
      await expect(upload(url, bytes)).rejects.toMatchObject({ failure: 'refused', error: 'unexpected_upload_url' });
    expect(sent).toEqual([]);
    const own = uploaderWith(200, 'http://127.0.0.1:4321/api/');
    await own.upload('http://127.0.0.1:4321/upload/v1/F1', bytes);
    expect(own.sent).toHaveLength(1);
  });

  it('reports a 400 as refused, a 503 or lost connection as unknown', async () => {
    const url = 'https://files.slack.com/x';
    await expect(uploaderWith(400).upload(url, bytes)).rejects.toMatchObject({ failure: 'refused', error: 'http_400' });
    await expect(uploaderWith(503).upload(url, bytes)).rejects.toMatchObject({ failure: 'unknown', error: 'http_503' });
    const broken = createUploader({
      slackApiUrl: 'https://slack.com/api/',
      fetch: () => Promise.reject(new Error(`no way to ${url}`)),
    });
    await expect(broken(url, bytes)).rejects.toMatchObject({ failure: 'unknown', error: 'request_failed' });
  });
});
