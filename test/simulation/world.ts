import { closedPolicy, type Policy } from '../../src/bridge/access/policy.ts';
import { makeMessageKey, makeThreadKey } from '../../src/bridge/ids.ts';
import type {
  ActionOutcome,
  InboundClick,
  InboundReaction,
  MessageOutcome,
  ReactionOutcome,
  SubmissionName,
  SubmissionOutcome,
} from '../../src/bridge/inbound.ts';
import type { Log, Recordings } from '../../src/bridge/ports.ts';
import { createDevices } from '../../src/letta/devices/devices.ts';
import type { LettaTarget } from '../../src/letta/gateway.ts';
import { assembleStore } from '../../src/storage/open.ts';
import { type Bridge, type BridgeParts, wireBridge } from '../../src/wiring.ts';
import { SimClients } from './clients.ts';
import { VirtualClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import { simulateFiles } from './files.ts';
import { type Judged, judge, keysOf, type Offered, saysItWorks, wordsAboveCards } from './invariants.ts';
import { noFaults, SimLetta } from './letta.ts';
import { Life } from './life.ts';
import { type Click, isMember, SimPeople, type Written } from './people.ts';
import { Chance } from './random.ts';
import type { WorkspaceWiring } from './replicas/process.ts';
import { SimReplicas } from './replicas/replicas.ts';
import { COMPARED_MS, judgeSchedules, keptSchedules, SCHEDULER, SimSchedules } from './schedules.ts';
import { ADMIN, IDENTITY, SimSlack } from './slack.ts';
import { isActive, readRecord, withoutSaid } from './stored-row.ts';
import { Story } from './story.ts';
import { SimTools } from './tools.ts';

interface Assembly {
  log: Log;
  random: Chance;
  store: ReturnType<typeof assembleStore>;
}

export interface Result {
  seed: number;
  violations: string[];
  story: string[];
  /** Events of the virtual clock. */
  events: number;
  /** Virtual ms that passed. */
  ms: number;
  turns: number;
  messages: number;
}

export type Mode = 'app-server' | 'single' | 'pair' | 'listen';

interface Weather {
  /** Mean ms between two deeds of people. */
  deeds: number;
  /** Chance per minute and kind of a sudden fault. */
  crash: number;
  stop: number;
  /** Chance that the process ends as soon as it has acked a message. */
  ackedCrash: number;
  lane: number;
  freeze: number;
  redeliver: number;
  lettaRestart: number;
  unroute: number;
  slackAway: number;
  slackGap: number;
  agent: number;
}

const POLICY: Policy = {
  ...closedPolicy,
  users: { ...closedPolicy.users, members: true },
  channels: { everywhere: true, directMessages: true, ids: [] },
  defaults: {
    ...closedPolicy.defaults,
    permissions: 'standard',
    // Each reaction has an emoji of its own, so that its name is found in the input.
    reactions: Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`msg${n}z`, 'and look'])),
  },
};
const ADMINISTERED: Policy = { ...POLICY, admins: { ids: [ADMIN], groups: [] } };
/** Reasons why the bridge refuses a message when too many wait. */
const FULL: ReadonlySet<string> = new Set(['inbox_full', 'queue_full']);
const TICK_MS = 500;
const REST_WITHIN_MS = 2 * 60 * 60_000;
const LOOK_MS = 3_000;
/** After a rest of this length nothing may happen any more. */
const REST_MS = 12 * 60_000;
/**
 * Slack waits for an ack, then sends again: at once, after a minute, after five; then it gives up (docs/slack.md, HTTP
 * delivery).
 */
const ACK_MS = 3_000;
const REDELIVER_MS = [ACK_MS, 60_000, 300_000];
/** A dead socket of Slack's is noticed within this. */
const NOTICED_MS = 30_000;
const DRAIN_MS = 20_000;
/** Long after a lost end must have been found by asking. */
const SILENCE_MS = 15 * 60_000;
/**
 * This long after the start no message may say "working" unless something works; a limited or absent Slack may delay
 * the correction.
 */
const TRUE_AFTER_MS = 30_000;
const SLACK_LAGS_MS = 60_000;
/** Once everything works again, no turn may wait longer than this for an end that was lost. */
const OVER_WITHIN_MS = 3 * 60_000;
/** The longest time between a decision and its row on disk. */
const STORED_MS = 10_000;
const WIDE = { perThread: 50, total: 1_000 };
const HOUR_MS = 60 * 60_000;
const CATCH_UP = { tier: 'full', maxAgeMs: 24 * HOUR_MS, threads: 200, threadAgeMs: 7 * 24 * HOUR_MS } as const;

