import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Clock } from '../../bridge/ports.ts';

/** Where undici tells of pings and pongs, with the socket they came over; the library offers nothing of the kind. */
const CHANNELS = ['undici:websocket:ping', 'undici:websocket:pong'];

/**
 * When a socket was last heard. Its pings are answered every two seconds, so silence means something (docs/slack.md,
 * The library for Socket Mode).
 */
export interface Hearing {
  /** A frame came. */
  noteFrame(): void;
  /** By the monotonic clock. */
  heardAt(): number;
  /** Whether pongs are seen at all; without them a quiet workspace would look like a dead one. */
  canSeePongs(): boolean;
  stop(): void;
}

/** @param url of the socket: made for one connection, so it names it. */
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
