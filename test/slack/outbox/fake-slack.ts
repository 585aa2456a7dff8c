import { compareTs } from '../../../src/bridge/ids.ts';
import type { Clock } from '../../../src/bridge/ports.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';

export interface FakeMessage {
  channel: string;
  ts: string;
  thread: string | null;
  text: string;
  blocks: { text?: string }[];
  metadata: unknown;
  files?: { id: string; title: string; content: string }[];
  /** Of a native stream: when it began, and whether it goes on. */
  stream?: { beganAt: number; isOpen: boolean };
}

export interface FakeCall {
  method: string;
  args: Record<string, unknown>;
  client: string;
  /** When it was made. */
  at: number;
  answeredAt: number | null;
  /** `ok`, or the error that the caller got. */
  outcome: string;
}

/**
 * What goes wrong with one call. `before`, `after`: no answer, before or after the call had its effect. `silent`: it had
 * its effect, and the caller waits for the answer so long, in vain.
 */
export type Fault =
  | { kind: 'limited'; retryAfterMs: number | null }
  | { kind: 'refused'; error: string }
  | { kind: 'silent'; ms: number }
  | { kind: 'before' | 'after' };

export interface FakeSlack extends SlackApi {
  readonly calls: FakeCall[];
  /** Broken rules: calls that a real Slack would limit, or that readers would see as wrong. */
  readonly complaints: string[];
  /** Decides for each call what goes wrong; `null`: nothing. */
  fault: (method: string, args: Record<string, unknown>) => Fault | null;
  latency: (method: string) => number;
  callsOf(method: string): FakeCall[];
  /** What the messages of a thread show, in reading order. */
  shown(channel: string, thread: string | null): string[];
  messages(channel: string, thread: string | null): FakeMessage[];
  deleteMessage(channel: string, ts: string): void;
  /** Deletes the root of a thread; without a reply the thread is gone (docs/slack.md, Learned since). */
  deleteRoot(channel: string, thread: string): void;
  /** The upload step; throws where Slack would refuse. */
  upload(url: string, bytes: Uint8Array): Promise<void>;
  /** ms from the answer that completes an upload to the message that shares the file. */
  shareDelayMs: number;
  /** Adds a message that was not posted through this API object. */
  addMessage(message: Omit<FakeMessage, 'ts'>): string;
  status(channel: string, thread: string): string;
  /** Every state that a session was in, in order. */
  sessionStates(channel: string, thread: string): string[];
  /** Whether the app is declared as an agent. */
  isAgent: boolean;
}

/** A post to a person goes to their direct message, whose channel only the answer tells. */
const directChannel = (channel: string) => channel.replace(/^[UW]/, 'D');

const WINDOW = 60_000;
const LIMITS: Record<string, number> = {
  'chat.update': 50,
  'chat.delete': 50,
  'chat.startStream': 20,
  'chat.appendStream': 100,
  'chat.stopStream': 20,
  'conversations.replies': 50,
};
/** Slack ends a native stream so long after its start, and takes so many characters (docs/slack.md, Streaming: lifetime and size). */
const STREAM = { lifeMs: 300_000, most: 12_000 };
/** The user id of our bot. */
export const BOT_USER = 'U0BOT';

