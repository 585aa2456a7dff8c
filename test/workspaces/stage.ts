import type { WorkspaceId } from '../../src/bridge/ids.ts';
import type { Clock, Timer } from '../../src/bridge/ports.ts';
import { BridgeError } from '../../src/errors.ts';
import type { Installation } from '../../src/slack/installations/installations.ts';
import type { Envelope, Reply } from '../../src/slack/receiver/transport.ts';
import { createDeliveries } from '../../src/workspaces/deliveries.ts';
import { createGate } from '../../src/workspaces/gate.ts';
import { createKeeper, type Keeper } from '../../src/workspaces/keeper.ts';
import { createRouter } from '../../src/workspaces/router.ts';
import { createVirtualTransport } from '../../src/workspaces/virtual-transport.ts';
import type { Workspace } from '../../src/workspaces/workspace.ts';
import { createFakeClock, type FakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { connectReplica, type LeaseTimes, SharedDatabase, type SharedReplica } from '../support/shared-house.ts';

function installed(workspace: WorkspaceId, source: 'static' | 'oauth' = 'oauth'): Installation {
  return {
    ...{ workspace, source, teamId: workspace, enterpriseId: null, isEnterpriseInstall: false },
    openToken: () => ({ get: async () => 'xoxb-1' }),
  };
}

/** What happened in the workspaces of a replica: `T01 start`, `T01 freeze`, `T01 took 3`. */
export interface StagedReplica extends SharedReplica {
  name: string;
  keeper: Keeper;
  log: ReturnType<typeof createMemoryLog>;
  happened: string[];
  /** Calls that left a workspace through its gate: `T01 7`. */
  left: string[];
  /** Those that left while the database said that this process has no lease. */
  stray: string[];
  deliver(envelope: Envelope): Promise<Reply>;
  /** Threads in which something happens, by workspace. */
  live: Map<WorkspaceId, number>;
  /** What a workspace does with a delivery; usually it takes it at once. */
  handle: (workspace: WorkspaceId, envelope: Envelope) => Promise<Reply>;
  /** What hinders a workspace from being opened. */
  fails: (workspace: WorkspaceId) => Promise<void>;
  /** Resolves after a time of the process's own clock. */
  wait(ms: number): Promise<void>;
  /** The process does nothing until it is thawed; then its timers fire. */
  freeze(): void;
  thaw(): void;
}

export interface Stage {
  clock: FakeClock;
  database: SharedDatabase;
  replica(name: string, options?: { most?: number }): StagedReplica;
}

/** Several processes on one database, whose workspaces are hollow. @param configured that of `SLACK_BOT_TOKEN` */
export function createStage(
  workspaces: readonly WorkspaceId[],
  { configured = null, times }: { configured?: WorkspaceId | null; times?: LeaseTimes } = {},
): Stage {
  const clock = createFakeClock();
  const database = new SharedDatabase(clock, times);
  const all = new Map(workspaces.map((id) => [id, installed(id, id === configured ? 'static' : 'oauth')]));
  const installations = {
    static: configured === null ? null : (all.get(configured) ?? null),
    find: async ({ teamId }: { teamId: string | null }) => all.get(teamId ?? '') ?? null,
    get: async (id: WorkspaceId) => all.get(id) ?? null,
    onChanged: () => () => undefined,
  };
  let chance = 0;
  const random = {
    next: () => {
      chance = (chance * 7 + 3) % 10;
      return chance / 10;
    },
    id: () => 'id',
  };

  return {
    clock,
    database,
    replica(name, { most = 100 } = {}) {
      const log = createMemoryLog();
      const own = freezable(clock);
      const shared = connectReplica(database, name, { clock: own, log });
      const happened: string[] = [];
      const left: string[] = [];
      const stray: string[] = [];
      const live = new Map<WorkspaceId, number>();
      const keeper = createKeeper({
        ...{ house: shared.house, installations, most, clock: own, random, log },
        onServing: (workspace) => void happened.push(`${workspace.id} served`),
        async open({ workspace: id }, lease) {
          await staged.fails(id);
          const gate = createGate(lease, async (input) => {
            left.push(`${id} ${String(input).split('/').pop()}`);
            if (database.owner(id) !== name) stray.push(`${id} at ${name}`);
            return new Response();
          });
          return hollow(id, gate.fetch);
        },
      });
      const hollow = (id: WorkspaceId, fetch: typeof globalThis.fetch): Workspace => {
        const state = () => ({ isConnected: true, since: 0, foreignConnections: 0, countedAt: null });
        const transport = createVirtualTransport(state);
        let timer: Timer | null = null;
        let count = 0;
        // As a live turn does: it edits its message again and again, and leaves the failures to others.
        const edit = () => {
          count += 1;
          fetch(`http://slack/${count}`).catch(() => undefined);
          timer = own.after(700, edit);
        };
        const note = (what: string) => void happened.push(`${id} ${what}`);
        return {
          ...{ id, identity: { teamId: id, botUserId: 'UB', botId: 'B', enterpriseId: null, url: null } },
          ...{ selfTest: { run: async () => undefined }, account: null as never },
          async start() {
            note('start');
            edit();
            await transport.start(async (envelope) => {
              const reply = await staged.handle(id, envelope);
              note(`took ${String(envelope.body.n)}`);
              return reply;
            });
          },
          accept: transport.accept,
          setConnected: () => undefined,
          noteTaken: () => undefined,
          noteHomeChange: () => undefined,
          missingScopes: () => [],
          checkLetta: () => ({ name: 'letta', ok: true, state: 'reachable' }),
          load: () => ({ waiting: 0, openApprovals: 0, live: live.get(id) ?? 0 }),
          async drain() {
            note('drain');
            return { running: 0, waitingForPeople: 0, waitingForLetta: 0, waitingMessages: 0 };
          },
          async stop() {
            timer?.cancel();
            note('stop');
          },
          async freeze() {
            timer?.cancel();
            transport.cut(new BridgeError('lease_lost', 'lost', { retry: true }));
            if (!happened.includes(`${id} freeze`)) note('freeze');
          },
        };
      };
      const router = createRouter({ installations, appId: null, clock: own });
      const staged: StagedReplica = {
        ...shared,
        ...{ name, keeper, log, happened, left, stray, live },
        handle: async () => undefined,
        fails: async () => undefined,
        wait: (ms) => new Promise((resolve) => void own.after(ms, resolve)),
        freeze: own.freeze,
        thaw: own.thaw,
        deliver: createDeliveries({
          ...{ router, keeper, inbound: shared.house.inbound, log },
          metrics: { count: () => undefined, gauge: () => undefined, observe: () => undefined },
          ...{ fetch: () => Promise.reject(new Error('not here')), slackApiUrl: 'http://slack/api/' },
        }),
      };
      return staged;
    },
  };
}

/** The clock of one process. Frozen, its timers wait; time goes on. */
function freezable(clock: Clock) {
  const held: (() => void)[] = [];
  let isFrozen = false;
  return {
    now: clock.now,
    monotonic: clock.monotonic,
    after: (ms: number, run: () => void) => clock.after(ms, () => (isFrozen ? void held.push(run) : run())),
    freeze() {
      isFrozen = true;
    },
    thaw() {
      isFrozen = false;
      for (const run of held.splice(0)) run();
    },
  };
}

export const event = (workspace: WorkspaceId, n: number): Envelope => ({
  ...{ kind: 'events_api', retryNum: 0, retryReason: null },
  body: { type: 'event_callback', team_id: workspace, n, event: { type: 'message' } },
});

export const command = (workspace: WorkspaceId, n: number): Envelope => ({
  ...{ kind: 'slash_commands', retryNum: 0, retryReason: null },
  body: { team_id: workspace, command: '/agent', n },
});
