import { type SlackAnswer, type SlackApi, SlackError } from '../../src/slack/api/slack-api.ts';
import { ACTION_IDS, parseMoreValue } from '../../src/slack/render/action-ids.ts';
import type { VirtualClock } from './clock.ts';
import type { Life } from './life.ts';
import type { Chance } from './random.ts';
import type { Story } from './story.ts';

type Json = Record<string, unknown>;

export const TEAM = 'T01SIM';
export const BOT = 'U0BOT';
/** Changes whatever schedule is left. */
export const ADMIN = 'U9ADM';
const BOT_ID = 'B0BOT';
/** Who the bridge is, as `auth.test` says. */
export const IDENTITY = { teamId: TEAM, botUserId: BOT, botId: BOT_ID, enterpriseId: null };

/** A message as Slack keeps it. */
export interface SlackMessage {
  channel: string;
  ts: string;
  /** The thread's root; `null` at top level. */
  thread: string | null;
  user: string;
  text: string;
  blocks: Json[];
  /** Of ours: which turn and part it shows. */
  metadata: { turn: string; part: string; live?: true; ends?: true } | null;
  /** Only this person sees it. */
  onlyFor: string | null;
  /** Of a native stream that was not ended: since when it grows (ms since 1970). */
  streamsSince?: number | undefined;
}

export interface Button {
  message: SlackMessage;
  actionId: string;
  token: string;
}

export interface SlackFaults {
  /** Chance of a 429. */
  limited: number;
  /** Chance that a call has no answer, half of the time after it was done. */
  lost: number;
  /** Chance that Slack refuses content that is fine. */
  refused: number;
  /** Chance that a call takes seconds. */
  slow: number;
  /** Chance that a channel, at a call, begins to take nothing of ours for a while. */
  closed: number;
}

/** Why Slack takes nothing: the token, the bot's place in the channel, the thread. */
const CLOSED_WORDS = [
  ...['invalid_auth', 'account_inactive', 'access_denied', 'not_in_channel', 'channel_not_found', 'is_archived'],
  ...['restricted_action', 'restricted_action_thread_locked', 'team_access_not_granted', 'no_permission'],
];

/** What we may do in 60 s, by method (docs/slack.md, Tiers). */
const LIMITS: Readonly<Record<string, number>> = {
  'chat.update': 50,
  'chat.delete': 50,
  'chat.startStream': 20,
  'chat.appendStream': 100,
  'chat.stopStream': 20,
  'chat.postEphemeral': 100,
  'assistant.threads.setStatus': 100,
  'conversations.replies': 50,
  'conversations.history': 50,
};
const MINUTE_MS = 60_000;
/** About one post a second and channel (docs/slack.md, Limits: rules). */
const CHANNEL_GAP_MS = 1_000;

/** Slack ends a stream so long after its start, and takes so many characters (docs/slack.md, Streaming: lifetime and size). */
const STREAM = { lifeMs: 5 * 60_000, most: 12_000 };

/** The calls of one process: a new process does not know those of the one before. */
interface Books {
  sent: Map<string, number[]>;
  posted: Map<string, number>;
  blocked: Map<string, number>;
}

/** Calls by which the bridge learns who may do what. */
const TELLS: ReadonlySet<string> = new Set(['users.info', 'conversations.info', 'usergroups.users.list']);

/** A workspace at the level of Web API calls: it keeps messages, and the limits. */
export class SimSlack {
  readonly messages: SlackMessage[] = [];
  /** Messages that one process posted and a later one deleted, as they were then. */
  readonly deleted: SlackMessage[] = [];
  readonly #postedBy = new WeakMap<SlackMessage, Life>();
  readonly people = new Map<string, Json>();
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #closing: Chance;
  readonly #story: Story;
  faults: SlackFaults = { limited: 0, lost: 0, refused: 0, slow: 0, closed: 0 };
  /** Channels that take nothing of ours until then, and Slack's word for it. */
  readonly #closed = new Map<string, { since: number; until: number; word: string }>();
  /** Called when a person has words of an answer that Slack refuses in its thread. */
  onCopied: () => void = () => undefined;
  /** Whether it answers every call within ms, as one on the same machine does. */
  isNear = false;
  /** Whole outages: every call fails until then. */
  awayUntil = 0;
  /** When (ms since 1970) Slack failed to say who somebody is or what a channel is. */
  readonly #untold: number[] = [];
  /** How many calls were made that people see something of. */
  shownCalls = 0;
  #lastTs = 0;

  constructor(clock: VirtualClock, chance: Chance, story: Story) {
    this.#clock = clock;
    this.#chance = chance;
    this.#closing = chance.forkStream('closed');
    this.#story = story;
  }

