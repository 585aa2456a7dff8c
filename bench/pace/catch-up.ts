import { Limits } from '../../sandbox/slack/limits.ts';
import { makeThreadKey, parseThreadKey, type ThreadKey } from '../../src/bridge/ids.ts';
import { CatchUp } from '../../src/bridge/intake/catch-up.ts';
import { RecentKeys } from '../../src/bridge/intake/recent-keys.ts';
import { meterCalls } from '../../src/slack/api/call-meter.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../src/slack/api/slack-api.ts';
import { createHistory } from '../../src/slack/inbound/history.ts';
import { createVirtualClock, SILENT } from './clock.ts';

const TEAM = 'T01';
const LATENCY_MS = 150;

/** A Slack with these threads in channels, whose windows are as strict as the small Slack's. */
function createPlace(channels: number, threadsEach: number) {
  const clock = createVirtualClock();
  const limits = new Limits(true);
  const tsAt = (ms: number, serial: number) => `${Math.floor(ms / 1_000)}.${String(serial).padStart(6, '0')}`;
  const start = clock.now();
  const threads = Array.from({ length: channels * threadsEach }, (_, n) => ({
    channel: `C${n % channels}`,
    root: tsAt(start - 3_600_000 + n * 10_000, n + 1),
    replies: [] as string[],
  }));
  const said = (ts: string, more = {}) => ({ type: 'message', user: 'U1', ts, text: `<@UBOT> ${ts}`, ...more });

  const answers: Record<string, (args: Record<string, unknown>) => object> = {
    'conversations.info': () => ({ channel: {} }),
    'conversations.history': ({ channel }) => ({
      messages: threads
        .filter((thread) => thread.channel === channel)
        .map(({ root, replies }) => said(root, { thread_ts: root, latest_reply: replies.at(-1) ?? root }))
        .reverse(),
    }),
    'conversations.replies': ({ ts }) => {
      const found = threads.find(({ root }) => root === ts);
      return { messages: [said(String(ts)), ...(found?.replies ?? []).map((reply) => said(reply, { thread_ts: ts }))] };
    },
  };
  const api: SlackApi = {
    async call(method, args) {
      await new Promise<void>((resolve) => void clock.after(LATENCY_MS, resolve));
      const seconds = limits.takeCall(method, 'T3', '', clock.monotonic());
      if (seconds !== null) throw new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: seconds * 1_000 });
      return { ok: true, ...answers[method]?.(args) } as SlackAnswer;
    },
  };
  return { clock, limits, threads, api, reply: tsAt };
}

/** Starts the bridge's catch-up after it was down for a minute; when each reply was taken up, ms from the start. */
export async function catchUpAfterAMinute(missed: (number: number) => boolean) {
  const { clock, limits, threads, api, reply } = createPlace(50, 4);
  const pass = (ms: number) => clock.run(clock.monotonic() + ms);
  const rows = new Map<string, string>();
  const choices = {
    get: async (name: string) => rows.get(name) ?? null,
    set: async (name: string, value: string) => void rows.set(name, value),
  };
  const taken = new Map<string, number>();
  const create = () => {
    const base = { choices, clock, log: SILENT, team: TEAM };
    const recent = new RecentKeys<ThreadKey>({ ...base, name: 'recent', parse: parseThreadKey, limit: 200 });
    const meter = meterCalls(api, clock);
    const identity = { teamId: TEAM, botUserId: 'UBOT', botId: 'BBOT' };
    const random = { next: () => 0, id: () => 'id' };
    const history = createHistory({ api: meter.api, identity, tier: 'full', meter, clock, random, log: SILENT });
    const handleMessage: ConstructorParameters<typeof CatchUp>[0]['intake']['handleMessage'] = async ({ ts }) => {
      if (!taken.has(ts)) taken.set(ts, clock.now());
      return { outcome: 'accepted' };
    };
    const all = { maxAgeMs: 86_400_000, threads: 200, threadAgeMs: 7 * 86_400_000 };
    return { recent, catchUp: new CatchUp({ ...base, history, recent, intake: { handleMessage }, limits: all }) };
  };
  const before = create();
  await before.catchUp.start();
  before.catchUp.setConnected(true);
  for (const { channel, root } of threads) {
    before.recent.noteKey(makeThreadKey({ team: TEAM, channel, root }));
    await pass(1_000);
  }
  before.catchUp.setConnected(false);
  await before.catchUp.stop();
  await pass(30_000);
  threads.forEach((thread, n) => {
    // The thread used last has number 0.
    if (missed(threads.length - 1 - n)) thread.replies.push(reply(clock.now(), n + 1));
  });
  await pass(30_000);
  limits.resetWindows();
  const start = clock.now();
  const { catchUp } = create();
  await catchUp.start();
  catchUp.setConnected(true);
  await pass(10 * 60_000);
  await catchUp.stop();
  const replies = threads.flatMap((thread) => thread.replies).toReversed();
  return { delays: replies.map((ts) => (taken.get(ts) ?? Number.NaN) - start), refused: limits.refused.size };
}
