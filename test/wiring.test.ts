import { describe, expect, it } from 'vitest';
import { closedPolicy } from '../src/bridge/access/policy.ts';
import { makeThreadKey } from '../src/bridge/ids.ts';
import type { Choices } from '../src/bridge/ports.ts';
import { type SlackApi, SlackError } from '../src/slack/api/slack-api.ts';
import { wireBridge } from '../src/wiring.ts';
import { createFakeClock } from './support/clock.ts';
import { BOT, countingRandom, MapAudit, MapThreads, silentLog, TEAM } from './support/middle.ts';
import { inboxItem, threadRecord } from './support/records.ts';

const KEY = makeThreadKey({ team: TEAM, channel: 'C1', root: '1.000001' });
const MARK = `caught-up-to:${TEAM}`;
const RECENT = `recent-threads:${TEAM}`;

/** Between a Slack that limits everything for two minutes and a Letta that never opens. */
function wired() {
  const clock = createFakeClock();
  const rows = new Map<string, string>();
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
  const threads = new MapThreads();
  const bridge = wireBridge({
    clock,
    random: countingRandom(),
    log: silentLog,
    api,
    identity: { teamId: TEAM, botUserId: BOT, botId: 'B1', enterpriseId: null },
    store: { threads, choices, audit: new MapAudit() },
    dial: () => ({ send: () => undefined, close: () => undefined }),
    fetch: () => Promise.reject(new Error('nobody is asked')),
    target: { mode: 'app-server', url: 'ws://127.0.0.1:1', token: null },
    agentId: 'agent-1',
    policies: { current: () => closedPolicy },
    catchUp: { tier: 'full', maxAgeMs: 3_600_000, threads: 10, threadAgeMs: 3_600_000 },
  });
  return { ...bridge, clock, rows, asked, threads };
}

describe('catching up in the wired bridge', () => {
  it('stops at once, even during Slack’s Retry-After', async () => {
    const { catchUp, clock, rows, asked } = wired();
    rows.set(MARK, String(clock.now() - 60_000));
    rows.set(RECENT, JSON.stringify([[KEY, clock.now() - 60_000]]));
    const mark = rows.get(MARK);
    await catchUp?.start();
    catchUp?.setConnected(true);
    await clock.advance(5_000);
    expect(asked).toEqual(['conversations.info']);
    // Without another tick of the clock: a shutdown has no minutes to give.
    await catchUp?.stop();
    expect(rows.get(MARK)).toBe(mark);
    await clock.advance(300_000);
    expect(asked).toHaveLength(1);
  });

  it('notes a thread that a crash left open as recently used', async () => {
    const { catchUp, workers, clock, rows, threads, stop } = wired();
    threads.records.set(KEY, threadRecord(KEY, { inbox: [inboxItem(1)] }));
    await catchUp?.start();
    await workers.start();
    await clock.settle();
    expect(rows.get(RECENT)).toContain(KEY);
    await stop();
  });
});
