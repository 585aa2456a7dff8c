import type { LogEntry as Frame } from '../letta/frame-log.ts';
import type { Sandbox } from '../sandbox.ts';
import type { SeenMessage, SlackState } from '../slack/control/api.ts';
import type { EnvelopeEntry, LogEntry } from '../slack/log.ts';
import type { Stage } from './stage.ts';
import { callLine, envelopeLine, frameLine } from './traffic.ts';
import type { ChannelInfo, FeedEvent, Hello, State, TrafficLine } from './wire.ts';

/** Most messages of one conversation that a page shows. */
const LATEST_MESSAGES = 300;
/** Most lines that are sent at once; the rest of a burst is only counted. */
const LINES_AT_ONCE = 200;
const MAX_PENDING = 500;

/**
 * What one open page knows. It polls the sandbox, so that the doubles need no listeners, a slow page slows nothing
 * down, and a missed change comes with the next poll.
 */
export class Feed {
  readonly #sandbox: Sandbox;
  readonly #stage: Stage;
  readonly #user: string;
  /** By channel: message `ts` → how it looked. */
  readonly #known = new Map<string, Map<string, string>>();
  readonly #lastSent = new Map<'state' | 'views', string>();
  #lastEntry: LogEntry | undefined;
  #lastFrame: Frame | undefined;
  /** Envelopes without an outcome yet: the line's number, and the outcome that was sent. */
  readonly #pending = new Map<EnvelopeEntry, { id: number; outcome: string }>();
  #lines = 0;

  /** @param user the person whose eyes it is. */
  constructor(sandbox: Sandbox, stage: Stage, user: string) {
    this.#sandbox = sandbox;
    this.#stage = stage;
    this.#user = user;
  }

  makeHello(): Hello {
    const { users, bot, shortcuts } = this.#sandbox.slack.control.state();
    const people = users.map(({ id, name, real_name, kind }) => ({ id, name, real_name, kind }));
    const { scenes, faults } = this.#stage;
    const letta = this.#sandbox.letta ? 'scripted' : 'yours';
    return {
      type: 'hello',
      user: this.#user,
      bot,
      people,
      commands: ['/agent'],
      shortcuts,
      isAgent: this.#sandbox.isAgent,
      letta,
      scenes,
      faults,
    };
  }

  /** The changes since the last call; at first everything. */
  takeChanges(): FeedEvent[] {
    const { control } = this.#sandbox.slack;
    const slack = control.state();
    const state = this.#readState(slack);
    return [
      ...this.#unlessSame('state', state),
      ...state.channels.flatMap(({ id }) => this.#readMessages(id)),
      ...this.#unlessSame('views', { type: 'views', ...control.views(this.#user) }),
      ...this.#readTraffic(),
    ];
  }

  #unlessSame(key: 'state' | 'views', event: FeedEvent): FeedEvent[] {
    const text = JSON.stringify(event);
    if (this.#lastSent.get(key) === text) return [];
    this.#lastSent.set(key, text);
    return [event];
  }

  #readState(slack: SlackState): State {
    const mine = slack.channels.filter(({ members, kind }) => kind !== 'im' && members.includes(this.#user));
    const channels: ChannelInfo[] = mine.map(({ id, name, kind, archived, members }) => {
      return { id, name, kind, archived, hasBot: members.includes(slack.bot) };
    });
    channels.push({ id: `D${this.#user.slice(1)}`, name: '', kind: 'im', archived: false, hasBot: true });
    return {
      type: 'state',
      channels,
      bridge: this.#sandbox.bridge,
      sockets: slack.connections.filter(({ frozen }) => !frozen).length,
      pending: slack.pending,
      statuses: slack.statuses.map(({ channel, thread_ts, status, loading_messages }) => ({
        channel,
        thread_ts,
        status,
        loading_messages,
      })),
      sessions: slack.sessions,
      limits: slack.limits,
      gauges: slack.gauges.slice(0, 12),
      ratelimited: slack.ratelimited,
      armed: this.#stage.describeFaults(slack.faults),
      scene: this.#stage.scene,
    };
  }

  #readMessages(channel: string): FeedEvent[] {
    const first = !this.#known.has(channel);
    const known = this.#known.get(channel) ?? new Map<string, string>();
    const now = new Map<string, string>();
    const changed: SeenMessage[] = [];
    for (const message of this.#sandbox.slack.control.messages(channel, {
      user: this.#user,
      latest: LATEST_MESSAGES,
    })) {
      const look = lookOf(message);
      now.set(message.ts, look);
      if (known.get(message.ts) !== look) changed.push(message);
    }
    this.#known.set(channel, now);
    const removed = [...known.keys()].filter((ts) => !now.has(ts));
    return first || changed.length + removed.length > 0 ? [{ type: 'messages', channel, changed, removed }] : [];
  }

  #readTraffic(): FeedEvent[] {
    const lines: TrafficLine[] = [];
    for (const [entry, told] of this.#pending) {
      if (entry.outcome === told.outcome) continue;
      this.#pending.delete(entry);
      lines.push({ id: told.id, ...envelopeLine(entry) });
    }
    const entries = this.#sandbox.slack.control.log().filter(({ type }) => type !== 'download');
    const frames = this.#sandbox.letta?.log() ?? [];
    const newEntries = entries.slice(entries.lastIndexOf(this.#lastEntry as LogEntry) + 1);
    const newFrames = frames.slice(frames.lastIndexOf(this.#lastFrame as Frame) + 1);
    this.#lastEntry = entries.at(-1);
    this.#lastFrame = frames.at(-1);
    const all = [...newEntries, ...newFrames].sort((a, b) => a.at - b.at);
    for (const entry of all.slice(-LINES_AT_ONCE)) {
      this.#lines += 1;
      const id = this.#lines;
      if (!('type' in entry)) lines.push({ id, ...frameLine(entry) });
      else if (entry.type === 'call') lines.push({ id, ...callLine(entry) });
      else if (entry.type === 'envelope') {
        if (entry.outcome === 'pending' && this.#pending.size < MAX_PENDING) {
          this.#pending.set(entry, { id, outcome: entry.outcome });
        }
        lines.push({ id, ...envelopeLine(entry) });
      }
    }
    const skipped = Math.max(0, all.length - LINES_AT_ONCE);
    return lines.length > 0 ? [{ type: 'traffic', lines, skipped }] : [];
  }
}

/**
 * A short text that changes when the message looks different, because contents are too long to compare ten times a
 * second.
 */
function lookOf({ revisions, edited, deleted, reply_count, reactions, files, stream }: SeenMessage): string {
  const by = Object.entries(reactions).map(([name, users]) => `${name} ${users.join()}`);
  return [revisions, edited, deleted, stream, reply_count, files.length, ...by].join('|');
}
