import { ChannelMoves } from './bridge/channel-moves.ts';
import type { ThreadKey } from './bridge/ids.ts';
import type { InboundMessage } from './bridge/inbound.ts';
import { BridgeIntake } from './bridge/intake.ts';
import { KillSwitch } from './bridge/kill-switch.ts';
import type { PolicyBook } from './bridge/policy.ts';
import type { Choices, Clock, Log, Metrics, Random, Surface, ThreadMoves, Threads } from './bridge/ports.ts';
import { ThreadWorkers } from './bridge/thread-workers.ts';
import { createGateway, type LettaTarget } from './letta/gateway.ts';
import type { FetchLike } from './letta/hosted-api.ts';
import type { LaneDialer } from './letta/link/lane.ts';
import type { Check } from './ops/health.ts';
import { watchLetta } from './ops/letta-watch.ts';
import { noMetrics } from './ops/metrics.ts';
import { watchTurns } from './ops/turn-watch.ts';
import type { Identity } from './slack/identity.ts';
import { plainPosts } from './slack/outbox/plain.ts';
import { createSurface } from './slack/outbox/surface.ts';
import { createPeople } from './slack/people.ts';
import { noticePosts } from './slack/render/notice.ts';
import { offerPosts } from './slack/render/offer.ts';
import { createRenderer } from './slack/render/posts.ts';
import type { SlackApi } from './slack/slack-api.ts';

/** The five ports, and what is configured. */
export interface BridgeParts {
  clock: Clock;
  random: Random;
  log: Log;
  /** Left out: nobody looks. */
  metrics?: Metrics;
  /** Of one workspace; `identity` is who we are there. */
  api: SlackApi;
  identity: Pick<Identity, 'botUserId' | 'enterpriseId'>;
  store: { threads: Threads; choices: Choices; moves?: ThreadMoves };
  dial: LaneDialer;
  /** Used in `cloud` mode only. */
  fetch: FetchLike;
  target: LettaTarget;
  agentId: string | null;
  policies: PolicyBook;
  /** How many messages may wait; the middle has defaults. */
  queue?: { perThread: number; total: number };
  /** ms that a running turn may say nothing. */
  silenceMs?: number;
  /** ms after which a message that was found late, or waited for a device, is not run unasked; left out: it always is. */
  staleAfterMs?: number;
  onMissed?: (message: InboundMessage) => void;
  onSpoken?: (key: ThreadKey) => void;
}

export interface Bridge {
  intake: BridgeIntake;
  workers: ThreadWorkers;
  surface: Surface;
  /** What the last word about Letta was. */
  lettaCheck(): Check;
  /** Ends the workers, then the surface: what is on disk is enough to go on. Stopping twice is fine. */
  stop(): Promise<void>;
}

/** Everything between the ports. Nothing happens until something is handed to `intake` or the workers are started. */
export function wireBridge(parts: BridgeParts): Bridge {
  const { api, clock, random, log, identity, store, policies, target, agentId, dial, fetch } = parts;
  const { queue, silenceMs, staleAfterMs, onMissed, onSpoken, metrics = noMetrics } = parts;
  const people = createPeople({ api, clock, enterpriseId: identity.enterpriseId });
  const surface = watchTurns(
    createSurface({
      api,
      renderer: createRenderer,
      fallback: plainPosts,
      notice: noticePosts,
      offer: offerPosts,
      clock,
      random,
      log,
    }),
    metrics,
    clock,
  );
  const { choices, threads, moves } = store;
  const letta = watchLetta(createGateway({ target, agentId, clock, random, dial, fetch, choices, log }), metrics);
  const killSwitch = new KillSwitch({ choices, clock, log });
  const middle = {
    threads,
    surface,
    people,
    clock,
    log,
    policies,
    killSwitch,
    botUser: identity.botUserId,
    staleAfterMs,
  };
  const turnsDieWithLink = target.mode === 'app-server';
  const workers = new ThreadWorkers({ ...middle, gateway: letta.gateway, random, turnsDieWithLink, silenceMs });
  const intake = new BridgeIntake({
    ...middle,
    random,
    metrics,
    workers,
    queue,
    onMissed,
    onSpoken,
    ...(moves && { channels: new ChannelMoves({ moves, workers, log }) }),
  });
  return {
    intake,
    workers,
    surface,
    lettaCheck: letta.check,
    async stop() {
      workers.close();
      await surface.close();
    },
  };
}
