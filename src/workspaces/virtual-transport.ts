import { BridgeError } from '../errors.ts';
import type { Accept, Envelope, Reply, Transport, TransportState } from '../slack/receiver/transport.ts';

/** The transport of one workspace: the front door hands it the deliveries that are the workspace's. */
export interface VirtualTransport extends Transport {
  /**
   * As the receiver's {@link Accept}. Rejects, retryably, before the start, after a pause, and at once when the transport
   * is cut: whoever delivers cannot know then what became of the delivery.
   */
  accept(envelope: Envelope): Promise<Reply>;
  /** Accepts nothing any more, and rejects what is in work with this error. */
  cut(error: BridgeError): void;
}

/** @param state of the process's own transport */
export function createVirtualTransport(state: () => TransportState): VirtualTransport {
  const inWork = new Set<(error: BridgeError) => void>();
  let use: Accept | null = null;
  let isPaused = false;
  return {
    async start(accept) {
      use = accept;
    },
    async accept(envelope) {
      if (use === null || isPaused) {
        throw new BridgeError('internal', 'the workspace accepts no deliveries', { retry: true });
      }
      const reply = Promise.withResolvers<Reply>();
      inWork.add(reply.reject);
      use(envelope).then(reply.resolve, reply.reject);
      try {
        return await reply.promise;
      } finally {
        inWork.delete(reply.reject);
      }
    },
    pause() {
      isPaused = true;
    },
    cut(error) {
      isPaused = true;
      for (const reject of inWork) reject(error);
    },
    async stop() {
      isPaused = true;
    },
    state,
  };
}
