import { WebSocket } from 'ws';
import { startApp } from '../../src/app.ts';
import type { Clock } from '../../src/bridge/ports.ts';
import { systemRandom } from '../../src/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/ops/log.ts';
import { noMetrics } from '../../src/ops/metrics.ts';
import type { Producer } from './producer-process.ts';

/** The program that reads the frames. */
export interface Reader {
  stop(): Promise<void> | void;
}

/** The whole bridge between the producer's Slack and its device. */
export async function startBridgeReader(producer: Producer, database: string, clock: Clock): Promise<Reader> {
  const config = loadConfig({
    SLACK_API_URL: producer.slackUrl,
    SLACK_BOT_TOKEN: producer.tokens.bot,
    SLACK_APP_TOKEN: producer.tokens.app,
    SLACK_ALLOWED_USERS: '*',
    SLACK_ALLOWED_CHANNELS: '*',
    LETTA_API_KEY: 'bench',
    LETTA_BASE_URL: `http://127.0.0.1:${producer.port}`,
    LETTA_AGENT_ID: 'agent-1',
    PERMISSIONS: 'standard',
    // The memory benchmark's clock runs ahead of Slack's.
    STALE_AFTER: '7d',
    STORE: `sqlite://${database}`,
  });
  const log = createLog({ level: 'error', pretty: false, secrets: [], to: process.stderr });
  const world = { clock, random: systemRandom, log, metrics: noMetrics };
  return startApp(config, world, new AbortController().signal);
}

/** Does the least that any reader must do: receive, `JSON.parse`, acknowledge. */
export async function startFloorReader(producer: Producer, threads: number): Promise<Reader> {
  const sockets = Array.from({ length: threads }, (_, number) => {
    const url = `ws://127.0.0.1:${producer.port}/?floor&agentId=agent-1&conversationId=conv-${number}`;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on('message', (data) => {
      const { seq } = JSON.parse((data as Buffer).toString('utf8'));
      socket.send(JSON.stringify({ type: 'ack', seq }));
    });
    socket.on('error', () => {});
    return socket;
  });
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('open', resolve))));
  return {
    stop() {
      for (const socket of sockets) socket.terminate();
    },
  };
}