/** The bridge between a simulated Slack, Letta, disk and people, all driven by one seed. */
class World implements Judged {
  readonly seed: number;
  readonly mode: Mode;
  readonly clock = new VirtualClock();
  readonly story: Story;
  readonly slack: SimSlack;
  readonly letta: SimLetta;
  readonly disk: SimDisk;
  readonly people: SimPeople;
  readonly tools: SimTools;
  readonly schedules: SimSchedules;
  /** Whether turns that are cut off go on by themselves. */
  readonly #goesOn: boolean;
  readonly clients: SimClients;
  readonly #scheduling: Chance;
  /** Of streams of their own: worlds without these faults are what they were. */
  readonly #leaving: Chance;
  readonly #filling: Chance;
  readonly #upgrading: Chance;
  /** Chance that the bot is removed from a channel as a turn ends there. */
  readonly #leavesOften: number;
  /** How often per minute the disk is full for a while. */
  readonly #fillsOften: number;
  /** Chance that a process that ends was of an older version, which did not store what the agent had said. */
  readonly #upgradesOften: number;
  readonly #clientChance: Chance;
  readonly #chance: Chance;
  readonly #weather: Weather;
  readonly #background: Chance;
  /** Whether much runs in the background, and people stop it. */
  readonly #stopsTasks: boolean;
  /** Which messages each turn of the bridge carried, and what became of each message on disk. */
  readonly items = new Map<string, Set<string>>();
  readonly stored = new Map<string, 'speak' | 'context'>();
  /** With several processes: what any thread has ever known as handled. */
  readonly #seen = new Set<string>();
  /** Every offer there ever was, by token. */
  readonly offers = new Map<string, Offered>();
  /** Whose every request was, and since when (ms since 1970), by what it was about. */
  readonly asked = new Map<string, { of: string; at: number }>();
  readonly wordsAbove = new Map<string, Set<string>>();
  readonly staleAfterMs: number;
  /** How many messages may wait, in a thread and in all. */
  readonly queue: { perThread: number; total: number };
  /** Whether all that the bridge says of its own accord gets to Slack, as long as it runs. */
  readonly isSlackReliable: boolean;
  currentLife: Life | null = null;
  #bridge: Bridge | null = null;
  /** The processes that share the workspace; `null`: there is one process, on a disk of its own. */
  readonly #replicas: SimReplicas | null;
  /** The bridge takes what comes. */
  #isListening = false;
  /** Slack's socket is there. */
  #isConnected = false;
  #startedAt = 0;
  /** Failures of the disk before this start. */
  #failedBefore = 0;
  /** Since when the bridge knows up to when all was well. */
  #markedAt: number | null = null;
  #longDown = 0;
  /** How many schedules people have ordered. */
  #ordered = 0;
  /** How many times its process was started. */
  lives = 0;
  /** The last time that its process was away, in ms since 1970. */
  readonly #away = { from: 0, to: 0 };
  #undelivered = 0;
  #isCalm = false;
  #calmSince: number | null = null;
  #ackLost = 0;
  readonly #agentId: string | null;
  readonly #environment: string | null;
  readonly #recordings: Recordings | undefined;

  constructor(seed: number, { tell = null, replicas = false, steer = false, recordings }: SimulateOptions) {
    this.seed = seed;
    this.#recordings = recordings;
    const chance = new Chance(seed);
    this.#chance = chance.forkStream('world');
    this.story = new Story(() => this.clock.now(), tell);
    const dialled = this.#chance.pickOne(['app-server', 'single', 'pair'] as const);
    // Of a stream of its own: worlds without it are what they were.
    this.mode = !replicas && chance.forkStream('listen').happens(0.25) ? 'listen' : dialled;
    this.slack = new SimSlack(this.clock, chance.forkStream('slack'), this.story);
    this.disk = new SimDisk(this.clock, chance.forkStream('disk'), this.story);
    const kind = this.mode === 'app-server' ? 'app-server' : this.mode === 'listen' ? 'device' : 'hosted';
    const knowsStart = kind !== 'hosted' || this.#chance.happens(0.85);
    // Of streams of their own: worlds without schedules are what they were.
    this.#scheduling = chance.forkStream('scheduling');
    this.#goesOn = chance.forkStream('resume').happens(0.3);
    this.schedules = new SimSchedules(this.clock, chance.forkStream('schedules'), this.story);
    this.schedules.clicks = () => this.people.clicks;
    this.letta = new SimLetta(kind, knowsStart, this.clock, chance.forkStream('letta'), this.story, this.schedules);
    // Of streams of their own: worlds without other clients are what they were.
    this.clients = new SimClients(this.clock, chance.forkStream('other clients'), this.story);
    this.#clientChance = chance.forkStream('client times');
    this.letta.hasOtherClients = this.clients.isUsed;
    this.letta.isUsedElsewhere = (conversation) => this.clients.isConnected(conversation);
    this.#agentId = this.#chance.happens(0.5) ? 'agent-1' : null;
    this.#environment = this.#chance.happens(0.5) ? 'device-1' : null;
    this.tools = new SimTools(this.story, chance.forkStream('tools'));
    this.people = new SimPeople(this.clock, chance.forkStream('people'), this.story, this.slack, {
      onMessage: (written) => this.#sendMessage(written),
      onReaction: (written, event) => this.#sendReaction(written, event),
      onClick: (click, action) => this.#deliverClick(click, action),
      onPosted: (home, { channel, ts }, user) => {
        const key = makeThreadKey({ team: IDENTITY.teamId, channel: home.channel, root: home.root });
        // Where the bridge or its disk is away, replies there begin a conversation of their own.
        const bridge = this.#replicas ? this.#replicas.bridge : this.#isListening ? this.#bridge : null;
        bridge?.workers.join(key, { channel, ts, threadTs: null }, user).catch(() => undefined);
      },
    });
    this.people.maySteer = steer;
    if (replicas) this.schedules.isUsed = false;
    if (this.schedules.isUsed || this.clients.isUsed)
      for (const id of [SCHEDULER, ADMIN])
        this.slack.people.set(id, { id, team_id: IDENTITY.teamId, profile: { display_name: `Name ${id}` } });
    this.#background = chance.forkStream('background');
    this.#stopsTasks = this.#background.happens(0.12);
    if (this.#stopsTasks) this.letta.taskLength = 4;
    this.#weather = this.#chooseFaults();
    this.staleAfterMs = this.#chance.happens(0.6) ? this.#chance.between(20_000, 120_000) : 15 * 60_000;
    const narrow = this.#chance.happens(0.3);
    this.queue = narrow ? { perThread: 3 + this.#chance.intBelow(6), total: 6 + this.#chance.intBelow(10) } : WIDE;
    this.people.isFlooding = narrow;
    this.#leaving = chance.forkStream('leaving');
    this.#leavesOften = this.#leaving.happens(0.12) ? this.#leaving.between(0.3, 0.9) : 0;
    this.letta.onEnding = (conversation) => this.#leaveChannel(conversation);
    this.letta.onCallLost = (conversation) => this.#losePatience(conversation);
    this.slack.onCopied = () => this.#crashBehindCopy();
    this.#filling = chance.forkStream('filling');
    this.#fillsOften = this.#filling.happens(0.1) ? this.#filling.between(0.5, 3) : 0;
    this.slack.isNear = chance.forkStream('near').happens(0.15);
    this.#upgrading = chance.forkStream('upgrading');
    this.#upgradesOften = this.#upgrading.happens(0.08) ? this.#upgrading.between(0.3, 1) : 0;
    this.isSlackReliable =
      this.#leavesOften + this.#weather.slackAway === 0 &&
      Object.values(this.slack.faults).every((often) => often === 0);
    this.letta.mayHearAgain = (name) => {
      const ts = this.people.written.find((written) => written.name === name)?.message.ts;
      return this.people.written.some(({ reaction }) => reaction?.about === ts);
    };
    this.letta.isAskedLater = (name) =>
      this.people.written.some((written) => written.name === name && (written.reaction?.keys.length ?? 1) > 1);
    // Whoever begins a new conversation with a message is told that it may run twice.
    this.letta.mayRunAgain = (name) => this.#wasClicked(name, 'send_again') || this.#wasClicked(name, 'start_new');
    this.letta.onTaken = (name) => this.#judgeAge(name);
    this.#replicas = replicas ? this.#createReplicas(chance.forkStream('replicas')) : null;
    this.disk.onWrite = (namespace, key, value) => {
      if (namespace === 'threads') this.#noteRecord(value);
      if (namespace === 'choices' && key.startsWith('caught-up-to')) this.#markedAt ??= this.clock.now();
    };
  }

  /** Which faults this world knows, and how often: most worlds know a few, some all, some none. */
  #chooseFaults(): Weather {
    const chance = this.#chance;
    const some = (often: number, by = chance) => (by.happens(0.45) ? by.between(0.2, 1) * often : 0);
    this.disk.faults = { fails: some(0.03), unreadable: some(0.02), slow: some(0.05) };
    this.disk.isInstant = chance.happens(0.25);
    // A store behind a network loses answers; of a stream of its own: worlds without it are what they were.
    const losing = chance.forkStream('losing');
    if (losing.happens(0.12)) {
      this.disk.isInstant = false;
      this.disk.faults.fails = losing.between(0.05, 0.12);
      this.people.triesAgain = true;
    }
    this.slack.faults = {
      limited: some(0.05),
      lost: some(0.08),
      refused: some(0.03),
      slow: some(0.1),
      // Of a stream of its own: worlds without it are what they were.
      closed: some(0.02, chance.forkStream('closed')),
    };
    this.letta.faults = {
      deaf: some(0.03),
      skew: chance.happens(0.5) ? chance.between(20, 700) : 0,
      twice: some(0.1),
      rest: some(0.15),
      held: some(0.15),
      torn: some(0.05),
    };
    this.#ackLost = some(0.2);
    this.#longDown = some(0.5);
    this.letta.longAway = some(0.5);
    return {
      deeds: chance.between(1_000, 8_000),
      crash: some(1.2),
      stop: some(0.5),
      ackedCrash: some(0.1),
      lane: some(2.5),
      freeze: some(0.8),
      redeliver: some(4),
      lettaRestart: some(0.6),
      unroute: some(1),
      slackAway: some(0.4),
      slackGap: some(1),
      agent: some(1.5),
    };
  }

  get #policy(): Policy {
    const policy = this.schedules.isUsed || this.clients.isUsed ? ADMINISTERED : POLICY;
    return this.#goesOn ? { ...policy, defaults: { ...policy.defaults, resume: 'auto' } } : policy;
  }

