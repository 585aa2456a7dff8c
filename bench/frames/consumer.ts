import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { systemClock } from '../../src/clock.ts';
import { answerParent } from '../child.ts';
import { startBareBridge } from './bare-bridge.ts';
import { startProducer } from './producer-process.ts';

export interface FramesInput {
  /** `floor`: receive, `JSON.parse`, acknowledge; nothing else. */
  reader: 'bridge' | 'floor';
  threads: number;
  deltasPerSecond: number;
  warmUpMs: number;
  ms: number;
}

export interface FramesAnswer {
  frames: number;
  perSecond: number;
  /** CPU time of the whole process, µs. */
  cpuPerFrame: number;
  loopDelayP99Ms: number;
  rssMb: number;
}

async function measure(input: FramesInput): Promise<FramesAnswer> {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-frames-'));
  const producer = await startProducer(input.deltasPerSecond);
  const start = input.reader === 'bridge' ? startBridgeReader : startFloorReader;
  const reader = await start(producer.port, input.threads, join(folder, 'bridge.db'));
  try {
    await sleep(input.warmUpMs);
    // The histogram counts from one timer to the next: 1 ms of each value is the timer itself.
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const frames = reader.frames();
    const cpu = process.cpuUsage();
    const from = performance.now();
    await sleep(input.ms);
    const { user, system } = process.cpuUsage(cpu);
    const seen = reader.frames() - frames;
    const seconds = (performance.now() - from) / 1_000;
    delay.disable();
    return {
      frames: seen,
      perSecond: seen / seconds,
      cpuPerFrame: (user + system) / seen,
      loopDelayP99Ms: delay.percentile(99) / 1e6,
      rssMb: process.memoryUsage.rss() / 1e6,
    };
  } finally {
    await reader.stop();
    producer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Reader {
  frames(): number;
  stop(): Promise<void> | void;
}

async function startBridgeReader(port: number, threads: number, database: string): Promise<Reader> {
  const bridge = await startBareBridge(port, database, systemClock);
  for (let number = 0; number < threads; number += 1) await bridge.mention(number);
  return bridge;
}

async function startFloorReader(port: number, threads: number): Promise<Reader> {
  let frames = 0;
  const sockets = Array.from({ length: threads }, (_, number) => {
    const url = `ws://127.0.0.1:${port}/?floor&agentId=agent-1&conversationId=conv-${number}`;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on('message', (data) => {
      frames += 1;
      const { seq } = JSON.parse((data as Buffer).toString('utf8'));
      socket.send(JSON.stringify({ type: 'ack', seq }));
    });
    socket.on('error', () => {});
    return socket;
  });
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('open', resolve))));
  return { frames: () => frames, stop: () => sockets.forEach((socket) => void socket.terminate()) };
}

await answerParent(measure);
