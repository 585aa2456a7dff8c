import { connect, createServer, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, type TestContext } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { startSlack } from '../../sandbox/slack/server.ts';
import { systemClock } from '../../src/clock.ts';
import { askControl, controlPath, serveControl } from '../../src/ops/control.ts';
import { healthRoutes, serveHealth } from '../../src/ops/health.ts';
import { createHttpTransport } from '../../src/slack/receiver/http.ts';
import { statusOf } from '../support/http.ts';
import { createMemoryLog } from '../support/log.ts';
import { temporaryFolder } from '../support/whole.ts';

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
const TARGETS = [
  '//',
  '///',
  '/',
  '*',
  '/%',
  '/%ff%',
  '//x:99999999/',
  '//[',
  'http://[',
  'http://',
  '\\',
  '/checks//',
  '/?%',
  '/self-test?event=%E0%A4%A',
  '/_control/%',
  '/_control/messages/%zz',
  '/v1/environments/%',
  '/link/?ticket=%',
  '//link/?ticket=x',
  '/slack/events//',
  '/a b',
  '/\u00ff',
  '/'.repeat(9_000),
];
const METHODS = ['GET', 'POST', 'HEAD', 'OPTIONS', 'DELETE', 'CONNECT', 'TRACE', 'PATCH'];

/** What a hostile or broken client sends: whole requests as they go over the wire. */
const REQUESTS: string[] = [
  ...TARGETS.flatMap((target) =>
    ['GET', 'POST'].map((method) => `${method} ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`),
  ),
  ...TARGETS.map((target) => `GET ${target} HTTP/1.1\r\nHost: x\r\n${UPGRADE}\r\n`),
  ...METHODS.map((method) => `${method} // HTTP/1.1\r\nHost: x\r\n\r\n`),
  'GET // HTTP/1.1\r\n\r\n',
  'GET // HTTP/1.0\r\n\r\n',
  'GET //\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: [\r\n\r\n',
  'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
  'NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  'POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf',
  'POST /api/chat.postMessage HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc',
  'POST /api/chat.postMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull',
  'GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n',
  `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\n${UPGRADE.replace('websocket', 'nonsense')}\r\n`,
  `GET /ws HTTP/1.1\r\nHost: x\r\n${UPGRADE.replace('13', '99')}\r\n`,
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  '\u0000',
  '',
  'GET / HT',
];

interface Stage {
  to: NetConnectOpts;
  /** Throws, or rejects, when it does not answer as it should. */
  answers(): Promise<void>;
}