  // ---- the bridge's process --------------------------------------------------------------------

  #startBridge(): void {
    if (this.currentLife) return;
    this.lives += 1;
    this.#away.to = this.clock.now();
    const life = new Life(this.lives, this.clock);
    this.currentLife = life;
    const { clock } = life;
    const log = this.story.makeLog();
    const random = new Chance(this.seed).forkStream(`life ${life.number}`);
    const store = assembleStore(this.disk.adapterFor(life), { clock, log }, () => undefined);
    void this.#assemble(life, { log, random, store });
  }

  async #assemble(life: Life, { log, random, store }: Assembly): Promise<void> {
    const { clock } = life;
    const devices = this.mode === 'listen' ? await createDevices({ choices: store.choices, clock, log }) : null;
    if (this.currentLife !== life) return;
    const target = devices && {
      ...{ mode: 'listen' as const, environment: this.#environment },
      devices: { ...devices, dial: this.letta.noteShared(life, devices.dial) },
    };
    const bridge = wireBridge({
      ...this.#wiringOf(life, random),
      ...{ clock, random, log, store, api: this.slack.apiFor(life) },
      ...{ dial: this.letta.dialFor(life), fetch: this.letta.fetchFor(life) },
      ...(target && { target }),
      recordings: this.#recordings,
    });
    this.#bridge = bridge;
    if (devices) this.letta.openDoor(life, devices);
    this.#startedAt = this.clock.now();
    this.#failedBefore = this.#failures();
    this.story.addLine('world', `the bridge starts (${life.number})`);
    this.#startParts(bridge).then(
      () => {
        if (this.currentLife === life) this.#isListening = true;
        clock.after(this.#chance.between(50, 2_000), () => this.#connectSocket());
      },
      () => {
        if (this.currentLife === life) this.crashBridge('could not start');
      },
    );
  }

  /** What a bridge of this world has but for its process's own way to the rest. */
  #wiringOf(life: Life, random: Chance): Omit<BridgeParts, 'clock' | 'log' | 'api' | 'store' | 'dial' | 'fetch'> {
    const cloud: LettaTarget = {
      ...{ mode: 'cloud', baseUrl: 'https://letta.test', apiKey: 'key', environment: this.#environment },
      relay: this.mode === 'pair' ? 'pair' : 'single',
    };
    return {
      ...{ random, nativeStreams: true, identity: IDENTITY, agentId: this.#agentId },
      target: this.mode === 'app-server' ? { mode: 'app-server', url: 'ws://127.0.0.1:1', token: null } : cloud,
      policies: { current: () => this.#policy },
      ...{ staleAfterMs: this.staleAfterMs, queue: this.queue, silenceMs: SILENCE_MS, catchUp: CATCH_UP },
      past: { tier: 'full', mostMessages: 50 },
      tools: this.tools.handlersFor(life),
      files: { slack: simulateFiles(life.clock, random.forkStream('files')), folder: null, keptMs: 3_600_000 },
    };
  }

  #createReplicas(chance: Chance): SimReplicas {
    const { clock, story, disk, slack, letta } = this;
    return new SimReplicas({
      ...{ clock, chance, story, disk },
      outside: {
        api: (life) => slack.apiFor(life),
        dial: (life) => letta.dialFor(life),
        fetch: (life) => letta.fetchFor(life),
      },
      wire: ({ life, random, ...wiring }: WorkspaceWiring) =>
        wireBridge({ ...this.#wiringOf(life, random), log: story.makeLog(), ...wiring }),
      onOpening: () => this.#noteWordsAbove(),
      onServing: () => {
        this.lives += 1;
        this.#startedAt = clock.now();
        this.#failedBefore = this.#failures();
      },
    });
  }

  async #startParts(bridge: Bridge): Promise<void> {
    await bridge.catchUp?.start();
    await bridge.workers.start();
  }

  #connectSocket(): void {
    if (!this.#isListening || this.#isConnected) return;
    this.#isConnected = true;
    this.#bridge?.catchUp?.setConnected(true);
  }

  /** Slack's socket is gone: what is sent meanwhile comes again, if at all. The bridge may notice late. */
  #loseSocket(): void {
    const { currentLife } = this;
    if (!currentLife || !this.#isConnected) return;
    const chance = this.#chance;
    const ms = chance.happens(0.6) ? chance.between(1_000, 40_000) : chance.between(40_000, 15 * 60_000);
    this.story.addLine('slack', `its socket is gone for ${Math.round(ms / 1000)} s`);
    this.#isConnected = false;
    const notices = chance.happens(0.5) ? 1 : chance.between(1, Math.min(NOTICED_MS, ms));
    currentLife.clock.after(notices, () => this.#bridge?.catchUp?.setConnected(false));
    currentLife.clock.after(ms + 1, () => this.#connectSocket());
  }

  /** The process ends without a word; another is started on the same disk. */
  crashBridge(why = 'crash'): void {
    this.#replicas?.killOwner(why);
    const { currentLife } = this;
    if (!currentLife) return;
    this.story.addLine('world', `the bridge is gone: ${why}`);
    this.#endLife(currentLife);
  }

  #endLife(life: Life): void {
    if (this.currentLife !== life) return;
    this.#isListening = false;
    this.#isConnected = false;
    this.#bridge = null;
    this.currentLife = null;
    this.#away.from = this.clock.now();
    life.cutOff();
    if (this.#upgrading.happens(this.#upgradesOften)) this.disk.changeRows('threads', withoutSaid);
    this.#noteWordsAbove();
    const chance = this.#chance;
    let ms = chance.happens(0.8) ? chance.between(1_500, 5_000) : chance.between(5_000, 90_000);
    if (!this.#isCalm && chance.happens(this.#longDown)) ms = chance.between(60_000, 40 * 60_000);
    if (ms > 60_000) this.story.addLine('world', `nobody starts it for ${Math.round(ms / 1000)} s`);
    this.clock.after(ms, () => this.#startBridge());
  }

  #noteWordsAbove(): void {
    for (const [card, words] of wordsAboveCards(this.slack))
      this.wordsAbove.set(card, (this.wordsAbove.get(card) ?? new Set()).union(words));
  }

  /** As on SIGTERM. */
  #stopBridge(): void {
    this.#replicas?.replaceAll();
    const { currentLife } = this;
    const bridge = this.#bridge;
    if (!currentLife || !bridge) return;
    this.story.addLine('world', 'the bridge is told to stop');
    this.#isListening = false;
    this.#isConnected = false;
    void this.#drainBridge(bridge).then(() => {
      if (this.currentLife !== currentLife) return;
      this.story.addLine('world', 'the bridge has stopped');
      this.#endLife(currentLife);
    });
    // Whoever waits for it loses patience: a second signal, or a kill.
    const patience = this.#isCalm || this.#chance.happens(0.7) ? DRAIN_MS + 30_000 : this.#chance.between(1, DRAIN_MS);
    this.clock.after(patience, () => {
      if (this.currentLife === currentLife) this.crashBridge('it did not stop in time');
    });
  }

  async #drainBridge(bridge: Bridge): Promise<void> {
    await Promise.all([bridge.workers.drain(DRAIN_MS), bridge.catchUp?.stop()]);
    await bridge.stop();
  }

  // ---- Slack's events --------------------------------------------------------------------------

  #sendMessage(written: Written): void {
    const chance = this.#chance;
    // Slack sends two events for a mention, in random order.
    const copies = written.message.mentionsBot && written.message.channelKind !== 'im' ? 2 : 1;
    const slow = chance.happens(0.1) ? 2_000 : 0;
    written.trying = copies;
    for (let copy = 0; copy < copies; copy += 1) {
      this.#undelivered += 1;
      this.clock.after(chance.between(20, 250) + chance.between(0, slow), () => this.#deliverMessage(written, 0));
    }
  }

  #sendReaction(written: Written, event: InboundReaction): void {
    this.#undelivered += 1;
    written.trying += 1;
    this.clock.after(this.#chance.between(20, 250), () => this.#deliverMessage(written, 0, event));
  }

  #deliverMessage(written: Written, attempt: number, reaction?: InboundReaction): void {
    let acked = false;
    const over = () => {
      if (!acked) this.#undelivered -= 1;
      if (!acked) written.trying -= 1;
      acked = true;
    };
    const lost = () => !this.#isCalm && this.#chance.happens(this.#ackLost);
    const crashBehind = () => {
      if (!this.#isCalm && this.#chance.happens(this.#weather.ackedCrash)) this.crashBridge('crash behind an ack');
    };
    const { currentLife } = this;
    const bridge = this.#isConnected ? this.#bridge : null;
    if (this.#replicas) {
      const saying = reaction
        ? { kind: 'reaction' as const, event: reaction }
        : { kind: 'message' as const, message: written.message };
      const isLost = lost();
      this.#replicas.deliver(saying, `${written.name} of ${reaction?.at ?? written.message.ts}`, {
        outcome: (outcome) => this.#noteMessage(written, outcome as ReactionOutcome, reaction),
        acked() {
          if (!isLost) over();
          crashBehind();
        },
      });
    } else if (bridge && currentLife) {
      const isLost = lost();
      const handled: Promise<ReactionOutcome> = reaction
        ? bridge.intake.handleReaction(reaction)
        : bridge.intake.handleMessage(written.message);
      handled.then(
        (result) => {
          if (currentLife.isOver) return;
          this.#noteMessage(written, result, reaction);
          if (!isLost) over();
          crashBehind();
        },
        () => undefined,
      );
    }
    const wait = REDELIVER_MS[attempt];
    this.clock.after(wait ?? ACK_MS, () => {
      if (acked) return;
      if (wait === undefined) {
        this.story.addLine('slack', `gives up on ${written.message.ts}`);
        return over();
      }
      acked = true;
      this.#deliverMessage(written, attempt + 1, reaction);
    });
  }

  #noteMessage(written: Written, result: MessageOutcome | ReactionOutcome, reaction?: InboundReaction): void {
    const { outcome } = result;
    written.outcomes.push(outcome);
    if (result.outcome === 'refused' && FULL.has(result.reason)) {
      written.turnedAway = { at: this.clock.now(), life: this.lives };
    }
    if (outcome !== 'accepted') return;
    written.ackedAt ??= this.clock.now();
    if (!this.stored.has(reaction ? makeMessageKey({ ...reaction, ts: reaction.at }) : written.message.key))
      this.story.addViolation(`${written.name} was accepted and is on no disk yet`);
  }

  #deliverClick(click: Click, action: InboundClick): void {
    const chance = this.#chance;
    this.clock.after(chance.between(20, 250), () => {
      if (this.#replicas) {
        this.#replicas.deliver(
          { kind: 'click', action },
          `the click ${action.name} of ${action.actor.user} at ${action.messageTs}`,
          {
            begun: () => {
              click.result = 'given';
            },
            outcome: (outcome) => this.#noteClick(click, action, outcome as ActionOutcome),
          },
        );
        return;
      }
      const { currentLife } = this;
      const bridge = this.#isConnected ? this.#bridge : null;
      if (!bridge || !currentLife) return;
      click.result = 'given';
      bridge.intake.handleAction(action).then(
        (outcome) => {
          if (!currentLife.isOver) this.#noteClick(click, action, outcome);
        },
        () => {
          if (currentLife.isOver) return;
          click.result = 'failed';
          this.people.tryAgain(click);
        },
      );
    });
  }

  #noteClick(click: Click, action: InboundClick, outcome: ActionOutcome): void {
    click.result = outcome.result === 'refused' ? outcome.why : outcome.result;
    if (outcome.result !== 'modal') return;
    if (outcome.modal.kind === 'view_full' || outcome.modal.kind === 'details') return;
    if (outcome.modal.kind === 'ask' || outcome.modal.kind === 'feedback' || outcome.modal.kind === 'models') return;
    const { kind: name, token } = outcome.modal;
    const text = name === 'deny_with_reason' ? 'because' : 'Green';
    this.clock.after(this.#chance.between(500, 15_000), () =>
      this.#submitModal(click, { ...action, name, token }, text),
    );
  }

  #submitModal(click: Click, action: Omit<InboundClick, 'name'> & { name: SubmissionName }, text: string): void {
    const { name, token, actor, team } = action;
    const submission = { name, token, actor, team, texts: [text] };
    const note = (outcome: SubmissionOutcome) => {
      click.result = outcome.result === 'refused' ? outcome.why : outcome.result;
    };
    if (this.#replicas) {
      this.story.addLine(actor.user, `submits ${name}`);
      this.#replicas.deliver({ kind: 'submission', submission }, `the dialog ${name} of ${actor.user}`, {
        begun: () => {
          click.result = 'given';
        },
        outcome: (outcome) => note(outcome as SubmissionOutcome),
      });
      return;
    }
    const { currentLife } = this;
    const bridge = this.#isConnected ? this.#bridge : null;
    if (!bridge || !currentLife) return;
    this.story.addLine(actor.user, `submits ${name}`);
    click.result = 'given';
    bridge.intake.handleSubmission(submission).then(
      (outcome) => {
        if (!currentLife.isOver) note(outcome);
      },
      () => {
        if (!currentLife.isOver) click.result = 'failed';
      },
    );
  }

  // ---- the story -------------------------------------------------------------------------------

  async runStory(): Promise<Result> {
    const chance = this.#chance;
    this.story.addLine('world', `seed ${this.seed}: ${this.mode}`);
    if (this.#replicas) this.#replicas.start();
    else this.#startBridge();
    const until = this.clock.now() + chance.between(0.4, 2.2) * 60_000;
    const deeds = () => {
      if (this.clock.now() >= until) return;
      this.people.doSomething();
      this.clock.after(this.#weather.deeds * chance.between(0.1, 1.9), deeds);
    };
    this.clock.after(100, deeds);
    const scheduling = () => {
      if (this.clock.now() >= until) return;
      this.#scheduleSomething();
      this.clock.after(this.#scheduling.between(500, 8_000), scheduling);
    };
    if (this.schedules.isUsed) this.clock.after(this.#scheduling.between(2_000, 15_000), scheduling);
    while (this.clock.now() < until) {
      await this.clock.runUntil(this.clock.now() + TICK_MS);
      this.#judgeWork();
      this.#breakSomething();
    }
    await this.#comeToRest();
    judge(this);
    this.#replicas?.judge((key) => this.#seen.has(key));
    const { events } = this.clock;
    return {
      seed: this.seed,
      violations: this.story.violations,
      story: this.story.lines,
      events,
      ms: this.clock.now() - this.clock.start,
      turns: this.letta.truth.length,
      messages: this.people.written.length,
    };
  }

  /** Somebody orders a schedule, decides about one or changes one; or one is due. */
  #scheduleSomething(): void {
    const chance = this.#scheduling;
    const { people, schedules } = this;
    const luck = chance.next();
    const kept = keptSchedules(this.disk).filter(({ wanted }) => wanted !== 'gone');
    if (luck < 0.3) people.decideSchedule(chance);
    else if (luck < 0.55) schedules.fireSomething();
    if (luck < 0.55) return;
    if (luck < 0.6 && kept.some(({ owner }) => owner === SCHEDULER)) {
      this.slack.people.set(SCHEDULER, { id: SCHEDULER, team_id: IDENTITY.teamId, is_restricted: true, profile: {} });
      if (!schedules.withoutAccess.has(SCHEDULER)) this.story.addLine('world', `${SCHEDULER} loses access`);
      schedules.withoutAccess.add(SCHEDULER);
      return;
    }
    if (luck < 0.8 || kept.length === 0) {
      this.#ordered += 1;
      const user = chance.pickOne([SCHEDULER, 'U1ALICE', 'U2BOB']);
      if (this.#ordered <= 4) people.orderSchedule(user, chance, `sched${this.#ordered}z`);
      return;
    }
    const schedule = chance.pickOne(kept);
    const change = chance.pickOne(['pause', 'pause', 'resume', 'resume', 'run', 'delete'] as const);
    const isOwner = chance.happens(0.85);
    const by = isOwner ? schedule.owner : chance.pickOne([SCHEDULER, 'U1ALICE', 'U2BOB']);
    if (by === schedule.owner) schedules.orders.push({ id: schedule.id, by, change });
    people.changeSchedule(by, schedule, `${change} ${schedule.id}`);
  }

  /** All schedules are as people want them; then an admin deletes the last ones. */
  async #settleSchedules(): Promise<void> {
    const { schedules } = this;
    schedules.lost = 0;
    const until = this.clock.now() + REST_WITHIN_MS;
    const from = this.clock.now() + COMPARED_MS;
    for (let quiet = 0; quiet < REST_MS || this.clock.now() < from; ) {
      if (this.clock.now() > until) {
        this.story.addViolation('no rest of the schedules');
        return;
      }
      await this.clock.runUntil(this.clock.now() + LOOK_MS);
      this.clients.leave();
      this.#judgeWork();
      this.people.answerAll();
      quiet = this.#isQuiet() ? quiet + LOOK_MS : 0;
    }
    judgeSchedules(this);
    for (let n = 0; n < 20; n += 1) {
      const left = keptSchedules(this.disk);
      if (left.length === 0) break;
      for (const schedule of left)
        if (schedule.wanted !== 'gone') this.people.changeSchedule(ADMIN, schedule, `delete ${schedule.id}`);
      await this.clock.runUntil(this.clock.now() + 60_000);
    }
    const names = schedules.tasks.map(({ name }) => name);
    if (names.length > 0) this.story.addViolation(`deleted schedules are left at Letta: ${names.join(', ')}`);
  }

  /** Now and then something breaks. */
  #breakSomething(): void {
    const chance = this.#chance;
    const weather = this.#weather;
    const now = (perMinute: number) => chance.happens((perMinute * TICK_MS) / 60_000);
    if (this.#replicas) this.#replicas.breakSomething(now);
    else {
      if (now(weather.crash)) this.#crashSoon();
      if (now(weather.stop)) this.#stopBridge();
    }
    if (now(weather.lane)) this.letta.loseLane();
    if (now(weather.freeze)) this.letta.freezeLane();
    if (now(weather.redeliver)) this.letta.redeliverFrames();
    if (now(weather.lettaRestart)) this.letta.restartProcess();
    if (now(weather.unroute)) this.letta.loseRouter();
    if (now(weather.agent)) this.letta.startSomething();
    if (this.#stopsTasks) {
      if (this.#background.happens((6 * TICK_MS) / 60_000)) this.letta.startSomething();
      if (this.#background.happens((12 * TICK_MS) / 60_000)) this.people.stopTasks();
    }
    if (this.#filling.happens((this.#fillsOften * TICK_MS) / 60_000)) {
      const ms = this.#filling.between(500, 15_000);
      this.story.addLine('disk', `is full for ${Math.round(ms / 1000)} s`);
      this.disk.fullUntil = this.clock.now() + ms;
    }
    if (this.clients.isUsed) {
      this.clients.leave();
      if (this.#clientChance.happens((6 * TICK_MS) / 60_000)) this.clients.doSomething(this.#ofThreads());
    }
    if (now(weather.slackGap) && !this.#replicas) this.#loseSocket();
    if (now(weather.slackAway)) {
      const ms = chance.between(1_000, 40_000);
      this.story.addLine('slack', `is away for ${Math.round(ms / 1000)} s`);
      this.slack.awayUntil = this.clock.now() + ms;
    }
  }

  /** A call of a tool was lost on its way, so its turn hangs: somebody stops it and writes something else. */
  #losePatience(conversation: string): void {
    const records = [...this.disk.rowsOf('threads').values()].map((row) => readRecord(row).record);
    const address = records.find(({ runtime }) => runtime?.conversationId === conversation)?.address;
    if (address) this.people.stopAndGoOn(address);
  }

  /** The conversations of threads. */
  #ofThreads() {
    return [...this.disk.rowsOf('threads').values()].flatMap((row) => {
      const { runtime } = readRecord(row).record;
      return this.letta.conversations.get(runtime?.conversationId ?? '') ?? [];
    });
  }

  /** The bot is removed from the channel, so that the requester gets the answer in a direct message. */
  #leaveChannel(conversation: string): void {
    if (this.#isCalm || !this.#leaving.happens(this.#leavesOften)) return;
    const records = [...this.disk.rowsOf('threads').values()].map((row) => readRecord(row).record);
    const channel = records.find(({ runtime }) => runtime?.conversationId === conversation)?.address.channel;
    if (channel?.startsWith('C')) this.slack.closeChannel(channel, this.#leaving.between(30_000, 600_000));
  }

  /** The process ends before it has stored that the requester has the answer. */
  #crashBehindCopy(): void {
    if (this.#isCalm || !this.#leaving.happens(this.#leavesOften)) return;
    const { currentLife } = this;
    this.clock.after(this.#leaving.between(1, 60), () => {
      if (this.#replicas || this.currentLife === currentLife) this.crashBridge('crash behind a copy');
    });
  }

  /** At any ms, not only between two ticks; often while something is under way. */
  #crashSoon(): void {
    const { currentLife } = this;
    this.clock.after(this.#chance.between(1, TICK_MS), () => {
      if (this.currentLife === currentLife) this.crashBridge();
    });
  }

  /** Everything works again, and people answer what they are asked: then all must come to rest. */
  async #comeToRest(): Promise<void> {
    this.story.addLine('world', 'from here on everything works');
    this.#isCalm = true;
    this.#calmSince = this.clock.now();
    this.#replicas?.calm();
    this.disk.faults = { fails: 0, unreadable: 0, slow: 0 };
    this.disk.fullUntil = 0;
    this.slack.faults = { limited: 0, lost: 0, refused: 0, slow: 0, closed: 0 };
    this.slack.awayUntil = 0;
    this.slack.openChannels();
    this.letta.faults = noFaults;
    // The last fault can be noticed only by asking Letta.
    this.letta.losesNextEnd = this.#chance.happens(0.3);
    if (this.schedules.isUsed) await this.#settleSchedules();
    const until = this.clock.now() + REST_WITHIN_MS;
    let quiet = 0;
    while (quiet < REST_MS && this.clock.now() < until) {
      await this.clock.runUntil(this.clock.now() + LOOK_MS);
      this.clients.leave();
      this.#judgeWork();
      this.people.answerAll();
      quiet = this.#isQuiet() ? quiet + LOOK_MS : 0;
    }
    if (quiet < REST_MS)
      this.story.addViolation(
        `no rest: active ${[...this.disk.rowsOf('active').keys()].join(' ')}, ${this.#undelivered} on their way, ${this.#isConnected ? '' : 'not '}connected, ${this.#replicas?.describe() ?? ''} Letta ${this.letta.isBusy ? 'busy' : 'idle'}, never found: ${this.#unfoundMessages().map(({ name }) => name)}`,
      );
    this.#judgeRest();
    // What a failed write left behind is gone after the next start.
    this.#stopBridge();
    const [dialled, shown] = [this.letta.dialled.size, this.slack.shownCalls];
    await this.clock.runUntil(this.clock.now() + 5 * 60_000);
    if (quiet < REST_MS) return;
    const dials = this.letta.dialled.size - dialled;
    if (dials > 0) this.story.addViolation(`with nothing open a start dials Letta ${dials} times`);
    const calls = this.slack.shownCalls - shown;
    if (calls > 0) this.story.addViolation(`with nothing open a start makes ${calls} calls that show something`);
  }

  /** How many times a store has failed so far. */
  #failures(): number {
    return this.disk.failedCount + (this.#replicas?.server.failedCount ?? 0);
  }

  #judgeRest(): void {
    const lanes = [...this.letta.dialled].filter((lane) => lane.isHeld).length;
    if (lanes > 0) this.story.addViolation(`${lanes} lanes are left open`);
    // One keeps the mark of what was delivered.
    const timers = this.currentLife?.clock.waitingTimers() ?? 0;
    if (timers > 1) this.story.addViolation(`${timers} timers are left`);
    // A tidying that the disk refused is done by the next start.
    if (this.#failures() > this.#failedBefore) return;
    for (const key of this.disk.rowsOf('active').keys()) {
      const row = this.disk.rowsOf('threads').get(key);
      if (row === undefined || !isActive(row))
        this.story.addViolation(`${key} is at rest, and the next start reads it`);
    }
  }

  /** What comes late is old, found or delivered: it is offered, never run unasked. */
  #judgeFound(key: string): void {
    const written = this.people.written.find((known) => keysOf(known).includes(key));
    if (!written) return;
    const now = this.clock.now();
    if (now - written.at <= this.staleAfterMs + STORED_MS) return;
    this.story.addViolation(
      `${written.name} came after ${Math.round((now - written.at) / 1000)} s and was taken unasked`,
    );
  }

  #isSomethingActive(): boolean {
    return [...this.disk.rowsOf('threads').values()].some(isActive);
  }

  #isQuiet(): boolean {
    const all =
      (this.#replicas?.isAtRest ?? this.#isConnected) &&
      this.#undelivered === 0 &&
      this.#unfoundMessages().length === 0;
    return all && !this.#isSomethingActive() && !this.letta.isBusy;
  }

  /** What looking back must find: mentions and direct messages of members, in places that the bridge knew by then. */
  #unfoundMessages(): Written[] {
    const threads = [...this.disk.rowsOf('threads').values()].map((row) => readRecord(row).record);
    const handled = new Set(threads.flatMap(({ seen }) => seen.map(({ key }) => key)));
    // What it found and refused, it remembers as well.
    const found = JSON.stringify(this.disk.rowsOf('choices').get(`handled:${IDENTITY.teamId}`) ?? '');
    return this.people.written.filter(({ message, trying, outcomes, at, reaction }) => {
      // Looking back finds no reactions.
      if (reaction) return false;
      if (handled.has(message.key) || found.includes(message.key)) return false;
      if (trying > 0 || outcomes.length > 0 || this.stored.has(message.key)) return false;
      if (this.#markedAt === null || at < this.#markedAt) return false;
      const isOurs = message.mentionsBot || message.channelKind === 'im';
      const known = threads.some(({ address, createdAt }) => address.channel === message.channel && createdAt <= at);
      return isOurs && isMember(message.user) && known;
    });
  }

  /** Whether somebody clicked that on an offer of this message. */
  #wasClicked(name: string, action: string): boolean {
    const written = this.people.written.find((known) => known.name === name);
    const keys = written ? keysOf(written) : [];
    return this.people.clicks.some(({ action: clicked, token }) => {
      return clicked === action && keys.some((key) => this.offers.get(token)?.items.has(key) === true);
    });
  }

  /** After a start nothing says that it works where nothing does. */
  #judgeWork(): void {
    const now = this.clock.now();
    // After an outage the bridge tries a call again only after a while.
    const isLongCalm = this.#calmSince !== null && now - this.#calmSince > SLACK_LAGS_MS;
    const slackLags = this.#isCalm && isLongCalm && this.slack.awayUntil === 0 ? 0 : SLACK_LAGS_MS;
    // Once Letta is back the bridge asks anew.
    const since = Math.max(this.#startedAt, this.letta.away.to, this.letta.routedAt);
    const runs = this.#replicas ? this.#replicas.owner !== null : this.currentLife !== null;
    if (!runs || now - since < TRUE_AFTER_MS + slackLags) return;
    for (const row of this.disk.rowsOf('threads').values()) {
      const { turn, runtime, address } = readRecord(row).record;
      const conversation = this.letta.conversations.get(runtime?.conversationId ?? '');
      if (turn === null || !conversation?.isIdle) continue;
      // While Slack refuses every edit in the channel, no message there can be corrected. The bridge tries again after
      // waits that double, so the last one may take as long as all that Slack refused.
      const closed = this.slack.closed(address.channel);
      if (now - closed.until < Math.max(TRUE_AFTER_MS, closed.until - closed.since)) continue;
      const quiet = Math.max(
        since,
        this.#calmSince ?? Number.POSITIVE_INFINITY,
        conversation.idleSince,
        turn.startedAt,
      );
      const isLongOver = now - quiet > OVER_WITHIN_MS;
      const isOfBefore = turn.startedAt < this.#startedAt && conversation.idleSince <= this.#startedAt;
      if (!isOfBefore && !isLongOver) continue;
      if (this.slack.messages.some((message) => message.metadata?.turn === turn.id && saysItWorks(message)))
        this.story.addViolation(
          `${turn.id} says that it works; Letta is idle for ${Math.round((now - conversation.idleSince) / 1000)} s`,
        );
    }
  }

  /** What waited too long, for Letta or the bridge to come back, is not run unasked. */
  #judgeAge(name: string): void {
    const written = this.people.written.find((known) => known.name === name);
    if (!written || written.ackedAt === null) return;
    for (const [whom, { from, to }] of [
      ['Letta', this.letta.away],
      ['the bridge', this.#away],
    ] as const) {
      // A reaction that was taken back and added again waits from then on.
      const since = Math.max(from, written.ackedAt, written.at) + NOTICED_MS;
      if (to - since < this.staleAfterMs || this.clock.now() < to) continue;
      // It waits for what Letta runs, and Letta begins it then, whether the bridge is there or not.
      if (whom === 'the bridge' && (this.letta.queuedAt.get(name) ?? to) < from) continue;
      if (!this.#wasClicked(name, 'run_now') && !this.#wasClicked(name, 'send_again'))
        this.story.addViolation(`${name} waited ${Math.round((to - since) / 1000)} s for ${whom} and ran unasked`);
    }
  }

  #noteRecord(value: string): void {
    const { record } = readRecord(value);
    if (this.#replicas) for (const { key } of record.seen) this.#seen.add(key);
    for (const offer of record.offers) {
      const about = offer.about?.message ?? null;
      const known = this.offers.get(offer.token) ?? { kind: offer.kind, for: offer.for, items: new Set(), about };
      this.offers.set(offer.token, known);
      // Of a turn that is over, but not closed, the messages are still with the turn.
      const isAgain = offer.kind === 'send_again' || offer.kind === 'start_new';
      const own = isAgain && offer.tail?.turn === record.turn?.id ? (record.turn?.items ?? []) : [];
      for (const { key } of [...offer.items, ...own]) {
        known.items.add(key);
        this.stored.set(key, 'speak');
      }
    }
    for (const { title, requester, askedAt } of record.approvals) {
      const about = /perm\d+z/.exec(title)?.[0];
      if (about) this.asked.set(about, { of: requester, at: askedAt });
    }
    if (record.inbox.length > 2 * this.queue.perThread)
      this.story.addViolation(`${record.inbox.length} messages wait where ${this.queue.perThread} may`);
    for (const item of record.inbox) {
      if (!this.stored.has(item.key)) this.#judgeFound(item.key);
      this.stored.set(item.key, 'speak');
    }
    for (const item of record.context) if (!this.stored.has(item.key)) this.stored.set(item.key, 'context');
    if (!record.turn) return;
    const items = this.items.get(record.turn.id) ?? new Set();
    this.items.set(record.turn.id, items);
    // Letta began another turn in its place, and its messages wait again.
    if (record.turn.origin === 'agent') items.clear();
    for (const item of record.turn.items) items.add(item.key);
  }
}

export interface SimulateOptions {
  /** Called with each line of the story. */
  tell?: ((line: string) => void) | null;
  /** People hand messages to running turns. */
  steer?: boolean;
  /** Several processes on one database share the workspace. */
  replicas?: boolean;
  /** Get what happens in each thread of a single process; left out: nothing is recorded. */
  recordings?: Recordings;
}

export function simulate(seed: number, options: SimulateOptions = {}): Promise<Result> {
  return new World(seed, options).runStory();
}
