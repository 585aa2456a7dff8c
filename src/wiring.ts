import { Bindings } from './bridge/access/bindings.ts';
import { KillSwitch } from './bridge/access/kill-switch.ts';
import type { PolicyBook } from './bridge/access/policy.ts';
import { FeedbackBook } from './bridge/commands/feedback.ts';
import { watchHomes } from './bridge/commands/home-changes.ts';
import { NotifyTimes } from './bridge/commands/notify-times.ts';
import { createScheduleTools } from './bridge/commands/schedule-tools.ts';
import { UsageBook } from './bridge/commands/usage.ts';
import { giveFile } from './bridge/files/give-one.ts';
import { FileHandOver, type Machine } from './bridge/files/hand-over.ts';
import {
  type ChannelId,
  type MessageKey,
  parseMessageKey,
  parseThreadKey,
  type ThreadKey,
  type UserId,
} from './bridge/ids.ts';
import { CatchUp, type CatchUpLimits } from './bridge/intake/catch-up.ts';
import { ChannelMoves } from './bridge/intake/channel-moves.ts';
import { BridgeIntake } from './bridge/intake/intake.ts';
import { RecentKeys } from './bridge/intake/recent-keys.ts';
import type {
  Audit,
  Choices,
  Clock,
  DetailsStore,
  Log,
  MessageAddress,
  Metrics,
  Random,
  Recordings,
  SharedFolder,
  SlackFiles,
  Surface,
  ThreadMoves,
  ThreadOwners,
  Threads,
} from './bridge/ports.ts';
import { takeTurns } from './bridge/thread/shared-conversations.ts';
import { ThreadWorkers } from './bridge/thread/workers.ts';
import type { ToolDevice, ToolHandlers } from './bridge/tools/tool.ts';
import type { Machines } from './bridge/view/home.ts';
import { createGateway, type LettaTarget } from './letta/gateway.ts';
import type { FetchLike } from './letta/hosted-api.ts';
import type { LaneDialer } from './letta/link/lane.ts';
import type { Check } from './ops/health.ts';
import { watchLetta } from './ops/letta-watch.ts';
import { noMetrics } from './ops/metrics.ts';
import { watchTurns } from './ops/turn-watch.ts';
import { countUseByModel } from './ops/use.ts';
import { meterCalls } from './slack/api/call-meter.ts';
import type { Identity } from './slack/api/identity.ts';
import { honourRetryAfter } from './slack/api/retry-after.ts';
import type { SlackApi } from './slack/api/slack-api.ts';
import type { Uploader } from './slack/api/uploader.ts';
import { createHistory, type HistoryTier } from './slack/inbound/history.ts';
import { createMessageReader } from './slack/inbound/message-reader.ts';
import { createThreadReader } from './slack/inbound/thread-reader.ts';
import { readNews } from './slack/outbox/news.ts';
import { createSurface } from './slack/outbox/surface.ts';
import { createPeople } from './slack/people/people.ts';
import { createUserGroups } from './slack/people/user-groups.ts';
import { noticePosts } from './slack/render/notice.ts';
import { offerPosts } from './slack/render/offer.ts';
import { permalink } from './slack/render/permalink.ts';
import { createRenderer } from './slack/render/posts.ts';
import { simplerPosts } from './slack/render/simpler.ts';
import { createSlackTools } from './slack/tools/tools.ts';

/** The five ports and the configuration. */
export interface BridgeParts {
  clock: Clock;
  random: Random;
  log: Log;
  /** Left out: nothing is counted. */
  metrics?: Metrics;
  /** For one workspace; `identity` is our bot there. */
  api: SlackApi;
  identity: Pick<Identity, 'teamId' | 'botUserId' | 'botId' | 'enterpriseId' | 'mayBeAgent'> & {
    url?: string | null;
  };
  store: {
    threads: Threads;
    choices: Choices;
    audit: Audit;
    moves?: ThreadMoves;
    owners?: ThreadOwners;
    details?: DetailsStore;
  };
  dial: LaneDialer;
  /** Used in `cloud` mode only. */
  fetch: FetchLike;
  target: LettaTarget;
  agentId: string | null;
  policies: PolicyBook;
  /**
   * How to upload files, and how many messages an answer may fill before the rest becomes a file; left out: all is
   * posted.
   */
  longAnswers?: { send: Uploader; maxMessages: number };
  /** Whether live text of direct messages is streamed natively, where Slack lets us; left out: it is edited. */
  nativeStreams?: boolean;
  /** How people's files reach the agent; left out: they are only named. */
  files?: { slack: SlackFiles; folder: SharedFolder | null; keptMs: number };
  /** What the agent's tools do; left out: what they do in Slack. */
  tools?: ToolHandlers;
  /** How many messages may wait; the bridge has defaults. */
  queue?: { perThread: number; total: number };
  /** ms that a running turn may be silent. */
  silenceMs?: number;
  /** Records what happens to threads; left out: nothing is recorded. */
  recordings?: Recordings | undefined;
  /** ms after which a separate message says that a turn ended; 0: never. */
  notifyAfterMs?: number;
  /** How long it is kept what people think of an answer, in ms. */
  feedbackKeptMs?: number;
  /** Called when the Home tabs of these people may have changed; `null`: everyone's. */
  onHomeChanged?: (users: readonly UserId[] | null) => void;
  /**
   * Age in ms from which a message that was found late, or waited for a device, runs only after its author confirms;
   * left out: it always runs.
   */
  staleAfterMs?: number;
  /** ms by which our wall clock is ahead of Slack's clock. */
  clockAheadMs?: () => number;
  /** How to look for messages that Slack could not deliver; `null`: not at all. */
  catchUp: (CatchUpLimits & { tier: HistoryTier }) | null;
  /** How threads are read for the turns in them; left out: only replies that were delivered go along. */
  past?: { tier: HistoryTier; mostMessages: number };
  /** Machines that dial the bridge; left out: none can. */
  machines?: () => Machines;
  /** The state of Slack, Letta and the store, for the Home tab. */
  checks?: () => readonly Check[];
  /** ms after which a request without a decision is denied; left out: never. */
  approvalTimeoutMs?: number;
}

