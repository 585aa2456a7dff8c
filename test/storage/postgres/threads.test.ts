import { afterAll, beforeAll, describe } from 'vitest';
import { PostgresAdapter } from '../../../src/storage/postgres/adapter.ts';
import { type Medium, threadsContract } from '../../contracts/threads.ts';
import { findServer } from '../../support/postgres/schema.ts';
import { openTables, type Tables } from '../../support/postgres/tables.ts';

const server = await findServer();

describe.skipIf(server === null)('a shared Postgres', () => {
  let tables: Tables;
  let mediums = 0;
  beforeAll(async () => {
    tables = await openTables(server ?? '');
  });
  afterAll(() => tables.close());

  threadsContract('Postgres', (): Medium => {
    mediums += 1;
    const workspace = `T${mediums}`;
    let guard = tables.guard(workspace);
    return {
      adapter: (namespace) => new PostgresAdapter(tables.database, guard, workspace, namespace),
      reopen() {
        guard = tables.guard(workspace);
      },
      destroy: () => guard.release(),
    };
  });
});
