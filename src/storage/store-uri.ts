import { type PostgresUri, parsePostgresUri } from './postgres/uri.ts';

/** Where the store is, as `STORE` says. */
export type StoreUri =
  | { kind: 'memory' }
  | { kind: 'sqlite'; path: string }
  | { kind: 'postgres'; postgres: PostgresUri };

export type StoreUriResult = { ok: true; uri: StoreUri } | { ok: false; problem: string; fix: string };

const EXAMPLES =
  'Use sqlite://./data/bridge.db (or sqlite:///absolute/path.db), postgres://user:password@host/database, or memory:// to store nothing.';

export function parseStoreUri(text: string): StoreUriResult {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) return { ok: false, problem: 'is not a URI', fix: EXAMPLES };
  switch (scheme.toLowerCase()) {
    case 'memory':
      return { ok: true, uri: { kind: 'memory' } };
    case 'sqlite':
      if (rest === '' || rest.endsWith('/')) return { ok: false, problem: 'names no file', fix: EXAMPLES };
      if (rest.startsWith(':memory:')) {
        return { ok: false, problem: 'asks SQLite for a database in memory', fix: 'Write memory:// instead.' };
      }
      return { ok: true, uri: { kind: 'sqlite', path: rest } };
    case 'postgres':
    case 'postgresql': {
      const parsed = parsePostgresUri(text);
      return parsed.ok ? { ok: true, uri: { kind: 'postgres', postgres: parsed.uri } } : parsed;
    }
    case 'redis':
    case 'rediss':
      return {
        ok: false,
        problem: `uses ${scheme}://, which may lose what it has confirmed`,
        fix: EXAMPLES,
      };
    default:
      return { ok: false, problem: `uses ${scheme}://, which the bridge does not know`, fix: EXAMPLES };
  }
}

const FROM_ENVIRONMENT = [
  ['password', 'PGPASSWORD'],
  ['sslmode', 'PGSSLMODE'],
  ['sslrootcert', 'PGSSLROOTCERT'],
  ['sslcert', 'PGSSLCERT'],
  ['sslkey', 'PGSSLKEY'],
] as const;

/**
 * The URI with what libpq takes from the environment where the URI does not say; only what concerns trust, because `pg`
 * itself takes the rest (PGHOST, PGUSER …) from there.
 */
export function withPostgresEnvironment(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const url = /^postgres(ql)?:/i.test(text) ? URL.parse(text) : null;
  if (url === null) return text;
  for (const [parameter, name] of FROM_ENVIRONMENT) {
    const value = env[name]?.trim() ?? '';
    const isSaid = url.searchParams.has(parameter) || (parameter === 'password' && url.password !== '');
    if (value !== '' && !isSaid) url.searchParams.set(parameter, value);
  }
  return url.href;
}

/** What of the URI must never be shown: its password, as it is and as it is written there. */
export function passwordsOf(text: string): string[] {
  const parsed = parseStoreUri(text);
  if (!parsed.ok || parsed.uri.kind !== 'postgres' || parsed.uri.postgres.password === '') return [];
  const { password } = parsed.uri.postgres;
  return [...new Set([password, encodeURIComponent(password), URL.parse(text)?.password ?? ''])].filter(Boolean);
}
