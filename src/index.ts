/** The bridge as a library, for programs that start it themselves. */
export { type App, startApp, type World } from './app.ts';
export { systemClock, systemRandom } from './clock.ts';
export { type Config, ConfigError, type ConfigProblem, loadConfig, secretsOf } from './config/config.ts';
export { BridgeError, type ErrorCode } from './errors.ts';
export { createLog, type ProcessLog } from './ops/log.ts';
export { createPromMetrics, noMetrics } from './ops/metrics.ts';
