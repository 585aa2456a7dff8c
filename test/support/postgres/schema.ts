import { randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { Client } from 'pg';

/** The server that tests use: PG_URL, or the throw-away one of this run. `null`: there is none. */
export async function findServer(): Promise<string | null> {
  const { PG_URL, POSTGRES_BROKER } = process.env;
  if (PG_URL) return PG_URL;
  if (!POSTGRES_BROKER) return null;
  const { status, body } = await ask(POSTGRES_BROKER);
  if (status === 404) return null;
  if (status !== 200) throw new Error(body);
  return body;
}

function ask(url: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    // Without an agent, so that no socket stays open.
    get(url, { agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    }).on('error', reject);
  });
}

export interface Schema {
  /** For STORE. */
  uri: string;
  name: string;
  /** Runs SQL beside the bridge. */
  run<Row extends object = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
}

/** A schema of its own, in which the tables of the bridge will be. */
export async function createSchema(server: string): Promise<Schema> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  const url = new URL(server);
  url.searchParams.set('options', `-csearch_path=${name}`);
  const uri = url.href;
  const run = async <Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> => {
    const client = new Client({ connectionString: uri });
    await client.connect();
    try {
      return (await client.query(sql, values)).rows as Row[];
    } finally {
      await client.end();
    }
  };
  await run(`CREATE SCHEMA ${name}`);
  return { uri, name, run, drop: async () => void (await run(`DROP SCHEMA ${name} CASCADE`)) };
}
