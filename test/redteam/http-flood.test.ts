import { connect, type Socket } from 'node:net';
import { describe, expect, it, type TestContext } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createHttpTransport } from '../../src/slack/receiver/http.ts';
import { createMemoryLog } from '../support/log.ts';
import { until } from '../support/until.ts';

const MB = 1024 * 1024;

async function start({ onTestFinished }: TestContext) {
  const options = { signingSecret: 'shhh', port: 0, host: '127.0.0.1', clock: systemClock, log: createMemoryLog() };
  const transport = createHttpTransport(options);
  await transport.start(async () => undefined);
  onTestFinished(() => transport.stop());
  /** A connection that has sent its headers and no body, with what has come back. */
  return (headers: Record<string, string>) => {
    const socket: Socket = connect(transport.port(), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const seen = { text: '', closed: false, socket };
    socket.on('data', (data) => {
      seen.text += String(data);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      seen.closed = true;
    });
    const lines = Object.entries({ host: 'x', 'content-type': 'application/json', ...headers });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    socket.write(`POST /slack/events HTTP/1.1\r\n${head}\r\n`);
    return seen;
  };
}

const forged = () => ({
  'x-slack-request-timestamp': String(Math.floor(Date.now() / 1_000)),
  'x-slack-signature': `v0=${'0'.repeat(64)}`,
});

describe('an HTTP request', () => {
  it.for([
    ['without a signature', {}, 401],
    ['with an old timestamp', { ...forged(), 'x-slack-request-timestamp': '1500000000' }, 401],
    ['with a signature that is none', { ...forged(), 'x-slack-signature': 'v0=1' }, 401],
    ['larger than Slack ever sends', { ...forged(), 'content-length': String(5 * MB) }, 413],
  ] as const)('%s: is refused and closed before its body is read', async (given, context) => {
    const [, headers, status] = given;
    const request = (await start(context))({ 'content-length': String(4 * MB), ...headers });
    await until(
      () => request.text.startsWith(`HTTP/1.1 ${status} `) && request.closed,
      () => request.text,
    );
  });

  it('bodies of all requests together: bounded in memory', async (context) => {
    const send = await start(context);
    const requests = Array.from({ length: 12 }, () => send({ ...forged(), 'content-length': String(4 * MB) }));
    for (const { socket } of requests) socket.write(Buffer.alloc(3 * MB));
    const refused = () => requests.filter(({ text }) => text.startsWith('HTTP/1.1 503 ')).length;
    await until(
      () => refused() >= 6,
      () => requests.map(({ text }) => text.slice(0, 20)).join(),
    );
    // At most 16 MB are held, by five of them.
    expect(requests.filter(({ text }) => text === '').length).toBeLessThanOrEqual(6);
  });
});
