import type { AgentEvent, HistoryItem } from '../bridge/agent-event.ts';
import type { Clock, Log, Timer } from '../bridge/ports.ts';
import type { LaneDialer, LaneEndpoint, LaneLoss } from './link/lane.ts';
import { openLink } from './link/link.ts';
import type { OutgoingFrame } from './protocol/outgoing.ts';
import { type Ask, createRequests, linkLost } from './requests.ts';
import {
  type RuntimeEffect,
  type RuntimeInput,
  type RuntimeSnapshot,
  type RuntimeState,
  snapshot,
  step,
} from './runtime/runtime.ts';

/** The runtime's state. It outlives the link, so that frames seen before a reconnect are still known after it. */
export interface RuntimeMachine {
  state: RuntimeState;
}

export interface SessionOptions {
  endpoints: readonly LaneEndpoint[];
  isOrdered: boolean;
  dial: LaneDialer;
  clock: Clock;
  log: Log;
  /** Makes request ids unique among all sessions that share a device. */
  requestPrefix: string;
  machine: RuntimeMachine;
  /** The conversation's items, oldest first, to repair lost text. */
  fetchHistory(ask: Ask): Promise<HistoryItem[]>;
}

export interface SessionHandlers {
  onOpen(): void;
  onEvent(event: AgentEvent): void;
  /** The last call, exactly once; never after {@link Session.close}. */
  onLost(loss: LaneLoss): void;
}

/** The runtime over one link, from dialling to loss: feeds the runtime's `step` and carries out its effects. */
export interface Session {
  ask: Ask;
  /** As `ask`, but waits on while other frames arrive, at most a minute: then Letta is only busy. */
  askPatiently: Ask;
  send(frame: OutgoingFrame): void;
  /** Call it right before an input is sent. */
  noteSubmission(): void;
  snapshot(): RuntimeSnapshot;
  /** When the last frame came, or the session began; ms of the monotonic clock. */
  lastFrameAt(): number;
  /** Whether `condition` came true within `ms`; it is checked after each frame. Rejects with `link_lost`. */
  waitUntil(condition: (now: RuntimeSnapshot) => boolean, ms: number): Promise<boolean>;
  close(): void;
}

export function openSession(options: SessionOptions, handlers: SessionHandlers): Session {
  const { machine, clock, log } = options;
  const requests = createRequests(
    clock,
    options.requestPrefix,
    (frame) => link.send(frame),
    () => lastFrameAt,
  );
  const watchers = new Set<{ check(): void; fail(): void }>();
  let holdTimer: Timer | null = null;
  let isOver = false;
  let lastFrameAt = clock.monotonic();

  const feedRuntime = (input: RuntimeInput) => {
    const { state, effects } = step(machine.state, input);
    machine.state = state;
    for (const effect of effects) performEffect(effect);
    if (watchers.size > 0) for (const watcher of [...watchers]) watcher.check();
  };

  const performEffect = (effect: RuntimeEffect) => {
    switch (effect.type) {
      case 'emit':
        handlers.onEvent(effect.event);
        return;
      case 'response':
        requests.handleResponse(effect.requestId, effect.frame);
        return;
      case 'hold':
        holdTimer?.cancel();
        holdTimer =
          effect.ms === null || isOver ? null : clock.after(effect.ms, () => feedRuntime({ type: 'hold-expired' }));
        return;
      case 'repair':
        void fetchRepair(effect.repairId);
        return;
      default:
        effect satisfies never;
    }
  };

  const fetchRepair = async (repairId: number) => {
    let items: HistoryItem[] | null = null;
    try {
      items = await options.fetchHistory(requests.ask);
    } catch (err) {
      log.warn({ err }, 'could not fetch lost text from the history');
    }
    if (!isOver) feedRuntime({ type: 'history', repairId, items });
  };

  const endSession = () => {
    isOver = true;
    feedRuntime({ type: 'closed' });
    holdTimer?.cancel();
    requests.failAll();
    for (const watcher of [...watchers]) watcher.fail();
  };

  // One lane of a pair may deliver before the other is open; the runtime must learn first that this is a new
  // connection.
  let isAnnounced = false;
  const announceOpening = () => {
    if (isAnnounced) return;
    isAnnounced = true;
    feedRuntime({ type: 'opened', isOrdered: options.isOrdered });
  };

  const link = openLink(options, {
    onOpen() {
      announceOpening();
      handlers.onOpen();
    },
    onFrame(frame) {
      lastFrameAt = clock.monotonic();
      announceOpening();
      feedRuntime({ type: 'frame', frame });
    },
    onClose(loss) {
      if (isOver) return;
      endSession();
      handlers.onLost(loss);
    },
  });

  return {
    ask: requests.ask,
    askPatiently: requests.askPatiently,
    send: (frame) => link.send(frame),
    noteSubmission: () => feedRuntime({ type: 'submitting' }),
    snapshot: () => snapshot(machine.state),
    lastFrameAt: () => lastFrameAt,
    waitUntil(condition, ms) {
      if (isOver) return Promise.reject(linkLost({ certain: false }));
      if (condition(snapshot(machine.state))) return Promise.resolve(true);
      return new Promise((resolve, reject) => {
        const stopWatching = () => {
          watchers.delete(watcher);
          timer.cancel();
        };
        const watcher = {
          check() {
            if (!condition(snapshot(machine.state))) return;
            stopWatching();
            resolve(true);
          },
          fail() {
            stopWatching();
            reject(linkLost({ certain: false }));
          },
        };
        const timer = clock.after(ms, () => {
          stopWatching();
          resolve(false);
        });
        watchers.add(watcher);
      });
    },
    close() {
      if (isOver) return;
      link.close();
      endSession();
    },
  };
}
