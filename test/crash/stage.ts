import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parse } from 'yaml';
import { type SmallSlack, startSlack } from '../../sandbox/slack/server.ts';
import type { RealLetta } from '../support/letta/real-letta.ts';
import { type Bridge, type LogLine, startBridge, tail } from './bridge.ts';
import { Scene } from './scene.ts';

/** One workspace with one bridge and its store; several of them share a real Letta. */
export class Stage extends Scene {
  readonly slack: SmallSlack;
  readonly letta: RealLetta;
  readonly #folder: string;
  #bridge: Bridge | null = null;

  static async open(letta: RealLetta): Promise<Stage> {
    const { oauth_config, settings } = parse(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8'));
    const slack = await startSlack({
      scopes: oauth_config.scopes.bot,
      events: settings.event_subscriptions.bot_events,
      // Redeliver unacked envelopes soon, and for as long as a restart may take.
      retryDelaysMs: Array.from({ length: 80 }, () => 250),
      interactionRetryDelaysMs: [],
      pingIntervalMs: 2_000,
    });
    return new Stage(slack, letta);
  }

  private constructor(slack: SmallSlack, letta: RealLetta) {
    super();
    this.slack = slack;
    this.letta = letta;
    this.#folder = mkdtempSync(join(tmpdir(), 'crash-bridge-'));
  }

  get bridge(): Bridge {
    if (!this.#bridge) throw new Error('no bridge runs');
    return this.#bridge;
  }

  async startBridge(): Promise<void> {
    const { slack, letta } = this;
    const settings = {
      SLACK_API_URL: slack.url,
      SLACK_BOT_TOKEN: slack.tokens.bot,
      SLACK_APP_TOKEN: slack.tokens.app,
      SLACK_ALLOWED_USERS: 'members',
      SLACK_ALLOWED_CHANNELS: 'C01GEN,C02ENG,dm',
      STORE: 'sqlite://./data/bridge.db',
      ...letta.env,
    };
    this.#bridge = await startBridge(this.#folder, settings, () => this.lookAgain());
  }

  account() {
    return { url: this.slack.url, token: this.slack.tokens.bot };
  }

  lines(): readonly LogLine[] {
    return this.bridge.lines;
  }

  /** Sends a first message, which finds or creates the agent. */
  async warmUp(): Promise<void> {
    const { ts } = await this.slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent say: warm' });
    const answered = () =>
      this.slack.control
        .messages('C01GEN', { thread_ts: ts })
        .some((message) => message.bot_id !== null && JSON.stringify(message.blocks).includes('warm'));
    if (!(await this.waitUntil(answered, 30_000))) throw new Error(`no answer at all\n${tail(this.bridge.lines)}`);
  }

  activeRows(): string[] {
    const database = new DatabaseSync(join(this.#folder, 'data/bridge.db'), { readOnly: true, timeout: 2_000 });
    try {
      const rows = database.prepare("SELECT key FROM rows WHERE namespace = 'active'").all();
      return rows.map((row) => String(row.key));
    } finally {
      database.close();
    }
  }

  async close(): Promise<number | null> {
    const code = this.#bridge ? await this.#bridge.stop() : null;
    await this.slack.close();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    return code;
  }
}
