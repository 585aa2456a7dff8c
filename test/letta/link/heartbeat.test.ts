import { describe, expect, it } from 'vitest';
import { startHeartbeat } from '../../../src/letta/link/heartbeat.ts';
import { createFakeClock } from '../../support/clock.ts';

function start() {
  const clock = createFakeClock();
  const seen = { pings: 0, deaths: 0 };
  const heartbeat = startHeartbeat({
    clock,
    everyMs: 30_000,
    deadAfterMs: 90_000,
    sendPing: () => {
      seen.pings += 1;
    },
    onDead: () => {
      seen.deaths += 1;
    },
  });
  return { clock, heartbeat, seen };
}

describe('a heartbeat', () => {
  it('keeps pinging while the other side answers', async () => {
    const { clock, heartbeat, seen } = start();
    for (let minute = 0; minute < 10; minute += 1) {
      await clock.advance(60_000);
      heartbeat.noteSignOfLife();
    }
    expect(seen).toEqual({ pings: 20, deaths: 0 });
  });

  it('reports death once, 90 seconds after the last sign', async () => {
    const { clock, heartbeat, seen } = start();
    await clock.advance(50_000);
    heartbeat.noteSignOfLife();
    await clock.advance(89_999);
    expect(seen.deaths).toBe(0);
    await clock.advance(1);
    expect(seen.deaths).toBe(1);
    await clock.advance(600_000);
    expect(seen.deaths).toBe(1);
    expect(clock.waiting).toBe(0);
  });

  it('leaves no timer behind when stopped', async () => {
    const { clock, heartbeat, seen } = start();
    heartbeat.stop();
    heartbeat.stop();
    await clock.advance(600_000);
    expect(seen).toEqual({ pings: 0, deaths: 0 });
    expect(clock.waiting).toBe(0);
  });
});
