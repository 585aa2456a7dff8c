/** The bridge as a library: for those who start it in a process of their own. */
export { type App, startApp, type World } from './app.ts';
export { systemClock, systemRandom } from './clock.ts';
export { type Config, ConfigError, type ConfigProblem, loadConfig, secretsOf } from './config/config.ts';
export { BridgeError, type ErrorCode } from './errors.ts';
export { createLog, type ProcessLog } from './ops/log.ts';
export { createPromMetrics, noMetrics } from './ops/metrics.ts';
