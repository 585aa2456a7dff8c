import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReplica } from '../../support/postgres/replica.ts';
import { createSchema, findServer, type Schema } from '../../support/postgres/schema.ts';

const server = await findServer();

describe.skipIf(server === null)('a workspace with many deliveries to write', () => {
  let schema: Schema;
  beforeAll(async () => {
    schema = await createSchema(server ?? '');
  });
  afterAll(() => schema.drop());

  it('at once: one of another goes between', async () => {
    const house = await openReplica(schema.uri);
    const event = { kind: 'events_api' as const, body: {}, retryNum: 0, retryReason: null };
    const many = Array.from({ length: 900 }, () => house.inbound.put('TMANY', event));
    const one = house.inbound.put('TONE', event);
    await Promise.all([...many, one]);
    const [row] = await schema.run<{ before: number }>(
      `SELECT count(*)::int AS before FROM bridge_inbound AS old WHERE workspace = 'TMANY'
         AND id < (SELECT id FROM bridge_inbound WHERE workspace = 'TONE')`,
    );
    expect(row?.before).toBeLessThan(400);
  });

  it('beyond 1,000 that wait: refuses its own', async () => {
    const house = await openReplica(schema.uri);
    const event = { kind: 'events_api' as const, body: {}, retryNum: 0, retryReason: null };
    const many = Array.from({ length: 1_500 }, () => house.inbound.put('TFLOOD', event));
    const one = house.inbound.put('TOTHER', event);
    const outcomes = await Promise.allSettled(many);
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
    await one;
  });
});
