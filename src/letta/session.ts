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

/** The runtime's state, which outlives the links: what was seen once is known after a reconnect too. */
export interface RuntimeMachine {
  state: RuntimeState;
}

export interface SessionOptions {
  endpoints: readonly LaneEndpoint[];
  ordered: boolean;
  dial: LaneDialer;
  clock: Clock;
  log: Log;
  /** Unique to this session among all that share a device. */
  requestPrefix: string;
  machine: RuntimeMachine;
  /** For lost text; the items of the conversation, oldest first. */
  history(ask: Ask): Promise<HistoryItem[]>;
}

export interface SessionHandlers {
  open(): void;
  event(event: AgentEvent): void;
  /** The last call, exactly once; never after {@link Session.close}. */
  lost(loss: LaneLoss): void;
}

/** The runtime over one link, from dialling to loss: feeds the runtime's `step` and does what it asks for. */
export interface Session {
  ask: Ask;
  send(frame: OutgoingFrame): void;
  /** An input goes out now. */
  submitting(): void;
  snapshot(): RuntimeSnapshot;
  /** By the monotonic clock: when the last frame came, or the session began. */
  lastFrameAt(): number;
  /** Whether `condition` came true within `ms`; looked at after each frame. Rejects with `link_lost`. */
  until(condition: (now: RuntimeSnapshot) => boolean, ms: number): Promise<boolean>;
  close(): void;
}

export function openSession(options: SessionOptions, handlers: SessionHandlers): Session {
  const { machine, clock, log } = options;
  const requests = createRequests(clock, options.requestPrefix, (frame) => link.send(frame));
  const watchers = new Set<{ look(): void; fail(): void }>();
  let hold: Timer | null = null;
  let over = false;
  let lastFrameAt = clock.monotonic();

  const feed = (input: RuntimeInput) => {
    const { state, effects } = step(machine.state, input);
    machine.state = state;
    for (const effect of effects) perform(effect);
    if (watchers.size > 0) for (const watcher of [...watchers]) watcher.look();
  };

  const perform = (effect: RuntimeEffect) => {
    switch (effect.type) {
      case 'emit':
        handlers.event(effect.event);
        return;
      case 'response':
        requests.answered(effect.requestId, effect.frame);
        return;
      case 'hold':
        hold?.cancel();
        hold = effect.ms === null || over ? null : clock.after(effect.ms, () => feed({ type: 'hold-expired' }));
        return;
      case 'repair':
        void repair(effect.repairId);
        return;
      default:
        effect satisfies never;
    }
  };

  const repair = async (repairId: number) => {
    let items: HistoryItem[] | null = null;
    try {
      items = await options.history(requests.ask);
    } catch (err) {
      log.warn({ err }, 'lost text could not be fetched from the history');
    }
    if (!over) feed({ type: 'history', repairId, items });
  };

  const end = () => {
    over = true;
    feed({ type: 'closed' });
    hold?.cancel();
    requests.fail();
    for (const watcher of [...watchers]) watcher.fail();
  };

  // A lane of a pair may deliver before its twin is open; the runtime has to know first that this is a new connection.
  let announced = false;
  const announce = () => {
    if (announced) return;
    announced = true;
    feed({ type: 'opened', ordered: options.ordered });
  };

  const link = openLink(options, {
    open() {
      announce();
      handlers.open();
    },
    frame(frame) {
      lastFrameAt = clock.monotonic();
      announce();
      feed({ type: 'frame', frame });
    },
    close(loss) {
      if (over) return;
      end();
      handlers.lost(loss);
    },
  });

  return {
    ask: requests.ask,
    send: (frame) => link.send(frame),
    submitting: () => feed({ type: 'submitting' }),
    snapshot: () => snapshot(machine.state),
    lastFrameAt: () => lastFrameAt,
    until(condition, ms) {
      if (over) return Promise.reject(linkLost({ certain: false }));
      if (condition(snapshot(machine.state))) return Promise.resolve(true);
      return new Promise((resolve, reject) => {
        const done = () => {
          watchers.delete(watcher);
          timer.cancel();
        };
        const watcher = {
          look() {
            if (!condition(snapshot(machine.state))) return;
            done();
            resolve(true);
          },
          fail() {
            done();
            reject(linkLost({ certain: false }));
          },
        };
        const timer = clock.after(ms, () => {
          done();
          resolve(false);
        });
        watchers.add(watcher);
      });
    },
    close() {
      if (over) return;
      link.close();
      end();
    },
  };
}