  /** A timestamp that no other message has. */
  nextTs(): string {
    this.#lastTs = Math.max(this.#lastTs + 1, this.#clock.now() * 1000);
    return `${Math.floor(this.#lastTs / 1_000_000)}.${String(this.#lastTs % 1_000_000).padStart(6, '0')}`;
  }

  addMessage(user: string, channel: string, thread: string | null, text: string): SlackMessage {
    const message: SlackMessage = {
      channel,
      ts: this.nextTs(),
      thread,
      user,
      text,
      blocks: [],
      metadata: null,
      onlyFor: null,
    };
    this.messages.push(message);
    return message;
  }

  /** Who reacted to a message with what. */
  readonly #reactions = new Map<string, Map<string, Set<string>>>();

  react(channel: string, ts: string, user: string, name: string, isThere: boolean): void {
    const of = this.#reactions.get(`${channel} ${ts}`) ?? new Map<string, Set<string>>();
    this.#reactions.set(`${channel} ${ts}`, of);
    const users = of.get(name) ?? new Set();
    of.set(name, users);
    if (isThere) users.add(user);
    else users.delete(user);
  }

  /** What everybody sees of a thread, in order; of a direct message's top level with `null`. */
  threadOf(channel: string, root: string | null): SlackMessage[] {
    return this.messages
      .filter((message) => message.channel === channel && message.onlyFor === null)
      .filter((message) => (root === null ? message.thread === null : message.ts === root || message.thread === root))
      .sort((a, b) => (a.ts < b.ts ? -1 : 1));
  }

  /** Every button that can be pressed now, and every choice of a card's menu, which is the same as a button. */
  listButtons(): Button[] {
    return this.messages.flatMap((message) =>
      message.blocks.flatMap((block) => {
        const elements = block.type === 'actions' && Array.isArray(block.elements) ? (block.elements as Json[]) : [];
        return elements.flatMap(pressable).map((pressed) => ({ message, ...pressed }));
      }),
    );
  }