export interface Bridge {
  intake: BridgeIntake;
  workers: ThreadWorkers;
  surface: Surface;
  catchUp: BridgeCatchUp | null;
  /** Call it with every delivery of Slack: some of them mean that a refused post may be tried again. */
  noteDelivery(envelope: { body: unknown }): void;
  /** Slack accepts our token again: retries what it refused before. */
  retryRefusedPosts(): void;
  /** The state of Letta as of its last answer. */
  checkLetta(): Check;
  /** Ends the workers, then the surface. The next start continues from what is on disk. Stopping twice is fine. */
  stop(): Promise<void>;
}

export interface BridgeCatchUp {
  /** Call it before Slack is connected. Rejects when the disk fails. */
  start(): Promise<void>;
  /** Call it when Slack begins or ceases to reach us. */
  setConnected(connected: boolean): void;
  /** Slack may have sent a part of the messages of the last `ms` to another process. */
  noteTaken(ms: number): void;
  /** Call it after intake has ended. Does not wait for calls that have not begun. Stopping twice is fine. */
  stop(): Promise<void>;
}

const FEEDBACK_KEPT_MS = 7 * 24 * 60 * 60_000;
const NOTIFY_AFTER_MS = 2 * 60_000;
/**
 * How many messages are remembered as handled although no thread has them, so that catch-up does not take them again.
 */
const HANDLED = 1_000;
/** How many channels are remembered as welcomed. */
const WELCOMED = 2_000;

const middleFiles = ({ slack, folder, keptMs }: NonNullable<BridgeParts['files']>) => ({
  files: slack,
  ...(folder && { folder }),
  keptMs,
});

/** An agent's machine as files are handed over to it. */
const machineOf = ({ id, conversation, ...connection }: ToolDevice): Machine => ({ connection, id, conversation });

