import { describe, expect, it } from 'vitest';
import { chooseEnvironment, isOnline, resolveDevice } from '../../src/letta/environments.ts';
import { createHostedApi, type Environment } from '../../src/letta/hosted-api.ts';
import { createFakeClock } from '../support/clock.ts';
import { createFakeHttp } from '../support/http.ts';

const clock = createFakeClock();
const now = clock.now();
const row = (deviceId: string, more: Partial<Environment> = {}): Environment => ({
  deviceId,
  connectionId: `conn-${deviceId}`,
  connectionName: deviceId.toUpperCase(),
  lastHeartbeat: now - 1_000,
  version: null,
  ...more,
});
const code = (value: string) => expect.objectContaining({ code: value });

describe('an environment', () => {
  it('is online with a lease and a heartbeat under two minutes old', () => {
    expect(isOnline(row('a'), now)).toBe(true);
    expect(isOnline(row('a', { lastHeartbeat: now - 119_999 }), now)).toBe(true);
    expect(isOnline(row('a', { lastHeartbeat: now - 120_000 }), now)).toBe(false);
    expect(isOnline(row('a', { lastHeartbeat: null }), now)).toBe(false);
    expect(isOnline(row('a', { connectionId: null }), now)).toBe(false);
    expect(isOnline(row('a', { connectionId: '' }), now)).toBe(false);
  });
});

describe('choosing an environment', () => {
  it('takes the only one online', () => {
    expect(chooseEnvironment([row('a'), row('b', { connectionId: null })], null, now).deviceId).toBe('a');
  });

  it('refuses to guess between two, and names them', () => {
    expect(() => chooseEnvironment([row('a'), row('b')], null, now)).toThrow(
      expect.objectContaining({
        code: 'several_environments',
        retry: false,
        notice: expect.stringMatching(/LETTA_ENVIRONMENT.*A \(a\), B \(b\)/),
      }),
    );
  });

  it('reports a retryable error when none is online', () => {
    expect(() => chooseEnvironment([], null, now)).toThrow(
      expect.objectContaining({ code: 'no_environment', retry: true }),
    );
  });

  it('finds the wanted one by device id or name', () => {
    const rows = [row('a'), row('b')];
    expect(chooseEnvironment(rows, 'b', now).deviceId).toBe('b');
    expect(chooseEnvironment(rows, 'B', now).deviceId).toBe('b');
  });

  it('takes the newest heartbeat among entries of one device', () => {
    const rows = [row('a', { connectionId: 'old', lastHeartbeat: now - 60_000 }), row('a', { connectionId: 'new' })];
    expect(chooseEnvironment(rows, 'A', now).connectionId).toBe('new');
    expect(chooseEnvironment(rows, null, now).connectionId).toBe('new');
  });

  it('refuses a name that two devices share', () => {
    const rows = [row('a', { connectionName: 'box' }), row('b', { connectionName: 'box' })];
    expect(() => chooseEnvironment(rows, 'box', now)).toThrow(code('several_environments'));
  });

  it('takes no other one while the wanted one is offline', () => {
    expect(() => chooseEnvironment([row('laptop')], 'build-box', now)).toThrow(
      expect.objectContaining({ code: 'no_environment', notice: expect.stringMatching(/build-box.*LAPTOP/) }),
    );
  });

  it('shortens a strange name to one line', () => {
    const rows = [row('a', { connectionName: `x\n${'y'.repeat(5000)}` }), row('b')];
    expect(() => chooseEnvironment(rows, null, now)).toThrow(
      expect.objectContaining({ notice: expect.not.stringMatching(/\n|y{100}/) }),
    );
  });
});

function hosted() {
  const http = createFakeHttp();
  const api = createHostedApi({ baseUrl: 'https://api.letta.test', apiKey: 'sk-secret', fetch: http.fetch, clock });
  return { http, api };
}

