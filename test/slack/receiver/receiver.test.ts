import type { App } from '@slack/bolt';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { noMetrics } from '../../../src/ops/metrics.ts';
import type { SlackAnswer, SlackApi } from '../../../src/slack/api/slack-api.ts';
import { createBoltApp } from '../../../src/slack/listeners/bolt.ts';
import type { ListenerContext } from '../../../src/slack/listeners/context.ts';
import { createMessageListener } from '../../../src/slack/listeners/message.ts';
import { createHomeTabs } from '../../../src/slack/outbox/home-tabs.ts';
import { createReceiver } from '../../../src/slack/receiver/receiver.ts';
import type { Accept, Envelope, Reply, Transport } from '../../../src/slack/receiver/transport.ts';
import { createFakeClock } from '../../support/clock.ts';
import { RecordingIntake } from '../../support/intake.ts';
import { createMemoryLog } from '../../support/log.ts';

const identity = { teamId: 'T1', botUserId: 'U0BOT', botId: 'B0BOT', enterpriseId: null, url: null };

async function start(clock = systemClock) {
  const log = createMemoryLog();
  const intake = new RecordingIntake();
  const calls: [string, Record<string, unknown>][] = [];
  const api: SlackApi = {
    async call(method, args) {
      calls.push([method, args]);
      return { ok: true } as SlackAnswer;
    },
  };
  const steps: string[] = [];
  let accept: Accept = () => Promise.reject(new Error('not started'));
  const transport: Transport = {
    async start(use) {
      accept = use;
    },
    pause: () => void steps.push('paused'),
    async stop() {
      steps.push('stopped');
    },
    state: () => ({ isConnected: true, since: 0, foreignConnections: 0, countedAt: null }),
  };
  const draw = async () => ({ type: 'home' as const, blocks: [] });
  const homes = createHomeTabs({ api, clock, log, draw });
  const listeners: ListenerContext = { intake, api, homes, clock, log, metrics: noMetrics, identity: () => identity };
  const receiver = createReceiver({ transport, storeEvent: createMessageListener(listeners), clock, log });
  const app: App = await createBoltApp({ receiver, listeners, log });
  await app.start();
  const deliver = (kind: Envelope['kind'], body: Record<string, unknown>): Promise<Reply> =>
    accept({ kind, body, retryNum: 0, retryReason: null });
  return { app, receiver, intake, log, calls, steps, deliver };
}

const person = { user: { id: 'U1', team_id: 'T1' }, team: { id: 'T1' }, trigger_id: '1.2' };
const event = {
  type: 'event_callback',
  team_id: 'T1',
  event: { type: 'message', channel: 'C1', channel_type: 'channel', user: 'U1', text: 'hi', ts: '1.000001' },
};

describe('an interaction we do not handle', () => {
  test.each([
    ['a foreign button', { type: 'block_actions', actions: [{ action_id: 'x', block_id: 'b', type: 'button' }] }],
    ['a button that opens a page', { type: 'block_actions', actions: [{ type: 'button', url: 'https://a.b' }] }],
    ['an old-fashioned button', { type: 'interactive_message', callback_id: 'c', actions: [{ name: 'a' }] }],
    ['a foreign modal', { type: 'view_submission', view: { callback_id: 'c', state: { values: {} } } }],
    ['a closed modal', { type: 'view_closed', view: { callback_id: 'bridge_view_full' } }],
    ['a shortcut', { type: 'shortcut', callback_id: 'c' }],
    ['a message shortcut', { type: 'message_action', callback_id: 'c', channel: { id: 'C1' } }],
    ['something new', { type: 'invented' }],
  ])('is acknowledged without a warning in Slack: %s', async (_name, body) => {
    const { deliver, intake } = await start();
    expect(await deliver('interactive', { ...person, ...body })).toBeUndefined();
    expect([...intake.actions, ...intake.submissions]).toEqual([]);
  });

  test('gets an empty list for an options request', async () => {
    const { deliver } = await start();
    const body = { ...person, type: 'block_suggestion', action_id: 'x', block_id: 'b', value: '' };
    expect(await deliver('interactive', body)).toEqual({ options: [] });
  });
});

describe('the receiver', () => {
  test('hands a message to Bolt after storing; failing listeners cannot unacknowledge it', async () => {
    const { app, deliver, intake, log } = await start();
    const seen = Promise.withResolvers<number>();
    app.event('message', async () => {
      seen.resolve(intake.stored.size);
      throw new Error('listener broke');
    });
    expect(await deliver('events_api', event)).toBeUndefined();
    expect(await seen.promise).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.lines).toContainEqual(expect.objectContaining({ level: 'error', message: 'a Slack listener failed' }));
  });

  test('hands no message to Bolt that was not stored', async () => {
    const { app, deliver, intake } = await start();
    let seen = 0;
    app.event('message', async () => {
      seen += 1;
    });
    intake.failing = 1;
    await expect(deliver('events_api', event)).rejects.toThrow('disk full');
    expect(await deliver('events_api', event)).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toBe(1);
  });

  test('hands a repeated delivery on like the first', async () => {
    const { deliver, intake } = await start();
    await deliver('events_api', event);
    await deliver('events_api', event);
    expect(intake.deliveries).toHaveLength(2);
    expect(intake.stored.size).toBe(1);
  });

  test('hands messages to the intake in the order of delivery', async () => {
    const { deliver, intake } = await start();
    const numbers = Array.from({ length: 50 }, (_, n) => `${n}`);
    await Promise.all(
      numbers.map((text) => deliver('events_api', { ...event, event: { ...event.event, text, ts: `1.${text}` } })),
    );
    expect(intake.deliveries.map(({ ts }) => ts)).toEqual(numbers.map((text) => `1.${text}`));
  });

  test('rejects deliveries beyond 500 in work, so that Slack retries them', async () => {
    const { deliver, intake } = await start();
    const gate = Promise.withResolvers<void>();
    intake.gate = gate.promise;
    const first = Array.from({ length: 500 }, () => deliver('events_api', event));
    await expect(deliver('events_api', event)).rejects.toMatchObject({ retry: true });
    gate.resolve();
    await Promise.all(first);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await deliver('events_api', event)).toBeUndefined();
  });

  test('waits for work under way when stopping, at most five seconds', async () => {
    const clock = createFakeClock();
    const { deliver, intake, receiver, steps } = await start(clock);
    const gate = Promise.withResolvers<void>();
    intake.gate = gate.promise;
    const pending = deliver('events_api', event);
    const stopped = receiver.stop();
    await expect(deliver('events_api', event)).rejects.toMatchObject({ retry: true });
    await clock.settle();
    expect(steps).toEqual(['paused']);
    await clock.advance(5_000);
    await stopped;
    expect(steps).toEqual(['paused', 'stopped']);
    gate.resolve();
    await pending;
    await receiver.stop();
    expect(steps).toHaveLength(2);
  });

  test('makes no Slack call for a delivery', async () => {
    const { deliver, calls } = await start();
    await deliver('events_api', event);
    await deliver('interactive', { ...person, type: 'shortcut', callback_id: 'c' });
    expect(calls).toEqual([]);
  });
});