/** Sends it, and goes away: politely or not. Resolves when the connection is closed. */
function send(to: NetConnectOpts, request: string, rude: boolean): Promise<void> {
  return new Promise((resolve) => {
    const leave = () => {
      if (!rude) socket.end();
      else if ('port' in to) socket.resetAndDestroy();
      else socket.destroy();
    };
    const socket = connect(to, () => {
      socket.write(Buffer.from(request, 'latin1'), () => leave());
    });
    socket.on('error', () => {});
    // A server that waits for the rest of a request waits in vain.
    const timer = setTimeout(() => socket.destroy(), 100);
    socket.resume();
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const SURFACES: Record<string, (context: TestContext) => Promise<Stage>> = {
  async 'the control socket'(context) {
    const storePath = join(temporaryFolder(context), 'b.db');
    const control = await serveControl({
      storePath,
      checks: () => [{ name: 'slack', ok: true, state: 'connected' }],
      selfTest: async () => undefined,
      log: createMemoryLog(),
    });
    context.onTestFinished(() => control?.stop());
    const answers = async () => {
      const heard: unknown[] = [];
      await askControl(storePath, 'GET', '/checks', (line) => heard.push(line));
      expect(heard).toEqual([{ checks: [{ name: 'slack', ok: true, state: 'connected' }] }]);
    };
    return { to: { path: controlPath(storePath) }, answers };
  },
  async 'the health server'(context) {
    const server = await serveHealth(
      healthRoutes(() => []),
      { port: 0, host: '127.0.0.1', clock: systemClock },
    );
    context.onTestFinished(() => server.stop());
    const answers = async () => {
      expect(await statusOf(`http://127.0.0.1:${server.port}/healthz`)).toBe(200);
    };
    return { to: { port: server.port, host: '127.0.0.1' }, answers };
  },
  async 'the receiver of Slack’s requests'(context) {
    const receiver = createHttpTransport({
      signingSecret: 's'.repeat(32),
      port: 0,
      host: '127.0.0.1',
      clock: systemClock,
      log: createMemoryLog(),
    });
    await receiver.start(async () => undefined);
    context.onTestFinished(() => receiver.stop());
    const answers = async () => {
      expect(await statusOf(`http://127.0.0.1:${receiver.port()}/nowhere`)).toBe(404);
    };
    return { to: { port: receiver.port(), host: '127.0.0.1' }, answers };
  },
  async 'the small Slack'(context) {
    const slack = await startSlack();
    context.onTestFinished(() => slack.close());
    const answers = async () => {
      expect(await statusOf(`${slack.url}api.test`, { method: 'POST' })).toBe(200);
    };
    return { to: { port: slack.port, host: '127.0.0.1' }, answers };
  },
  async 'the scripted App Server'(context) {
    const letta = await startScriptedLetta();
    context.onTestFinished(() => letta.close());
    const answers = async () => {
      expect(await statusOf(`${letta.controlUrl}/_control/state`)).toBe(200);
    };
    return { to: { port: letta.port, host: '127.0.0.1' }, answers };
  },
  async 'the scripted relay'(context) {
    const letta = await startScriptedLetta({ surface: 'hosted' });
    context.onTestFinished(() => letta.close());
    const answers = async () => {
      expect(await statusOf(`${letta.controlUrl}/_control/state`)).toBe(200);
    };
    return { to: { port: letta.port, host: '127.0.0.1' }, answers };
  },
};

// An error that nobody catches ends this test run, as it would end the bridge.
describe.each(Object.entries(SURFACES))('%s, sent malformed requests,', (_name, open) => {
  it('survives each known kind', async (context) => {
    const { to, answers } = await open(context);
    for (const rude of [false, true]) {
      for (let at = 0; at < REQUESTS.length; at += 30) {
        await Promise.all(REQUESTS.slice(at, at + 30).map((request) => send(to, request, rude)));
      }
    }
    await answers();
  });

  it('survives random targets and headers', async (context) => {
    const { to, answers } = await open(context);
    const word = fc.string({ unit: 'binary-ascii', maxLength: 20 });
    const request = fc
      .record({ method: fc.constantFrom(...METHODS), target: word, name: word, value: word, upgrade: fc.boolean() })
      .map(
        ({ method, target, name, value, upgrade }) =>
          `${method} /${target} HTTP/1.1\r\nHost: x\r\n${upgrade ? UPGRADE : ''}${name}: ${value}\r\n\r\n`,
      );
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 30, maxLength: 30 }), async (requests) => {
        await Promise.all(requests.map((each) => send(to, each, false)));
      }),
      { numRuns: 5 },
    );
    await answers();
  });
});

describe("the control socket's client", () => {
  it('other program answers: rejects with an error', async (context) => {
    const storePath = join(temporaryFolder(context), 'b.db');
    const says = [
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno json\n\n',
      'nonsense',
      'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}\n',
      '',
    ];
    for (const text of says) {
      const stranger = createServer((socket) => {
        socket.on('error', () => {}).resume();
        if (text !== '') socket.end(text);
      });
      await new Promise<void>((resolve) => stranger.listen(controlPath(storePath), resolve));
      await expect(askControl(storePath, 'GET', '/checks', () => undefined, 200)).rejects.toThrow();
      await new Promise<void>((resolve) => stranger.close(() => resolve()));
    }
  });
});
