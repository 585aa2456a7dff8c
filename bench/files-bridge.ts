import { setTimeout as sleep } from 'node:timers/promises';
import { type App, startApp } from '../src/app.ts';
import { systemClock, systemRandom } from '../src/clock.ts';
import { loadConfig } from '../src/config/config.ts';
import { createLog } from '../src/ops/log.ts';
import { noMetrics } from '../src/ops/metrics.ts';

export interface FilesPeak {
  /** Heap and buffers at their highest, above what was used before; MB. */
  addedMb: number;
}

const SAMPLE_MS = 5;

let app: App | null = null;
let before = 0;
let most = 0;

/** MB */
function usedMb(): number {
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
}

async function start(env: Record<string, string>): Promise<void> {
  const log = createLog({ level: 'error', pretty: false, secrets: [], to: process.stderr });
  const world = { clock: systemClock, random: systemRandom, log, metrics: noMetrics };
  app = await startApp(loadConfig(env), world, new AbortController().signal);
}

async function beginToMeasure(): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
    await sleep(50);
  }
  before = usedMb();
  setInterval(() => {
    most = Math.max(most, usedMb());
  }, SAMPLE_MS);
}

process.on('message', async (word: { env: Record<string, string> } | 'measure' | 'end') => {
  if (word === 'measure') await beginToMeasure();
  else if (word !== 'end') await start(word.env);
  process.send?.({ addedMb: most - before } satisfies FilesPeak);
  if (word === 'end') await app?.stop();
});
