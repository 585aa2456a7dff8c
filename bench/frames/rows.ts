import { runInChild } from '../child.ts';
import { medianRows, type Row, row } from '../row.ts';
import { startFlags } from '../start.ts';
import type { FramesAnswer, FramesInput } from './consumer.ts';
import type { MemoryAnswer, MemoryInput } from './memory.ts';

/** The loop delay must hold in each of five runs, so its worst is looked at. */
const RUNS = 5;
const MEMORY_RUNS = 3;
const LOAD = { threads: 200, deltasPerSecond: 50, warmUpMs: 5_000, ms: 10_000 };
const MEMORY: MemoryInput = { threads: 200, deltasPerSecond: 20, ms: 10_000 };
const FLOOR_TARGET = 1.3;
const LOOP_DELAY_TARGET_MS = 20;
const LIVE_TARGET_KB = 100;
const IDLE_TARGET_KB = 0;

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
      row('frames_loop_delay_p99', bridge.loopDelayP99Ms, 'ms'),
      row('frames_rss', bridge.rssMb, 'MB'),
    ]);
  }
  const rows = medianRows(runs);
  const worst = rows.find(({ id }) => id === 'frames_loop_delay_p99')?.range?.[1] ?? Number.NaN;
  return [...rows, row('frames_loop_delay_p99_worst_run', worst, 'ms', LOOP_DELAY_TARGET_MS)];
}

function measureReader(reader: FramesInput['reader']): Promise<FramesAnswer> {
  return runInChild<FramesAnswer>('./frames/consumer.ts', { reader, ...LOAD } satisfies FramesInput, startFlags());
}

export async function memoryRows(): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run < MEMORY_RUNS; run += 1) {
    const { live, idle } = await runInChild<MemoryAnswer>('./frames/memory.ts', MEMORY, ['--expose-gc']);
    runs.push([
      row('memory_live_thread', live, 'kB', LIVE_TARGET_KB),
      row('memory_idle_thread', idle, 'kB', IDLE_TARGET_KB),
    ]);
  }
  return medianRows(runs);
}
