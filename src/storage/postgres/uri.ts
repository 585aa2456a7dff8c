/**
 * Where a Postgres store is, with the names and the meanings of libpq's connection URIs
 * (postgresql.org/docs, "Connection URIs" and "SSL Support"). `pg` reads such a URI differently: it takes `require` for
 * `verify-full`, and ignores what it does not know.
 */
export interface PostgresUri {
  /** A host name or address, or the folder of a Unix socket; empty: what `pg` finds in the environment. */
  host: string;
  port: number | null;
  user: string;
  password: string;
  database: string;
  /**
   * `prefer`: encrypted where the server can; `require`: encrypted, but whoever answers is believed, unless `rootCert`
   * names who may sign; `verify-full`: also the name in the certificate is checked.
   */
  sslMode: (typeof SSL_MODES)[number];
  /** Path of a PEM file with authorities; `system`: those that Node brings; `null`: not set. */
  rootCert: string | null;
  /** Paths of PEM files: the certificate that this process shows, and its key. */
  certificate: string | null;
  key: string | null;
  applicationName: string | null;
  /** ms; `null`: not set. */
  connectTimeoutMs: number | null;
  /** Options of the session, such as `-csearch_path=bridge`. */
  options: string | null;
}

export type PostgresUriResult = { ok: true; uri: PostgresUri } | { ok: false; problem: string; fix: string };

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
const EXAMPLE = 'Write it like postgres://user:password@host:5432/database?sslmode=verify-full.';
const PARAMETERS = [
  ...(['host', 'port', 'user', 'password', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const),
  ...(['application_name', 'connect_timeout', 'options', 'target_session_attrs'] as const),
] as const;
type Parameter = (typeof PARAMETERS)[number];

/** What people write who come from another client, and what to write instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  ssl: 'Write sslmode=verify-full, or sslmode=require if the server’s certificate cannot be checked.',
  schema: 'Write options=-csearch_path%3Dname, or set the search_path of the database user.',
  uselibpqcompat: 'Remove it: sslmode means what it means for libpq.',
  channel_binding: 'Remove it, and write sslmode=verify-full&sslrootcert=system: then the server is checked.',
  pgbouncer: 'Remove it, and connect to the database itself: the bridge needs LISTEN.',
};

class Refusal extends Error {
  readonly fix: string;

  constructor(problem: string, fix: string) {
    super(problem);
    this.fix = fix;
  }
}

/** Never puts a part of the text into a problem that may be a password. */
export function parsePostgresUri(text: string): PostgresUriResult {
  try {
    return { ok: true, uri: read(text) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, problem: error.message, fix: error.fix };
    throw error;
  }
}

function read(text: string): PostgresUri {
  const url = URL.parse(text);
  if (url === null) {
    throw new Refusal(
      'is not a URI of Postgres',
      `${EXAMPLE} In the password write %40 for @, %3A for :, %2F for /, %23 for # and %25 for %.`,
    );
  }
  if (url.hash !== '') throw new Refusal('contains a #', 'In the password write %23 for #.');
  if (/,/.test(url.host)) {
    throw new Refusal('names several hosts', 'Name one: the address that always leads to the primary.');
  }
  const given = readParameters(url.searchParams);
  const path = decoded(url.pathname.slice(1), 'the name of the database');
  const port = given.get('port') ?? url.port;
  const rootCert = given.get('sslrootcert') ?? null;
  return {
    host: given.get('host') ?? decoded(url.hostname.replace(/^\[(.+)\]$/, '$1'), 'the host'),
    port: port === '' ? null : readPort(port),
    user: given.get('user') ?? decoded(url.username, 'the user'),
    password: given.get('password') ?? decoded(url.password, 'the password'),
    database: given.get('dbname') ?? path,
    sslMode: readSslMode(given.get('sslmode'), rootCert),
    rootCert,
    certificate: given.get('sslcert') ?? null,
    key: given.get('sslkey') ?? null,
    applicationName: given.get('application_name') ?? null,
    connectTimeoutMs: readTimeout(given.get('connect_timeout')),
    options: given.get('options') ?? null,
  };
}

function readParameters(search: URLSearchParams): Map<Parameter, string> {
  const given = new Map<Parameter, string>();
  for (const [name, value] of search) {
    const known = PARAMETERS.find((each) => each === name);
    if (known === undefined) {
      const fix = INSTEAD[name] ?? `Remove it. The bridge knows ${PARAMETERS.join(', ')}.`;
      throw new Refusal(`has ${/^\w{1,30}$/.test(name) ? name : 'a parameter'} after the ?, which is unknown`, fix);
    }
    if (given.has(known)) throw new Refusal(`has ${known} twice`, 'Keep one of them.');
    given.set(known, value);
  }
  const session = given.get('target_session_attrs');
  if (session !== undefined && !['any', 'read-write', 'primary'].includes(session)) {
    throw new Refusal('has a target_session_attrs that cannot be written to', 'Write target_session_attrs=read-write.');
  }
  return given;
}

function readSslMode(mode: string | undefined, rootCert: string | null): PostgresUri['sslMode'] {
  // As libpq has it: with the system's authorities everybody can have a certificate, so the name must be checked.
  const usual = rootCert === 'system' ? 'verify-full' : 'prefer';
  const known = SSL_MODES.find((each) => each === (mode ?? usual));
  if (known === undefined) {
    throw new Refusal('has an unknown sslmode', `Use one of ${SSL_MODES.join(', ')}; verify-full is the safest.`);
  }
  if (rootCert === 'system' && known !== 'verify-full') {
    throw new Refusal(`has sslrootcert=system with sslmode=${known}`, 'Write sslmode=verify-full.');
  }
  if (known === 'verify-ca' && rootCert === null) {
    throw new Refusal(
      'has sslmode=verify-ca without sslrootcert',
      'Add sslrootcert=/path/to/ca.pem, or write sslmode=verify-full.',
    );
  }
  return known;
}

function readPort(port: string): number {
  const number = Number(port);
  if (!/^\d{1,5}$/.test(port) || number < 1 || number > 65_535) throw new Refusal('has no valid port', EXAMPLE);
  return number;
}

function readTimeout(seconds: string | undefined): number | null {
  if (seconds === undefined) return null;
  if (!/^\d{1,4}$/.test(seconds)) {
    throw new Refusal('has a connect_timeout that is not a number', 'Give whole seconds: connect_timeout=5.');
  }
  return Number(seconds) * 1_000 || null;
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal(`has a % in ${what} that is not part of an escape`, 'Write %25 for %.');
  }
}

/** Where the store is, for people: without user and password. */
export function placeOf({ host, port, database }: PostgresUri): string {
  return `${database || 'the usual database'} at ${host || 'the usual host'}${port === null ? '' : `:${port}`}`;
}
