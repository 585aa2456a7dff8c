import { describe, expect, it } from 'vitest';
import { appServerLanes, cloudLanes, restUrl } from '../../../src/letta/link/endpoints.ts';

const invalid = expect.objectContaining({ code: 'config_invalid' });
const runtime = { connectionId: 'conn/1', agentId: 'agent-1', conversationId: 'conv-1' };

describe('the lane of an App Server', () => {
  it.each([
    ['ws://127.0.0.1:4500', 'ws://127.0.0.1:4500/ws'],
    ['ws://localhost:4500/', 'ws://localhost:4500/ws'],
    ['http://[::1]:4500/ws', 'ws://[::1]:4500/ws'],
    ['https://letta.example/app/ws', 'wss://letta.example/app/ws'],
    ['ws://127.0.0.1:4500/ws?channel=stream&x=1', 'ws://127.0.0.1:4500/ws?x=1'],
  ])('for %s is %s', (url, expected) => {
    const [lane] = appServerLanes({ url, token: 'secret' });
    expect(lane).toEqual({
      name: 'direct',
      url: expected,
      headers: { Authorization: 'Bearer secret' },
      heartbeat: 'websocket',
      wantsAcks: false,
    });
  });

  it('needs no token', () => {
    expect(appServerLanes({ url: 'ws://build-box:4500', token: null })[0]?.headers).toEqual({});
  });

  it.each(['ws://build-box:4500', 'http://10.0.0.1/ws', 'ws://127.0.0.1.evil.example/', 'ws://localhost.evil.example'])(
    'with a token is refused unencrypted: %s',
    (url) => {
      expect(() => appServerLanes({ url, token: 'secret' })).toThrow(invalid);
    },
  );

  it.each(['wss://user:pw@host/ws', 'wss://host/ws?token=abc', 'ftp://host/', 'not a url', ''])(
    'refuses the address %j without repeating it',
    (url) => {
      expect(() => appServerLanes({ url, token: null })).toThrow(invalid);
      expect(() => appServerLanes({ url, token: null })).not.toThrow(/abc|pw/);
    },
  );
});

describe('the lanes of the hosted relay', () => {
  const address = { baseUrl: 'https://api.letta.com', apiKey: 'key', relay: 'single' } as const;

  it('are one stream socket by default, addressed by the current lease', () => {
    const lanes = cloudLanes(address, runtime);
    expect(lanes).toEqual([
      {
        name: 'stream',
        url: 'wss://api.letta.com/v1/environments/conn%2F1/status/ws?agentId=agent-1&conversationId=conv-1&channel=stream',
        headers: { Authorization: 'Bearer key' },
        heartbeat: 'json',
        wantsAcks: true,
      },
    ]);
  });

  it('are control, then stream, for a pair', () => {
    const lanes = cloudLanes({ ...address, relay: 'pair' }, runtime);
    expect(lanes.map((lane) => [lane.name, new URL(lane.url).searchParams.get('channel')])).toEqual([
      ['control', 'control'],
      ['stream', 'stream'],
    ]);
  });

  it('never carry the key in their address', () => {
    for (const lane of cloudLanes({ ...address, apiKey: 'sk-secret', relay: 'pair' }, runtime)) {
      expect(lane.url).not.toContain('sk-secret');
    }
  });

  it('refuse an unencrypted base address except on loopback', () => {
    expect(() => cloudLanes({ ...address, baseUrl: 'http://api.letta.com' }, runtime)).toThrow(invalid);
    expect(cloudLanes({ ...address, baseUrl: 'http://127.0.0.1:8283' }, runtime)[0]?.url).toMatch(/^ws:\/\/127/);
  });

  it('keep a base path and trailing slashes in REST addresses', () => {
    expect(restUrl('https://proxy.example/letta/', '/v1/conversations/', { agent_id: 'a b' })).toBe(
      'https://proxy.example/letta/v1/conversations/?agent_id=a+b',
    );
    expect(restUrl('wss://api.letta.com', '/v1/agents/')).toBe('https://api.letta.com/v1/agents/');
  });
});
