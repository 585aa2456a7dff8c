import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from '../../../sandbox/free-port.ts';

/** Debian's place; elsewhere PG_BIN names the folder. */
const BINARIES = '/usr/lib/postgresql/*/bin/initdb';
const UP_WITHIN_MS = 60_000;

export interface Cluster {
  /** Of the superuser, to the database `postgres`. */
  url: string;
  port: number;
  password: string;
  /** The file with the authority that signed the server's certificate. */
  authority: string;
  /** Ends the server at once, as a crash does. */
  crash(): Promise<void>;
  /** Ends the server as an administrator does: it says goodbye to its clients. */
  shutDown(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  /** Ends it and deletes its files. */
  destroy(): Promise<void>;
}

export interface ClusterOptions {
  /** Settings of postgresql.conf. */
  settings?: Record<string, string>;
  /** With TLS, and a certificate for `localhost` (not for 127.0.0.1). Needs openssl. */
  isEncrypted?: boolean;
}

/** The folder with the newest Postgres; `null`: there is none on this machine. */
export function findPostgres(): string | null {
  const { PG_BIN } = process.env;
  if (PG_BIN) return PG_BIN;
  const versionOf = (path: string) => Number(/(\d+)\/bin/.exec(path)?.[1] ?? 0);
  const [newest] = globSync(BINARIES).sort((one, other) => versionOf(other) - versionOf(one));
  return newest === undefined ? null : dirname(newest);
}

/** Starts a throw-away server on loopback. It ends with this process, however that ends. */
export async function startCluster(binaries: string, options: ClusterOptions = {}): Promise<Cluster> {
  const as = serverUser();
  const folder = mkdtempSync(join(tmpdir(), 'bridge-postgres-'));
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  const password = `MARKED-pg-${randomBytes(8).toString('hex')}`;
  writeFileSync(passwordFile, password);
  if (as) for (const path of [folder, passwordFile]) chownSync(path, as.uid, as.gid);
  const initdb = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync', '-A', 'scram-sha-256'];
  execFileSync(join(binaries, 'initdb'), [...initdb, `--pwfile=${passwordFile}`], { ...as, stdio: 'pipe' });
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    // Nothing here has to survive the machine; benchmarks set it.
    fsync: 'off',
    max_connections: '200',
    ...options.settings,
  };
  if (options.isEncrypted) {
    makeCertificate(folder);
    settings.ssl = 'on';
    for (const name of ['server.crt', 'server.key']) {
      const file = join(data, name);
      copyFileSync(join(folder, name), file);
      chmodSync(file, 0o600);
      if (as) chownSync(file, as.uid, as.gid);
    }
  }
  const port = await freePort();
  const args = [
    '-D',
    data,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  let server: ChildProcess | null = null;

  const start = async () => {
    // The shell ends the server when its input ends, so also when this process was killed.
    const watched = '"$@" & server=$!; (read -r _; kill -INT $server) <&3 & wait $server';
    server = spawn('sh', ['-c', `exec 3<&0; ${watched}`, 'sh', join(binaries, 'postgres'), ...args], {
      ...as,
      cwd: folder,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const said: string[] = [];
    server.stderr?.on('data', (chunk) => said.push(String(chunk)));
    await waitUntilUp(url, () => (server?.exitCode === null ? null : said.join('')));
  };
  const end = async (signal: 'QUIT' | 'INT') => {
    if (!server || server.exitCode !== null) return;
    const ended = once(server, 'exit');
    // The first line of this file is the server's process id.
    execFileSync('sh', ['-c', `kill -${signal} $(head -1 "${join(data, 'postmaster.pid')}")`]);
    server.stdin?.end();
    await ended;
  };
  await start();
  return {
    url,
    port,
    password,
    authority: join(folder, 'ca.crt'),
    start,
    crash: () => end('QUIT'),
    shutDown: () => end('INT'),
    async destroy() {
      await end('QUIT');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeCertificate(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost\n');
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test authority');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.crt', ...signed);
}

/** Postgres refuses to run as root: then its own user runs it. `null`: the user of this process may. */
function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function waitUntilUp(url: string, failed: () => string | null): Promise<void> {
  const until = performance.now() + UP_WITHIN_MS;
  for (;;) {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      const why = failed();
      if (why !== null) throw new Error(`Postgres did not start:\n${why}`);
      if (performance.now() > until) throw error;
    }
    await sleep(50);
  }
}