describe('the hosted API', () => {
  it('lists all pages of online environments, without unreadable entries', async () => {
    const { http, api } = hosted();
    http.answerNext(200, { connections: [{ id: 'e1', ...row('a') }, { nonsense: true }], hasNextPage: true });
    http.answerNext(200, { connections: [{ id: 'e2', ...row('b'), unknown: 1 }], hasNextPage: false });
    expect((await api.listOnlineEnvironments()).map((found) => found.deviceId)).toEqual(['a', 'b']);
    expect(http.calls.map((call) => call.url)).toEqual([
      'https://api.letta.test/v1/environments?onlineOnly=true&limit=100',
      'https://api.letta.test/v1/environments?onlineOnly=true&limit=100&after=e1',
    ]);
    expect(http.calls[0]?.headers.Authorization).toBe('Bearer sk-secret');
  });

  it.each([
    ['an hour fast', -3_600_000],
    ['an hour slow', 3_600_000],
  ])('judges heartbeats by Letta’s clock when ours is %s', async (_, ahead) => {
    const { http, api } = hosted();
    const there = now + ahead;
    http.date = there;
    const rows = [row('here', { lastHeartbeat: there - 30_000 }), row('gone', { lastHeartbeat: there - 10 * 60_000 })];
    http.answerNext(200, { connections: rows });
    const found = await api.listOnlineEnvironments();
    expect(found.filter((each) => isOnline(each, now)).map(({ deviceId }) => deviceId)).toEqual(['here']);
    expect(chooseEnvironment(found, null, now).deviceId).toBe('here');
    http.answerNext(200, rows[0]);
    expect(await resolveDevice(api, 'here', clock.now)).toMatchObject({ connectionId: 'conn-here' });
    http.answerNext(200, rows[1]);
    await expect(resolveDevice(api, 'gone', clock.now)).rejects.toThrow(code('environment_offline'));
  });

  it('stops paging at a server that never ends', async () => {
    const { http, api } = hosted();
    let id = 0;
    http.answerAlways(() => ({
      status: 200,
      body: { connections: [{ id: `e${id++}`, ...row('a') }], hasNextPage: true },
    }));
    await api.listOnlineEnvironments();
    expect(http.calls.length).toBeLessThanOrEqual(20);
    http.answerAlways(() => ({ status: 200, body: { connections: [{ id: 'same', ...row('a') }], hasNextPage: true } }));
    http.calls.length = 0;
    await api.listOnlineEnvironments();
    expect(http.calls.length).toBe(2);
  });

  it('creates a conversation with its slash and the agent as query', async () => {
    const { http, api } = hosted();
    http.answerNext(200, { id: 'conv-1', agent_id: 'agent-1' });
    expect(await api.createConversation('agent-1')).toBe('conv-1');
    expect(http.calls[0]).toMatchObject({
      method: 'POST',
      url: 'https://api.letta.test/v1/conversations/?agent_id=agent-1',
      body: '{}',
    });
  });

  it('returns nothing for what does not exist', async () => {
    const { http, api } = hosted();
    http.answerAlways(() => ({ status: 404, body: { message: 'no' } }));
    expect(await api.getEnvironment('x')).toBe(null);
    expect(await api.getAgent('x')).toBe(null);
    expect(await api.conversationExists('x')).toBe(false);
    expect(await api.listMessages('x', 5)).toBe(null);
    await expect(api.createConversation('x')).rejects.toThrow(code('agent_not_found'));
  });

  it.each([
    [401, 'letta_unauthorized', false],
    [403, 'letta_unauthorized', false],
    [400, 'letta_refused', false],
    [429, 'letta_unreachable', true],
    [500, 'letta_unreachable', true],
    [503, 'letta_unreachable', true],
  ])('reports HTTP %i as %s', async (status, expected, retry) => {
    const { http, api } = hosted();
    http.answerNext(status, { message: 'sk-secret at /home/x' });
    await expect(api.listAgents()).rejects.toThrow(
      expect.objectContaining({ code: expected, retry, notice: expect.not.stringContaining('sk-secret') }),
    );
  });

  it('reports an unexpected answer as letta_unreachable', async () => {
    const { http, api } = hosted();
    http.answerNext(200, '<html>captive portal</html>');
    await expect(api.listAgents()).rejects.toThrow(code('letta_unreachable'));
    http.answerNext(200, { agents: 'none' });
    await expect(api.listAgents()).rejects.toThrow(code('letta_unreachable'));
  });

  it('gives up on an answer after 15 seconds', async () => {
    const { http, api } = hosted();
    http.hangNext();
    const asked = api.listAgents();
    asked.catch(() => {});
    await clock.advance(15_000);
    await expect(asked).rejects.toThrow(code('letta_unreachable'));
    expect(clock.waiting).toBe(0);
  });
});

describe('resolving a known device', () => {
  it('asks for the current lease by device id', async () => {
    const { http, api } = hosted();
    http.answerNext(200, row('a', { connectionId: 'conn-new', lastHeartbeat: clock.now() }));
    expect((await resolveDevice(api, 'a', clock.now)).connectionId).toBe('conn-new');
    expect(http.calls[0]?.url).toBe('https://api.letta.test/v1/environments/a');
  });

  it('names a device that is offline', async () => {
    const { http, api } = hosted();
    http.answerNext(200, row('a', { connectionId: null, connectionName: 'build-box' }));
    await expect(resolveDevice(api, 'a', clock.now)).rejects.toThrow(
      expect.objectContaining({
        code: 'environment_offline',
        notice: 'Letta device build-box is offline.',
        retry: true,
      }),
    );
  });

  it('reports an unknown device as an error not worth a retry', async () => {
    const { http, api } = hosted();
    http.answerNext(404, {});
    await expect(resolveDevice(api, 'a', clock.now)).rejects.toThrow(
      expect.objectContaining({ code: 'no_environment', retry: false }),
    );
  });
});
