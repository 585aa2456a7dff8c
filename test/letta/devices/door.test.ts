import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, type TestContext } from 'vitest';
import { WebSocket } from 'ws';
import { startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { systemClock } from '../../../src/clock.ts';
import { createDevices } from '../../../src/letta/devices/devices.ts';
import { createDoor } from '../../../src/letta/devices/door.ts';
import { serveDoor } from '../../../src/letta/devices/serve.ts';
import type { DeviceTokens } from '../../../src/letta/devices/tokens.ts';
import { createMemoryLog } from '../../support/log.ts';
import { until } from '../../support/until.ts';

const TOKEN = 'the-token-of-all-machines';

async function open(
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  tokens: DeviceTokens = { kind: 'shared', token: TOKEN },
  isServing: () => boolean = () => true,
) {
  const log = createMemoryLog();
  const stored = new Map<string, string>();
  const choices = {
    get: async (name: string) => stored.get(name) ?? null,
    set: async (name: string, value: string) => void stored.set(name, value),
  };
  const devices = await createDevices({ choices, clock: systemClock, log });
  let url = '';
  const door = createDoor({ devices, tokens, publicUrl: () => url, path: '', isServing, clock: systemClock, log });
  const server = await serveDoor(door, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.stop());
  url = `http://127.0.0.1:${server.port}`;
  const register = (body: unknown, token = TOKEN) =>
    fetch(`${url}/v1/environments/register`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const dial = async (options: { name?: string; token?: string; id?: string; protocol?: string } = {}) => {
    const { name = 'laptop', token = TOKEN, id = 'd1', ...rest } = options;
    const device = await startScriptedLetta({ dials: { url, token, name, ...rest }, seed: { deviceId: id } });
    onTestFinished(() => device.close());
    return device;
  };
  const online = () => devices.list().flatMap(({ id, isOnline }) => (isOnline ? [id] : []));
  return { devices, url, port: server.port, register, dial, online, log, stored, stop: server.stop };
}

type Device = Awaited<ReturnType<Awaited<ReturnType<typeof open>>['dial']>>;
const stateOf = (device: Device) => () => JSON.stringify(device.state());
const isOnline = (device: Device) => until(() => device.state().online === true, stateOf(device));
const hasEnded = async (device: Device) => {
  await until(() => device.state().ended !== null, stateOf(device));
  return String(device.state().ended);
};

const REGISTRATION = {
  deviceId: 'd1',
  connectionName: 'laptop',
  metadata: { environmentMessageProtocol: 'v2-input', lettaCodeVersion: '0.32.18' },
};

/** The header of a masked text frame of a client. */
function announceFrame(length: number): Buffer {
  const header = Buffer.alloc(14);
  header.set([0x81, 0xff]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

describe('the door for devices', () => {
  it('names a lease that follows from token and device alone', async (context) => {
    const first = await open(context);
    const second = await open(context);
    const lease = async ({ register }: typeof first) =>
      ((await (await register(REGISTRATION)).json()) as { connectionId: string }).connectionId;
    expect(await lease(first)).toBe(await lease(second));
    expect(await lease(first)).toMatch(/^bridge-[0-9a-f]{32}$/);
    const other = await first.register({ ...REGISTRATION, deviceId: 'd2' });
    expect(((await other.json()) as { connectionId: string }).connectionId).not.toBe(await lease(first));
  });

  it('lets a device in, and remembers its name after it has left', async (context) => {
    const { dial, devices, online } = await open(context);
    const device = await dial();
    await isOnline(device);
    expect(devices.list()).toEqual([{ id: 'd1', name: 'laptop', version: '0.32.18', isOnline: true }]);
    await device.close();
    await until(() => online().length === 0, String);
    expect(devices.list()).toMatchObject([{ name: 'laptop', isOnline: false }]);
  });

  it('tells whose token is wrong what to do', async (context) => {
    const { dial } = await open(context);
    const ended = await hasEnded(await dial({ token: 'of-yesterday' }));
    expect(ended).toContain('Failed to start listener: This bridge does not know the token in LETTA_API_KEY');
  });

  it('tells an old Letta Code to update', async (context) => {
    const { dial } = await open(context);
    const ended = await hasEnded(await dial({ protocol: 'v1' }));
    expect(ended).toContain('Letta Code 0.32.18 does not speak the protocol of this bridge (v2-input). Update it');
  });

  it('tells a device with cloud agents to use local ones', async (context) => {
    const { url } = await open(context);
    const asked = await fetch(`${url}/v1/agents/agent-1`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(asked.status).toBe(404);
    expect(await asked.text()).toContain('--backend local');
  });

  it('ends the older of two processes of one device', async (context) => {
    const { dial, online } = await open(context);
    const older = await dial();
    await isOnline(older);
    const newer = await dial();
    expect(await hasEnded(older)).toBe('Replaced by new connection');
    await isOnline(newer);
    expect(online()).toEqual(['d1']);
  });

  it('gives each machine its own token and name', async (context) => {
    const named = new Map([
      ['laptop', `${TOKEN}-1`],
      ['build-box', `${TOKEN}-2`],
    ]);
    const { dial, online } = await open(context, { kind: 'named', tokens: named });
    const laptop = await dial({ token: `${TOKEN}-1` });
    await isOnline(laptop);
    expect(await hasEnded(await dial({ token: `${TOKEN}-2` }))).toContain('for the machine named build-box');
    // It may say that it is another device: with a token of its own, a machine is its name.
    await isOnline(await dial({ token: `${TOKEN}-2`, name: 'build-box', id: 'd1' }));
    expect(online().sort()).toEqual(['build-box', 'laptop']);
    expect(laptop.state().ended).toBeNull();
  });

  it('refuses garbage, too much of it, and other paths', async (context) => {
    const { register, url, port, dial } = await open(context);
    const device = await dial({ id: 'calm' });
    await isOnline(device);
    const answers = [
      register('garbage'),
      register('[]'),
      register({ ...REGISTRATION, deviceId: 7 }),
      register('x'.repeat(70_000)),
      fetch(`${url}/v1/elsewhere`, { headers: { authorization: `Bearer ${TOKEN}` } }),
      fetch(`${url}/v1/environments/register`, { method: 'POST', body: 'x'.repeat(1_000) }),
    ];
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([400, 400, 400, 413, 404, 401]);
    const raw = connect(port, '127.0.0.1');
    raw.write('\u0016\u0003\u0001 what?\r\n\r\n');
    raw.resume();
    await new Promise((resolve) => raw.once('close', resolve));
    expect(device.state()).toMatchObject({ online: true, ended: null });
  });

  it('refuses a socket without its lease or token', async (context) => {
    const { url, register } = await open(context);
    const { wsUrl } = (await (await register(REGISTRATION)).json()) as { wsUrl: string };
    const statusOf = (address: string, token: string) =>
      new Promise<number | undefined>((resolve) => {
        const socket = new WebSocket(address, { headers: { authorization: `Bearer ${token}` } });
        socket.on('unexpected-response', (_, { statusCode }) => resolve(statusCode));
        socket.on('error', () => undefined);
        socket.on('open', () => resolve(101));
        context.onTestFinished(() => socket.terminate());
      });
    expect(await statusOf(`${wsUrl}?deviceId=d1&connectionName=laptop`, 'wrong')).toBe(401);
    expect(await statusOf(`${wsUrl}?deviceId=d2&connectionName=laptop`, TOKEN)).toBe(404);
    expect(await statusOf(`${url.replace('http', 'ws')}/elsewhere?deviceId=d1`, TOKEN)).toBe(404);
    expect(await statusOf(`${wsUrl}?deviceId=d1&connectionName=laptop`, TOKEN)).toBe(101);
  });

  it('slows down a device that registers all the time, no other', async (context) => {
    const { register, dial, log } = await open(context);
    const flood = await Promise.all(Array.from({ length: 100 }, () => register(REGISTRATION)));
    const statuses = flood.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(80);
    await isOnline(await dial({ id: 'other', name: 'other' }));
    expect(
      log.lines.filter(({ fields }) => String(fields.why).includes('registers too often')).length,
    ).toBeLessThanOrEqual(3);
  });

  it('refuses a flood with a wrong token, says so a few times', async (context) => {
    const { register, dial, devices, log } = await open(context);
    const flood = await Promise.all(Array.from({ length: 40 }, () => register(REGISTRATION, 'not-the-token')));
    expect(flood.filter(({ status }) => status !== 401)).toEqual([]);
    expect(devices.list()).toEqual([]);
    expect(log.lines.filter(({ message }) => message === 'refused a device').length).toBeLessThanOrEqual(3);
    await isOnline(await dial());
  });

  it('answers pings, and survives frames that are none', async (context) => {
    const { register, devices } = await open(context);
    const { wsUrl } = (await (await register(REGISTRATION)).json()) as { wsUrl: string };
    const socket = new WebSocket(`${wsUrl}?deviceId=d1&connectionName=laptop`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    context.onTestFinished(() => socket.terminate());
    await new Promise((resolve) => socket.once('open', resolve));
    const garbage = [
      '',
      'null',
      '[]',
      '{}',
      '{"type":7}',
      '{"type":"update_queue","runtime":7}',
      '\u0000',
      '{"type":"x"',
    ];
    for (const text of garbage) socket.send(text);
    socket.send(Buffer.from([0xff, 0xfe]));
    const answered = new Promise((resolve) => socket.once('message', (data) => resolve(String(data))));
    socket.send('{"type":"ping"}');
    expect(await answered).toBe('{"type":"pong"}');
    expect(devices.list()).toMatchObject([{ isOnline: true }]);
  });

  it('a frame over the bound: ends that socket with 1009 alone', async (context) => {
    const { register, dial, devices, url } = await open(context);
    const calm = await dial({ id: 'calm', name: 'calm' });
    await isOnline(calm);
    const { wsUrl } = (await (await register(REGISTRATION)).json()) as { wsUrl: string };
    const { pathname } = new URL(wsUrl);
    const headers = {
      authorization: `Bearer ${TOKEN}`,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    };
    const upgrade = request(`${url}${pathname}?deviceId=d1&connectionName=laptop`, { headers });
    const raw = await new Promise<Socket>((resolve) => {
      upgrade.on('upgrade', (_, socket) => resolve(socket as Socket));
      upgrade.end();
    });
    context.onTestFinished(() => void raw.destroy());
    const received: Buffer[] = [];
    raw.on('data', (part: Buffer) => received.push(part));
    const closed = new Promise((resolve) => raw.once('close', resolve));
    await until(() => devices.list().filter((each) => each.isOnline).length === 2, String);
    // A header announces the length, so a frame that is too large is known before any of it is there.
    raw.write(announceFrame(128 * 1024 * 1024 + 1));
    await until(
      () => Buffer.concat(received).length >= 4,
      () => `${received.length} parts`,
    );
    const [opcode, , ...code] = Buffer.concat(received);
    expect([opcode, Buffer.from(code).readUInt16BE()]).toEqual([0x88, 1009]);
    raw.end();
    await closed;
    await until(() => devices.list().filter((each) => each.isOnline).length === 1, String);
    expect(devices.list()).toMatchObject([
      { id: 'calm', isOnline: true },
      { id: 'd1', isOnline: false },
    ]);
    expect(calm.state()).toMatchObject({ online: true, ended: null });
  });

  it('gives up on whoever sends slowly', async (context) => {
    const { port, dial } = await open(context);
    const device = await dial();
    await isOnline(device);
    const slow = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'));
    const closed = slow.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of slow) {
      socket.on('error', () => undefined);
      socket.resume();
      socket.write('POST /v1/environments/register HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    }
    await Promise.all(closed);
    expect(device.state()).toMatchObject({ online: true, ended: null });
  });

  it('takes no device in again and again: it must wait longer', async (context) => {
    const { register } = await open(context);
    const { wsUrl } = (await (await register(REGISTRATION)).json()) as { wsUrl: string };
    const dialOnce = () =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(`${wsUrl}?deviceId=d1`, { headers: { authorization: `Bearer ${TOKEN}` } });
        socket.on('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode));
        socket.on('error', () => undefined);
        socket.on('open', () => {
          socket.terminate();
          resolve(101);
        });
      });
    const statuses: number[] = [];
    for (let n = 0; n < 25; n += 1) statuses.push(await dialOnce());
    expect(statuses.filter((status) => status === 101)).toHaveLength(20);
    expect(statuses.slice(20)).toEqual([503, 503, 503, 503, 503]);
  });

  it('closes with 1001 when the bridge stops', async (context) => {
    const { register, stop } = await open(context);
    const { wsUrl } = (await (await register(REGISTRATION)).json()) as { wsUrl: string };
    const socket = new WebSocket(`${wsUrl}?deviceId=d1`, { headers: { authorization: `Bearer ${TOKEN}` } });
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await stop();
    expect(await closed).toBe(1001);
  });
});

describe('a door of a process that does not serve the workspace', () => {
  it('tells a device where to dial, admits it once serving', async (context) => {
    let isServing = false;
    const { dial, online, stored, log } = await open(context, undefined, () => isServing);
    const device = await dial();
    await until(
      () => log.lines.some(({ fields }) => JSON.stringify(fields).includes('503')),
      () => JSON.stringify(log.lines),
    );
    context.expect(online()).toEqual([]);
    context.expect(stored.size).toBe(0);
    context.expect(device.state().ended).toBeNull();
    isServing = true;
    await isOnline(device);
    context.expect(online()).toHaveLength(1);
  });
});
