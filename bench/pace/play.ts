import { Limits, type Tier } from '../../sandbox/slack/limits.ts';
import type { Token, TurnId } from '../../src/bridge/ids.ts';
import type { Clock } from '../../src/bridge/ports.ts';
import type { Activity, TurnView } from '../../src/bridge/view/turn.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../src/slack/api/slack-api.ts';
import { createSurface } from '../../src/slack/outbox/surface.ts';
import { createRenderer } from '../../src/slack/render/posts.ts';
import { seeded } from '../streams/plan.ts';
import { type Edit, Recorder } from '../streams/recorder.ts';
import type { Trace } from '../streams/trace.ts';
import { createVirtualClock, SILENT } from './clock.ts';

/** A turn; times in ms. */
export interface VirtualTurn {
  channel: string;
  /** When the person asks. */
  at: number;
  /** From then until the agent's first word. */
  thinks: number;
  /** How long it writes. */
  writes: number;
}

export interface VirtualPlan {
  turns: readonly VirtualTurn[];
  wordGap: number;
  /** ms of a Web API call there and back. */
  latencyMs: number;
  /** Slack refuses the method from `from` to `until`, whatever is left of its window. */
  refuses?: { method: string; from: number; until: number };
  /** Whether the bridge may stream natively, where the channel is a direct message (`D…`). */
  nativeStreams?: boolean;
  /** So long after the last word the play ends. */
  rest?: number;
}

export interface VirtualPlay {
  traces: Trace[];
  edits: Edit[];
  limited: Record<string, number>;
  end: number;
}

const TIERS: Readonly<Record<string, Tier>> = {
  'chat.postMessage': 'post',
  'chat.update': 'T3',
  'chat.delete': 'T3',
  'chat.startStream': 'T2',
  'chat.appendStream': 'T4',
  'chat.stopStream': 'T2',
  'assistant.threads.setStatus': 'status',
};

/**
 * Plays turns through the real outbox (renderer, publications, scheduler, budget) in virtual time, against the limits of
 * the small Slack: the figures are the same on any machine, however busy it is.
 */
export async function playVirtually(plan: VirtualPlan): Promise<VirtualPlay> {
  const clock = createVirtualClock();
  const recorder = new Recorder(() => clock.monotonic());
  const random = seeded(7);
  let ids = 0;
  const surface = createSurface({
    api: createVirtualSlack(plan, clock, recorder),
    createRenderer: () => createRenderer(),
    fallback: (post) => [post],
    renderNotice: () => [],
    renderOffer: () => [],
    nativeStreams: plan.nativeStreams ?? false,
    clock,
    random: {
      next: random,
      id() {
        ids += 1;
        return `id${ids}`;
      },
    },
    log: SILENT,
  });
  const last = Math.max(...plan.turns.map(({ at, thinks, writes }) => at + thinks + writes));
  const end = last + (plan.rest ?? 90_000);

  async function playTurn({ channel, at, thinks, writes }: VirtualTurn, number: number): Promise<void> {
    await clock.sleepUntil(at);
    const address = { team: 'T01', channel, threadTs: `1700000000.${String(number).padStart(6, '0')}` };
    const id = `turn-${number}` as TurnId;
    const count = Math.max(1, Math.round(writes / plan.wordGap));
    const key = keyOf(channel, address.threadTs);
    recorder.noteAsked(key, count);
    const turn = surface.openTurn({ turn: id, address, posts: [], onPosts: async () => {} });
    let markdown = '';
    const view = (activity: Activity | null): TurnView => ({
      turn: id,
      address,
      notPassedOn: [],
      items: markdown === '' ? [] : [{ kind: 'text', markdown }],
      live: activity === null ? null : { activity, stop: `stop-${number}` as Token, queued: 0 },
      ending: activity === null ? { outcome: 'done', line: null, by: null, tools: 0, durationMs: writes } : null,
    });
    turn.show(view({ kind: 'thinking' }));
    for (let word = 1; word <= count; word += 1) {
      await clock.sleepUntil(at + thinks + (word - 1) * plan.wordGap);
      markdown += `${word === 1 ? '' : ' '}word${word}`;
      recorder.noteWord(key);
      if (word < count) turn.show(view({ kind: 'writing' }));
    }
    void turn.finish(view(null));
  }

  plan.turns.forEach((turn, number) => void playTurn(turn, number));
  await clock.run(end);
  return { traces: recorder.traces, edits: recorder.edits, limited: recorder.limited, end };
}

/** Threads of one channel are recorded apart. */
const keyOf = (channel: unknown, threadTs: unknown) => `${channel} ${threadTs}`;

/** Counts calls as the small Slack does, half a round trip after they were made; keeps nothing else. */
function createVirtualSlack({ latencyMs, refuses }: VirtualPlan, clock: Clock, recorder: Recorder): SlackApi {
  const limits = new Limits(true);
  const wait = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
  let serial = 0;
  /** The thread of each message, by ts. */
  const threads = new Map<unknown, string>();
  return {
    async call(method, args) {
      const at = clock.monotonic();
      await wait(latencyMs / 2);
      const now = clock.monotonic();
      const tier = TIERS[method];
      if (tier === undefined) throw new TypeError(`the play knows no ${method}`);
      const isRefused = refuses?.method === method && now >= refuses.from && now < refuses.until;
      const seconds = isRefused
        ? Math.ceil((refuses.until - now) / 1_000)
        : limits.takeCall(method, tier, String(args.channel ?? args.channel_id), now);
      serial += 1;
      const ts = typeof args.ts === 'string' ? args.ts : `1700000001.${String(serial).padStart(6, '0')}`;
      const key = threads.get(args.ts) ?? keyOf(args.channel ?? args.channel_id, args.thread_ts);
      threads.set(ts, key);
      const message = { ts, thread_ts: args.thread_ts };
      const answer = { ok: seconds === null, ts, channel: args.channel, message };
      const status = seconds === null ? 200 : 429;
      const recorded = { ...args, channel: key };
      const entry = {
        type: 'call',
        at,
        method,
        args: recorded,
        status,
        answer,
        ms: 0,
        effectAt: now,
        bytes: 0,
      } as const;
      recorder.noteCall(entry as Parameters<Recorder['noteCall']>[0]);
      await wait(latencyMs / 2);
      if (seconds !== null) throw new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: seconds * 1_000 });
      return answer as unknown as SlackAnswer;
    },
  };
}
