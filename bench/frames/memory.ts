import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerParent } from '../child.ts';
import { createJumpingClock } from './jumping-clock.ts';
import { startProducer } from './producer-process.ts';
import { startBridgeReader } from './reader.ts';

export interface MemoryInput {
  threads: number;
  deltasPerSecond: number;
  /** How long all threads write before memory is measured. */
  ms: number;
}

export interface MemoryAnswer {
  /** kB of heap and buffers that a thread takes in the middle of its turn, and long after it. */
  live: number;
  idle: number;
}

/** Threads that run first, so that memory which the process keeps for all threads is not counted. */
const WARM_UP = 50;
/** Longer than any thread rests with its link open. */
const REST_MS = 15 * 60_000;
/** Longer than undici keeps a connection that nobody uses (4 s). */
const CONNECTIONS_REST_MS = 6_000;

/** Needs `--expose-gc`. */
async function measure({ threads, deltasPerSecond, ms }: MemoryInput): Promise<MemoryAnswer> {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-memory-'));
  const producer = await startProducer(WARM_UP + threads, deltasPerSecond);
  const clock = createJumpingClock();
  const reader = await startBridgeReader(producer, join(folder, 'bridge.db'), clock);
  const write = async (upTo: number, count: number) => {
    // After a jump the receiver sees a long silence and reconnects.
    await producer.waitUntil(({ listening }) => listening > 0);
    await producer.mentionIn(upTo);
    await producer.waitUntil(({ writing }) => writing === count);
    await sleep(ms);
  };
  const rest = async () => {
    await producer.endTurns();
    await producer.waitUntil(({ writing }) => writing === 0);
    for (let open = -1; open !== 0; { open } = await producer.readState()) {
      await sleep(2_000);
      clock.jumpBy(REST_MS);
    }
    // Let outstanding answers arrive and idle HTTP connections close: no thread needs them.
    await sleep(CONNECTIONS_REST_MS);
  };
  try {
    await write(WARM_UP, WARM_UP);
    await rest();
    const before = await usedKb();
    await write(WARM_UP + threads, threads);
    const live = await usedKb();
    await rest();
    const idle = await usedKb();
    return { live: (live - before) / threads, idle: (idle - before) / threads };
  } finally {
    await reader.stop();
    producer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * kB, the least of a few rounds. Read in the same moment as garbage was collected: threads go on to write, so 50 ms later there is
 * new garbage, some 40 kB for each of them, which no thread holds.
 */
async function usedKb(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 4; round += 1) {
    await sleep(50);
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, (heapUsed + external) / 1e3);
  }
  return least;
}

await answerParent(measure);
