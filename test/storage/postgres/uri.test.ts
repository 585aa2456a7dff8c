import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePostgresUri, placeOf } from '../../../src/storage/postgres/uri.ts';
import { runs } from '../../support/runs.ts';

function read(text: string) {
  const result = parsePostgresUri(text);
  if (!result.ok) throw new Error(result.problem);
  return result.uri;
}

function problem(text: string): string {
  const result = parsePostgresUri(text);
  return result.ok ? 'none' : `${result.problem} → ${result.fix}`;
}

describe('a URI of Postgres', () => {
  it('is read as libpq reads it', () => {
    expect(
      read('postgresql://al%40ice:p%23%2F%3A%25w@db.example:6432/my%20db?application_name=x&connect_timeout=3'),
    ).toEqual({
      host: 'db.example',
      port: 6432,
      user: 'al@ice',
      password: 'p#/:%w',
      database: 'my db',
      sslMode: 'prefer',
      rootCert: null,
      certificate: null,
      key: null,
      applicationName: 'x',
      connectTimeoutMs: 3_000,
      options: null,
    });
    expect(read('postgres:///bridge?host=/var/run/postgresql&user=bridge')).toMatchObject({
      host: '/var/run/postgresql',
      user: 'bridge',
      database: 'bridge',
      port: null,
    });
    expect(read('postgres://[::1]:5433')).toMatchObject({ host: '::1', port: 5433, database: '', user: '' });
    expect(read('postgres://db/x?options=-csearch_path%3Dbridge&target_session_attrs=read-write').options).toBe(
      '-csearch_path=bridge',
    );
  });

  it.each([
    ['', 'prefer'],
    ['?sslmode=disable', 'disable'],
    ['?sslmode=require', 'require'],
    ['?sslmode=verify-full', 'verify-full'],
    ['?sslmode=verify-ca&sslrootcert=/ca.pem', 'verify-ca'],
    ['?sslrootcert=/ca.pem', 'prefer'],
    ['?sslrootcert=system', 'verify-full'],
  ])('with %s: has sslmode %s', (parameters, mode) => {
    expect(read(`postgres://db/x${parameters}`).sslMode).toBe(mode);
  });

  it.each([
    ['postgres://user:pa#ss@db/x', '%23'],
    ['postgres://user:pa%ss@db/x', '%25'],
    ['postgres://user:pa/ss@db/x', '%2F'],
    ['postgres://one,two/x', 'Name one'],
    ['postgres://db:0/x', 'no valid port'],
    ['postgres://db/x?ssl=true', 'sslmode=verify-full'],
    ['postgres://db/x?sslmode=allow', 'unknown sslmode'],
    ['postgres://db/x?sslmode=verify-ca', 'sslrootcert'],
    ['postgres://db/x?sslmode=require&sslrootcert=system', 'verify-full'],
    ['postgres://db/x?sslmode=require&sslmode=disable', 'twice'],
    ['postgres://db/x?schema=bridge', 'search_path'],
    ['postgres://db/x?channel_binding=require', 'sslrootcert=system'],
    ['postgres://db/x?target_session_attrs=standby', 'read-write'],
    ['postgres://db/x?connect_timeout=soon', 'whole seconds'],
    ['postgres://db/x?nonsense=1', 'has nonsense after the ?'],
  ])('%s is refused, with what to write instead', (text, words) => {
    expect(problem(text)).toContain(words);
  });

  it('never has its password in what is said of it', () => {
    const secret = fc.string({ minLength: 6 }).filter((text) => !'is not a URI of Postgres'.includes(text));
    fc.assert(
      fc.property(secret, fc.boolean(), (password, isEncoded) => {
        const text = `postgres://user:${isEncoded ? encodeURIComponent(password) : password}@db/bridge`;
        const result = parsePostgresUri(text);
        if (result.ok) {
          if (isEncoded) expect(result.uri.password).toBe(password);
          expect(placeOf({ ...result.uri, host: 'db', database: 'bridge' })).not.toContain(password);
        } else expect(result.problem).not.toContain(password);
      }),
      { numRuns: runs(500) },
    );
  });
});
