import type { PolicyBook } from '../bridge/access/policy.ts';
import type { WorkspaceId } from '../bridge/ids.ts';
import type { Choices, Clock, Log, Metrics, Random, Recordings, SharedFolder, Threads } from '../bridge/ports.ts';
import type { LeftOpen, ThreadWorkers } from '../bridge/thread/workers.ts';
import type { Machines } from '../bridge/view/home.ts';
import type { Config } from '../config/config.ts';
import { type ChannelKinds, describeMissing, kindsThatMatter, missingScopes, scopesRefused } from '../doctor/scopes.ts';
import { BridgeError } from '../errors.ts';
import type { LettaTarget } from '../letta/gateway.ts';
import type { LaneDialer } from '../letta/link/lane.ts';
import type { Check } from '../ops/health.ts';
import type { Identity } from '../slack/api/identity.ts';
import { createSelfTest, type SelfTest } from '../slack/api/self-test.ts';
import { createUploader } from '../slack/api/uploader.ts';
import { createDownloads } from '../slack/files/downloads.ts';
import { createSlackInbound } from '../slack/inbound/inbound.ts';
import type { Envelope, Reply, TransportState } from '../slack/receiver/transport.ts';
import type { Store } from '../storage/open.ts';
import { wireBridge } from '../wiring.ts';
import type { Account } from './account.ts';
import type { Gate } from './gate.ts';
import { createVirtualTransport } from './virtual-transport.ts';

/** With a shorter RETENTION, too, a file stays for the turn that needs it. */
const FILES_KEPT_MS = 60 * 60_000;

/** What all workspaces of a process share. */
export interface Premises {
  config: Config;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Where Letta is. */
  target: LettaTarget;
  dial: LaneDialer;
  /** Machines that dial the bridge; left out: none can. */
  machines?: (() => Machines) | undefined;
  /** Where people's files lie for agents on this machine; `null`: never there. */
  sharedFolder: SharedFolder | null;
  recordings?: Recordings | undefined;
  /** ms by which our wall clock is ahead of Slack's. */
  clockAheadMs(): number;
  /** The state of Slack and the store, for the Home tab. */
  checks(): readonly Check[];
  /** The state of the process's own way from Slack. */
  transportState(): TransportState;
  /** Notes the outcome of each write. */
  watchThreads(threads: Threads): Threads;
}

export interface WorkspaceParts {
  account: Account;
  identity: Identity;
  /** Its own policy. */
  policies: PolicyBook;
  /** Its own rows. The workspace does not close it. */
  store: Pick<Store, 'threads' | 'audit' | 'details'> & { choices: Choices };
  /** Each call to Slack and Letta passes it. */
  gate: Gate;
}

/** How much of a workspace is in memory. */
export interface Load {
  /** Messages that wait. */
  waiting: number;
  openApprovals: number;
  /** Threads in which something happens. */
  live: number;
}

/** One installation of the app, served by this process: its identity, API, budget, intake and threads. */
export interface Workspace {
  readonly id: WorkspaceId;
  readonly identity: Identity;
  readonly selfTest: Pick<SelfTest, 'run'>;
  readonly account: Account;
  /** Takes up what is on disk, then accepts deliveries. Rejects when the disk fails. */
  start(): Promise<void>;
  /** Hands over a delivery of Slack; settles as an {@link Accept} does. */
  accept(envelope: Envelope): Promise<Reply>;
  /** Slack begins or ceases to reach the process. */
  setConnected(isConnected: boolean): void;
  /** Slack may have sent a part of the messages of the last `ms` to a process that is none of ours. */
  noteTaken(ms: number): void;
  /** Something may have changed on the Home tabs of everyone. */
  noteHomeChange(): void;
  /** Which scopes the bot token lacks without which nothing works. */
  missingScopes(): readonly string[];
  checkLetta(): Check;
  load(): Load;
  /**
   * Begins no turn any more; resolves when running turns have ended, at the latest after `ms`. Until it is stopped it
   * takes deliveries: a click may end what runs, and a message is stored for the next one who serves the workspace.
   */
  drain(ms: number): Promise<LeftOpen>;
  /** Ends intake, then everything else. The next start continues from what is on disk. Stopping twice is fine. */
  stop(): Promise<void>;
  /** The right to serve it is lost: nothing leaves any more, what is in work is rejected; then stops. */
  freeze(): Promise<void>;
}

/**
 * Wires a workspace. Nothing runs until it is started. Asks Slack for the kinds of channels if the token lacks scopes.
 * @throws BridgeError config_invalid when the bot token lacks scopes without which nothing works.
 */
