import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { readTrace } from './trace.ts';

let letta: ScriptedLetta;

afterEach(() => letta.close());

function upgrade(path: string, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve) => {
    const ws = new WebSocket(`ws://127.0.0.1:${letta.port}${path}`, { headers });
    ws.on('open', () => {
      ws.terminate();
      resolve('101');
    });
    ws.on('unexpected-response', (_request, response) => {
      resolve(`${response.statusCode} ${response.statusMessage}`);
      ws.terminate();
    });
    ws.on('error', () => {});
  });
}

describe('a request to the scripted App Server', () => {
  it('is answered as recorded', async () => {
    letta = await startScriptedLetta();
    for (const line of readTrace('35-http-and-upgrade').filter(({ dir }) => dir === 'http')) {
      const [method = 'GET', path = '/'] = (line.request ?? '').split(' ');
      const response = await fetch(`${letta.controlUrl}${path}`, { method, headers: line.headers ?? {} });
      const type = response.headers.get('content-type');
      expect([response.status, await response.text(), type], line.request).toEqual([
        line.status,
        line.body,
        (line as { contentType?: string | null }).contentType ?? null,
      ]);
    }
  });

  it('needs a token for the info, but not for the health', async () => {
    letta = await startScriptedLetta({ token: 'secret' });
    const health = await fetch(`${letta.controlUrl}/readyz`);
    expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
    const info = await fetch(`${letta.controlUrl}/app-server-info`);
    expect([info.status, await info.text()]).toEqual([401, '{"error":"missing websocket bearer token"}']);
  });
});

describe('an upgrade to the scripted App Server', () => {
  it.each([
    ['/ws', '101'],
    ['/', '101'],
    ['/ws?foo=1', '101'],
    ['/ws?channel=control', '426 Upgrade Required'],
    ['/ws?channel=stream', '426 Upgrade Required'],
    ['/other', '404 Not Found'],
  ])('to %s is answered with %s', async (path, outcome) => {
    letta = await startScriptedLetta();
    expect(await upgrade(path)).toBe(outcome);
  });

  it('from a web page is refused unless the token is right', async () => {
    letta = await startScriptedLetta();
    expect(await upgrade('/ws', { origin: 'http://example.com' })).toBe('403 Forbidden');
    await letta.close();
    letta = await startScriptedLetta({ token: 'secret' });
    const headers = { origin: 'http://example.com', authorization: 'Bearer secret' };
    expect(await upgrade('/ws', headers)).toBe('101');
  });

  it('needs the token in the header, with any case of its scheme', async () => {
    letta = await startScriptedLetta({ token: 'secret' });
    expect(await upgrade('/ws')).toBe('401 missing websocket bearer token');
    expect(await upgrade('/ws?token=secret')).toBe('401 missing websocket bearer token');
    expect(await upgrade('/ws', { authorization: 'Bearer wrong' })).toBe('401 invalid websocket bearer token');
    expect(await upgrade('/ws', { authorization: 'bearer secret' })).toBe('101');
  });
});
