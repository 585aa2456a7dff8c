import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { answerParent } from '../child.ts';
import { startProducer } from './producer-process.ts';
import { startBridgeReader, startFloorReader } from './reader.ts';

export interface FramesInput {
  /** `floor`: receive, `JSON.parse`, acknowledge; nothing else. */
  reader: 'bridge' | 'floor';
  threads: number;
  deltasPerSecond: number;
  warmUpMs: number;
  ms: number;
}

export interface FramesAnswer {
  perSecond: number;
  /** CPU time of the whole process, µs. */
  cpuPerFrame: number;
  loopDelayP99Ms: number;
  rssMb: number;
}

async function measure({ reader: who, threads, deltasPerSecond, warmUpMs, ms }: FramesInput): Promise<FramesAnswer> {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-frames-'));
  const producer = await startProducer(threads, deltasPerSecond);
  const reader =
    who === 'bridge'
      ? await startBridgeReader(producer, join(folder, 'bridge.db'), systemClock)
      : await startFloorReader(producer, threads);
  try {
    if (who === 'bridge') await producer.mentionIn(threads);
    await producer.waitUntil(({ writing }) => writing === threads);
    await sleep(warmUpMs);
    // The histogram counts from one timer to the next: 1 ms of each value is the timer itself.
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const { acked } = await producer.readState();
    const cpu = process.cpuUsage();
    const from = performance.now();
    await sleep(ms);
    const { user, system } = process.cpuUsage(cpu);
    const frames = (await producer.readState()).acked - acked;
    const seconds = (performance.now() - from) / 1_000;
    delay.disable();
    return {
      perSecond: frames / seconds,
      cpuPerFrame: (user + system) / frames,
      loopDelayP99Ms: delay.percentile(99) / 1e6,
      rssMb: process.memoryUsage.rss() / 1e6,
    };
  } finally {
    await reader.stop();
    producer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await answerParent(measure);
