import { BridgeError } from '../errors.ts';
import type { Lane, LaneDialer } from '../letta/link/lane.ts';

/** Says whether this process may still act for a workspace. */
export interface Right {
  /** Aborts when the right is lost; the gate closes with it. */
  readonly lost: AbortSignal;
  /** By the process's own clock, so that a process that was frozen knows it before any timer of it fires. */
  isHeld(): boolean;
}

/** The only way out of a workspace: every request to Slack and every frame to Letta passes it. */
export interface Gate {
  /** Aborts when the gate closes: what runs then is given up. */
  readonly signal: AbortSignal;
  isOpen(): boolean;
  /** As the global one; rejects with `lease_lost` once the gate is closed, also a request that runs. */
  readonly fetch: typeof globalThis.fetch;
  /** Lanes that this dials end when the gate closes, and carry nothing any more. */
  guardDial(dial: LaneDialer): LaneDialer;
  /** Nothing leaves any more. Closing twice is fine. */
  close(): void;
}

/** A gate that is open for as long as the right is held. @param fetch makes the requests */
export function createGate(right: Right, fetch: typeof globalThis.fetch = globalThis.fetch): Gate {
  const closing = new AbortController();
  const lanes = new Set<Lane>();
  const isOpen = () => !closing.signal.aborted && right.isHeld();

  function close(): void {
    if (closing.signal.aborted) return;
    closing.abort(leaseLost());
    for (const lane of lanes) lane.close();
    lanes.clear();
    right.lost.removeEventListener('abort', close);
  }

  if (right.lost.aborted) close();
  else right.lost.addEventListener('abort', close, { once: true });

  return {
    signal: closing.signal,
    isOpen,
    async fetch(input, init) {
      if (!isOpen()) throw leaseLost();
      // `AbortSignal.any` with a signal that lives as long as the workspace would keep something of each request (Node
      // 24).
      const given = new AbortController();
      const giveUp = () => given.abort(leaseLost());
      closing.signal.addEventListener('abort', giveUp, { once: true });
      try {
        return await fetch(input, {
          ...init,
          signal: init?.signal ? AbortSignal.any([given.signal, init.signal]) : given.signal,
        });
      } finally {
        closing.signal.removeEventListener('abort', giveUp);
      }
    },
    guardDial: (dial) => (endpoint, handlers) => {
      // Its owner is about to be stopped, so it need not hear that the lane never opens.
      if (!isOpen()) return { send: () => undefined, close: () => undefined };
      const inner = dial(endpoint, {
        onOpen: () => isOpen() && handlers.onOpen(),
        onMessage: (text) => isOpen() && handlers.onMessage(text),
        onClose(loss) {
          lanes.delete(lane);
          if (isOpen()) handlers.onClose(loss);
        },
      });
      const lane: Lane = {
        send: (text, requestId) => {
          if (isOpen()) inner.send(text, requestId);
        },
        close() {
          lanes.delete(lane);
          inner.close();
        },
      };
      lanes.add(lane);
      return lane;
    },
    close,
  };
}

function leaseLost(): BridgeError {
  return new BridgeError('lease_lost', 'this process may no longer act for the workspace', { retry: true });
}
