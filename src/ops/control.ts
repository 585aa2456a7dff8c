import { chmodSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Log } from '../bridge/ports.ts';
import { asBridgeError } from '../errors.ts';
import type { Check } from './health.ts';

/** Where a running bridge can be asked by whoever may read its store. */
export function controlPath(storePath: string): string {
  return `${storePath}.sock`;
}

/** What a socket's address holds on every system (`sun_path`: 108 bytes on Linux, 104 on macOS). */
const PATH_MAX = 100;

export interface ControlParts {
  /** Of the store: its lock makes us the only one here, so what lies in the place is left over. */
  storePath: string;
  checks: () => readonly Check[];
  /** Tells of each step as it happens. */
  selfTest(wanted: { channel: string; eventMs: number; clickMs: number }, tell: (step: object) => void): Promise<void>;
  log: Log;
}

export interface ControlServer {
  /** Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * Answers `doctor` on a socket beside the store, so that it can try the running bridge instead of taking deliveries
 * away from it. The file's mode is its access rule: only the bridge's own user may open it. `null` where that can not
 * be had; the bridge runs on without it.
 */
export async function serveControl({ storePath, checks, selfTest, log }: ControlParts): Promise<ControlServer | null> {
  const path = controlPath(storePath);
  if (Buffer.byteLength(path) > PATH_MAX) {
    log.warn({ path }, 'the path of the store is too long for a control socket: doctor can not ask this bridge');
    return null;
  }
  const server = createServer((incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://bridge');
    if (incoming.method === 'GET' && url.pathname === '/checks') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ checks: checks() }));
      return;
    }
    if (incoming.method !== 'POST' || url.pathname !== '/self-test') return void response.writeHead(404).end();
    const number = (name: string) => Math.max(0, Math.min(600_000, Number(url.searchParams.get(name)) || 0));
    const wanted = {
      channel: url.searchParams.get('channel') ?? '',
      eventMs: number('event'),
      clickMs: number('click'),
    };
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    selfTest(wanted, (step) => response.write(`${JSON.stringify(step)}\n`)).then(
      () => response.end(),
      (error: unknown) => {
        log.warn({ err: asBridgeError(error) }, 'a self-test failed');
        response.destroy();
      },
    );
  });
  rmSync(path, { force: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  } catch (error) {
    log.warn({ path, err: error }, 'no control socket: doctor can not ask this bridge');
    server.close();
    return null;
  }
  server.unref();
  return {
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };
}

/** Asks the bridge that runs on that store. Rejects when there is none, or it may not be asked by us. */
export function askControl(
  storePath: string,
  method: string,
  path: string,
  each: (line: unknown) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: controlPath(storePath), method, path }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return reject(new Error(`the running bridge answered ${response.statusCode}`));
      }
      const lines = createInterface({ input: response });
      lines.on('line', (line) => each(JSON.parse(line)));
      response.once('error', reject);
      lines.once('close', () => (response.complete ? resolve() : reject(new Error('the bridge stopped answering'))));
    });
    asked.once('error', reject);
    asked.end();
  });
}
