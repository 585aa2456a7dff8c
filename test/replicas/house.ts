import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { parse } from 'yaml';
import { freePort } from '../../sandbox/free-port.ts';
import { type SlackWorkspace, type SmallSlack, startSlack } from '../../sandbox/slack/server.ts';
import { type LogLine, tail } from '../crash/bridge.ts';
import { Scene } from '../crash/scene.ts';
import { openFront } from '../support/front.ts';
import { InstallingBrowser, oauthSettings, redirectUrl } from '../support/installing.ts';
import type { RealLetta } from '../support/letta/real-letta.ts';
import { type Cluster, findPostgres, startCluster } from '../support/postgres/cluster.ts';
import { Replica } from './replica.ts';

/** Beside the workspace of the bot token, which has no suffix; somebody installs the app there. */
const SECOND = { id: 'T02SECOND', suffix: 'B', name: 'Second' };
const NAMES = ['a', 'b', 'c'];
/** The defaults of LEASE_EXPIRY and LEASE_HEARTBEAT. */
export const EXPIRY_MS = 15_000;
const LINES_KEPT = 200_000;
/** Between two looks at the database. */
const LOOK_EVERY_MS = 100;
/** A request is seen, and a line of the log is read, this much later than it was written. */
const SEEN_LATE_MS = 250;
const READY_WITHIN_MS = 60_000;
/** The load balancer takes a replica out soon after it is no longer ready. */
const FRONT_LOOKS_MS = 500;
const SIGNING_SECRET = '0123456789abcdef0123456789abcdef';

/** How Slack's deliveries come: to a socket of each process, or to a load balancer before them. */
export type Delivery = 'socket' | 'http';
/** What people see, or would. */
const EFFECTS = /^(chat|assistant|agents|reactions|views|files|conversations\.open)/;

/** A workspace began to be served by a process. */
interface Serving {
  team: string;
  replica: string;
  at: number;
}

/** What the database has that ought to be gone when nothing happens. */
interface LeftInStore {
  active: { workspace: string; key: string }[];
  /** Deliveries that no process has worked off, also those that it gave up. */
  inbound: number;
}

/** One workspace of the house. */
export class Place extends Scene {
  readonly slack: Pick<SmallSlack, 'control'>;
  readonly letta: RealLetta;
  readonly team: string;
  override readonly suffix: string;
  readonly #house: House;

  constructor(house: House, { team, control }: SlackWorkspace) {
    super();
    this.#house = house;
    this.slack = { control };
    this.letta = house.letta;
    this.team = team.id;
    this.suffix = team.id === SECOND.id ? SECOND.suffix : '';
  }

  account() {
    return { url: this.#house.slack.url, token: this.#house.tokenOf(this.team) };
  }

  lines(): readonly LogLine[] {
    return this.#house.lines;
  }

  activeRows(): readonly string[] {
    return this.#house.left.active.flatMap(({ workspace, key }) => (workspace === this.team ? [key] : []));
  }

  noteLine(): void {
    this.lookAgain();
  }

  /** Sends a first message, which finds the agent. */
  async warmUp(): Promise<void> {
    const [channel, user] = [`C01GEN${this.suffix}`, `U01ALICE${this.suffix}`];
    const { ts } = await this.slack.control.message({ channel, user, text: '@agent say: warm' });
    const isAnswered = () =>
      this.slack.control
        .messages(channel, { thread_ts: ts })
        .some((message) => message.bot_id !== null && JSON.stringify(message.blocks).includes('warm'));
    if (!(await this.waitUntil(isAnswered, 60_000))) throw new Error(`no answer at all\n${tail(this.lines())}`);
  }
}

/** A small Slack with two workspaces, a Postgres, a real Letta, and three processes of one bridge. */
export class House {
  readonly slack: SmallSlack;
  readonly letta: RealLetta;
  readonly database: Cluster;
  readonly replicas: readonly Replica[];
  readonly delivery: Delivery;
  readonly #front: { close(): Promise<void> };
  readonly places: readonly Place[];
  readonly lines: LogLine[] = [];
  readonly servings: Serving[] = [];
  /** When each process last said that it no longer serves a workspace, by `team replica`. */
  readonly #leftAt = new Map<string, number>();
  left: LeftInStore = { active: [], inbound: 0 };
  #isClosed = false;
  #looking: Promise<void> = Promise.resolve();

