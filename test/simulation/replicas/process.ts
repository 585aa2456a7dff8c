import type { InboundClick, InboundMessage, InboundReaction, InboundSubmission } from '../../../src/bridge/inbound.ts';
import { BridgeError } from '../../../src/errors.ts';
import type { FetchLike } from '../../../src/letta/hosted-api.ts';
import type { LaneDialer } from '../../../src/letta/link/lane.ts';
import { type SlackApi, type SlackCall, SlackError } from '../../../src/slack/api/slack-api.ts';
import type { Envelope, Reply } from '../../../src/slack/receiver/transport.ts';
import type { Lease, StoreHouse } from '../../../src/storage/house.ts';
import type { Store } from '../../../src/storage/open.ts';
import { assembleHouse } from '../../../src/storage/postgres/house.ts';
import type { Bridge } from '../../../src/wiring.ts';
import { createDeliveries } from '../../../src/workspaces/deliveries.ts';
import { createGate, type Gate } from '../../../src/workspaces/gate.ts';
import { createKeeper, type Keeper } from '../../../src/workspaces/keeper.ts';
import { createRouter } from '../../../src/workspaces/router.ts';
import { createVirtualTransport } from '../../../src/workspaces/virtual-transport.ts';
import type { Workspace } from '../../../src/workspaces/workspace.ts';
import type { ScopedClock, VirtualClock } from '../clock.ts';
import { Life } from '../life.ts';
import type { Chance } from '../random.ts';
import { IDENTITY, TEAM } from '../slack.ts';
import type { Story } from '../story.ts';
import { SimNetwork, type SimServer } from './network.ts';

/** What a delivery of the simulation says. */
export type Saying =
  | { kind: 'message'; message: InboundMessage }
  | { kind: 'reaction'; event: InboundReaction }
  | { kind: 'click'; action: InboundClick }
  | { kind: 'submission'; submission: InboundSubmission };

/** What the workspace is wired with that its process decides. */
export interface WorkspaceWiring {
  life: Life;
  clock: ScopedClock;
  random: Chance;
  store: Store;
  api: SlackApi;
  dial: LaneDialer;
  fetch: FetchLike;
  clockAheadMs: () => number;
}

export interface ProcessParts {
  name: string;
  number: number;
  server: SimServer;
  clock: VirtualClock;
  chance: Chance;
  story: Story;
  times: { expiryMs: number; heartbeatMs: number };
  /** Slack, Letta and the rest, without a gate. */
  outside: { api(life: Life): SlackApi; dial(life: Life): LaneDialer; fetch(life: Life): FetchLike };
  wire(wiring: WorkspaceWiring): Bridge;
  /** A delivery, by the number in its body. */
  sayingOf(n: number): Saying;
  /** The workspace is about to handle it, and has handled it: `done` is not called when it failed. */
  onHandling(n: number): (outcome: unknown) => void;
  onOpening(process: SimProcess): void;
  onServing(process: SimProcess): void;
  /** What a person is told instead of an answer. */
  onTold(text: string, url: string): void;
  /** It cannot go on: a supervisor starts another one. */
  onFailed(process: SimProcess, why: string): void;
}

/** How long a workspace waits for its turns when its process is told to end. */
const DRAIN_MS = 20_000;
/** Far more than real clocks have. */
const DRIFT = 0.005;

/** A clock that goes a bit wrong, of a process that may be frozen or asleep. */
function ownClock(clock: VirtualClock, chance: Chance, slept: () => number, aheadMs: number) {
  const rate = 1 + chance.between(-DRIFT, DRIFT);
  const began = chance.between(0, 1e9);
  const start = clock.now();
  return (life: Life, scoped: ScopedClock): ScopedClock => ({
    ...scoped,
    now: () => Math.round(clock.now() + aheadMs),
    monotonic: () => began + (clock.now() - start - slept()) * rate,
    after(ms, run) {
      let isCancelled = false;
      const timer = scoped.after(ms / rate, () => life.enter(() => isCancelled || run()));
      return {
        cancel() {
          isCancelled = true;
          timer.cancel();
        },
      };
    },
  });
}

/** One process of several: the product's house, keeper, deliveries and gate on what the simulation has of the rest. */
export class SimProcess {
  readonly name: string;
  readonly life: Life;
  readonly network: SimNetwork;
  /** Slack's socket is there. */
  isConnected = false;
  /** It was told to end. */
  isEnding = false;
  /** Deliveries are taken. */
  isUp = false;
  readonly #parts: ProcessParts;
  readonly #aheadMs: number;
  #sleptMs = 0;
  #frozenAt = 0;
  #keeper: Keeper | null = null;
  #house: StoreHouse | null = null;
  #deliver: ((envelope: Envelope) => Promise<Reply>) | null = null;
  /** The bridge of the workspace, while it is wired here. */
  bridge: Bridge | null = null;