  apiFor(life: Life): SlackApi {
    const books: Books = { sent: new Map(), posted: new Map(), blocked: new Map() };
    return { call: (method, args) => this.#call(life, books, method, args) };
  }

  #call(life: Life, books: Books, method: string, args: Json): Promise<SlackAnswer> {
    this.#judgeCall(life, books, method, args);
    const chance = this.#chance;
    const clock = this.#clock;
    const slow = chance.happens(this.faults.slow) ? chance.between(1_000, 9_000) : 0;
    // Sometimes faster than the real Slack, to find code that relies on slow answers.
    const most = chance.happens(0.3) || this.isNear ? 4 : 120;
    const [there, back] = [chance.between(1, most) + slow / 2, chance.between(1, most) + slow / 2];
    const luck = chance.next();
    const { limited, refused } = this.faults;
    // Streams are few, and the first failure turns them off for a while.
    const lost = this.faults.lost * (isStreamed(method) ? 4 : 1);
    const longest = isStreamed(method) ? 2_000 : 10_000;
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void, ms = back) => {
        clock.after(ms, () => life.enter(settle));
      };
      const fail = (error: SlackError, ms?: number) => {
        if (TELLS.has(method)) this.#untold.push(clock.now());
        answer(() => reject(error), ms);
      };
      const arrive = () => {
        if (clock.now() < this.awayUntil) return fail(new SlackError(method, 'unknown', 'ECONNREFUSED'));
        if (luck < limited) {
          const seconds = 1 + chance.intBelow(20);
          this.#story.addLine('slack', `limits ${method} for ${seconds} s`);
          if (TELLS.has(method)) this.#untold.push(clock.now());
          return answer(() => {
            books.blocked.set(method, clock.now() + seconds * 1000 * (1 - life.drift));
            reject(new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: seconds * 1000 }));
          });
        }
        const isText = (method === 'chat.postMessage' || method === 'chat.update') && !isCard(args);
        const word = this.#closedBy(method, args);
        if (word !== null) return fail(new SlackError(method, 'refused', word));
        if (luck < limited + refused && isText) {
          return fail(new SlackError(method, 'refused', 'invalid_blocks'));
        }
        if (luck < limited + refused && isStreamed(method)) {
          return fail(
            new SlackError(method, 'refused', chance.happens(0.5) ? 'streaming_mode_mismatch' : 'invalid_blocks'),
          );
        }
        const before = luck < limited + refused + lost / 2;
        const after = luck < limited + refused + lost;
        const reset = new SlackError(method, 'unknown', chance.happens(0.5) ? 'ECONNRESET' : 'http_503');
        if (before) {
          this.#story.addLine('slack', `${method} never arrived`);
          return fail(reset, chance.between(50, longest));
        }
        let result: Json;
        try {
          result = this.#carryOut(life, method, args);
        } catch (error) {
          if (error instanceof SlackError) return fail(error);
          throw error;
        }
        if (after) {
          this.#story.addLine('slack', `the answer of ${method} is lost`);
          return fail(reset, chance.between(50, longest));
        }
        return answer(() => resolve({ ok: true, ...result }));
      };
      // A request that was sent may arrive although the process ended, but soon.
      const atCrash = () => {
        left.cancel();
        if (chance.happens(0.5)) clock.after(Math.min(there, 300), arrive);
      };
      const left = clock.after(there, () => {
        life.offCut(atCrash);
        arrive();
      });
      life.onCut(atCrash);
    });
  }

  /** Whether the bridge could not learn, at some moment between these two (ms since 1970), who may do what. */
  leftUntold(from: number, to: number): boolean {
    return this.#untold.some((at) => from <= at && at <= to);
  }

  /** When the channel took nothing of ours last (ms since 1970). */
  closed(channel: string): { since: number; until: number } {
    return this.#closed.get(channel) ?? { since: 0, until: 0 };
  }

  /** From now on every channel takes what we send. */
  openChannels(): void {
    const now = this.#clock.now();
    for (const closed of this.#closed.values()) closed.until = Math.min(closed.until, now);
  }

  /** Refuses, once or for up to a minute, every call that people would see in the channel. */
  #closedBy(method: string, args: Json): string | null {
    if (!['chat.postMessage', 'chat.update', 'chat.delete'].includes(method) && !isStreamed(method)) return null;
    const { closed } = this.faults;
    const channel = String(args.channel);
    const known = this.#closed.get(channel);
    if (known && known.until > this.#clock.now()) return known.word;
    if (closed === 0 || !this.#closing.happens(closed)) return null;
    const word = CLOSED_WORDS[this.#closing.intBelow(CLOSED_WORDS.length)] ?? 'not_in_channel';
    return this.closeChannel(channel, this.#closing.between(0, 60_000), word);
  }

  /** From now on the channel takes nothing of ours for so long. @returns Slack's word for it */
  closeChannel(channel: string, ms: number, word = 'not_in_channel'): string {
    const now = this.#clock.now();
    this.#closed.set(channel, { since: now, until: now + ms, word });
    this.#story.addLine('slack', `takes nothing in ${channel}: ${word}`);
    return word;
  }

  /** Never before `Retry-After`, never over budget. */
  #judgeCall({ drift }: Life, books: Books, method: string, args: Json): void {
    if (method.startsWith('chat.')) this.shownCalls += 1;
    const now = this.#clock.now();
    if (now < (books.blocked.get(method) ?? 0)) this.#story.addViolation(`${method} was called before its Retry-After`);
    const recent = (books.sent.get(method) ?? []).filter((at) => now - at < MINUTE_MS * (1 - drift));
    books.sent.set(method, [...recent, now]);
    const limit = LIMITS[method];
    if (limit !== undefined && recent.length >= limit) this.#story.addViolation(`${method} was called over budget`);
    if (method !== 'chat.postMessage' && method !== 'chat.startStream') return;
    const channel = String(args.channel);
    const last = books.posted.get(channel);
    if (last !== undefined && now - last < CHANNEL_GAP_MS * (1 - drift))
      this.#story.addViolation(`${channel} got two posts in a second`);
    books.posted.set(channel, now);
  }

  #carryOut(life: Life, method: string, args: Json): Json {
    switch (method) {
      case 'chat.postMessage':
        return this.#post(life, args, null);
      case 'chat.postEphemeral':
        return this.#post(life, args, String(args.user));
      case 'chat.update':
        return this.#update(args);
      case 'chat.startStream':
        return this.#startStream(life, args);
      case 'chat.appendStream':
      case 'chat.stopStream':
        return this.#growStream(method, args);
      case 'chat.delete': {
        const message = this.#ownMessage(method, args);
        this.messages.splice(this.messages.indexOf(message), 1);
        if (this.#postedBy.get(message) !== life) this.deleted.push(message);
        this.#story.addLine('slack', `deletes ${placeText(message)}`);
        return {};
      }
      case 'assistant.threads.setStatus':
        return {};
      case 'conversations.replies':
      case 'conversations.history':
        return this.#list(method, args);
      case 'users.info': {
        const user = this.people.get(String(args.user));
        if (!user) throw new SlackError(method, 'refused', 'user_not_found');
        return { user };
      }
      case 'conversations.info': {
        const id = String(args.channel);
        return { channel: { id, name: `name-of-${id.toLowerCase()}`, is_im: id.startsWith('D') } };
      }
      default:
        throw new Error(`the simulated Slack does not know ${method}`);
    }
  }

  #post(life: Life, args: Json, onlyFor: string | null): Json {
    const payload = (args.metadata as { event_payload?: Json } | undefined)?.event_payload;
    const channel = String(args.channel);
    const message: SlackMessage = {
      // A post to a person goes to their direct message, whose id is in the answer.
      channel: isPerson(channel) ? directChannel(channel) : channel,
      ts: this.nextTs(),
      thread: typeof args.thread_ts === 'string' ? args.thread_ts : null,
      user: BOT,
      text: String(args.text ?? ''),
      blocks: (args.blocks as Json[] | undefined) ?? [],
      metadata: payload ? metadataOf(payload) : null,
      onlyFor,
    };
    this.messages.push(message);
    this.#postedBy.set(message, life);
    const { turn = '', part = '' } = message.metadata ?? {};
    if (turn.startsWith('copy-') && !part.startsWith('tell.')) this.onCopied();
    this.#story.addLine('slack', `${onlyFor ? `shows ${onlyFor}` : 'has'} ${placeText(message)} ${briefText(message)}`);
    return { channel: message.channel, ts: message.ts };
  }

  #startStream(life: Life, args: Json): Json {
    if (!String(args.channel).startsWith('D'))
      throw new SlackError('chat.startStream', 'refused', 'missing_recipient_user_id');
    if (typeof args.thread_ts !== 'string') throw new SlackError('chat.startStream', 'refused', 'invalid_thread_ts');
    const said = String(args.markdown_text ?? '');
    const content = { text: said, blocks: [{ type: 'markdown', text: said }] };
    const { ts, channel } = this.#post(life, { ...args, ...content }, null);
    const message = this.messages.find((known) => known.ts === ts);
    if (message) message.streamsSince = this.#clock.now();
    return { ts, channel };
  }

  #growStream(method: string, args: Json): Json {
    const message = this.#ownMessage(method, args);
    const { streamsSince } = message;
    const isOver = streamsSince === undefined || this.#clock.now() - streamsSince >= STREAM.lifeMs;
    // Slack had ended it by itself; whoever is told so has nothing left to end.
    if (isOver) delete message.streamsSince;
    if (isOver) throw new SlackError(method, 'refused', 'message_not_in_streaming_state');
    const said = message.text + String(args.markdown_text ?? '');
    if (said.length > STREAM.most) throw new SlackError(method, 'refused', 'msg_too_long');
    message.text = said;
    message.blocks = [{ type: 'markdown', text: said }, ...((args.blocks as Json[] | undefined) ?? [])];
    if (method === 'chat.stopStream') delete message.streamsSince;
    const payload = (args.metadata as { event_payload?: Json } | undefined)?.event_payload;
    if (payload) message.metadata = metadataOf(payload);
    this.#story.addLine(
      'slack',
      `${method === 'chat.stopStream' ? 'ends' : 'grows'} ${placeText(message)} ${briefText(message)}`,
    );
    return { channel: message.channel, ts: message.ts };
  }

  #update(args: Json): Json {
    const message = this.#ownMessage('chat.update', args);
    const { streamsSince } = message;
    if (streamsSince !== undefined && this.#clock.now() - streamsSince < STREAM.lifeMs)
      throw new SlackError('chat.update', 'refused', 'streaming_state_conflict');
    delete message.streamsSince;
    message.text = String(args.text ?? '');
    message.blocks = (args.blocks as Json[] | undefined) ?? message.blocks;
    const payload = (args.metadata as { event_payload?: Json } | undefined)?.event_payload;
    if (payload) message.metadata = metadataOf(payload);
    this.#story.addLine('slack', `edits ${placeText(message)} ${briefText(message)}`);
    return { channel: message.channel, ts: message.ts };
  }

  #ownMessage(method: string, args: Json): SlackMessage {
    const found = this.messages.find((message) => message.channel === args.channel && message.ts === args.ts);
    if (!found || found.onlyFor !== null) throw new SlackError(method, 'refused', 'message_not_found');
    if (found.user !== BOT) throw new SlackError(method, 'refused', 'cant_update_message');
    return found;
  }

  #list(method: string, args: Json): Json {
    const channel = String(args.channel);
    if (isPerson(channel)) throw new SlackError(method, 'refused', 'channel_not_found');
    const root = method === 'conversations.replies' ? String(args.ts) : null;
    const oldest = typeof args.oldest === 'string' ? args.oldest : '0';
    // The cursor is a time, so deletions between two pages do not shift the next page.
    const cursor = typeof args.cursor === 'string' ? args.cursor : null;
    const isBehind = ({ ts }: SlackMessage) => cursor === null || (root === null ? ts < cursor : ts > cursor);
    const isIn = ({ ts }: SlackMessage) => ts > oldest || (args.inclusive === true && ts === oldest);
    const all = this.threadOf(channel, root).filter((message) => isIn(message) && isBehind(message));
    if (root === null) all.reverse();
    const limit = this.#chance.happens(0.3) ? 3 : Number(args.limit ?? 100);
    const page = all.slice(0, limit);
    const parent = root === null ? [] : this.threadOf(channel, root).slice(0, 1);
    const messages = [...parent.filter((message) => !page.includes(message)), ...page].map((message) => ({
      type: 'message',
      ts: message.ts,
      user: message.user,
      text: message.text,
      ...(message.user === BOT ? { bot_id: BOT_ID } : {}),
      ...this.#threadFields(message),
      ...this.#reactionsOf(message),
      ...(message.metadata && args.include_all_metadata === true
        ? { metadata: { event_type: 'letta_bridge_post', event_payload: message.metadata } }
        : {}),
    }));
    const more = page.length < all.length;
    return {
      messages,
      has_more: more,
      ...(more ? { response_metadata: { next_cursor: page.at(-1)?.ts } } : {}),
    };
  }

  #reactionsOf({ channel, ts }: SlackMessage): Json {
    const found = [...(this.#reactions.get(`${channel} ${ts}`) ?? [])].filter(([, users]) => users.size > 0);
    if (found.length === 0) return {};
    return { reactions: found.map(([name, users]) => ({ name, users: [...users], count: users.size })) };
  }

  /** A root names its thread as soon as it has one (docs/slack.md, Which messages to handle). */
  #threadFields({ channel, ts, thread }: SlackMessage): Json {
    if (thread !== null) return { thread_ts: thread };
    const latest = this.messages.findLast((other) => other.channel === channel && other.thread === ts);
    return latest ? { thread_ts: ts, latest_reply: latest.ts } : {};
  }
}

