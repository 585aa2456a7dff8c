import { setTimeout as sleep } from 'node:timers/promises';
import { startApp } from '../../src/app.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/ops/log.ts';
import { createPromMetrics } from '../../src/ops/metrics.ts';
import type { Usage } from './bridge-process.ts';

const config = loadConfig(process.env);
const log = createLog({ level: 'error', pretty: false, secrets: [], to: process.stderr });
const metrics = createPromMetrics();
const world = { clock: systemClock, random: systemRandom, log, metrics, scrape: metrics.scrape };
const app = await startApp(config, world, new AbortController().signal);

process.on('message', async () => {
  const { user, system } = process.cpuUsage();
  globalThis.gc?.();
  await sleep(50);
  const usage: Usage = { cpuMs: (user + system) / 1_000, resident: process.memoryUsage.rss() / 1e6 };
  process.send?.(usage);
});
process.on('disconnect', () => void app.stop().finally(() => process.exit(0)));
process.send?.({ port: app.port });