/** Wires everything between the ports. Nothing runs until `intake` gets something or the workers are started. */
export function wireBridge(parts: BridgeParts): Bridge {
  const { clock, random, log, identity, store, policies, target, agentId, dial, fetch } = parts;
  const { longAnswers, queue, silenceMs, notifyAfterMs = NOTIFY_AFTER_MS, approvalTimeoutMs, staleAfterMs } = parts;
  const { metrics = noMetrics, onHomeChanged = () => {}, feedbackKeptMs = FEEDBACK_KEPT_MS } = parts;
  const meter = meterCalls(honourRetryAfter(parts.api, clock), clock);
  const { api } = meter;
  const people = createPeople({ api, clock, enterpriseId: identity.enterpriseId });
  const groups = createUserGroups({ api, clock, log });
  const surface = watchTurns(
    createSurface({
      api,
      meter,
      createRenderer: () => createRenderer({ maxMessages: longAnswers?.maxMessages, nameOf: people.lastNameOf }),
      fallback: simplerPosts,
      renderNotice: noticePosts,
      renderOffer: offerPosts,
      uploadFile: longAnswers?.send,
      mayBeAgent: identity.mayBeAgent ?? false,
      nativeStreams: parts.nativeStreams ?? false,
      botUser: identity.botUserId,
      workspace: identity.url,
      clock,
      random,
      log,
      metrics,
    }),
    metrics,
    clock,
  );
  const { choices, audit, moves, owners, details } = store;
  const threads = watchHomes(store.threads, onHomeChanged);
  const gateway = createGateway({ target, agentId, clock, random, dial, fetch, choices, log });
  const letta = watchLetta(gateway, metrics, () => onHomeChanged(null));
  const notifyTimes = new NotifyTimes({ choices, log, team: identity.teamId, usual: notifyAfterMs });
  const usage = new UsageBook({ choices, clock, log, team: identity.teamId });
  const countUse = countUseByModel(metrics);
  const killSwitch = new KillSwitch({ choices, clock, log });
  const bindings = new Bindings({ policies, choices, log });
  const middle = {
    threads,
    surface,
    people,
    groups,
    clock,
    log,
    policies: bindings,
    bindings,
    killSwitch,
    botUser: identity.botUserId,
    staleAfterMs,
    clockAheadMs: parts.clockAheadMs,
  };
  const files = parts.files && new FileHandOver({ ...middleFiles(parts.files), clock, random, log });
  const reader = createThreadReader({ api, identity, tier: parts.past?.tier ?? 'limited', meter });
  const { slack_read_thread, slack_read_channel, ...otherTools } = createSlackTools({
    api,
    reader,
    people,
    nameOf: people.lastNameOf,
    upload: longAnswers?.send ?? null,
    give: files ? (file, at, machine, signal) => giveFile(files, file, at, machineOf(machine), signal) : null,
    botUser: identity.botUserId,
    enterpriseId: identity.enterpriseId,
    workspace: identity.url ?? null,
    clock,
    random,
    log,
  });
  // Without it the bridge reads no history of Slack at all.
  const readers = parts.past && { slack_read_thread, slack_read_channel };
  const scheduleTools = createScheduleTools({ workers: () => workers, people, clock });
  const tools: ToolHandlers = parts.tools ?? { ...otherTools, ...readers, ...scheduleTools };
  const turnsDieWithLink = target.mode === 'app-server';
  const linkTo = (at: MessageAddress) => permalink(at, identity.url ?? null);
  const workers: ThreadWorkers = new ThreadWorkers({
    ...middle,
    gateway: takeTurns(letta.gateway, clock),
    files,
    tools,
    audit,
    random,
    turnsDieWithLink,
    silenceMs,
    notifyAfterMs: (requester) => notifyTimes.get(requester),
    details,
    approvalTimeoutMs,
    linkTo,
    onTurnUsed: (used) => {
      void usage.note(used);
      countUse(used);
    },
    past: parts.past && { reader, mostMessages: parts.past.mostMessages },
    recordings: parts.recordings,
    // A crash right after its first message may have kept the thread out of this list.
    onTakenUp: (thread) => recent?.noteKey(thread),
    onJoining: async (thread) => recent?.storeKey(thread),
  });
  const shared = { choices, clock, log, team: identity.teamId };
  const recent =
    parts.catchUp &&
    new RecentKeys<ThreadKey>({
      ...shared,
      name: `recent-threads:${identity.teamId}`,
      parse: parseThreadKey,
      limit: parts.catchUp.threads,
    });
  const handled =
    parts.catchUp &&
    new RecentKeys<MessageKey>({
      ...shared,
      name: `handled:${identity.teamId}`,
      parse: parseMessageKey,
      limit: HANDLED,
    });
  let catchUp: CatchUp | null = null;
  const intake = new BridgeIntake({
    ...middle,
    audit,
    random,
    metrics,
    workers,
    queue,
    onMissed: ({ ts }) => catchUp?.noteUnstoredMessage(ts),
    onSpoken: (thread) => recent?.noteKey(thread),
    handled: handled ?? undefined,
    welcomed: new RecentKeys<ChannelId>({
      ...shared,
      name: `welcomed:${identity.teamId}`,
      parse: (channel) => channel,
      limit: WELCOMED,
    }),
    notifyTimes,
    feedback: new FeedbackBook({ choices, clock, team: identity.teamId, keptMs: feedbackKeptMs }),
    reader: parts.past && createMessageReader({ api, identity, tier: parts.past.tier, meter }),
    checks: parts.checks,
    agents: letta.agents,
    machines: parts.machines,
    models: gateway.models,
    conversations: gateway.conversations,
    owners,
    linkTo,
    usage,
    ...(moves && { channels: new ChannelMoves({ moves, workers, log }) }),
  });
  const history =
    parts.catchUp && createHistory({ api, identity, tier: parts.catchUp.tier, meter, clock, random, log });
  if (parts.catchUp && recent && history) {
    // Catch-up asks Slack for messages newer than some time, which must be a time of Slack's clock.
    const slackClock = { ...clock, now: () => clock.now() - (parts.clockAheadMs?.() ?? 0) };
    catchUp = new CatchUp({ ...shared, clock: slackClock, history, intake, recent, limits: parts.catchUp });
  }
  return {
    intake,
    workers,
    surface,
    catchUp: catchUp && {
      async start() {
        await handled?.load();
        await catchUp.start();
      },
      setConnected: (connected) => catchUp.setConnected(connected),
      noteTaken: (ms) => catchUp.noteOtherReceiver(ms),
      stop() {
        history?.stop();
        return catchUp.stop();
      },
    },
    noteDelivery({ body }) {
      const news = readNews(body);
      if (news?.deletedTs) surface.noteDeleted(news.channel, news.deletedTs);
      if (news) surface.retrySoon(news.channel);
    },
    retryRefusedPosts() {
      surface.retrySoon(null);
      // While the token was refused, nothing could be read from Slack.
      catchUp?.lookSoon();
    },
    checkLetta: letta.check,
    async stop() {
      intake.close();
      workers.close();
      await surface.close();
    },
  };
}
