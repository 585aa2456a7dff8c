import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../sandbox/free-port.ts';
import { type Bridge, type LogLine, startBridge } from '../crash/bridge.ts';
import { type BadNetwork, startProxy } from '../support/postgres/proxy.ts';
import { openDoor, type SlackDoor } from './slack-door.ts';

export interface Readiness {
  status: number;
  checks: { name: string; ok: boolean; state: string }[];
}

const ASKS_WITHIN_MS = 3_000;

/** One of the processes of a bridge, with networks of its own to the database and to Slack. */
export class Replica {
  readonly name: string;
  readonly port: number;
  readonly network: BadNetwork;
  readonly door: SlackDoor;
  readonly #folder = mkdtempSync(join(tmpdir(), 'replica-'));
  #bridge: Bridge | null = null;

  static async create(name: string, slackUrl: string, store: string): Promise<Replica> {
    return new Replica(name, await freePort(), await startProxy(store), await openDoor(slackUrl));
  }

  private constructor(name: string, port: number, network: BadNetwork, door: SlackDoor) {
    this.name = name;
    this.port = port;
    this.network = network;
    this.door = door;
  }

  async start(settings: Record<string, string>, onLine: (line: LogLine) => void): Promise<void> {
    const own = { PORT: String(this.port), STORE: this.network.uri, SLACK_API_URL: this.door.url };
    this.#bridge = await startBridge(this.#folder, { ...settings, ...own }, onLine);
  }

  get isRunning(): boolean {
    return this.#bridge !== null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#bridge?.signal(signal);
  }

  async kill(): Promise<void> {
    const bridge = this.#bridge;
    this.#bridge = null;
    await bridge?.kill();
  }

  /** SIGTERM. @returns the exit code; `null`: it had to be killed, or did not run */
  async stop(): Promise<number | null> {
    const bridge = this.#bridge;
    this.#bridge = null;
    return (await bridge?.stop()) ?? null;
  }

  /** `null`: no answer in time. */
  async readiness(): Promise<Readiness | null> {
    try {
      const signal = AbortSignal.timeout(ASKS_WITHIN_MS);
      const response = await fetch(`http://127.0.0.1:${this.port}/readyz`, { signal });
      const { checks } = (await response.json()) as Pick<Readiness, 'checks'>;
      return { status: response.status, checks };
    } catch {
      return null;
    }
  }

  async close(): Promise<number | null> {
    const code = this.isRunning ? await this.stop() : 0;
    await Promise.all([this.network.close(), this.door.close()]);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    return code;
  }
}
