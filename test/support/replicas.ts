import type { TestContext } from 'vitest';
import { type ScriptedLetta, startScriptedLetta } from '../../sandbox/letta/server.ts';
import { type SlackOptions, type SmallSlack, startSlack } from '../../sandbox/slack/server.ts';
import { type App, startApp } from '../../src/app.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig, secretsOf } from '../../src/config/config.ts';
import { createLog } from '../../src/ops/log.ts';
import { createPromMetrics } from '../../src/ops/metrics.ts';
import type { StoreHouse } from '../../src/storage/house.ts';
import { openHouse } from '../../src/storage/open-house.ts';
import type { PostgresParts } from '../../src/storage/postgres/open.ts';
import { startProxy } from './postgres/proxy.ts';
import { createSchema, findServer } from './postgres/schema.ts';
import { connectReplica, SharedDatabase } from './shared-house.ts';
import { MARKED, settingsFor, temporaryFolder } from './whole.ts';

/** Leases that are over soon, so that a test need not wait for long. */
const QUICK = { expiryMs: 10_000, heartbeatMs: 1_000 };
/** The workspace of the bot token. */
const TEAM = 'T01SANDBOX';

/** A bridge among others on one store. */
export interface AppReplica {
  name: string;
  app: App;
  /** Requests to Slack that it made: when (ms of the process), and the method. */
  calls: { at: number; method: string }[];
  /** Nothing of it reaches the store any more, and nothing comes back. */
  cut(): void;
  heal(): void;
  lines(): Record<string, unknown>[];
  get(path: string): Promise<string>;
  checks(): Promise<{
    ok: boolean;
    checks: { name: string; ok: boolean; state: string }[];
    serves: { count: number; workspaces: string[] };
  }>;
}

export interface Replicas {
  slack: SmallSlack;
  letta: ScriptedLetta;
  start(name: string): Promise<AppReplica>;
  /** The replica that serves the workspace of the bot token now, by its own log. */
  owner(): AppReplica | null;
  all: AppReplica[];
}

export interface ReplicasOptions {
  slack?: SlackOptions;
  /** Settings, of the Slack that was started. */
  env?: Record<string, string> | ((slack: SmallSlack) => Record<string, string>);
  surface?: 'app-server' | 'hosted';
  /** A Postgres server; left out: they share a store in memory. */
  server?: string | null;
}

interface SharedStore {
  open(name: string, parts: PostgresParts): Promise<StoreHouse>;
  cut(name: string): void;
  heal(name: string): void;
}

function inMemory(): SharedStore {
  const database = new SharedDatabase(systemClock, QUICK);
  const replicas = new Map<string, ReturnType<typeof connectReplica>>();
  return {
    async open(name, parts) {
      const replica = connectReplica(database, name, parts);
      replicas.set(name, replica);
      return replica.house;
    },
    cut: (name) => replicas.get(name)?.cut(),
    heal: (name) => replicas.get(name)?.heal(),
  };
}

/** Each replica reaches the server over a network of its own. */
async function onPostgres(
  server: string,
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
): Promise<SharedStore> {
  const schema = await createSchema(server);
  onTestFinished(() => schema.drop());
  const networks = new Map<string, Awaited<ReturnType<typeof startProxy>>>();
  return {
    async open(name, parts) {
      const network = await startProxy(schema.uri);
      networks.set(name, network);
      onTestFinished(() => network.close());
      return openHouse(network.uri, { ...parts, postgres: { connections: 4, ...QUICK } });
    },
    cut(name) {
      networks.get(name)?.refuse(true);
      networks.get(name)?.cut();
    },
    heal: (name) => networks.get(name)?.refuse(false),
  };
}

/** What replicas of a test share: memory, and a real Postgres where there is one (`null`: memory). */
export async function findHouses() {
  const server = await findServer();
  return [{ on: 'memory', server: null }, ...(server === null ? [] : [{ on: 'Postgres', server }])];
}

/** A Slack, a Letta, and a store that the bridges share which a test starts. All end with the test. */
export async function createReplicas(
  context: Pick<TestContext, 'onTestFinished'>,
  { surface = 'app-server', server = null, ...options }: ReplicasOptions = {},
): Promise<Replicas> {
  const { onTestFinished } = context;
  const tokens = { bot: MARKED.bot, app: MARKED.app };
  const slack = await startSlack({ limits: 'off', tokens, ...options.slack });
  onTestFinished(() => slack.close());
  const letta = await startScriptedLetta({ token: MARKED.letta, pace: 1, surface });
  onTestFinished(() => letta.close());
  const hosted = { LETTA_APP_SERVER_URL: '', LETTA_APP_SERVER_TOKEN: '', LETTA_BASE_URL: letta.url };
  const env = {
    ...settingsFor(slack, letta, temporaryFolder(context)),
    ...(surface === 'hosted' && { ...hosted, LETTA_API_KEY: MARKED.letta }),
    ...(typeof options.env === 'function' ? options.env(slack) : options.env),
    STORE: 'memory://',
  };
  const store = server === null ? inMemory() : await onPostgres(server, context);
  const all: AppReplica[] = [];
  return {
    ...{ slack, letta, all },
    owner: () => all.find(({ lines }) => servesNow(lines())) ?? null,
    async start(name) {
      const config = loadConfig(env);
      const logged: string[] = [];
      const to = { write: (line: string) => void logged.push(line) };
      const log = createLog({ level: 'debug', pretty: false, secrets: secretsOf(config), to });
      const metrics = createPromMetrics();
      const calls: AppReplica['calls'] = [];
      const app = await startApp(
        config,
        {
          ...{ clock: systemClock, random: systemRandom, log, metrics, scrape: metrics.scrape },
          openHouse: (_, parts) => store.open(name, parts),
          fetch: (input, init) => {
            calls.push({ at: performance.now(), method: String(input).split('/').pop() ?? '' });
            return fetch(input, init);
          },
        },
        new AbortController().signal,
      );
      onTestFinished(() => app.stop());
      const get = async (path: string) => (await fetch(`http://127.0.0.1:${app.port}${path}`)).text();
      const replica: AppReplica = {
        ...{ name, app, calls, get, cut: () => store.cut(name), heal: () => store.heal(name) },
        lines: () => logged.map((line) => JSON.parse(line) as Record<string, unknown>),
        checks: async () => JSON.parse(await get('/readyz')),
      };
      all.push(replica);
      return replica;
    },
  };
}

/** Whether the log of a replica says last that it serves the workspace of the bot token. */
function servesNow(lines: readonly Record<string, unknown>[]): boolean {
  const said = lines.filter(({ workspace }) => workspace === TEAM).map(({ msg }) => msg);
  return said.lastIndexOf('serving a workspace') > said.lastIndexOf('a workspace is no longer served here');
}