export async function openWorkspace(premises: Premises, parts: WorkspaceParts): Promise<Workspace> {
  const { config, clock, random, log, metrics, target } = premises;
  const { account, identity, policies, store, gate } = parts;
  const { api } = account;
  const kinds = await checkScopes(account, policies, premises);
  const { apiUrl } = config.slack;
  const { fetch } = gate;
  const wired = wireBridge({
    clock,
    random,
    log,
    metrics,
    api,
    identity,
    store: {
      threads: premises.watchThreads(store.threads),
      choices: store.choices,
      audit: store.audit,
      moves: store.threads,
      owners: store.threads,
      ...(config.retentionMs > 0 && { details: store.details }),
    },
    dial: gate.guardDial(premises.dial),
    fetch,
    target: guardTarget(target, gate),
    ...(premises.machines && { machines: premises.machines }),
    agentId: config.agentId,
    policies,
    nativeStreams: config.nativeStreams,
    longAnswers: {
      send: createUploader({ slackApiUrl: apiUrl, fetch }),
      maxMessages: config.maxMessages,
    },
    files: {
      slack: createDownloads({ api, token: account.token, slackApiUrl: apiUrl, fetch }),
      folder: premises.sharedFolder,
      keptMs: Math.max(config.retentionMs, FILES_KEPT_MS),
    },
    queue: config.queue,
    silenceMs: config.turnSilenceMs,
    recordings: premises.recordings,
    notifyAfterMs: config.notifyAfterMs,
    feedbackKeptMs: config.retentionMs,
    onHomeChanged: (users) => slack.noteHomeChange(users),
    staleAfterMs: config.staleAfterMs,
    clockAheadMs: premises.clockAheadMs,
    catchUp: config.catchUp,
    past: config.past,
    checks: () => [...premises.checks(), wired.checkLetta()],
    approvalTimeoutMs: config.approvals.timeoutMs,
  });
  const { intake, workers, catchUp, ...bridge } = wired;
  const selfTest = createSelfTest({ api, clock, random });
  const transport = createVirtualTransport(premises.transportState);
  const slack = createSlackInbound({
    mode: { transport },
    slackApiUrl: apiUrl,
    intake,
    api,
    whispers: bridge.surface,
    clock,
    random,
    log,
    metrics,
    identity,
    onDelivery(envelope) {
      selfTest.noteDelivery(envelope);
      bridge.noteDelivery(envelope);
    },
  });
  let stopping: Promise<void> | null = null;

  async function stopParts(): Promise<void> {
    for (const stopPart of [slack.stop, async () => catchUp?.stop(), bridge.stop, account.close, gate.close]) {
      try {
        await stopPart();
      } catch (error) {
        log.warn({ err: error }, 'closing a part of a workspace failed');
      }
    }
  }

  const stop = () => {
    stopping ??= stopParts();
    return stopping;
  };

  return {
    id: identity.teamId,
    identity,
    selfTest,
    account,
    async start() {
      await catchUp?.start();
      await workers.start();
      await slack.start();
      account.watch(bridge.retryRefusedPosts);
    },
    accept: transport.accept,
    setConnected: (isConnected) => catchUp?.setConnected(isConnected),
    noteTaken: (ms) => catchUp?.noteTaken(ms),
    noteHomeChange: () => slack.noteHomeChange(null),
    missingScopes() {
      const granted = account.scopes();
      return granted === null ? [] : missingScopes(granted, policies.current(), kinds).breaking;
    },
    checkLetta: bridge.checkLetta,
    load: () => loadOf(workers),
    async drain(ms) {
      const [left] = await Promise.all([workers.drain(ms), catchUp?.stop()]);
      return left;
    },
    stop,
    freeze() {
      gate.close();
      account.close();
      transport.cut(new BridgeError('lease_lost', 'another process serves the workspace', { retry: true }));
      return stop();
    },
  };
}

/** @returns the kinds of the channels that the policy names, where they matter for the scopes */
async function checkScopes({ api, scopes }: Account, policies: PolicyBook, { log }: Premises): Promise<ChannelKinds> {
  const granted = scopes();
  if (granted === null) return new Map();
  const policy = policies.current();
  const kinds = await kindsThatMatter(api, granted, policy);
  const { breaking, lesser } = missingScopes(granted, policy, kinds);
  if (breaking.length > 0) throw scopesRefused(breaking);
  if (lesser.length > 0) log.warn({ scopes: lesser, without: describeMissing(lesser) }, 'the bot token lacks scopes');
  return kinds;
}

/** Devices that dial the bridge are reached by lanes of their own, which pass the gate, too. */
function guardTarget(target: LettaTarget, gate: Gate): LettaTarget {
  if (target.mode !== 'listen') return target;
  return { ...target, devices: { ...target.devices, dial: gate.guardDial(target.devices.dial) } };
}

const loadOf = ({ waiting, openApprovals, live }: ThreadWorkers): Load => ({ waiting, openApprovals, live });
