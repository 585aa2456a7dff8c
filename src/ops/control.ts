import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Log } from '../bridge/ports.ts';
import { asBridgeError } from '../errors.ts';
import type { Check } from './health.ts';

/** The socket on which a running bridge answers whoever may read its store. */
export function controlPath(storePath: string): string {
  return `${storePath}.sock`;
}

/**
 * The longest socket path that works on every system (`sun_path`: 108 bytes on Linux, 104 on macOS), less the nine
 * bytes that are added while the socket is created.
 */
const PATH_MAX = 94;

export interface ControlParts {
  /** The store's path. We hold its lock, so an existing socket file is left over from an earlier process. */
  storePath: string;
  checks: () => readonly Check[];
  /** Devices that dial in, for doctor; left out: none can. */
  devices?: (() => { url: string; devices: readonly object[] }) | undefined;
  /** Calls `onStep` for each step as it happens. */
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
 * Answers `doctor` on a socket beside the store, so that doctor can test the running bridge instead of taking
 * deliveries away from it. The file's mode is the access rule: only the bridge's own user may open it. `null` where the
 * socket cannot be created; the bridge runs without it.
 */
export async function serveControl({
  storePath,
  checks,
  devices,
  selfTest,
  log,
}: ControlParts): Promise<ControlServer | null> {
  const path = controlPath(storePath);
  if (Buffer.byteLength(path) > PATH_MAX) {
    log.warn({ path }, 'the path of the store is too long for a control socket, so doctor cannot ask this bridge');
    return null;
  }
  const answerRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    // Not `new URL`, because it throws for paths such as `//`.
    const [path, query = ''] = (incoming.url ?? '').split('?', 2);
    if (incoming.method === 'GET' && path === '/checks') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ checks: checks() }));
      return;
    }
    if (incoming.method === 'GET' && path === '/devices' && devices) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(devices()));
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
    // Create it in a private folder and move it once its mode is set, so that others can never open it, not even
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
    log.warn({ path, err: error }, 'could not open the control socket, so doctor cannot ask this bridge');
    server.close();
    return null;
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
  server.unref();
  return {
    stop: () =>
      new Promise((stopped) => {
        // Node removes the path on which it began to listen, not the one to which we moved it.
        if (server.listening) rmSync(path, { force: true });
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };
}

/** A bridge that sends nothing for this long counts as not answering. */
const SILENT_MS = 15_000;

/**
 * Asks the bridge that runs on that store. Rejects when there is none, we may not open its socket, it falls silent, or
 * it answers something other than JSON.
 * @param silentMs how long it may send nothing
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
      // When the bridge ends in the middle of its answer, the response and readline both report it.
      response.on('error', reject);
      lines.on('error', reject);
      lines.once('close', () => (response.complete ? resolve() : reject(new Error('the bridge stopped answering'))));
    });
    asked.once('timeout', () => asked.destroy(new Error('the bridge does not answer')));
    // Several errors may come, and one without a listener would end this process.
    asked.on('error', reject);
    asked.end();
  });
}
