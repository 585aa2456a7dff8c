import { parentPort, workerData } from 'node:worker_threads';
import { type FromWorker, startBridgeHere, type ToWorker, type WorkerStart } from './bridge.ts';

// Runs the bridge in its own worker thread; see startBridgeThread.
const post = (message: FromWorker) => parentPort?.postMessage(message);
const bridge = await startBridgeHere({ ...(workerData as WorkerStart), log: (line) => post({ log: line }) });
parentPort?.on('message', (message: ToWorker) => {
  if ('later' in message) bridge.passTime(message.later);
  else void bridge.stop().finally(() => process.exit(0));
});
post({ up: true });