  static async open(letta: RealLetta, delivery: Delivery): Promise<House> {
    const binaries = findPostgres();
    if (binaries === null) throw new Error('there is no Postgres on this machine: install Debian’s postgresql first');
    const { oauth_config, settings } = parse(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8'));
    const database = await startCluster(binaries);
    const redirectUrls: string[] = [];
    const port = await freePort();
    const slack = await startSlack({
      scopes: oauth_config.scopes.bot,
      events: settings.event_subscriptions.bot_events,
      // Redeliver unacked envelopes soon, and for as long as a restart or a freeze may take.
      retryDelaysMs: Array.from({ length: 80 }, () => 250),
      interactionRetryDelaysMs: [],
      pingIntervalMs: 2_000,
      workspaces: [SECOND],
      oauth: { redirectUrls },
      ...(delivery === 'http' && {
        delivery: { http: `http://127.0.0.1:${port}/slack/events`, signingSecret: SIGNING_SECRET },
      }),
    });
    const replicas = await Promise.all(NAMES.map((name) => Replica.create(name, slack.url, database.url)));
    for (const { port } of replicas) redirectUrls.push(redirectUrl(port));
    const front = await openFront({
      port,
      portsBehind: () => replicas.filter(({ isRunning }) => isRunning).map((replica) => replica.port),
      looksEvery: FRONT_LOOKS_MS,
    });
    return new House({ slack, letta, database, replicas, delivery }, front);
  }

  private constructor(
    {
      slack,
      letta,
      database,
      replicas,
      delivery,
    }: Pick<House, 'slack' | 'letta' | 'database' | 'replicas' | 'delivery'>,
    front: { close(): Promise<void> },
  ) {
    this.delivery = delivery;
    this.#front = front;
    this.slack = slack;
    this.letta = letta;
    this.database = database;
    this.replicas = replicas;
    this.places = [...slack.workspaces.values()].map((workspace) => new Place(this, workspace));
  }

  /** Starts all, installs the app in the second workspace, and hears each workspace's agent once. */
  async moveIn(): Promise<void> {
    const [first, ...rest] = this.replicas;
    if (!first) return;
    await this.start(first);
    await Promise.all(rest.map((replica) => this.start(replica)));
    this.#looking = this.#look();
    const { status, page } = await new InstallingBrowser().install(
      `http://127.0.0.1:${first.port}/slack/install`,
      SECOND.id,
    );
    if (status !== 200) throw new Error(`the app cannot be installed: ${page}`);
    for (const place of this.places) await place.warmUp();
  }

  /** @param more settings that differ from the usual ones */
  start(replica: Replica, more: Record<string, string> = {}): Promise<void> {
    const { slack, letta } = this;
    const settings = {
      ...oauthSettings(slack, this.replicas[0]?.port ?? 0),
      SLACK_BOT_TOKEN: slack.tokens.bot,
      ...(this.delivery === 'http' ? { SLACK_SIGNING_SECRET: SIGNING_SECRET } : { SLACK_APP_TOKEN: slack.tokens.app }),
      SLACK_ALLOWED_USERS: 'members',
      SLACK_ALLOWED_CHANNELS: ['C01GEN', `C01GEN${SECOND.suffix}`, 'dm'].join(','),
      ...letta.env,
      ...more,
    };
    return replica.start(settings, (line) => this.#hear(replica, line));
  }

  #hear(replica: Replica, line: LogLine): void {
    if (this.lines.length < LINES_KEPT) this.lines.push({ ...line, replica: replica.name });
    const { msg, workspace: team } = line;
    const at = Date.parse(String(line.time)) || Date.now();
    if (typeof team === 'string') {
      if (msg === 'serving a workspace') this.servings.push({ team, replica: replica.name, at });
      if (msg === 'a workspace is no longer served here') this.#leftAt.set(`${team} ${replica.name}`, at);
    }
    for (const place of this.places) place.noteLine();
  }

  tokenOf(team: string): string {
    if (team !== SECOND.id) return this.slack.tokens.bot;
    const tokens = this.replicas.flatMap(({ door }) => door.calls.map(({ token }) => token));
    const { bot, app } = this.slack.tokens;
    return tokens.findLast((token) => token.startsWith('xoxb') && token !== bot && token !== app) ?? '';
  }

  /** Who serves a workspace, by the logs. */
  ownerOf(place: Place): Replica {
    const last = this.servings.findLast(({ team }) => team === place.team);
    const owner = this.replicas.find(({ name }) => name === last?.replica);
    if (!owner) throw new Error(`nobody has ever served ${place.team}`);
    return owner;
  }

  /** All that serve a workspace. */
  owners(): Replica[] {
    return [...new Set(this.places.map((place) => this.ownerOf(place)))];
  }

  /** Waits until another process, or the same one anew, serves a workspace. @returns when it did; `null`: never */
  async takenOver(place: Place, since: number, withinMs: number): Promise<number | null> {
    const found = () => this.servings.find(({ team, at }) => team === place.team && at > since);
    await place.waitUntil(() => found() !== undefined, withinMs);
    return found()?.at ?? null;
  }

  /** When the process gave the workspace up, by its own word; `null`: it did not say. */
  leftAt(place: Place, replica: Replica): number | null {
    return this.#leftAt.get(`${place.team} ${replica.name}`) ?? null;
  }

  /** Calls of processes for workspaces which another one served by then, since `since`. */
  strayCalls(since: number): string[] {
    const teamOf = (token: string) => (token === this.slack.tokens.bot ? this.places[0]?.team : SECOND.id);
    return this.replicas.flatMap(({ name, door }) =>
      door.calls.flatMap(({ at, method, token }) => {
        if (at < since || !EFFECTS.test(method)) return [];
        const team = teamOf(token);
        const known = this.servings.filter((one) => one.team === team && one.at < at + SEEN_LATE_MS);
        const other = known.findLast((one) => one.replica !== name && one.at < at - SEEN_LATE_MS);
        if (!other || known.slice(known.indexOf(other)).some(({ replica }) => replica === name)) return [];
        return [`${name} called ${method} for ${team} ${at - other.at} ms after ${other.replica} began to serve it`];
      }),
    );
  }

  /** Waits until all that run are ready. @returns what is not */
  async whoIsNotReady(withinMs = READY_WITHIN_MS): Promise<string[]> {
    const end = Date.now() + withinMs;
    for (;;) {
      const bad: string[] = [];
      for (const replica of this.replicas.filter(({ isRunning }) => isRunning)) {
        const found = await replica.readiness();
        const why = found?.checks.filter(({ ok }) => !ok).map(({ name, state }) => `${name} ${state}`);
        if (found?.status !== 200) bad.push(`${replica.name}: ${why?.join(', ') ?? 'no answer'}`);
      }
      if (bad.length === 0 || Date.now() > end) return bad;
      await sleep(250);
    }
  }

  async #look(): Promise<void> {
    let client: Client | null = null;
    while (!this.#isClosed) {
      try {
        if (!client) {
          client = new Client({ connectionString: this.database.url });
          client.on('error', () => undefined);
          await client.connect();
        }
        const active = await client.query("SELECT workspace, key FROM bridge_rows WHERE namespace = 'active'");
        // Clicks whose reply came too late are tidied away later: whoever clicked was told to try again.
        const inbound = await client.query(
          'SELECT count(*)::int AS rows FROM bridge_inbound WHERE reply_by IS NULL OR reply_by > clock_timestamp()',
        );
        this.left = { active: active.rows, inbound: inbound.rows[0].rows };
      } catch {
        await client?.end().catch(() => undefined);
        client = null;
      }
      await sleep(LOOK_EVERY_MS);
    }
    await client?.end().catch(() => undefined);
  }

  /** @returns exit codes of the processes */
  async close(): Promise<(number | null)[]> {
    const codes = await Promise.all(this.replicas.map((replica) => replica.close()));
    this.#isClosed = true;
    await this.#looking;
    await this.slack.close();
    await this.#front.close();
    await this.database.destroy();
    return codes;
  }
}
