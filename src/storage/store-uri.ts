/** Where the store is, as `STORE` says. */
export type StoreUri = { kind: 'memory' } | { kind: 'sqlite'; path: string };

export type StoreUriResult = { ok: true; uri: StoreUri } | { ok: false; problem: string; fix: string };

const EXAMPLES = 'Use sqlite://./data/bridge.db (or sqlite:///absolute/path.db), or memory:// to store nothing.';
const LATER = ['redis', 'rediss', 'postgres', 'postgresql'];

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
    default:
      if (LATER.includes(scheme.toLowerCase())) {
        return { ok: false, problem: `uses ${scheme}://, which the bridge does not support yet`, fix: EXAMPLES };
      }
      return { ok: false, problem: `uses ${scheme}://, which the bridge does not know`, fix: EXAMPLES };
  }
}