const isStreamed = (method: string) => method.endsWith('Stream');

const isPerson = (channel: string) => channel.startsWith('U');

/** The direct message with this person. */
function directChannel(user: string): string {
  return `D${user.slice(1)}`;
}

/** Whether the call shows a card. Cards are never refused here, because they have no simpler form with buttons. */
function isCard(args: Json): boolean {
  return /"bridge_(approve|answer)/.test(JSON.stringify(args.blocks ?? []));
}

/** All that can be read of a message, its fallback text left out where there are blocks. */
export function visibleText({ blocks, text }: Pick<SlackMessage, 'blocks' | 'text'>): string {
  if (blocks.length === 0) return text;
  // An edit brings other blocks; these stay what they are.
  let shown = shownBy.get(blocks);
  if (shown === undefined) {
    shown = blocks.map(textOf).join('\n');
    shownBy.set(blocks, shown);
  }
  return shown;
}

const shownBy = new WeakMap<object, string>();

function textOf(value: unknown): string {
  if (typeof value === 'string') return '';
  if (Array.isArray(value)) return value.map(textOf).join(' ');
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, member]) => {
      if (name === 'text' && typeof member === 'string') return member;
      if (name === 'user_id' && typeof member === 'string') return `<@${member}>`;
      return name === 'accessibility_label' ? '' : textOf(member);
    })
    .join(' ');
}

function placeText({ channel, thread, ts, metadata }: SlackMessage): string {
  return `${channel}/${thread ?? 'top'}/${ts}${metadata ? ` (${metadata.turn} ${metadata.part})` : ''}`;
}

function briefText(message: SlackMessage): string {
  const text = visibleText(message).replace(/\s+/g, ' ').trim();
  return JSON.stringify(text.length > 160 ? `${text.slice(0, 90)} … ${text.slice(-60)}` : text);
}

function metadataOf({ turn, part, live, ends }: Json): NonNullable<SlackMessage['metadata']> {
  return { turn: String(turn), part: String(part), ...(live === true && { live }), ...(ends === true && { ends }) };
}

function pressable({ type, action_id, value, options }: Json): { actionId: string; token: string }[] {
  if (type !== 'overflow') return [{ actionId: String(action_id), token: String(value) }];
  const chosen = (options as { value: string }[]).flatMap((option) => parseMoreValue(option.value) ?? []);
  return chosen.map(({ name, token }) => ({ actionId: ACTION_IDS[name], token }));
}
