import type { KnownBlock } from '@slack/types';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log, Metrics } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import { isPassing } from '../api/refusals.ts';
import type { SlackError } from '../api/slack-api.ts';
import { markdown } from '../render/blocks.ts';
import type { AppendableText, SlackPost } from '../render/post.ts';
import type { Ask, Urgency } from './budget.ts';
import {
  APPEND_STREAM,
  appendStreamCall,
  type Call,
  START_STREAM,
  STOP_STREAM,
  startStreamCall,
  stopStreamCall,
} from './calls.ts';
import type { Content } from './content.ts';
import type { PlannedCall } from './plan.ts';
import type { Scheduler } from './scheduler.ts';

/*
 * Live text of a direct message as a native stream (docs/slack.md, Native streaming): it has a budget of its own. A
 * stream only appends, so it shows what of a text will hardly change; whatever it cannot show ends it, and the message is
 * edited from then on. The plan of calls (plan.ts) is the same as for edits: a stream is another way to make a planned call.
 */

/** What we learned about native streams in this workspace; shared by all publications. */
export interface StreamLatch {
  /** No stream is begun before this, by the monotonic clock. */
  offUntil: number;
}

export interface NativeStreamParts {
  scheduler: Scheduler;
  clock: Clock;
  log: Log;
  metrics?: Metrics | undefined;
  /** `null`: native streams are not used. */
  latch: StreamLatch | null;
}

export interface NativeStreamOptions {
  /** The id in the metadata of the message. */
  owner: string;
  address(): ThreadAddress;
  /** Whether messages are also shown in the channel, which a stream cannot be. */
  isBroadcast: boolean;
  /** The state of the thread's session as long as the turn runs; `null`: the app has none. */
  session(): string | null;
}

/** How a planned call is made by a stream. */
export type StreamStep =
  | { kind: 'start' | 'append'; post: SlackPost; text: string }
  /** The message becomes what the planned call wants. */
  | { kind: 'stop'; text: string; below: readonly KnownBlock[] }
  /** The stream ends as it is, because an edit must change what it shows. */
  | { kind: 'halt' }
  /** There is text, but none that a stream can show yet: the call is planned anew then. */
  | { kind: 'wait'; until: number };

/**
 * What becomes of the message after a step that failed. `plain`: it is posted. `look`: Slack may have it. `halt`: the stream
 * is ended, then edited. `edit`: it is no stream any more. `gone`: somebody deleted it. `again`: the same step later.
 */
export type AfterFailure = 'plain' | 'look' | 'halt' | 'edit' | 'gone' | 'again';

/** What is to be shown. */
export interface ToShow {
  content: Content;
  posts: readonly SlackPost[];
  /** What a stream can show of it. Remembers its answer. */
  appendable(): AppendableText | null;
}

export interface NativeStream {
  /** The posts with that of the open stream as the stream can show it; as they are where it cannot. */
  shapePosts(shown: ToShow, records: readonly PostRecord[]): SlackPost[];
  /** Where the text must go on in a new message, because the stream is about to become too old. */
  findSeam(shown: ToShow, records: readonly PostRecord[]): { record: PostRecord; seam: number } | null;
  /** How to make this planned call by a stream; `null`: not by one. */
  stepFor(call: PlannedCall, shown: ToShow): StreamStep | null;
  /** The step that shows the last text now when the stream cannot be stopped yet; `null`: there is none to show. */
  showBeforeStop(step: StreamStep | null, call: PlannedCall): (StreamStep & { kind: 'append' }) | null;
  askFor(step: StreamStep, call: PlannedCall, content: Content, urgency: Urgency): Ask;
  callFor(step: StreamStep, call: PlannedCall, content: Content): Call;
  /** Notes that the disk did not take that a stream is begun: text is posted and edited from now on. */
  noteNotStored(): void;
  /** Notes that Slack confirmed the step. */
  noteDone(step: StreamStep, call: PlannedCall, ts: string): void;
  noteFailed(step: StreamStep, error: SlackError): AfterFailure;
  /** A stream that an earlier process left open, or that Slack turned out to keep open. */
  findOrphan(records: readonly PostRecord[]): PostRecord | undefined;
  /** Whether Slack's refusal of an edit means that the message is a stream still; then it must be ended first. */
  mayBeOpen(word: string): boolean;
  /** Whether live text of this message is appended. */
  isOpen(record: PostRecord): boolean;
  /** When the open stream must be ended although there is nothing new to show; `null`: there is no stream. */
  endsAt(): number | null;
}

/** Slack ends a stream after five minutes (docs/slack.md, Streaming: lifetime and size). */
const LONGEST_MS = 225_000;
/** While nothing is added for so long, people want to see what the agent does, and a button to stop it. */
const IDLE_MS = 8_000;
/** So long a text is waited for that a stream can show. */
const WAIT_MS = 1_500;
const WAIT_STEP_MS = 250;
/** After a failure that may pass. */
const OFF_MS = 10 * 60_000;
/** So often Slack may say that an ended stream is open still. */
const CONFLICTS = 3;

