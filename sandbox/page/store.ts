import type { SeenMessage } from '../slack/control/api.ts';
import type { FeedEvent, Hello, Messages, State, TrafficLine, Views } from '../web/wire.ts';

export interface Place {
  channel: string;
  /** Of the direct message with the bot; channels have only messages. */
  tab: 'messages' | 'home';
  /** `ts` of the root of the thread that is open beside. */
  thread: string | null;
}

export interface PageState {
  /** Whether the feed is connected. */
  isLive: boolean;
  user: string;
  hello: Hello | null;
  state: State | null;
  /** By channel, oldest first. */
  messages: Readonly<Record<string, readonly SeenMessage[]>>;
  views: Views;
  /** Newest last. */
  traffic: readonly TrafficLine[];
  /** Lines of traffic that were not sent or fell out. */
  skipped: number;
  place: Place;
  /** By person and conversation (see {@link readKey}): the newest `ts` that was seen. */
  read: Readonly<Record<string, string>>;
  /** A suggested text for the composer in use; `number` distinguishes it from the next one. */
  draft: { text: string; number: number };
  /** Whether the page still suggests what to try. */
  isWelcome: boolean;
  /** The last thing that went wrong, for people. */
  problem: string | null;
}

export type Act =
  | { do: 'feed'; event: FeedEvent }
  | { do: 'lost' }
  | { do: 'act-as'; user: string }
  | { do: 'go'; place: Partial<Place> }
  | { do: 'draft'; text: string }
  | { do: 'close-welcome' }
  | { do: 'problem'; problem: string | null };

const MAX_TRAFFIC = 1_000;
const NO_VIEWS: Views = { type: 'views', modals: [], home: null };

export function initialState(user: string): PageState {
  return {
    isLive: false,
    user,
    hello: null,
    state: null,
    messages: {},
    views: NO_VIEWS,
    traffic: [],
    skipped: 0,
    place: { channel: 'C01GEN', tab: 'messages', thread: null },
    read: {},
    draft: { text: '', number: 0 },
    isWelcome: true,
    problem: null,
  };
}

/** What the page shows after something happened. */
export function reduceState(state: PageState, act: Act): PageState {
  switch (act.do) {
    case 'feed':
      return markVisibleRead(applyEvent(state, act.event));
    case 'lost':
      return { ...state, isLive: false };
    case 'act-as': {
      const channel = state.place.channel.startsWith('D') ? `D${act.user.slice(1)}` : state.place.channel;
      const { read, isWelcome } = state;
      return { ...initialState(act.user), read, isWelcome, place: { ...state.place, channel } };
    }
    case 'go': {
      const moved = act.place.channel !== undefined && act.place.channel !== state.place.channel;
      const place = { ...state.place, ...(moved && { thread: null, tab: 'messages' as const }), ...act.place };
      return markVisibleRead({ ...state, place });
    }
    case 'draft':
      return { ...state, draft: { text: act.text, number: state.draft.number + 1 } };
    case 'close-welcome':
      return { ...state, isWelcome: false };
    case 'problem':
      return { ...state, problem: act.problem };
    default:
      return act satisfies never;
  }
}

function applyEvent(state: PageState, event: FeedEvent): PageState {
  switch (event.type) {
    case 'hello':
      return { ...state, isLive: true, hello: event, messages: {}, traffic: [], skipped: 0, views: NO_VIEWS };
    case 'state':
      return { ...state, state: event, place: placeIn(state.place, event) };
    case 'views':
      return { ...state, views: event };
    case 'messages':
      return withMessages(state, event);
    case 'traffic': {
      const known = new Map(state.traffic.map((line) => [line.id, line]));
      for (const line of event.lines) known.set(line.id, line);
      const all = [...known.values()];
      const dropped = Math.max(0, all.length - MAX_TRAFFIC);
      return { ...state, traffic: all.slice(dropped), skipped: state.skipped + event.skipped + dropped };
    }
    default:
      return event satisfies never;
  }
}

