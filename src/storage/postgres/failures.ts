import { BridgeError } from '../../errors.ts';
import { NOTICES } from '../words/notices.ts';

/** Codes of our own: the server has no TLS, though the URI demands it; a file that the URI names cannot be read. */
export const NO_TLS = 'NO_TLS';
export const NO_FILE = 'NO_FILE';

/** What a failure of the database means, by SQLSTATE (postgresql.org/docs, "PostgreSQL Error Codes") or Node's code. */
const MEANINGS: Readonly<Record<string, string>> = {
  '08P01': 'the server does not speak Postgres’s protocol',
  '22021': 'the database does not use the encoding UTF8',
  '25006': 'the database is read-only: STORE must lead to the primary',
  '28000': 'the database refuses this user or this way to connect (pg_hba.conf)',
  '28P01': 'the database refuses the password',
  '3D000': 'there is no such database: create it (createdb)',
  '3F000': 'the search_path names no schema that exists: create it (CREATE SCHEMA)',
  '40001': 'the database could not serialise it',
  '40P01': 'the database ended a deadlock',
  '42501': 'the database user may not do this: it needs CREATE and USAGE on the schema',
  '42P01': 'the tables of the bridge are gone from the database',
  '53100': 'the disk of the database is full',
  '53200': 'the database is out of memory',
  '53300': 'the database takes no more connections: lower STORE_CONNECTIONS, or raise max_connections',
  '53400': 'a limit of the database is reached',
  '54000': 'a limit of the database is exceeded',
  '55P03': 'the database did not get a lock in time',
  '57014': 'the database did not finish in time',
  '57P01': 'the database is being stopped',
  '57P02': 'the database has crashed and is restarting',
  '57P03': 'the database is starting',
  '57P05': 'the database closed a connection that was idle for too long',
  '58030': 'the disk of the database fails',
  ECONNREFUSED: 'nothing listens at the address of the database',
  ECONNRESET: 'the connection to the database was cut',
  EPIPE: 'the connection to the database was cut',
  ENOTFOUND: 'the host of the database is unknown',
  EAI_AGAIN: 'the name of the database’s host cannot be resolved now',
  EHOSTUNREACH: 'the host of the database cannot be reached',
  ENETUNREACH: 'the host of the database cannot be reached',
  ETIMEDOUT: 'the database does not answer',
  ENOENT: 'there is no Unix socket of a database in that folder',
  EACCES: 'this user may not open the Unix socket of the database',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate of the database is self-signed: name it by sslrootcert',
  SELF_SIGNED_CERT_IN_CHAIN: 'the authority of the database’s certificate is unknown: name it by sslrootcert',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the authority of the database’s certificate is unknown: name it by sslrootcert',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the authority of the database’s certificate is unknown: name it by sslrootcert',
  [NO_TLS]: 'the server of the database offers no TLS, which sslmode demands',
  CERT_HAS_EXPIRED: 'the certificate of the database has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate of the database is for another host',
};

/** What no waiting helps with: whoever runs the bridge has to change something. */
const PERMANENT: ReadonlySet<string> = new Set([
  ...(['08P01', '22021', '28000', '28P01', '3D000', '3F000', '42501', 'ENOENT', 'EACCES'] as const),
  ...(['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'] as const),
  ...(['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID'] as const),
  ...([NO_TLS, NO_FILE] as const),
]);

/** Nothing was sent, or the server said that it did nothing: by the first characters of the SQLSTATE. */
const REFUSED_FOR_CERTAIN = /^(?!08|40003|57P0)[0-9A-Z]{5}$/;

/** A failure that comes from this side, before or while the server was asked. */
export class ConnectionFailure extends Error {
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.name = 'ConnectionFailure';
    this.code = code;
  }
}

/** The SQLSTATE of a failure that the server reported, or Node's code; `null`: it has none. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Node tries every address of a host, and reports all of them.
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return null;
}

/**
 * A failure of the database as ours. Of the original only code and message are kept: its details can hold rows, which
 * hold what people wrote.
 * @param wasSent whether the server may have got the statement
 */
export function databaseError(error: unknown, wasSent: boolean): BridgeError {
  if (error instanceof BridgeError) return error;
  const code = codeOf(error);
  const words = error instanceof Error && error.message !== '' ? error.message : String(code ?? error);
  const meaning = code === null ? undefined : MEANINGS[code];
  const certain = !wasSent || (code !== null && REFUSED_FOR_CERTAIN.test(code) && isOfServer(error));
  return new BridgeError('store_failed', meaning ?? (isOfServer(error) ? `the database says: ${words}` : words), {
    notice: NOTICES.unreachable,
    certain,
    retry: code === null || !PERMANENT.has(code),
    cause: new ConnectionFailure(words, code ?? undefined),
  });
}

/** Whether the connection of a failed call broke, so that another one may work at once. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof BridgeError && error.cause instanceof ConnectionFailure) || error.certain) return false;
  const { code } = error.cause;
  return code === undefined || code === 'ECONNRESET' || code === 'EPIPE' || code === '57P01' || code === '57P05';
}

/** Whether the server refused a row because another one has its key (SQLSTATE 23505). */
export function isDuplicate(error: unknown): boolean {
  return error instanceof BridgeError && error.cause instanceof ConnectionFailure && error.cause.code === '23505';
}

/** The server's own errors have a severity; one that ends the session may come after the commit. */
export function isOfServer(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR';
}
