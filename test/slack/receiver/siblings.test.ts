import { describe, expect, onTestFinished, test } from 'vitest';
import { startSlack } from '../../../sandbox/slack/server.ts';
import { systemRandom } from '../../../src/clock.ts';
import { createMemoryMetrics } from '../../../src/ops/metrics.ts';
import { createSocketTransport } from '../../../src/slack/receiver/socket.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';
import { until } from '../../support/until.ts';

/** Transports of one app on one Slack, whose other sockets belong to replicas of the bridge as far as `known` says. */
async function start(known: () => Promise<number>) {
  const slack = await startSlack({ limits: 'off' });
  onTestFinished(() => slack.close());
  const clock = createFakeClock();
  const metrics = createMemoryMetrics();
  const told: number[] = [];
  const log = createMemoryLog();
  const open = async (isWatched: boolean) => {
    const transport = createSocketTransport({
      ...{ appToken: slack.tokens.app, slackApiUrl: slack.url, clock, random: systemRandom, log },
      metrics: isWatched ? metrics : createMemoryMetrics(),
      ...(isWatched && { siblings: { noteOwnSockets: (n) => void told.push(n), countSockets: known } }),
    });
    onTestFinished(() => transport.stop());
    const started = transport.start(async () => undefined);
    for (let isUp = false; !isUp; ) {
      await clock.advance(100);
      isUp = transport.state().isConnected;
    }
    await started;
    return transport;
  };
  return { clock, metrics, told, open, log };
}

const isCounted = (transport: { state(): { countedAt: number | null } }) =>
  until(
    () => transport.state().countedAt !== null,
    () => 'not counted',
  );

describe('connections of the app besides ours', () => {
  test('of replicas of this bridge: no other process', async () => {
    const { open, told, metrics, log } = await start(async () => 1);
    await open(false);
    const ours = await open(true);
    await isCounted(ours);
    expect(ours.state().foreignConnections).toBe(0);
    expect(metrics.value('socket_foreign_connections')).toBe(0);
    expect(told.at(-1)).toBe(1);
    expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('of a replica that is known a little later: no other process', async () => {
    let known = 0;
    const { open, clock, log } = await start(async () => known);
    await open(false);
    const ours = await open(true);
    known = 1;
    await clock.advance(10_000);
    expect(ours.state()).toMatchObject({ foreignConnections: 0, countedAt: expect.any(Number) });
    expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('beyond those of replicas: another process', async () => {
    const { open, clock } = await start(async () => 0);
    await open(false);
    const ours = await open(true);
    expect(ours.state().foreignConnections).toBe(0);
    await clock.advance(10_000);
    expect(ours.state().foreignConnections).toBe(1);
  });

  test('while the store does not tell: nothing is said', async () => {
    const { open, clock } = await start(() => Promise.reject(new Error('away')));
    await open(false);
    const ours = await open(true);
    await clock.advance(10_000);
    expect(ours.state()).toMatchObject({ foreignConnections: 0, countedAt: null });
  });
});
