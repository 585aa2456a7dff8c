import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { ClientConfig } from 'pg';
import type { Clock } from '../../bridge/ports.ts';
import { ConnectionFailure, NO_FILE, NO_TLS } from './failures.ts';
import type { PostgresUri } from './uri.ts';

const PORT = 5432;
const CONNECT_MS = 5_000;
/** A packet that asks the server for TLS: its length, and the code of this request. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** What `pg` needs for a connection; everything that the URI says is set, so that `pg` reads no more of it. */
export interface ConnectionSettings extends ClientConfig {
  connectionTimeoutMillis: number;
}

/**
 * Settings for `pg` as libpq would understand the URI.
 * @param isEncrypted whether to use TLS with sslmode=prefer
 * @throws ConnectionFailure when a file of the URI cannot be read
 */
export function connectionSettings(
  uri: PostgresUri,
  { isEncrypted, applicationName, statementMs }: { isEncrypted: boolean; applicationName: string; statementMs: number },
): ConnectionSettings {
  return {
    ...(uri.host !== '' && { host: uri.host }),
    ...(uri.port !== null && { port: uri.port }),
    ...(uri.user !== '' && { user: uri.user }),
    ...(uri.password !== '' && { password: uri.password }),
    ...(uri.database !== '' && { database: uri.database }),
    ...(uri.options !== null && { options: uri.options }),
    application_name: uri.applicationName ?? applicationName,
    connectionTimeoutMillis: uri.connectTimeoutMs ?? CONNECT_MS,
    // The server gives up, too: a statement that nobody waits for would hold its connection, and its locks.
    statement_timeout: statementMs,
    // Of a process that stopped in the middle of a transaction.
    idle_in_transaction_session_timeout: statementMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ssl: isSocket(uri) || !isEncrypted ? false : tlsOf(uri),
  };
}

function isSocket(uri: PostgresUri): boolean {
  return uri.host.startsWith('/');
}

function tlsOf({
  sslMode,
  rootCert,
  certificate,
  key,
}: PostgresUri): Exclude<ClientConfig['ssl'], boolean | undefined> {
  const ca = rootCert === null || rootCert === 'system' ? {} : { ca: readPem('sslrootcert', rootCert) };
  const own = {
    ...(certificate !== null && { cert: readPem('sslcert', certificate) }),
    ...(key !== null && { key: readPem('sslkey', key) }),
  };
  switch (sslMode) {
    case 'verify-full':
      return { ...ca, ...own };
    case 'verify-ca':
      return { ...ca, ...own, checkServerIdentity: () => undefined };
    case 'require':
      // With an authority it is as strict as verify-ca.
      return rootCert === null
        ? { ...own, rejectUnauthorized: false }
        : { ...ca, ...own, checkServerIdentity: () => undefined };
    default:
      return { ...own, rejectUnauthorized: false };
  }
}

function readPem(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new ConnectionFailure(`the file of ${parameter} cannot be read (${code}): ${path}`, NO_FILE);
  }
}

/**
 * Whether connections are to be encrypted. The server is asked over a connection of its own: with sslmode=prefer `pg`
 * would fail where the server has no TLS, and with the others it would not say why.
 * @throws ConnectionFailure, what the socket throws
 */
export async function wantsEncryption(uri: PostgresUri, clock: Clock): Promise<boolean> {
  if (isSocket(uri) || uri.sslMode === 'disable') return false;
  const offersTls = await asksForTls(uri, clock);
  if (!offersTls && uri.sslMode !== 'prefer') throw new ConnectionFailure('the server offers no TLS', NO_TLS);
  return offersTls;
}

async function asksForTls(uri: PostgresUri, clock: Clock): Promise<boolean> {
  const socket = createConnection({ host: uri.host || 'localhost', port: uri.port ?? PORT });
  const timer = clock.after(uri.connectTimeoutMs ?? CONNECT_MS, () => {
    socket.destroy(new ConnectionFailure('the database does not answer', 'ETIMEDOUT'));
  });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      socket.once('connect', () => socket.write(SSL_REQUEST));
      socket.once('data', (answer) => resolve(answer[0] === 'S'.charCodeAt(0)));
      socket.once('error', reject);
      socket.once('close', () => reject(new ConnectionFailure('the database closed the connection', 'ECONNRESET')));
    });
  } finally {
    timer.cancel();
    socket.destroy();
  }
}
