import { describe, expect, it } from 'vitest';
import type { AgentEvent, ConnectionEvent } from '../../src/bridge/agent-event.ts';
import type { AgentGateway, Choices } from '../../src/bridge/ports.ts';
import { BridgeError } from '../../src/errors.ts';
import { watchLetta } from '../../src/ops/letta-watch.ts';
import { createMemoryMetrics } from '../../src/ops/metrics.ts';
import { watchStore } from '../../src/ops/store-watch.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { MapThreads, THREAD } from '../support/middle.ts';

describe('the store check', () => {
  function setUp() {
    const clock = createFakeClock();
    const threads = new MapThreads();
    const disk = { failure: null as BridgeError | null, writes: 0 };
    const change = threads.update.bind(threads);
    threads.update = (...args) => (disk.failure ? Promise.reject(disk.failure) : change(...args));
    const choices: Choices = {
      get: () => Promise.resolve(null),
      set: () => {
        disk.writes += 1;
        return disk.failure ? Promise.reject(disk.failure) : Promise.resolve();
      },
    };
    const log = createMemoryLog();
    const watch = watchStore({ choices, clock, log });
    return { clock, disk, watch, watched: watch.watchThreads(threads), log };
  }
  const full = new BridgeError('store_failed', 'disk full', { retry: true });

  it('fails from a failed write until one succeeds', async () => {
    const { watch, watched, disk, log } = setUp();
    expect(watch.check()).toEqual({ name: 'store', ok: true, state: 'writable' });
    disk.failure = full;
    await expect(watched.update(THREAD, (record) => record)).rejects.toBe(full);
    await expect(watched.update(THREAD, (record) => record)).rejects.toBe(full);
    expect(watch.check()).toEqual({ name: 'store', ok: false, state: 'failing' });
    disk.failure = null;
    await watched.update(THREAD, (record) => record);
    expect(watch.check().ok).toBe(true);
    expect(log.lines.map((line) => line.message)).toEqual(['the store fails', 'the store works again']);
  });

  it('writes every 30 seconds, to notice failures without messages', async () => {
    const { watch, disk, clock } = setUp();
    watch.start();
    disk.failure = full;
    await clock.advance(30_000);
    expect(watch.check().ok).toBe(false);
    disk.failure = null;
    await clock.advance(30_000);
    expect(watch.check().ok).toBe(true);
    watch.stop();
    const { writes } = disk;
    await clock.advance(600_000);
    expect(disk.writes).toBe(writes);
  });

  it('stays well when a record is refused as too large', async () => {
    const { watch, watched, disk } = setUp();
    disk.failure = new BridgeError('record_too_large', 'too large');
    await expect(watched.update(THREAD, (record) => record)).rejects.toThrow('too large');
    expect(watch.check().ok).toBe(true);
  });
});

function answered(agentId: string, deviceName: string | null, reconnected = false): ConnectionEvent {
  return {
    type: 'ready',
    runtime: { agentId, conversationId: 'conv-1', deviceId: null },
    deviceName,
    workingDirectory: '/srv',
    loop: 'idle',
    activeRunIds: [],
    clientMessageIdsByRun: {},
    approvals: [],
    reconnected,
  };
}

describe('the Letta check', () => {
  function setUp() {
    let tell: (event: AgentEvent | ConnectionEvent) => void = () => undefined;
    const gateway: AgentGateway = {
      connect(_, onEvent) {
        tell = onEvent;
        return {} as never;
      },
    };
    const metrics = createMemoryMetrics();
    const watch = watchLetta(gateway, metrics);
    const heard: string[] = [];
    watch.gateway.connect({ runtime: null, mode: 'standard' }, (event) => void heard.push(event.type));
    return { watch, heard, metrics, tell: (event: AgentEvent | ConnectionEvent) => tell(event) };
  }

  it('names Letta’s outage, and leaves the bridge ready', () => {
    const { watch, tell, heard } = setUp();
    expect(watch.check()).toEqual({ name: 'letta', ok: true, state: 'not asked yet' });
    tell({ type: 'unavailable', code: 'environment_offline', notice: 'x', retryInMs: 1_000 });
    expect(watch.check()).toEqual({ name: 'letta', ok: true, state: 'the device is offline' });
    expect(heard).toEqual(['unavailable']);
  });

  it('lists the last five agents, the latest first', () => {
    const { watch, tell } = setUp();
    for (const n of [1, 2, 3, 4, 5, 6, 7, 3]) tell(answered(`agent-${n}`, 'build-box'));
    expect(watch.agents().map(({ agentId }) => agentId.at(-1))).toEqual(['3', '7', '6', '5', '4']);
  });

  it('counts a reconnect, but not the first connection', () => {
    const { metrics, tell } = setUp();
    const ready = (reconnected: boolean) => answered('agent-1', 'build-box', reconnected);
    tell(ready(false));
    expect(metrics.value('letta_reconnects')).toBe(0);
    tell({ type: 'lost', reason: 'closed' });
    tell(ready(true));
    expect(metrics.value('letta_reconnects')).toBe(1);
  });

  it('fails when Letta refuses our key', () => {
    const { watch, tell } = setUp();
    tell({ type: 'unavailable', code: 'letta_unauthorized', notice: 'x', retryInMs: null });
    expect(watch.check()).toEqual({ name: 'letta', ok: false, state: 'Letta refuses the key' });
  });
});

describe('metrics in memory', () => {
  it('keep series apart by labels, in any order', () => {
    const metrics = createMemoryMetrics();
    metrics.count('turns', { x: '1', y: '2' });
    metrics.count('turns', { y: '2', x: '1' });
    metrics.count('turns', { x: '1' });
    metrics.gauge('queue_depth', 7);
    expect(metrics.value('turns', { x: '1', y: '2' })).toBe(2);
    expect(metrics.value('turns', { x: '1' })).toBe(1);
    expect(metrics.value('queue_depth')).toBe(7);
    expect(metrics.value('live_threads')).toBe(0);
  });
});
