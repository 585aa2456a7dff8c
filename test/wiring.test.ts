import { expect, it } from 'vitest';
import { closedPolicy } from '../src/bridge/policy.ts';
import type { Choices } from '../src/bridge/ports.ts';
import { type SlackApi, SlackError } from '../src/slack/slack-api.ts';
import { wireBridge } from '../src/wiring.ts';
import { createFakeClock } from './support/clock.ts';
import { BOT, countingRandom, MapAudit, MapThreads, silentLog, TEAM } from './support/middle.ts';

it('stops at once while it looks back and Slack wants a pause', async () => {
  const clock = createFakeClock();
  const rows = new Map([
    [`caught-up-to:${TEAM}`, String(clock.now() - 60_000)],
    [`recent-threads:${TEAM}`, JSON.stringify([[`${TEAM}:C1:1.000001`, clock.now() - 60_000]])],
  ]);
  const choices: Choices = {
    get: (name) => Promise.resolve(rows.get(name) ?? null),
    set: (name, value) => Promise.resolve(void rows.set(name, value)),
  };
  const asked: string[] = [];
  const api: SlackApi = {
    call(method) {
      asked.push(method);
      return Promise.reject(new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: 120_000 }));
    },
  };
  const mark = rows.get(`caught-up-to:${TEAM}`);
  const { catchUp } = wireBridge({
    clock,
    random: countingRandom(),
    log: silentLog,
    api,
    identity: { teamId: TEAM, botUserId: BOT, botId: 'B1', enterpriseId: null },
    store: { threads: new MapThreads(), choices, audit: new MapAudit() },
    dial: () => ({ send: () => undefined, close: () => undefined }),
    fetch: () => Promise.reject(new Error('nobody is asked')),
    target: { mode: 'app-server', url: 'ws://127.0.0.1:1', token: null },
    agentId: 'agent-1',
    policies: { current: () => closedPolicy },
    catchUp: { tier: 'full', maxAgeMs: 3_600_000, threads: 10, threadAgeMs: 3_600_000 },
  });
  await catchUp?.start();
  catchUp?.connection(true);
  await clock.advance(5_000);
  expect(asked).toEqual(['conversations.info']);
  // Without another tick of the clock: a shutdown has no minutes to give.
  await catchUp?.stop();
  expect(rows.get(`caught-up-to:${TEAM}`)).toBe(mark);
  await clock.advance(300_000);
  expect(asked).toHaveLength(1);
});
