import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, type TestContext } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { until } from '../../support/until.ts';
import { type Frame, readTrace } from './trace.ts';

const TOKEN = 'test-token';

/** The least that a bridge must serve: what the recording was made with. */
async function bridge({ onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const registrations: { request: IncomingMessage; body: Frame; at: number }[] = [];
  const sockets: { ws: WebSocket; heard: Frame[]; at: number }[] = [];
  const answers = { register: [200, {}] as [number, Frame], upgrade: 101 };
  let url = '';
  const server = createServer(async (request, response) => {
    let raw = '';
    for await (const part of request) raw += String(part);
    registrations.push({ request, body: JSON.parse(raw) as Frame, at: Date.now() });
    const [status, body] = answers.register;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ connectionId: 'bridge-1', wsUrl: `${url.replace('http', 'ws')}/device`, ...body }));
  });
  const upgrades = new WebSocketServer({ noServer: true });
  const refused: number[] = [];
  server.on('upgrade', (request, socket, head) => {
    if (answers.upgrade !== 101) {
      refused.push(Date.now());
      socket.end(`HTTP/1.1 ${answers.upgrade} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    upgrades.handleUpgrade(request, socket, head, (ws) => {
      const heard: Frame[] = [];
      sockets.push({ ws, heard, at: Date.now() });
      ws.on('message', (data) => heard.push(JSON.parse(String(data)) as Frame));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    for (const { ws } of sockets) ws.terminate();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const device = await startScriptedLetta({ dials: { url, token: TOKEN, name: 'listen-test' }, pace: 1 });
  onTestFinished(() => device.close());
  const dialled = async (count: number) => {
    await until(
      () => sockets.length >= count,
      () => JSON.stringify(device.state()),
    );
    const socket = sockets[count - 1];
    if (!socket) throw new Error('no socket');
    const send = (frame: Frame) => socket.ws.send(JSON.stringify(frame));
    const hears = (type: string, from = 0) =>
      until(
        () => socket.heard.slice(from).some((frame) => frame.type === type),
        () => JSON.stringify(socket.heard.map((frame) => frame.type)),
      );
    return { ...socket, send, hears };
  };
  return { registrations, sockets, refused, answers, device, dialled };
}

const recorded = readTrace('d40-listen-bridge-restart');
const runtimeOf = (frame: Frame | undefined) => frame?.runtime as Frame;
const types = (frames: readonly Frame[]) => frames.map(({ type }) => type);

describe('the scripted device', () => {
  it('registers as the recorded one', async (context) => {
    const { registrations, dialled } = await bridge(context);
    await dialled(1);
    const [line] = recorded;
    const body = line?.body as Frame;
    const [made] = registrations;
    expect(`${made?.request.method} ${made?.request.url}`).toBe(line?.request);
    expect(made?.request.headers['x-letta-source']).toBe(line?.headers?.['x-letta-source']);
    expect(made?.request.headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(Object.keys(made?.body ?? {}).sort()).toEqual(Object.keys(body).sort());
    const [ours, theirs] = [made?.body.metadata, body.metadata].map((each) => each as Frame);
    expect(Object.keys(ours ?? {}).sort()).toEqual(Object.keys(theirs ?? {}).sort());
    expect(ours?.environmentMessageProtocol).toBe(theirs?.environmentMessageProtocol);
  });

  it('comes back with an open request as the recorded one', async (context) => {
    const { dialled, device } = await bridge(context);
    const first = await dialled(1);
    const [agent] = device.state().agents as { id: string }[];
    first.send({
      type: 'runtime_start',
      request_id: 'b-1',
      agent_id: agent?.id,
      create_conversation: {},
      mode: 'strict',
    });
    await first.hears('runtime_start_response');
    const runtime = runtimeOf(first.heard.find((frame) => frame.type === 'runtime_start_response'));
    const messages = [{ role: 'user', content: 'run bash touch after-restart.txt', client_message_id: 'cm-1' }];
    const payload = { kind: 'create_message', messages };
    first.send({ type: 'input', request_id: 'b-2', runtime, payload });
    await first.hears('control_request');
    first.ws.terminate();
    const second = await dialled(2);
    await second.hears('control_request');
    const unasked = second.heard.length;
    const request = { recover_approvals: true, force_device_status: true, request_id: 'b-3' };
    second.send({ type: 'sync', runtime, ...request });
    await second.hears('sync_response');
    const back = recorded.slice(recorded.findIndex(({ dir }) => dir === 'note') + 1);
    const expected = back.flatMap(({ dir, frame }) => (dir === 'recv' && frame ? [frame] : []));
    expect(types(second.heard.slice(0, unasked))).toEqual(types(expected.slice(0, 3)));
    expect(types(second.heard.slice(unasked)).sort()).toEqual(types(expected.slice(3)).sort());
    const asked = second.heard.filter((frame) => frame.type === 'control_request');
    expect(new Set(asked.map((frame) => frame.request_id)).size).toBe(1);
  });

  it('dials again at once when its socket ends', async (context) => {
    const { registrations, dialled } = await bridge(context);
    (await dialled(1)).ws.close(1001, 'going away');
    (await dialled(2)).ws.terminate();
    await dialled(3);
    expect(registrations).toHaveLength(1);
  });

  it('registers anew after 1008', async (context) => {
    const { registrations, dialled } = await bridge(context);
    (await dialled(1)).ws.close(1008, 'policy');
    await dialled(2);
    expect(registrations).toHaveLength(2);
  });

  it('ends when it was replaced', async (context) => {
    const { sockets, dialled, device } = await bridge(context);
    (await dialled(1)).ws.close(1000, 'Replaced by new connection');
    const seen = () => JSON.stringify(device.state());
    await until(() => device.state().ended !== null, seen);
    expect(sockets).toHaveLength(1);
  });

  it('goes on trying when it is refused', async (context) => {
    const { answers, refused, dialled } = await bridge(context);
    const { ws } = await dialled(1);
    answers.upgrade = 503;
    ws.terminate();
    const seen = () => String(refused);
    await until(() => refused.length >= 2, seen);
    answers.upgrade = 101;
    await dialled(2);
  });
});
