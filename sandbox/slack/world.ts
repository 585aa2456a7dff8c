import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BoundedMap } from '../bounded-map.ts';
import type { Deliveries } from './delivery.ts';
import type { Faults } from './faults.ts';
import type { Limits } from './limits.ts';
import type { CallEntry, Log } from './log.ts';
import type { JsonObject, Shortcut } from './model.ts';
import type { SocketMode } from './socket-mode.ts';
import type { Workspace } from './state.ts';
import type { Grant, Tokens } from './tokens.ts';
import type { Triggers } from './triggers.ts';

/** A code that Slack put into a redirect: it is good for one exchange. */
export interface Code {
  grant: Grant;
  redirectUri: string | null;
  at: number;
  isUsed: boolean;
}

/** One app at Slack, with the workspaces where it can be installed. */
export interface SlackApp {
  readonly clientId: string;
  readonly clientSecret: string;
  /** App-level. */
  readonly appToken: string;
  /** Slack redirects to these, and to what lies below them. */
  readonly redirectUrls: readonly string[];
  /** Whether an organisation can install it for all of its workspaces (`org_deploy_enabled`). */
  readonly isOrgWide: boolean;
  readonly tokens: Tokens;
  readonly codes: BoundedMap<string, Code>;
  /** By team. */
  readonly worlds: ReadonlyMap<string, World>;
}

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
  /** The app, with all workspaces of this Slack. */
  readonly app: SlackApp;
  /**
   * As whose installation the app is in this workspace: its own (`T…`), or the organisation's (`E…`); `null`: not
   * installed.
   */
  installedAs: string | null;
  /** That the installation has here. */
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
  readonly origin: string;
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
  serveUrl(world: World, request: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
}

export interface ResponseTarget {
  kind: 'actions' | 'commands';
  channel: string;
  user: string;
  /** The message the click came from. */
  messageTs?: string;
  threadTs?: string;
}