/** Moves to the person's first channel if they are not in the present one. */
function placeIn(place: Place, { channels }: State): Place {
  if (channels.some(({ id }) => id === place.channel)) return place;
  return { channel: channels[0]?.id ?? place.channel, tab: 'messages', thread: null };
}

function withMessages(state: PageState, { channel, changed, removed }: Messages): PageState {
  const before = state.messages[channel];
  const byTs = new Map((before ?? []).map((message) => [message.ts, message]));
  for (const ts of removed) byTs.delete(ts);
  for (const message of changed) byTs.set(message.ts, message);
  const list = [...byTs.values()].sort((a, b) => (a.ts < b.ts ? -1 : 1));
  const next = { ...state, messages: { ...state.messages, [channel]: list } };
  // Messages from before the page was opened count as read.
  return before || readKey(state.user, channel) in state.read ? next : markAllRead(next, channel, list);
}

function markAllRead(state: PageState, channel: string, list: readonly SeenMessage[]): PageState {
  const read = { ...state.read, [readKey(state.user, channel)]: list.at(-1)?.ts ?? '' };
  for (const { thread_ts, ts } of list) if (thread_ts !== null) read[readKey(state.user, channel, thread_ts)] = ts;
  return { ...state, read };
}

function readKey(user: string, channel: string, thread?: string): string {
  return thread === undefined ? `${user} ${channel}` : `${user} ${channel} ${thread}`;
}

/** Marks what is on the screen as read. */
function markVisibleRead(state: PageState): PageState {
  const { channel, tab, thread } = state.place;
  if (tab !== 'messages') return state;
  const list = state.messages[channel] ?? [];
  const top = list.findLast(({ thread_ts }) => thread_ts === null)?.ts;
  const reply = thread === null ? undefined : list.findLast(({ thread_ts }) => thread_ts === thread)?.ts;
  const changes: Record<string, string> = {};
  const note = (key: string, ts: string | undefined) => {
    if (ts !== undefined && ts > (state.read[key] ?? '')) changes[key] = ts;
  };
  note(readKey(state.user, channel), top);
  if (thread !== null) note(readKey(state.user, channel, thread), reply);
  return Object.keys(changes).length > 0 ? { ...state, read: { ...state.read, ...changes } } : state;
}

/** Whether a thread concerns the person: they wrote in it, began it, or are named in it. */
function takesPart(messages: readonly SeenMessage[], user: string): boolean {
  return messages.some((message) => message.user === user || message.pings.includes(user));
}

export function messagesOfThread(messages: readonly SeenMessage[], root: string): SeenMessage[] {
  return messages.filter(({ ts, thread_ts }) => ts === root || thread_ts === root);
}

/** Whether somebody else replied there since the person last looked. */
export function isThreadUnread(state: PageState, channel: string, root: string): boolean {
  const messages = messagesOfThread(state.messages[channel] ?? [], root);
  const read = state.read[readKey(state.user, channel, root)] ?? '';
  const news = messages.some(({ ts, thread_ts, user }) => thread_ts !== null && ts > read && user !== state.user);
  return news && takesPart(messages, state.user);
}

/** Whether a conversation shows as unread, and how often the person was named in what is unread. */
export function countUnread(state: PageState, channel: string): { unread: boolean; mentions: number } {
  const list = state.messages[channel] ?? [];
  const read = state.read[readKey(state.user, channel)] ?? '';
  const isNews = (message: SeenMessage): boolean => {
    if (message.user === state.user) return false;
    if (message.thread_ts === null) return message.ts > read;
    return message.ts > (state.read[readKey(state.user, channel, message.thread_ts)] ?? '');
  };
  const news = list.filter(isNews);
  const mine = news.filter(({ pings, channel: id }) => pings.includes(state.user) || id.startsWith('D'));
  return { unread: news.some(({ thread_ts }) => thread_ts === null) || mine.length > 0, mentions: mine.length };
}
