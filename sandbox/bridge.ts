import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type App, startApp } from '../src/app.ts';
import type { Clock } from '../src/bridge/ports.ts';
import { systemClock, systemRandom } from '../src/clock.ts';
import { loadConfig, secretsOf } from '../src/config/config.ts';
import { createLog } from '../src/ops/log.ts';

/** The bridge as it runs in a sandbox. */
export interface RunningBridge {
  /** Stops it as SIGTERM without a drain does. */
  stop(): Promise<void>;
  /** Ends it as SIGKILL does: no cleanup, no further writes. */
  kill(): Promise<void>;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Moves its clock forward by `ms` at once. */
  passTime(ms: number): void;
}

export interface BridgeSettings {
  env: Record<string, string | undefined>;
  /** ms by which its clock is ahead of the world's. */
  aheadMs: number;
  log(line: string): void;
}

/** Ignores a `policy.yml` in the working directory, because it is meant for the real bridge. @throws ConfigError */
function readConfig(env: Record<string, string | undefined>) {
  return loadConfig({ STORE: 'memory://', ...env }, env.POLICY === undefined ? () => null : undefined);
}

/**
 * The bridge as `npm start` runs it, in this process; it forgets everything at the end unless `STORE` says otherwise.
 */
export async function startAppHere({ env, log }: BridgeSettings, ahead: () => number = () => 0): Promise<App> {
  const config = readConfig(env);
  const logger = createLog({
    level: config.logLevel,
    pretty: false,
    secrets: secretsOf(config),
    to: { write: log },
  });
  const metrics = { count: () => undefined, gauge: () => undefined, observe: () => undefined };
  const clock: Clock = {
    ...systemClock,
    now: () => systemClock.now() + ahead(),
    monotonic: () => systemClock.monotonic() + ahead(),
  };
  const world = { clock, random: systemRandom, log: logger, metrics };
  return startApp(config, world, new AbortController().signal);
}

/** In this process. It cannot be killed here, so {@link RunningBridge.kill} only stops it. */
export async function startBridgeHere(settings: BridgeSettings): Promise<RunningBridge> {
  let aheadMs = settings.aheadMs;
  const app = await startAppHere(settings, () => aheadMs);
  const ended = Promise.withResolvers<void>();
  const stop = () => app.stop().finally(ended.resolve);
  return {
    stop,
    kill: stop,
    ended: ended.promise,
    passTime(ms) {
      aheadMs += ms;
    },
  };
}

/** Messages to and from the worker thread. */
export type ToWorker = { later: number } | { stop: true };
export type FromWorker = { log: string } | { up: true };
export type WorkerStart = Omit<BridgeSettings, 'log'>;

/**
 * Starts the bridge in its own worker thread, which can be ended at any instruction, so that a kill leaves behind what
 * a real one would.
 * @throws ConfigError
 */
export async function startBridgeThread({ log, ...start }: BridgeSettings): Promise<RunningBridge> {
  readConfig(start.env);
  const worker = new Worker(new URL(`./bridge-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: start satisfies WorkerStart,
  });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const post = (message: ToWorker) => worker.postMessage(message);
  await new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => ('log' in message ? log(message.log) : resolve()));
    // Also after the start: log why the bridge died; the sandbox goes on without it.
    worker.on('error', (error) => {
      log(`${error instanceof Error ? error.message : String(error)}\n`);
      reject(error);
    });
    worker.once('exit', (code) => reject(new Error(`the bridge ended with ${code}`)));
  });
  return {
    async stop() {
      post({ stop: true });
      await ended;
    },
    async kill() {
      await worker.terminate();
    },
    ended,
    passTime: (ms) => post({ later: ms }),
  };
}
