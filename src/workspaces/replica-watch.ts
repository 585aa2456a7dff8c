import type { Clock, Log, Timer } from '../bridge/ports.ts';
import { asBridgeError } from '../errors.ts';
import type { Siblings } from '../slack/receiver/socket.ts';
import type { Replica, Replicas } from '../storage/house.ts';

export interface ReplicaWatchParts {
  replicas: Replicas;
  /** How many workspaces this process serves. */
  countServed(): number;
  /**
   * Another process ended without a word: what it had in its hands Slack may not deliver again.
   * @param ms for how long it has been silent
   */
  onGone(ms: number): void;
  clock: Clock;
  log: Log;
}

export interface ReplicaWatch extends Siblings {
  /** The others that live, as of the last look. */
  list(): readonly Replica[];
  start(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

const TELL_EVERY_MS = 5_000;
/** Silent for this long, a process has ended, or is cut off from the store. */
const GONE_MS = 20_000;
/** For so long Slack may still count the sockets of a process that ended. */
const COUNTED_MS = 90_000;
/** Deliveries that a process took before it fell silent. */
const BEFORE_MS = 30_000;

/** Tells the other processes of this bridge about this one, and knows about them. */
export function watchReplicas({ replicas, countServed, onGone, clock, log }: ReplicaWatchParts): ReplicaWatch {
  let sockets = 0;
  let known: readonly Replica[] = [];
  /** Processes whose end was noticed; the store forgets them, too. */
  let gone = new Set<string>();
  let timer: Timer | null = null;
  let isRunning = false;

  async function look(): Promise<readonly Replica[]> {
    known = await replicas.list();
    const silent = known.filter(({ silentMs }) => silentMs >= GONE_MS);
    for (const { id, silentMs } of silent) {
      if (gone.has(id)) continue;
      log.warn({ replica: id, silentMs }, 'another replica is gone');
      onGone(silentMs + BEFORE_MS);
    }
    gone = new Set(silent.map(({ id }) => id));
    return known;
  }

  async function tell(): Promise<void> {
    try {
      await replicas.announce({ sockets, workspaces: countServed() });
      await look();
    } catch (error) {
      log.debug({ error: asBridgeError(error).message }, 'could not tell the other replicas about this one');
    }
  }

  async function tellAgainAndAgain(): Promise<void> {
    await tell();
    if (isRunning) timer = clock.after(TELL_EVERY_MS, () => void tellAgainAndAgain());
  }

  return {
    noteOwnSockets(count) {
      if (count === sockets) return;
      sockets = count;
      if (isRunning) void tell();
    },
    async countSockets() {
      const others = await look();
      return others.reduce((sum, each) => sum + (each.silentMs < COUNTED_MS ? each.sockets : 0), 0);
    },
    list: () => known.filter(({ silentMs }) => silentMs < GONE_MS),
    start() {
      if (isRunning) return;
      isRunning = true;
      void tellAgainAndAgain();
    },
    stop() {
      isRunning = false;
      timer?.cancel();
    },
  };
}
