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
    let done = false;
    let heartbeat: Heartbeat | null = null;
    let problem = '';

    const finish = () => {
      done = true;
      opening.cancel();
      heartbeat?.stop();
    };
    const lose = (loss: LaneLoss) => {
      if (done) return;
      finish();
      socket.terminate();
      handlers.close(loss);
    };
    const opening: Timer = clock.after(OPENS_WITHIN_MS, () => lose({ kind: 'unreachable', text: 'no answer in time' }));

    // Also the listener that keeps `ws` from throwing: an error event is always followed by `close`.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      problem = error.code ?? error.message;
    });
    socket.on('unexpected-response', (request, response) => {
      const status = response.statusCode ?? 0;
      request.destroy();
      lose({ kind: 'refused', status, text: response.statusMessage ?? '' });
    });
    socket.on('open', () => {
      if (done) return;
      opening.cancel();
      heartbeat = startHeartbeat({
        clock,
        ...HEARTBEATS[endpoint.heartbeat],
        ping: () => {
          if (socket.readyState !== WebSocket.OPEN) return;
          if (endpoint.heartbeat === 'json') socket.send(JSON.stringify(ping()));
          else socket.ping();
        },
        dead: () => lose({ kind: 'silent' }),
      });
      handlers.open();
    });
    socket.on('ping', () => heartbeat?.alive());
    socket.on('pong', () => heartbeat?.alive());
    socket.on('message', (data) => {
      if (done) return;
      heartbeat?.alive();
      // The App Server reads and may write JSON in binary frames too; `nodebuffer` makes each message one Buffer.
      handlers.message((data as Buffer).toString('utf8'));
    });
    socket.on('close', (code, reason) => {
      if (heartbeat) lose({ kind: 'closed', code, text: problem === '' ? reason.toString('utf8') : problem });
      else lose({ kind: 'unreachable', text: problem === '' ? `closed with ${code}` : problem });
    });

    return {
      send(text) {
        if (!done && socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close() {
        if (done) return;
        finish();
        if (socket.readyState !== WebSocket.OPEN) {
          socket.terminate();
          return;
        }
        socket.close(1000);
        const patience = clock.after(CLOSES_WITHIN_MS, () => socket.terminate());
        socket.once('close', () => patience.cancel());
      },
    };
  };
}
