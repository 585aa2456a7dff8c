import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Share } from '../../../src/storage/postgres/share.ts';
import { openReplica, takeLease } from '../../support/postgres/replica.ts';
import { createSchema, findServer, type Schema } from '../../support/postgres/schema.ts';
import { threadKeyOf, threadRecord } from '../../support/records.ts';

const server = await findServer();

describe('the share of one workspace of the pool', () => {
  it('leaves connections to others, and lets calls in by their order', async () => {
    const share = new Share(10);
    const begun: number[] = [];
    const ends = Array.from({ length: 20 }, () => Promise.withResolvers<number>());
    const calls = ends.map(({ promise }, n) =>
      share.use(() => {
        begun.push(n);
        return promise;
      }),
    );
    await Promise.resolve();
    expect(begun).toHaveLength(8);
    for (const [n, { resolve }] of ends.entries()) resolve(n);
    expect(await Promise.all(calls)).toEqual(ends.map((_, n) => n));
    expect(begun).toEqual(ends.map((_, n) => n));
  });

  it('is one connection where there are no more', async () => {
    const share = new Share(1);
    await expect(share.use(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await share.use(async () => 'yes')).toBe('yes');
  });

  it('beyond 2,000 calls that wait: refused at once', async () => {
    const share = new Share(1);
    const { promise: end, resolve } = Promise.withResolvers<void>();
    const calls = Array.from({ length: 2_001 }, () => share.use(() => end));
    await expect(share.use(() => end)).rejects.toMatchObject({ code: 'store_failed', certain: true, retry: true });
    resolve();
    await Promise.all(calls);
  });
});

describe.skipIf(server === null)('a workspace that is busy in the database', () => {
  let schema: Schema;
  beforeAll(async () => {
    schema = await createSchema(server ?? '');
  });
  afterAll(() => schema.drop());

  it('with 600 writes under way: delays no write of another', async () => {
    const house = await openReplica(schema.uri, { connections: 4 });
    const open = async (id: string) => {
      const lease = await takeLease(house, id);
      return house.openWorkspace(id, lease, { isConfigured: false });
    };
    const [busy, calm] = await Promise.all([open('TBUSY'), open('TCALM')]);
    let done = 0;
    const all = Array.from({ length: 600 }, async (_, n) => {
      await busy.threads.update(threadKeyOf(n), () => threadRecord(threadKeyOf(n)));
      done += 1;
    });
    await calm.threads.update(threadKeyOf(1), () => threadRecord(threadKeyOf(1)));
    expect(done).toBeLessThan(200);
    await Promise.all(all);
  });
});