  constructor(parts: ProcessParts) {
    this.#parts = parts;
    this.name = parts.name;
    const { chance, clock, number, server, story } = parts;
    this.#aheadMs = chance.between(-1_500, 1_500);
    const own = ownClock(clock, chance, () => this.#sleptMs, this.#aheadMs);
    this.life = new Life(number, clock, { drift: DRIFT, ownClock: own });
    this.network = new SimNetwork(server, this.life, this.name);
    story.addLine('world', `${this.name} starts`);
    this.#start().catch((error: unknown) => parts.onFailed(this, `could not start: ${String(error)}`));
  }

  /** Whether it serves the workspace, as far as it knows. */
  get isServing(): boolean {
    return this.#keeper?.find(TEAM) !== null && this.#keeper !== null;
  }

  freeze(): void {
    this.#frozenAt = this.#parts.clock.now();
    this.life.freeze();
  }

  /** @param isAsleep the machine slept: the monotonic clock stood still, too */
  thaw(isAsleep: boolean): void {
    if (!this.life.isFrozen) return;
    if (isAsleep) this.#sleptMs += this.#parts.clock.now() - this.#frozenAt;
    this.life.thaw();
  }

  setConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
    for (const workspace of this.#keeper?.list() ?? []) workspace.setConnected(isConnected);
  }

  /** Hands over a delivery of Slack. */
  deliver(n: number, kind: Envelope['kind']): Promise<Reply> {
    if (!this.#deliver) return Promise.reject(new BridgeError('internal', 'not up', { retry: true }));
    const saying = this.#parts.sayingOf(n);
    const body: Record<string, unknown> =
      kind === 'events_api'
        ? { type: 'event_callback', team_id: TEAM, event: eventOf(saying), sim: n }
        : {
            ...{ type: saying.kind === 'submission' ? 'view_submission' : 'block_actions', team: { id: TEAM }, sim: n },
            response_url: `https://hooks.slack.com/${n}`,
          };
    return this.#deliver({ kind, body, retryNum: 0, retryReason: null });
  }

  /** As on SIGTERM. Resolves when it has ended. */
  async end(): Promise<void> {
    this.isEnding = true;
    await this.#keeper?.drain(DRAIN_MS);
    await this.#keeper?.stop();
    await this.#house?.close();
  }

  async #start(): Promise<void> {
    const { story, times, name, chance } = this.#parts;
    const { clock } = this.life;
    const log = story.makeLog({ of: name });
    const random = chance.forkStream('random');
    const house = await assembleHouse({
      ...{ clock, log, times, id: name, process: name, database: this.network, leaseDatabase: this.network },
      connections: 10,
      check: () => ({ ok: true, state: 'writable' }),
      disconnect: async () => undefined,
    });
    this.#house = house;
    const installation = {
      ...{ workspace: TEAM, source: 'static' as const, teamId: TEAM, enterpriseId: null, isEnterpriseInstall: false },
      openToken: () => ({ get: async () => 'xoxb-1' }),
    };
    const installations = {
      static: installation,
      find: async ({ teamId }: { teamId: string | null }) => (teamId === TEAM ? installation : null),
      get: async () => installation,
      onChanged: () => () => undefined,
    };
    const keeper = createKeeper({
      ...{ house, installations, clock, random, log, most: 10 },
      open: async (_, lease, store) => this.#open(lease, store),
      onServing: (workspace) => {
        workspace.setConnected(this.isConnected);
        this.#parts.onServing(this);
      },
    });
    this.#keeper = keeper;
    const fetch = async (input: unknown, init?: RequestInit) => {
      this.#parts.onTold(String((JSON.parse(String(init?.body)) as { text: string }).text), String(input));
      return new Response();
    };
    this.#deliver = createDeliveries({
      ...{ router: createRouter({ installations, appId: null, clock }), keeper, inbound: house.inbound, log },
      metrics: { count: () => undefined, gauge: () => undefined, observe: () => undefined },
      ...{ fetch: fetch as typeof globalThis.fetch, slackApiUrl: 'https://slack.test/api/' },
    });
    await keeper.start();
    this.isUp = true;
    clock.after(chance.between(50, 2_000), () => this.isEnding || this.setConnected(true));
  }

  /** The workspace as `src/workspaces/workspace.ts` wires it, but for Slack's payloads. */
  async #open(lease: Lease, store: Store): Promise<Workspace> {
    const { wire, onHandling, onOpening, sayingOf, chance } = this.#parts;
    const { life } = this;
    onOpening(this);
    const { gate, api, letta } = this.#guard(lease);
    const bridge = wire({
      ...{ life, clock: life.clock, random: chance.forkStream(`fence ${lease.fence}`), store, api },
      dial: gate.guardDial(this.#judgeLanes()),
      fetch: letta,
      clockAheadMs: () => this.#aheadMs,
    });
    this.bridge = bridge;
    const { intake, workers, catchUp } = bridge;
    const transport = createVirtualTransport(() => ({
      ...{ isConnected: this.isConnected, since: 0, foreignConnections: 0, countedAt: null },
    }));
    let stopping: Promise<void> | null = null;
    const stop = () => {
      stopping ??= (async () => {
        transport.pause();
        await catchUp?.stop();
        await bridge.stop();
        gate.close();
        if (this.bridge === bridge) this.bridge = null;
      })();
      return stopping;
    };
    const handle = (saying: Saying): Promise<unknown> => {
      if (saying.kind === 'message') return intake.handleMessage(saying.message);
      if (saying.kind === 'reaction') return intake.handleReaction(saying.event);
      if (saying.kind === 'click') return intake.handleAction(saying.action);
      return intake.handleSubmission(saying.submission);
    };
    return {
      ...{ id: TEAM, identity: { ...IDENTITY, url: null }, selfTest: { run: async () => undefined } },
      account: null as never,
      async start() {
        await catchUp?.start();
        await workers.start();
        await transport.start(async ({ body }) => {
          const n = Number(body.sim);
          const done = onHandling(n);
          done(await handle(sayingOf(n)));
          return undefined;
        });
      },
      accept: transport.accept,
      setConnected: (isConnected) => catchUp?.setConnected(isConnected),
      noteTaken: (ms) => catchUp?.noteTaken(ms),
      noteHomeChange: () => undefined,
      missingScopes: () => [],
      checkLetta: bridge.checkLetta,
      load: () => ({ waiting: workers.waiting, openApprovals: workers.openApprovals, live: workers.live }),
      async drain(ms) {
        const [left] = await Promise.all([workers.drain(ms), catchUp?.stop()]);
        return left;
      },
      stop,
      freeze() {
        gate.close();
        transport.cut(new BridgeError('lease_lost', 'another process serves the workspace', { retry: true }));
        return stop();
      },
    };
  }

  /** All that leaves the workspace passes its gate, and is looked at behind it. */
  #guard(lease: Lease): { gate: Gate; api: SlackApi; letta: FetchLike } {
    const { outside } = this.#parts;
    const slack = outside.api(this.life);
    const rest = outside.fetch(this.life);
    const gate = createGate(lease, (async (input: unknown, init: Leaving) => {
      const path = String(input);
      if (!init.args) {
        this.#judgeEffect(path);
        return rest(path, init);
      }
      const method = path.slice(path.lastIndexOf('/') + 1);
      this.#judgeEffect(method);
      return slack.call(method, init.args, init.options);
    }) as unknown as typeof globalThis.fetch);
    const leave = (path: string, init: Leaving) =>
      gate.fetch(path, init as RequestInit) as Promise<unknown> as Promise<never>;
    return {
      gate,
      api: {
        call(method, args, options) {
          const { promise, resolve, reject } = Promise.withResolvers<never>();
          const giveUp = () => reject(new SlackError(method, 'unknown', 'closed'));
          if (gate.signal.aborted) giveUp();
          gate.signal.addEventListener('abort', giveUp, { once: true });
          leave(`https://slack.test/api/${method}`, { args, options })
            .then(resolve, (error: unknown) =>
              reject(error instanceof SlackError ? error : new SlackError(method, 'unknown', 'closed')),
            )
            .finally(() => gate.signal.removeEventListener('abort', giveUp));
          return promise;
        },
      },
      letta: (url, init) => leave(url, init),
    };
  }

  #judgeLanes(): LaneDialer {
    const dial = this.#parts.outside.dial(this.life);
    return (endpoint, handlers) => {
      this.#judgeEffect(`a lane to ${endpoint.name}`);
      const lane = dial(endpoint, handlers);
      return {
        send: (text, requestId) => {
          this.#judgeEffect(`a frame ${(JSON.parse(text) as { type?: string }).type}`);
          lane.send(text, requestId);
        },
        close: () => lane.close(),
      };
    };
  }

  #judgeEffect(what: string): void {
    const { story, server } = this.#parts;
    if (this.life.isOver) return;
    if (this.life.isFrozen) story.addViolation(`${what} left ${this.name} while it was frozen`);
    if (server.tables.ownerOf(TEAM) !== this.name) story.addViolation(`${what} left ${this.name} outside of a lease`);
  }
}

/** As much of Slack's event as is looked at before the workspace has it. */
function eventOf(saying: Saying): Record<string, unknown> {
  if (saying.kind === 'message') return { type: 'message', channel: saying.message.channel, ts: saying.message.ts };
  if (saying.kind !== 'reaction') return {};
  const { kind, at, channel } = saying.event;
  return { type: `reaction_${kind}`, event_ts: at, item: { channel } };
}

/** A request on its way through the gate: a call to Slack with its arguments, or one to Letta's cloud. */
type Leaving =
  | { args: Record<string, unknown>; options: SlackCall }
  | (Parameters<FetchLike>[1] & { args?: undefined });
