import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Clock, Timer } from '../../bridge/ports.ts';
import { ping } from '../protocol/outgoing.ts';
import { type Heartbeat, startHeartbeat } from './heartbeat.ts';
import type { HeartbeatKind, LaneDialer, LaneLoss } from './lane.ts';

const OPENS_WITHIN_MS = 10_000;
const CLOSES_WITHIN_MS = 2_000;
/**
 * A frame can carry a whole file (docs/letta-protocol.md, Server to client, `file_ops`); `ws` ends the socket above
 * this with 1009.
 */
const MAX_PAYLOAD = 128 * 1024 * 1024;

/**
 * The App Server pings every 30 s by itself; the relay answers each JSON ping (docs/letta-protocol.md, Ways to reach an
 * agent; App Server).
 */
const HEARTBEATS: Record<HeartbeatKind, { everyMs: number; deadAfterMs: number }> = {
  websocket: { everyMs: 30_000, deadAfterMs: 90_000 },
  json: { everyMs: 30_000, deadAfterMs: 45_000 },
};

/** Lanes over real WebSockets. */
export function createSocketDialer(clock: Clock): LaneDialer {
  return (endpoint, handlers) => {
    const socket = new WebSocket(endpoint.url, {
      headers: endpoint.headers,
      perMessageDeflate: false,
      maxPayload: MAX_PAYLOAD,
      followRedirects: false,
    });
    let isClosed = false;
    let heartbeat: Heartbeat | null = null;
    let lastError = '';
    let stream: Socket | null = null;
    let isGathering = false;

    /** Lets all that is sent in one turn of the event loop leave in one write, because each write is a system call. */
    const gatherWrites = () => {
      if (isGathering || stream === null) return;
      const gathered = stream;
      isGathering = true;
      gathered.cork();
      process.nextTick(() => {
        isGathering = false;
        gathered.uncork();
      });
    };

    const stopTimers = () => {
      isClosed = true;
      openTimer.cancel();
      heartbeat?.stop();
    };
    const handleLoss = (loss: LaneLoss) => {
      if (isClosed) return;
      stopTimers();
      socket.terminate();
      handlers.onClose(loss);
    };
    const openTimer: Timer = clock.after(OPENS_WITHIN_MS, () =>
      handleLoss({ kind: 'unreachable', text: 'no answer in time' }),
    );

    // `ws` throws an error that has no listener. `close` always follows, so the loss is reported there.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      lastError = error.code ?? error.message;
    });
    socket.on('unexpected-response', (request, response) => {
      const status = response.statusCode ?? 0;
      request.destroy();
      handleLoss({ kind: 'refused', status, text: response.statusMessage ?? '' });
    });
    socket.on('upgrade', (response) => {
      stream = response.socket;
    });
    socket.on('open', () => {
      if (isClosed) return;
      openTimer.cancel();
      heartbeat = startHeartbeat({
        clock,
        ...HEARTBEATS[endpoint.heartbeat],
        sendPing: () => {
          if (socket.readyState !== WebSocket.OPEN) return;
          if (endpoint.heartbeat === 'json') socket.send(JSON.stringify(ping()));
          else socket.ping();
        },
        onDead: () => handleLoss({ kind: 'silent' }),
      });
      handlers.onOpen();
    });
    socket.on('ping', () => heartbeat?.noteSignOfLife());
    socket.on('pong', () => heartbeat?.noteSignOfLife());
    socket.on('message', (data) => {
      if (isClosed) return;
      heartbeat?.noteSignOfLife();
      // The App Server may send JSON in binary frames, too. `ws` delivers every message as one Buffer (`nodebuffer`).
      handlers.onMessage((data as Buffer).toString('utf8'));
    });
    socket.on('close', (code, reason) => {
      if (heartbeat) handleLoss({ kind: 'closed', code, text: lastError === '' ? reason.toString('utf8') : lastError });
      else handleLoss({ kind: 'unreachable', text: lastError === '' ? `closed with ${code}` : lastError });
    });

    return {
      send(text) {
        if (isClosed || socket.readyState !== WebSocket.OPEN) return;
        gatherWrites();
        socket.send(text);
      },
      close() {
        if (isClosed) return;
        stopTimers();
        if (socket.readyState !== WebSocket.OPEN) {
          socket.terminate();
          return;
        }
        socket.close(1000);
        const closeTimer = clock.after(CLOSES_WITHIN_MS, () => socket.terminate());
        socket.once('close', () => closeTimer.cancel());
      },
    };
  };
}
