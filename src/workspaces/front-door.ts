import type { Clock } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { Envelope, Reply, Transport, TransportState } from '../slack/receiver/transport.ts';

/** How long a stop waits for deliveries in work. */
const DRAIN_MS = 5_000;

export interface FrontDoorParts {
  transport: Transport;
  /** Hands a delivery to its workspace; settles as an {@link Accept} does. */
  deliver(envelope: Envelope): Promise<Reply>;
  clock: Clock;
}

/** Takes the deliveries of all workspaces in, over the one transport of the process. */
export interface FrontDoor {
  /** Resolves once Slack can reach us, and rejects as {@link Transport.start} does. */
  start(): Promise<void>;
  /** Takes nothing in any more, waits for what is in work, then closes. Stopping twice is fine. */
  stop(): Promise<void>;
  state(): TransportState;
}

export function createFrontDoor({ transport, deliver, clock }: FrontDoorParts): FrontDoor {
  const inWork = new Set<Promise<unknown>>();
  let stopping: Promise<void> | null = null;

  function accept(envelope: Envelope): Promise<Reply> {
    if (stopping) return Promise.reject(new BridgeError('internal', 'not accepting deliveries', { retry: true }));
    const delivered = deliver(envelope);
    const settled = delivered.then(
      () => undefined,
      () => undefined,
    );
    inWork.add(settled);
    void settled.then(() => inWork.delete(settled));
    return delivered;
  }

  async function drainAndStop(): Promise<void> {
    transport.pause();
    await new Promise<void>((resolve) => {
      const timer = clock.after(DRAIN_MS, resolve);
      void Promise.all(inWork).then(() => {
        timer.cancel();
        resolve();
      });
    });
    await transport.stop();
  }

  return {
    start: () => transport.start(accept),
    stop() {
      stopping ??= drainAndStop();
      return stopping;
    },
    state: transport.state,
  };
}
