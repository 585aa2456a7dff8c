import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Clock } from '../../bridge/ports.ts';

/** undici reports pings and pongs here, with their socket. Slack's library does not report them. */
const CHANNELS = ['undici:websocket:ping', 'undici:websocket:pong'];

/**
 * Tracks when a socket last received anything. Slack answers the library's pings every few seconds, so a long silence
 * means that the socket is dead (docs/slack.md, The library for Socket Mode).
 */
export interface Hearing {
  /** Call it for each frame. */
  noteFrame(): void;
  /** When the last frame, ping or pong came, by the monotonic clock. */
  heardAt(): number;
  /** Whether a ping or pong was ever reported. If not, silence proves nothing: the workspace may just be quiet. */
  canSeePongs(): boolean;
  stop(): void;
}

/** @param url the socket's URL, which is unique for each connection */
export function createHearing(url: string, clock: Clock): Hearing {
  let at = clock.monotonic();
  let hasSeenPong = false;
  const onMessage = (message: unknown) => {
    if (urlOf(message) !== url) return;
    hasSeenPong = true;
    at = clock.monotonic();
  };
  for (const channel of CHANNELS) subscribe(channel, onMessage);
  return {
    noteFrame() {
      at = clock.monotonic();
    },
    heardAt: () => at,
    canSeePongs: () => hasSeenPong,
    stop() {
      for (const channel of CHANNELS) unsubscribe(channel, onMessage);
    },
  };
}

function urlOf(message: unknown): string | null {
  if (typeof message !== 'object' || message === null || !('websocket' in message)) return null;
  const { websocket } = message;
  if (typeof websocket !== 'object' || websocket === null || !('url' in websocket)) return null;
  return typeof websocket.url === 'string' ? websocket.url : null;
}
