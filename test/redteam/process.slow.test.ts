import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, type TestContext } from 'vitest';
import { freePort } from '../../sandbox/free-port.ts';
import type { CallFault } from '../../sandbox/slack/faults.ts';
import type { SmallSlack } from '../../sandbox/slack/server.ts';
import {
  type OwnProcess,
  type OwnProcessOptions,
  spawnBridge,
  startOwnProcess,
  waitUntilUp,
} from '../support/own-process.ts';
import { until } from '../support/until.ts';

/** No connection of its own to Letta, no server unless in HTTP mode: only the Slack side can keep it alive, or nothing. */

type Way = 'socket' | 'socket with PORT' | 'http';

async function optionsFor(way: Way): Promise<OwnProcessOptions> {
  if (way === 'http') return { httpPort: await freePort() };
  return way === 'socket' ? {} : { env: { PORT: '0' } };
}

const call = (method: string, fault: Omit<CallFault, 'method'>) => (slack: SmallSlack) =>
  slack.control.faults({ method, ...fault });

async function answersTheNextMessage({ sayText, transcriptNow, logText, child }: OwnProcess): Promise<void> {
  await sayText('@agent slow 3 words');
  const seen = () => `exit code ${child.exitCode}\n${logText()}\n${transcriptNow()}`;
  await until(
    () => (transcriptNow().includes('word3') && !transcriptNow().includes('[Stop]')) || child.exitCode !== null,
    seen,
    40_000,
  );
  expect(child.exitCode, logText()).toBeNull();
}

const connected = ({ slack }: OwnProcess) => slack.control.state().connections.length > 0;

const AUTH: [string, (slack: SmallSlack) => Promise<unknown>][] = [
  ['auth.test is limited', call('auth.test', { kind: 'ratelimited', retryAfter: 1 })],
  ['auth.test is reset', call('auth.test', { kind: 'reset_before' })],
  ['auth.test is reset six times', call('auth.test', { kind: 'reset_after', times: 6 })],
  ['auth.test is a page of a proxy', call('auth.test', { kind: 'html', times: 2 })],
];
const SOCKET: [string, (slack: SmallSlack) => Promise<unknown>][] = [
  ['the WebSocket is refused once', (slack) => slack.control.faults({ socket: 'refuse' })],
  ['apps.connections.open is reset', call('apps.connections.open', { kind: 'reset_before' })],
  ['apps.connections.open is limited', call('apps.connections.open', { kind: 'ratelimited', retryAfter: 2 })],
  ['apps.connections.open fails', call('apps.connections.open', { kind: 'http_500', times: 2 })],
  ['apps.connections.open is a page of a proxy', call('apps.connections.open', { kind: 'html' })],
];

describe.concurrent('a bridge that starts', () => {
  const starts: [Way, string, (slack: SmallSlack) => Promise<unknown>][] = [
    ...AUTH.map(([name, fault]): [Way, string, typeof fault] => ['socket', name, fault]),
    ...AUTH.map(([name, fault]): [Way, string, typeof fault] => ['http', name, fault]),
    ...SOCKET.map(([name, fault]): [Way, string, typeof fault] => ['socket', name, fault]),
    ['socket with PORT', 'auth.test is limited', call('auth.test', { kind: 'ratelimited', retryAfter: 1 })],
    ['socket with PORT', 'the WebSocket is refused once', (slack) => slack.control.faults({ socket: 'refuse' })],
  ];
  it.for(['socket', 'http'] satisfies Way[])(
    'over %s, no network: waits, then answers',
    async (way, context: TestContext) => {
      const bridge = await spawnBridge(context, { ...(await optionsFor(way)), before: (slack) => slack.goAway() });
      await until(() => bridge.logText().split('trying again').length > 4, bridge.logText, 60_000);
      await bridge.slack.comeBack();
      await waitUntilUp(bridge);
      await answersTheNextMessage(bridge);
    },
  );

  it.for(starts)('over %s, %s: logs it, waits, then answers', async ([way, , fault], context) => {
    const bridge = await spawnBridge(context, { ...(await optionsFor(way)), before: fault });
    await waitUntilUp(bridge);
    context
      .expect(bridge.logText())
      .toMatch(/could not ask Slack who the bot is; trying again|could not open the Slack socket; trying again/);
    await answersTheNextMessage(bridge);
  });
});

