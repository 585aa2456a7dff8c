import { readFileSync } from 'node:fs';
import { runInChild } from '../child.ts';
import { medianRows, type Row, row } from '../row.ts';
import type { FramesAnswer, FramesInput } from './consumer.ts';
import type { MemoryAnswer, MemoryInput } from './memory.ts';

const RUNS = 3;
const LOAD = { threads: 200, deltasPerSecond: 50, warmUpMs: 5_000, ms: 10_000 };
const MEMORY: MemoryInput = { threads: 200, deltasPerSecond: 20, ms: 10_000 };
const FLOOR_TARGET = 2;
const LOOP_DELAY_TARGET_MS = 20;

/** What a frame costs from the socket to the folded turn, against the least that any reader has to do. */
export async function frameRows(): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const floor = await measureReader('floor');
    const bridge = await measureReader('bridge');
    runs.push([
      row('frames_per_second', bridge.perSecond, 'frames'),
      row('frames_cpu_per_delta_floor', floor.cpuPerFrame, 'µs'),
      row('frames_cpu_per_delta', bridge.cpuPerFrame, 'µs'),
      row('frames_cpu_to_floor', bridge.cpuPerFrame / floor.cpuPerFrame, 'x', FLOOR_TARGET),
      row('frames_loop_delay_p99_floor', floor.loopDelayP99Ms, 'ms'),
      row('frames_loop_delay_p99', bridge.loopDelayP99Ms, 'ms', LOOP_DELAY_TARGET_MS),
      row('frames_rss', bridge.rssMb, 'MB'),
    ]);
  }
  return medianRows(runs);
}

function measureReader(reader: FramesInput['reader']): Promise<FramesAnswer> {
  return runInChild<FramesAnswer>('./frames/consumer.ts', { reader, ...LOAD } satisfies FramesInput, startFlags());
}

/** The flags of Node with which `npm start` runs the bridge. */
function startFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return String(scripts.start).match(/--\S+/g) ?? [];
}

export async function memoryRows(): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const { live, idle } = await runInChild<MemoryAnswer>('./frames/memory.ts', MEMORY, ['--expose-gc']);
    runs.push([row('memory_live_thread', live, 'kB'), row('memory_idle_thread', idle, 'kB')]);
  }
  return medianRows(runs);
}
