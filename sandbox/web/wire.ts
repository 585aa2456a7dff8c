import type { SeenMessage } from '../slack/control/api.ts';
import type { Gauge } from '../slack/limits.ts';
import type { JsonObject } from '../slack/model.ts';

/** What the page and its server say to each other: `GET /_page/feed?user=…` tells {@link FeedEvent}s. */

export interface Person {
  id: string;
  name: string;
  real_name: string;
  kind: string;
}

export interface SceneInfo {
  id: string;
  title: string;
  about: string;
}

export interface FaultInfo {
  id: string;
  side: 'slack' | 'letta';
  title: string;
  about: string;
}

/** The first event of every connection, also after a lost one: the page then forgets what it knew. */
export interface Hello {
  type: 'hello';
  user: string;
  bot: string;
  people: Person[];
  commands: readonly string[];
  /** Names of the app's entries in the menu of messages. */
  shortcuts: readonly string[];
  /** Whether the app is declared as an agent (`--agent`). */
  isAgent: boolean;
  /** `yours`: a real one; its frames cannot be shown. */
  letta: 'scripted' | 'yours';
  scenes: SceneInfo[];
  faults: FaultInfo[];
}

/** Messages that are new or look different now, in the order of their `ts`; and those that are gone. */
export interface Messages {
  type: 'messages';
  channel: string;
  changed: SeenMessage[];
  removed: string[];
}

export interface ChannelInfo {
  id: string;
  name: string;
  kind: string;
  archived: boolean;
  /** Whether the app is in it, so that it hears what is said there. */
  hasBot: boolean;
}

export interface State {
  type: 'state';
  /** The acting person's channels; the direct message with the bot comes last. */
  channels: ChannelInfo[];
  bridge: 'up' | 'down' | 'changing';
  /** Sockets of the bridge to Slack that are open and alive. */
  sockets: number;
  /** Payloads of Slack that are not acked. */
  pending: number;
  statuses: { channel: string; thread_ts: string; status: string; loading_messages: string[] }[];
  sessions: { channel: string; thread_ts: string; status: string; title: string }[];
  limits: 'on' | 'off';
  gauges: Gauge[];
  ratelimited: Record<string, number>;
  /** Faults that wait for their call or frame, in words. */
  armed: string[];
  scene: {
    id: string;
    state: 'playing' | 'done' | 'failed' | 'ended';
    failures: string[];
    thread: ThreadPlace | null;
  } | null;
}

export interface ThreadPlace {
  channel: string;
  root: string;
}

export interface Views {
  type: 'views';
  /** The top one last. */
  modals: JsonObject[];
  home: JsonObject | null;
}

export interface TrafficLine {
  /** Unique on this connection; a line that comes again replaces the earlier one. */
  id: number;
  /** ms since 1970 */
  at: number;
  kind: 'call' | 'envelope' | 'frame';
  /** As the bridge sees it. */
  dir: 'out' | 'in';
  title: string;
  /** What tells it from others of its kind. */
  about: string;
  /** How it ended: `200`, `429`, `acked 12 ms`. */
  result: string;
  tone: 'plain' | 'good' | 'waits' | 'bad';
  /** JSON for people, cut at a bound. */
  detail: string;
}

export interface Traffic {
  type: 'traffic';
  lines: TrafficLine[];
  /** How many were too many to send. */
  skipped: number;
}

export type FeedEvent = Hello | Messages | State | Views | Traffic;