describe.concurrent('an idle bridge', () => {
  it.for(SOCKET)('socket drops and %s: reconnects and answers', async ([, fault], context) => {
    const bridge = await startOwnProcess(context);
    await fault(bridge.slack);
    await bridge.slack.control.faults({ socket: 'close' });
    await until(() => bridge.logText().includes('lost the Slack socket'), bridge.logText);
    await until(() => connected(bridge) || bridge.child.exitCode !== null, bridge.logText, 40_000);
    await answersTheNextMessage(bridge);
  });

  it.for(['socket', 'http'] satisfies Way[])(
    'over %s, 60 s without Slack: survives and answers',
    async (way, context: TestContext) => {
      const bridge = await startOwnProcess(context, await optionsFor(way));
      await bridge.slack.goAway();
      await sleep(60_000);
      context.expect(bridge.child.exitCode, bridge.logText()).toBeNull();
      await bridge.slack.comeBack();
      if (way === 'socket') await until(() => connected(bridge), bridge.logText, 40_000);
      await answersTheNextMessage(bridge);
    },
  );

  it('next socket gets no hello: reconnects and answers', async (context) => {
    const bridge = await startOwnProcess(context);
    await bridge.slack.control.faults({ socket: 'no_hello' });
    await bridge.slack.control.faults({ socket: 'close' });
    await until(() => connected(bridge) && bridge.logText().includes('no hello from Slack'), bridge.logText, 60_000);
    await answersTheNextMessage(bridge);
  });
});

describe.concurrent('a bridge exits and logs why', () => {
  it('at a signal while it waits for Slack', async (context) => {
    const bridge = await spawnBridge(context, { before: (slack) => slack.goAway() });
    await until(() => bridge.logText().includes('could not ask Slack who the bot is'), bridge.logText, 60_000);
    bridge.child.kill('SIGTERM');
    context.expect((await bridge.whenExited)[0]).toBe(0);
    context.expect(bridge.logText()).toContain('stopping');
  });

  it('at a signal while it waits for its socket', async (context) => {
    const refused = (slack: SmallSlack) => slack.control.faults({ socket: 'refuse', ms: 60_000 });
    const bridge = await spawnBridge(context, { before: refused });
    await until(() => bridge.logText().includes('could not open the Slack socket'), bridge.logText, 60_000);
    bridge.child.kill('SIGINT');
    context.expect((await bridge.whenExited)[0]).toBe(0);
    context.expect(bridge.logText()).toContain('stopping');
  });

  it.for([
    ['SLACK_BOT_TOKEN', 'auth.test', 'account_inactive'],
    ['SLACK_APP_TOKEN', 'apps.connections.open', 'invalid_auth'],
  ] as const)('when %s is refused at the start', async ([name, method, error], context) => {
    const bridge = await spawnBridge(context, { before: call(method, { kind: 'ok_false', error, times: 50 }) });
    context.expect((await bridge.whenExited)[0]).toBe(2);
    context.expect(bridge.logText()).toContain(`${name} was refused by Slack: ${error}`);
  });

  it('when a setting is wrong', async (context) => {
    const bridge = await spawnBridge(context, { env: { SLACK_APP_TOKEN: 'nonsense' } });
    context.expect((await bridge.whenExited)[0]).toBe(2);
    context.expect(bridge.logText()).toContain('SLACK_APP_TOKEN');
  });

  it('when the app token is refused for good while it is idle', async (context) => {
    const bridge = await startOwnProcess(context);
    await call('apps.connections.open', { kind: 'ok_false', error: 'token_revoked', times: 50 })(bridge.slack);
    await bridge.slack.control.faults({ socket: 'close' });
    context.expect((await bridge.whenExited)[0]).toBe(1);
    context.expect(bridge.logText()).toContain('SLACK_APP_TOKEN was refused by Slack: token_revoked');
  });
});
