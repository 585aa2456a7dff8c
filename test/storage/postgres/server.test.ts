import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ThreadKey } from '../../../src/bridge/ids.ts';
import type { ThreadRecord } from '../../../src/bridge/record/thread-record.ts';
import { type Cluster, findPostgres, startCluster } from '../../support/postgres/cluster.ts';
import { createFreezableClock } from '../../support/postgres/frozen-clock.ts';
import { openReplica, takeLease } from '../../support/postgres/replica.ts';
import { createSchema, type Schema } from '../../support/postgres/schema.ts';
import { threadKeyOf, threadRecord } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const binaries = findPostgres();
const KEY = threadKeyOf(1);

describe.skipIf(binaries === null)('a Postgres server of its own', () => {
  let cluster: Cluster;
  let schema: Schema;
  beforeAll(async () => {
    cluster = await startCluster(binaries ?? '', { isEncrypted: true });
    schema = await createSchema(cluster.url);
  });
  afterAll(() => cluster?.destroy());

  async function setUp(workspace: string) {
    const house = await openReplica(schema.uri, { clock: createFreezableClock({ haste: 5 }), expiryMs: 600_000 });
    const lease = await takeLease(house, workspace);
    return { house, lease, store: await house.openWorkspace(workspace, lease) };
  }

  for (const [how, stop] of [
    ['crashes', () => cluster.crash()],
    ['is restarted', () => cluster.shutDown()],
  ] as const) {
    it(`${how} while many write: loses and doubles nothing`, async () => {
      const { house, lease, store } = await setUp(`T-${how.length}`);
      const keys = [1, 2, 3, 4].map(threadKeyOf);
      let isOver = false;
      const loadWhenPossible = async (key: ThreadKey): Promise<ThreadRecord | null> => {
        for (;;) {
          try {
            return await store.threads.load(key);
          } catch {
            await sleep(50);
          }
        }
      };
      const revs = keys.map(() => 0);
      const writers = keys.map(async (key, n) => {
        let rev = 0;
        let uncertain = 0;
        while (!isOver) {
          try {
            const stored = await store.threads.update(key, (record) => ({
              ...(record ?? threadRecord(key)),
              muted: rev % 2 === 0,
            }));
            if (stored?.rev !== rev + 1) throw new RangeError(`${key} is at ${stored?.rev} after ${rev}`);
            rev += 1;
            revs[n] = rev;
          } catch (error) {
            if (error instanceof RangeError) throw error;
            // The outcome is unknown until the record can be read again.
            uncertain += 1;
            const found = await loadWhenPossible(key);
            const now = found?.rev ?? 0;
            if (now !== rev && now !== rev + 1) throw new RangeError(`${key}: ${now} after ${rev}`);
            rev = now;
          }
          await sleep(1);
        }
        return { rev, uncertain };
      });
      await until(
        () => revs.every((rev) => rev > 1),
        () => String(revs),
      );
      await stop();
      await until(
        () => !house.check().ok,
        () => 'still ready',
      );
      await expect(
        house.inbound.put('T-x', { kind: 'events_api', body: {}, retryNum: 0, retryReason: null }),
      ).rejects.toMatchObject({
        code: 'store_failed',
      });
      await cluster.start();
      await until(
        () => house.check().ok,
        () => house.check().state,
      );
      await sleep(500);
      isOver = true;
      const ends = await Promise.all(writers);
      expect(ends.every(({ rev }) => rev > 1)).toBe(true);
      expect(ends.some(({ uncertain }) => uncertain > 0)).toBe(true);
      for (const [n, key] of keys.entries()) expect((await store.threads.load(key))?.rev).toBe(ends[n]?.rev);
      expect(lease.isHeld()).toBe(true);
    });
  }

  it('turns read-only: writes fail and say why, and come back', async () => {
    const { house, store } = await setUp('T-ro');
    await store.threads.update(KEY, () => threadRecord(KEY));
    // Its own sessions may write, or it could not be taken back.
    const admin = new URL(cluster.url);
    admin.searchParams.set('options', '-cdefault_transaction_read_only=off');
    const set = async (value: string) => {
      const client = new Client({ connectionString: admin.href });
      await client.connect();
      await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
      await client.query('SELECT pg_reload_conf()');
      await client.end();
    };
    await set('on');
    const write = () => store.threads.update(KEY, (record) => record && { ...record, muted: true });
    await until(
      () => !house.check().ok,
      () => 'still ready',
    );
    expect(house.check().state).toContain('read-only');
    await expect(write()).rejects.toMatchObject({ code: 'store_failed', certain: true });
    expect((await store.threads.load(KEY))?.rev).toBe(1);
    await set('off');
    await until(
      () => house.check().ok,
      () => house.check().state,
    );
    expect((await write())?.rev).toBe(2);
  });

  it.each([
    ['has a full disk', '53100', 'the disk of the database is full'],
    ['takes no more connections', '53300', 'lower STORE_CONNECTIONS'],
  ])('%s: the write certainly failed, and the log says why', async (_, code, words) => {
    const { house, store } = await setUp(`T-${code}`);
    await schema.run(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'could not extend file' USING ERRCODE = '${code}', DETAIL = 'words of people'; END $$`);
    await schema.run('CREATE TRIGGER fail BEFORE INSERT ON bridge_rows FOR EACH ROW EXECUTE FUNCTION fail()');
    const error = await store.threads.update(KEY, () => threadRecord(KEY)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'store_failed',
      certain: true,
      cause: { message: expect.stringContaining(words) },
    });
    expect(house.check().state).toContain(words);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('words of people');
    await schema.run('DROP TRIGGER fail ON bridge_rows; DROP FUNCTION fail');
    expect((await store.threads.update(KEY, () => threadRecord(KEY)))?.rev).toBe(1);
  });

  describe('with TLS', () => {
    const encrypted = (uri: string) =>
      openReplica(uri).then((house) => house.lines.find(({ fields }) => 'isEncrypted' in fields)?.fields.isEncrypted);
    const uriWith = (host: string, parameters: Record<string, string>) => {
      const url = new URL(schema.uri);
      url.hostname = host;
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      return url.href;
    };
    const sslrootcert = () => cluster.authority;

    it.each<[string, string, () => Record<string, string>, boolean]>([
      ['nothing said', '127.0.0.1', () => ({}), true],
      ['disable', '127.0.0.1', () => ({ sslmode: 'disable' }), false],
      ['require, whoever signed', '127.0.0.1', () => ({ sslmode: 'require' }), true],
      ['verify-ca, another name', '127.0.0.1', () => ({ sslmode: 'verify-ca', sslrootcert: sslrootcert() }), true],
      ['verify-full', 'localhost', () => ({ sslmode: 'verify-full', sslrootcert: sslrootcert() }), true],
    ])('%s: connects', async (_, host, parameters, isEncrypted) => {
      expect(await encrypted(uriWith(host, parameters()))).toBe(isEncrypted);
    });

    it.each<[string, string, () => Record<string, string>, string]>([
      [
        'verify-full, another name',
        '127.0.0.1',
        () => ({ sslmode: 'verify-full', sslrootcert: sslrootcert() }),
        'another host',
      ],
      ['verify-full, unknown authority', 'localhost', () => ({ sslmode: 'verify-full' }), 'sslrootcert'],
      ['a missing file', 'localhost', () => ({ sslmode: 'verify-full', sslrootcert: '/nowhere.pem' }), '/nowhere.pem'],
      ['system authorities', 'localhost', () => ({ sslrootcert: 'system' }), 'sslrootcert'],
    ])('%s: refuses and says why', async (_, host, parameters, words) => {
      await expect(openReplica(uriWith(host, parameters()))).rejects.toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining(words),
      });
    });
  });
});
