import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * The system gives outgoing connections ports from 32768 on (Linux; other systems later). A port below is not given away
 * between being chosen and being listened at.
 */
const LEAST = 20_000;
const BELOW = 32_000;
const TRIES = 50;

/** A port of 127.0.0.1 at which nobody listens. @throws Error when there is none after some tries */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LEAST, BELOW);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port from ${LEAST} to ${BELOW}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
