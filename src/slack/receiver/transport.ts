/** The content of an acknowledgement: errors of a modal, the answer to a command. */
export type Reply = Record<string, unknown> | string | undefined;

/** One delivery of Slack, by socket or HTTP. */
export interface Envelope {
  kind: 'events_api' | 'interactive' | 'slash_commands';
  body: Record<string, unknown>;
  /**
   * 0 for the first delivery. A retry must not be dropped, because it may be the only one that arrives (docs/slack.md,
   * HTTP delivery).
   */
  retryNum: number;
  retryReason: string | null;
}

/** Resolves: acknowledge with this reply. Rejects: do not acknowledge, so that Slack delivers it again. */
export type Accept = (envelope: Envelope) => Promise<Reply>;

export interface TransportState {
  /** Whether Slack can reach us now. */
  isConnected: boolean;
  /**
   * When `isConnected` last changed; if the connection had gone silent, when it was last heard. By the monotonic clock.
   */
  since: number;
  /** Connections of other processes with our app token, by Slack's last count. They get a part of our deliveries. */
  foreignConnections: number;
  /** When Slack last told the count, by the monotonic clock; `null`: it never did. */
  countedAt: number | null;
}

/** Brings deliveries in and acknowledgements out. It does not look at what is delivered. */
export interface Transport {
  /**
   * Resolves once Slack can reach us, and keeps it so until `stop`. Rejects with a BridgeError when the configuration
   * is wrong, or when it is stopped meanwhile.
   */
  start(accept: Accept): Promise<void>;
  /** From now on refuses new deliveries; those that were accepted are still acknowledged. */
  pause(): void;
  /** Stopping twice, or before the start, is fine. */
  stop(): Promise<void>;
  state(): TransportState;
}

/** Holds the state, and calls `onState` when `isConnected` changes and when Slack has counted the connections. */
export function createStateKeeper(now: () => number, onState: ((state: TransportState) => void) | undefined) {
  let state: TransportState = {
    isConnected: false,
    since: now(),
    foreignConnections: 0,
    countedAt: null,
  };
  return {
    get: () => state,
    setConnected(isConnected: boolean, since = now()) {
      if (isConnected === state.isConnected) return;
      state = { ...state, isConnected, since };
      onState?.(state);
    },
    noteForeignCount(foreign: number) {
      state = { ...state, foreignConnections: foreign, countedAt: now() };
      onState?.(state);
    },
  };
}
