import { describe, expect, it, onTestFinished } from 'vitest';
import { openHouse } from '../../../src/storage/open-house.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';
import { openReplica } from '../../support/postgres/replica.ts';
import { createSchema, findServer } from '../../support/postgres/schema.ts';

const server = await findServer();

describe.skipIf(server === null)('the tables of a Postgres store', () => {
  async function newSchema() {
    const schema = await createSchema(server ?? '');
    onTestFinished(() => schema.drop());
    return schema;
  }
  const open = (uri: string) => openHouse(uri, { clock: createFakeClock(), log: createMemoryLog() });

  it('are made once, however many processes start at once', async () => {
    const schema = await newSchema();
    await Promise.all(Array.from({ length: 5 }, () => openReplica(schema.uri, { connections: 2 })));
    expect(await schema.run('SELECT layout FROM bridge_layouts')).toEqual([{ layout: 1 }]);
    const tables = await schema.run<{ name: string }>(
      'SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1',
    );
    expect(tables.map(({ name }) => name)).toEqual([
      'bridge_inbound',
      'bridge_layouts',
      'bridge_leases',
      'bridge_replicas',
      'bridge_rows',
    ]);
  });

  it('of a newer bridge are refused and left as they are', async () => {
    const schema = await newSchema();
    await (await openReplica(schema.uri)).close();
    await schema.run('INSERT INTO bridge_layouts (layout) VALUES (2)');
    await expect(open(schema.uri)).rejects.toMatchObject({ code: 'record_newer' });
    expect(await schema.run('SELECT max(layout) AS layout FROM bridge_layouts')).toEqual([{ layout: 2 }]);
  });

  it('in another schema of the same database are another store', async () => {
    const [one, other] = await Promise.all([newSchema(), newSchema()]);
    const houses = await Promise.all([openReplica(one.uri), openReplica(other.uri)]);
    await houses[0].choices.set('agent', 'agent-1');
    expect(await houses[1].choices.get('agent')).toBeNull();
    expect(await houses[0].leases.take('T1')).not.toBeNull();
    expect(await houses[1].leases.take('T1')).not.toBeNull();
  });

  it.each<[string, (url: URL) => void, string]>([
    ['a wrong password', (url) => void Object.assign(url, { password: 'wrong' }), 'refuses the password'],
    ['no such database', (url) => void Object.assign(url, { pathname: '/nowhere' }), 'no such database'],
    ['no such schema', (url) => url.searchParams.set('options', '-csearch_path=nowhere'), 'CREATE SCHEMA'],
    ['an unreliable commit', (url) => url.searchParams.set('options', '-csynchronous_commit=off'), 'ALTER ROLE'],
    ['no TLS', (url) => url.searchParams.set('sslmode', 'require'), 'offers no TLS'],
  ])('with %s: the start ends at once and says what to do', async (_, change, words) => {
    const schema = await newSchema();
    const url = new URL(schema.uri);
    change(url);
    const error = await open(url.href).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringContaining(words) });
    expect(String(error)).not.toContain(new URL(schema.uri).password);
  });
});
