import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Log } from '../bridge/ports.ts';
import { asBridgeError } from '../errors.ts';
import type { Check } from './health.ts';

/** Where a running bridge can be asked by whoever may read its store. */
export function controlPath(storePath: string): string {
  return `${storePath}.sock`;
}

/**
 * What a socket's address holds on every system (`sun_path`: 108 bytes on Linux, 104 on macOS), less the nine that its
 * path has while it is made.
 */
const PATH_MAX = 94;

export interface ControlParts {
  /** Of the store: its lock makes us the only one here, so what lies in the place is left over. */
  storePath: string;
  checks: () => readonly Check[];
  /** Tells of each step as it happens. */
  selfTest(
    wanted: { channel: string; eventMs: number; clickMs: number },
    onStep: (step: object) => void,
  ): Promise<void>;
  log: Log;
}

export interface ControlServer {
  /** Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * Answers `doctor` on a socket beside the store, so that it can try the running bridge instead of taking deliveries
 * away from it. The file's mode is its access rule: only the bridge's own user may open it. `null` where that cannot
 * be had; the bridge runs on without it.
 */
export async function serveControl({ storePath, checks, selfTest, log }: ControlParts): Promise<ControlServer | null> {
  const path = controlPath(storePath);
  if (Buffer.byteLength(path) > PATH_MAX) {
    log.warn({ path }, 'the path of the store is too long for a control socket: doctor can not ask this bridge');
    return null;
  }
  const answerRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    // Not `new URL`: that throws for paths such as `//`.
    const [path, query = ''] = (incoming.url ?? '').split('?', 2);
    if (incoming.method === 'GET' && path === '/checks') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ checks: checks() }));
      return;
    }
    if (incoming.method !== 'POST' || path !== '/self-test') return void response.writeHead(404).end();
    const given = new URLSearchParams(query);
    const number = (name: string) => Math.max(0, Math.min(600_000, Number(given.get(name)) || 0));
    const wanted = { channel: given.get('channel') ?? '', eventMs: number('event'), clickMs: number('click') };
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    selfTest(wanted, (step) => response.write(`${JSON.stringify(step)}\n`)).then(
      () => response.end(),
      (error: unknown) => {
        log.warn({ err: asBridgeError(error) }, 'a self-test failed');
        response.destroy();
      },
    );
  };
  const server = createServer((incoming, response) => {
    try {
      answerRequest(incoming, response);
    } catch (error) {
      log.warn({ err: asBridgeError(error) }, 'a request on the control socket failed');
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  });
  let folder: string | null = null;
  try {
    rmSync(path, { force: true });
    // Made in a folder that nobody else may enter, and moved once its mode is set: never open to others, not even
    // briefly.
    folder = mkdtempSync(`${path}.`);
    const made = join(folder, 's');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(made, resolve);
    });
    server.on('error', (error) => log.warn({ err: error }, 'the control socket failed'));
    chmodSync(made, 0o600);
    renameSync(made, path);
  } catch (error) {
    log.warn({ path, err: error }, 'no control socket: doctor can not ask this bridge');
    server.close();
    return null;
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
  server.unref();
  return {
    stop: () =>
      new Promise((stopped) => {
        // Node removes the name under which it began to listen, not the one it was moved to.
        if (server.listening) rmSync(path, { force: true });
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };
}

/** A bridge that says nothing for so long does not answer any more. */
const SILENT_MS = 15_000;

/**
 * Asks the bridge that runs on that store. Rejects when there is none, it may not be asked by us, it falls silent, or
 * what it says is not JSON.
 * @param silentMs how long it may say nothing
 */
export function askControl(
  storePath: string,
  method: string,
  path: string,
  onLine: (line: unknown) => void,
  silentMs = SILENT_MS,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: controlPath(storePath), method, path, timeout: silentMs }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return reject(new Error(`the running bridge answered ${response.statusCode}`));
      }
      const lines = createInterface({ input: response });
      lines.on('line', (line) => {
        try {
          onLine(JSON.parse(line));
        } catch (cause) {
          reject(new Error('the running bridge answered something unexpected', { cause }));
          asked.destroy();
        }
      });
      // A bridge that ends in the middle of its answer: readline tells of it, too.
      response.on('error', reject);
      lines.on('error', reject);
      lines.once('close', () => (response.complete ? resolve() : reject(new Error('the bridge stopped answering'))));
    });
    asked.once('timeout', () => asked.destroy(new Error('the bridge does not answer')));
    // More than one may come, and one without a listener would end this process.
    asked.on('error', reject);
    asked.end();
  });
}