/** The stream is over, whoever ended it. */
const OVER = new Set(['message_not_in_streaming_state', 'stopped_by_user']);
/** People did this, so streams work. */
const BY_PEOPLE = new Set(['stopped_by_user', 'message_not_found']);

interface OpenStream {
  ts: string;
  part: string;
  /** What Slack shows; `null`: an append had no answer. */
  sent: string | null;
  /** The length of the item's text up to there. */
  upTo: number;
  beganAt: number;
  changedAt: number;
  /** Whether Slack refused to end it with text or blocks. */
  endsBare: boolean;
}

export function createNativeStream(parts: NativeStreamParts, options: NativeStreamOptions): NativeStream {
  const { scheduler, clock, log, metrics, latch } = parts;
  const { owner, address, isBroadcast, session } = options;
  let open: OpenStream | null = null;
  let conflicts = 0;
  /** Whether a process after this one could miss a stream that this one begins. */
  let mayBeForgotten = false;
  /** Since when there is text that no stream can show yet. */
  let waitsSince: number | null = null;

  const isOff = () => latch === null || clock.monotonic() < latch.offUntil;
  const ask = (method: string, urgency: Urgency): Ask => ({ method, channel: address().channel, urgency });

  function mayBegin(post: SlackPost, { isFinal, isParting, isTextUnknown }: Content): boolean {
    const { channel, threadTs } = address();
    // Slack streams into threads only, and in a direct message the recipient is its only reader.
    if (isOff() || mayBeForgotten || isBroadcast || threadTs === null || !channel.startsWith('D')) return false;
    if (isFinal || isParting || isTextUnknown || !post.live || post.blocks[0]?.type !== 'markdown') return false;
    // In this order: the clock goes on between the questions.
    const beginsAt = scheduler.whenAllowed(ask(START_STREAM, 'live'));
    const postedAt = scheduler.whenAllowed(ask('chat.postMessage', 'live'));
    return beginsAt <= Math.max(postedAt, clock.monotonic()) && scheduler.isStreamFresher();
  }

  /** What the open stream can show of its post; `null`: it must be ended. */
  function findMore({ content, posts, appendable }: ToShow, records: readonly PostRecord[]) {
    if (open && !records.some(({ ts, stream }) => ts === open?.ts && stream)) open = null;
    if (!open || open.sent === null || isOff() || content.isFinal || content.isParting || content.isTextUnknown)
      return null;
    const { part, sent, upTo } = open;
    const post = posts.find((one) => one.part === part && one.kind === 'text');
    const found = post?.live ? appendable() : null;
    if (!post || found?.part !== part || post.blocks[0]?.type !== 'markdown') return null;
    if (sent.startsWith(found.markdown)) return { post, shown: { markdown: sent, upTo } };
    return found.markdown.startsWith(sent) ? { post, shown: found } : null;
  }

  function stopFor(post: SlackPost): StreamStep {
    const [first, ...below] = post.blocks;
    const sent = open?.sent;
    if (open?.endsBare || sent == null || first?.type !== 'markdown' || !first.text.startsWith(sent))
      return { kind: 'halt' };
    return { kind: 'stop', text: first.text.slice(sent.length), below };
  }

  function turnOff(error: SlackError): void {
    if (latch === null || BY_PEOPLE.has(error.error)) return;
    const isLasting = error.failure === 'refused' && !isPassing(error.error);
    const until = isLasting ? Number.POSITIVE_INFINITY : clock.monotonic() + OFF_MS;
    if (until <= latch.offUntil) return;
    latch.offUntil = until;
    const { method, failure, error: word } = error;
    log.warn({ method, failure, error: word, isLasting }, 'native streams failed; editing messages instead');
  }

  return {
    shapePosts(shown, records) {
      const found = findMore(shown, records);
      if (!found || !open || clock.monotonic() >= endOf(open)) return [...shown.posts];
      return shown.posts.map((post) => (post === found.post ? asStream(post, found.shown) : post));
    },
    findSeam(shown, records) {
      const found = findMore(shown, records);
      const record = records.find(({ ts }) => ts === open?.ts);
      if (!found || !open || !record || record.seam !== undefined) return null;
      const isOld = clock.monotonic() >= open.beganAt + LONGEST_MS;
      return isOld && found.shown.upTo > open.upTo ? { record, seam: open.upTo } : null;
    },
    stepFor(call, { content, appendable }) {
      if (call.kind === 'post') {
        if (!content.hasText || !mayBegin(call.post, content)) return null;
        const found = appendable();
        if (found?.part === call.post.part && found.markdown.trim() !== '') {
          waitsSince = null;
          return { kind: 'start', post: asStream(call.post, found), text: found.markdown };
        }
        const now = clock.monotonic();
        waitsSince ??= now;
        return now < waitsSince + WAIT_MS ? { kind: 'wait', until: now + WAIT_STEP_MS } : null;
      }
      if (call.kind === 'delete' || !call.record.stream) return null;
      if (open?.ts !== call.record.ts) return { kind: 'halt' };
      if (!call.post.isStream) return stopFor(call.post);
      return { kind: 'append', post: call.post, text: textOf(call.post).slice(open.sent?.length ?? 0) };
    },
    showBeforeStop(step, call) {
      if (step?.kind !== 'stop' || step.text === '' || call.kind !== 'update' || call.post.live) return null;
      const shown = { markdown: textOf(call.post), upTo: call.post.upTo ?? 0 };
      return { kind: 'append', post: asStream(call.post, shown), text: step.text };
    },
    askFor(step, call, content, urgency) {
      if (step.kind === 'start' || step.kind === 'wait') return ask(START_STREAM, urgency);
      if (step.kind === 'append') return ask(APPEND_STREAM, urgency);
      const isNeeded = content.isFinal || content.isParting || call.kind !== 'update' || !call.post.live;
      return ask(STOP_STREAM, isNeeded ? 'must' : 'live');
    },
    callFor(step, call, content) {
      const ts = call.kind === 'post' ? '' : call.record.ts;
      if (step.kind === 'start') return startStreamCall(address(), step.text);
      if (step.kind === 'append') return appendStreamCall(address(), ts, step.text);
      const state = session();
      const ending = { text: '', below: [], session: content.isFinal && state !== null ? 'active' : state };
      if (step.kind !== 'stop' || call.kind === 'delete') {
        const part = call.kind === 'post' ? call.post.part : call.record.part;
        return stopStreamCall(address(), owner, ts, { part, live: false }, ending);
      }
      return stopStreamCall(address(), owner, ts, call.post, { ...ending, text: step.text, below: step.below });
    },
    noteNotStored() {
      mayBeForgotten = true;
    },
    noteDone(step, call, ts) {
      const now = clock.monotonic();
      if (step.kind === 'start') {
        const { part, upTo = 0 } = step.post;
        open = { ts, part, sent: step.text, upTo, beganAt: now, changedAt: now, endsBare: false };
      } else if (step.kind === 'append' && open?.ts === ts) {
        open = { ...open, sent: textOf(step.post), upTo: step.post.upTo ?? 0, changedAt: now };
      } else if (step.kind !== 'append') {
        open = null;
        const isLive = call.kind === 'update' && call.post.live;
        metrics?.count('native_streams', { end: step.kind === 'halt' ? 'edited' : isLive ? 'idle' : 'whole' });
      }
    },
    noteFailed(step, error) {
      // That it is over already is no failure of what only had to be ended.
      if (step.kind === 'halt' && OVER.has(error.error)) return 'edit';
      turnOff(error);
      if (error.failure !== 'limited') metrics?.count('native_streams', { end: 'failed' });
      if (step.kind === 'start') return error.failure === 'unknown' ? 'look' : 'plain';
      if (error.failure === 'limited') return 'again';
      if (error.failure === 'unknown') {
        // It may have been done.
        if (step.kind !== 'append') return 'edit';
        if (open) open = { ...open, sent: null };
        return 'halt';
      }
      if (error.error === 'message_not_found') return 'gone';
      if (OVER.has(error.error) || step.kind === 'halt') return 'edit';
      if (open && step.kind === 'stop') open = { ...open, endsBare: true };
      return 'halt';
    },
    findOrphan: (records) => records.find(({ ts, stream, refuses }) => stream && ts !== open?.ts && refuses !== 'edit'),
    mayBeOpen(word) {
      if (word !== 'streaming_state_conflict') return false;
      conflicts += 1;
      return conflicts <= CONFLICTS;
    },
    isOpen: ({ ts, stream }) => stream === true && open?.ts === ts,
    endsAt: () => open && endOf(open),
  };
}

/** The post as its stream shows it. */
function asStream(post: SlackPost, { markdown: shown, upTo }: { markdown: string; upTo: number }): SlackPost {
  const { ends: _, source, ...rest } = post;
  const cut = source && {
    ...source,
    source: source.source.slice(0, source.source.length - ((post.upTo ?? upTo) - upTo)),
  };
  return {
    ...rest,
    ...(cut && { source: cut }),
    upTo,
    blocks: [markdown(shown)],
    text: '',
    live: true,
    isStream: true,
  };
}

function textOf({ blocks: [first] }: SlackPost): string {
  return first?.type === 'markdown' ? first.text : '';
}

/** When a stream to which nothing is added any more must be ended. */
const endOf = ({ beganAt, changedAt }: OpenStream) => Math.min(beganAt + LONGEST_MS, changedAt + IDLE_MS);
