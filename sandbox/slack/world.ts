import type { Deliveries } from './delivery.ts';
import type { Faults } from './faults.ts';
import type { Limits } from './limits.ts';
import type { CallEntry, Log } from './log.ts';
import type { JsonObject, Shortcut } from './model.ts';
import type { SocketMode } from './socket-mode.ts';
import type { Workspace } from './state.ts';
import type { Triggers } from './triggers.ts';

/** What the parts of the small Slack share. */
export interface World {
  readonly workspace: Workspace;
  readonly limits: Limits;
  readonly faults: Faults;
  readonly log: Log;
  readonly triggers: Triggers;
  readonly responseUrls: ResponseUrls;
  readonly deliveries: Deliveries;
  readonly socketMode: SocketMode;
  readonly tokens: { bot: string; app: string };
  readonly scopes: Set<string>;
  /** Whether the app is declared as an agent (docs/slack.md, Agent apps). */
  readonly isAgent: boolean;
  readonly commands: readonly string[];
  readonly shortcuts: readonly Shortcut[];
  /** ms that a call spends on its way, half of it there and half of it back. */
  readonly latencyMs: number;
  readonly onCall: ((call: CallEntry) => void) | undefined;
  /** After `tokens_revoked`: the error of every call. */
  revoked: string | null;
  /** `http://127.0.0.1:PORT` */
  origin: string;
  now(): number;
  /** 0 ≤ n < 1 */
  random(): number;
  /** Sends an Events API event if the app may see it; `channel` names the conversation it happened in. */
  emitEvent(event: JsonObject, channel?: string): void;
  /** Runs after `ms` of real time unless the server was closed before. */
  runAfter(ms: number, run: () => void): void;
}

export interface ResponseUrls {
  makeUrl(target: ResponseTarget): string;
}

export interface ResponseTarget {
  kind: 'actions' | 'commands';
  channel: string;
  user: string;
  /** The message the click came from. */
  messageTs?: string;
  threadTs?: string;
}
