import { describe, onTestFinished } from 'vitest';
import { houseContract } from '../../contracts/house.ts';
import { openReplica } from '../../support/postgres/replica.ts';
import { createSchema, findServer } from '../../support/postgres/schema.ts';

const server = await findServer();

describe.skipIf(server === null)('a Postgres of one process', () => {
  houseContract('Postgres', async () => {
    const schema = await createSchema(server ?? '');
    onTestFinished(() => schema.drop());
    return openReplica(schema.uri);
  });
});