/** A small Slack that keeps messages, enforces limits and answers after `latency`. */
export function createFakeSlack(clock: Clock): FakeSlack {
  /** Slack's own clock, which does not change when a test sets ours. */
  const offset = clock.now() - clock.monotonic();
  const slackNow = () => offset + clock.monotonic();
  const calls: FakeCall[] = [];
  const complaints: string[] = [];
  const store: FakeMessage[] = [];
  const blocked = new Map<string, number>();
  const statuses = new Map<string, string>();
  const sessions = new Map<string, string[]>();
  const inFlight = new Set<string>();
  const rootless = new Set<string>();
  const uploads = new Map<string, { name: string; length: number; content: string | null }>();
  let serial = 0;

  const nextTs = () => {
    serial += 1;
    return `${Math.floor(slackNow() / 1000)}.${String(serial).padStart(6, '0')}`;
  };
  const sleep = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
  const find = (args: Record<string, unknown>) =>
    store.find((message) => message.channel === args.channel && message.ts === args.ts);

  const isStreaming = ({ stream }: FakeMessage) =>
    stream?.isOpen === true && slackNow() - stream.beganAt < STREAM.lifeMs;

  function checkRules(method: string, args: Record<string, unknown>) {
    const now = slackNow();
    if (now < (blocked.get(method) ?? 0)) complaints.push(`${method} before its Retry-After`);
    const limit = LIMITS[method];
    const same = calls.filter((call) => call.method === method && (call.answeredAt ?? now) > now - WINDOW);
    if (limit !== undefined && same.length >= limit) complaints.push(`${method} over ${limit} in 60 s`);
    if (method === 'chat.postMessage') {
      const last = same
        .filter((call) => directChannel(String(call.args.channel)) === directChannel(String(args.channel)))
        .at(-1);
      if (last && now - last.at < 1000) complaints.push('two posts in a channel within 1 s');
    }
    if (method === 'chat.update' && String(args.text).length > 4000) complaints.push('edit with more than 4,000');
    const key = `${args.channel} ${args.ts}`;
    if (['chat.update', 'chat.delete', 'chat.appendStream', 'chat.stopStream'].includes(method)) {
      if (inFlight.has(key)) complaints.push('two calls in flight for one message');
    }
    if (method === 'chat.update') {
      const live = same.filter((call) => call.client === 'live');
      if (args.client === 'live' && live.length >= 48) complaints.push('more than 48 live edits in 60 s');
    }
    return key;
  }

  function applyCall(method: string, args: Record<string, unknown>): Record<string, unknown> {
    const refuse = (error: string): never => {
      throw new SlackError(method, 'refused', error);
    };
    const blocks = (args.blocks ?? []) as { text?: string }[];
    const text = String(args.text ?? '');
    if (method === 'chat.postMessage') {
      const wanted = (args.thread_ts as string | undefined) ?? null;
      const thread = wanted !== null && rootless.has(`${args.channel} ${wanted}`) ? null : wanted;
      const ts = nextTs();
      const channel = directChannel(String(args.channel));
      store.push({ channel, ts, thread, text, blocks, metadata: args.metadata });
      if (thread !== null) statuses.delete(`${args.channel} ${thread}`);
      return { channel, ts, message: { ts, text, blocks, ...(thread !== null && { thread_ts: thread }) } };
    }
    if (method === 'chat.update' || method === 'chat.delete') {
      const message = find(args);
      if (!message) refuse('message_not_found');
      else if (method === 'chat.update' && isStreaming(message)) refuse('streaming_state_conflict');
      else if (method === 'chat.delete') store.splice(store.indexOf(message), 1);
      else Object.assign(message, { text, blocks, metadata: args.metadata ?? message.metadata });
      return { ts: args.ts };
    }
    if (method === 'chat.startStream') {
      const channel = String(args.channel);
      const thread = (args.thread_ts as string | undefined) ?? null;
      const said = String(args.markdown_text);
      if (thread === null || rootless.has(`${channel} ${thread}`)) refuse('invalid_thread_ts');
      if (!channel.startsWith('D')) refuse('missing_recipient_user_id');
      const ts = nextTs();
      const stream = { beganAt: slackNow(), isOpen: true };
      store.push({ channel, ts, thread, text: said, blocks: [{ text: said }], metadata: undefined, stream });
      statuses.delete(`${channel} ${thread}`);
      return { channel, ts };
    }
    if (method === 'chat.appendStream' || method === 'chat.stopStream') {
      const message = find(args);
      const stream = message?.stream;
      if (!message) return refuse('message_not_found');
      if (!stream?.isOpen || slackNow() - stream.beganAt >= STREAM.lifeMs)
        return refuse('message_not_in_streaming_state');
      const more = String(args.markdown_text ?? '');
      const said = (message.blocks[0]?.text ?? '') + more;
      if (said.length > STREAM.most) refuse('msg_too_long');
      if (method === 'chat.appendStream' && more === '') refuse('no_text');
      const below = method === 'chat.stopStream' ? blocks : [];
      Object.assign(message, { text: said, blocks: [{ text: said }, ...below] });
      if (method === 'chat.stopStream') {
        stream.isOpen = false;
        message.metadata = args.metadata ?? message.metadata;
      }
      return { channel: message.channel, ts: message.ts };
    }
    if (method === 'assistant.threads.setStatus') {
      statuses.set(`${args.channel_id} ${args.thread_ts}`, String(args.status));
      return {};
    }
    if (method === 'agents.sessions.setStatus') {
      if (!slack.isAgent) refuse('not_authorized');
      const key = `${args.channel_id} ${args.thread_ts}`;
      sessions.set(key, [...(sessions.get(key) ?? []), String(args.status)]);
      return {};
    }
    if (method === 'conversations.replies' || method === 'conversations.history') {
      if (directChannel(String(args.channel)) !== args.channel) refuse('channel_not_found');
      const thread = method === 'conversations.replies' ? args.ts : null;
      if (rootless.has(`${args.channel} ${thread}`)) refuse('thread_not_found');
      const messages = store.filter(
        (message) =>
          message.channel === args.channel &&
          message.thread === thread &&
          compareTs(message.ts, String(args.oldest)) > 0,
      );
      if (method === 'conversations.history') messages.reverse();
      const user = BOT_USER;
      const shown = messages.map(({ stream: _, ...message }) => ({ ...message, user }));
      if (!args.include_all_metadata) return { messages: shown.map(({ metadata: _, ...rest }) => rest) };
      const from = Number(args.cursor ?? 0);
      const next = from + Number(args.limit);
      const next_cursor = next < messages.length ? String(next) : '';
      return { messages: shown.slice(from, next), response_metadata: { next_cursor } };
    }
    if (method === 'files.getUploadURLExternal') {
      serial += 1;
      const id = `F0${serial}`;
      uploads.set(id, { name: String(args.filename), length: Number(args.length), content: null });
      return { upload_url: `https://files.slack.com/upload/v1/${id}`, file_id: id };
    }
    if (method === 'files.completeUploadExternal') {
      const files = (args.files as { id: string; title: string }[]).map(({ id, title }) => {
        const content = uploads.get(id)?.content;
        if (content === undefined || content === null) return refuse('file_not_found');
        uploads.delete(id);
        return { id, title, content };
      });
      const share = { channel: String(args.channel_id), thread: (args.thread_ts as string | undefined) ?? null };
      // Slack shares the files after it has answered (docs/slack.md, Files).
      clock.after(
        slack.shareDelayMs,
        () => void slack.addMessage({ ...share, text: '', blocks: [], metadata: undefined, files }),
      );
      return { files: files.map(({ id, title }) => ({ id, title })) };
    }
    if (method === 'chat.postEphemeral') return { message_ts: nextTs() };
    throw new Error(`the fake Slack knows no ${method}`);
  }

  const slack: FakeSlack = {
    calls,
    complaints,
    isAgent: false,
    sessionStates: (channel, thread) => sessions.get(`${channel} ${thread}`) ?? [],
    fault: () => null,
    latency: () => 100,
    shareDelayMs: 50,
    async upload(url, bytes) {
      const upload = uploads.get(url.split('/').at(-1) ?? '');
      await sleep(100);
      if (!upload || upload.length !== bytes.length) throw new SlackError('upload_url', 'refused', 'http_400');
      upload.content = new TextDecoder().decode(bytes);
    },
    async call(method, args, { client }) {
      const key = checkRules(method, { ...args, client });
      const call: FakeCall = { method, args, client, at: slackNow(), answeredAt: null, outcome: 'no answer yet' };
      calls.push(call);
      inFlight.add(key);
      try {
        const latency = slack.latency(method);
        await sleep(latency / 2);
        const fault = slack.fault(method, args);
        if (fault?.kind === 'limited') {
          blocked.set(method, slackNow() + (fault.retryAfterMs ?? 0));
          throw new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: fault.retryAfterMs });
        }
        if (fault?.kind === 'refused') throw new SlackError(method, 'refused', fault.error);
        if (fault?.kind === 'before') throw new SlackError(method, 'unknown', 'ECONNRESET');
        const answer = applyCall(method, args);
        if (fault?.kind === 'silent') await sleep(fault.ms);
        if (fault?.kind === 'silent') throw new SlackError(method, 'unknown', 'timeout');
        if (fault?.kind === 'after') throw new SlackError(method, 'unknown', 'ECONNRESET');
        await sleep(latency / 2);
        call.outcome = 'ok';
        return { ok: true, ...answer } as SlackAnswer;
      } catch (error) {
        if (error instanceof SlackError) call.outcome = error.error;
        throw error;
      } finally {
        call.answeredAt = slackNow();
        inFlight.delete(key);
      }
    },
    callsOf: (method) => calls.filter((call) => call.method === method),
    messages: (channel, thread) =>
      store
        .filter((message) => message.channel === directChannel(channel) && message.thread === thread)
        .sort((a, b) => compareTs(a.ts, b.ts)),
    shown: (channel, thread) =>
      slack
        .messages(channel, thread)
        .map(({ blocks, text }) =>
          blocks.length > 0 ? blocks.map((block) => block.text ?? '').join('') : `text:${text}`,
        ),
    deleteMessage(channel, ts) {
      const message = find({ channel, ts });
      if (message) store.splice(store.indexOf(message), 1);
    },
    deleteRoot(channel, thread) {
      if (slack.messages(channel, thread).length === 0) rootless.add(`${channel} ${thread}`);
    },
    addMessage(message) {
      const ts = nextTs();
      store.push({ ...message, ts });
      return ts;
    },
    status: (channel, thread) => statuses.get(`${channel} ${thread}`) ?? '',
  };
  return slack;
}
