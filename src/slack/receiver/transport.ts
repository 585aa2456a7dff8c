/** What goes along with an acknowledgement: errors of a modal, the answer to a command. */
export type Reply = Record<string, unknown> | string | undefined;

/** One delivery of Slack, however it came. */
export interface Envelope {
  kind: 'events_api' | 'interactive' | 'slash_commands';
  body: Record<string, unknown>;
  /**
   * 0 for the first delivery. Never a reason to drop one: the retry may be the only one that arrives (docs/slack.md,
   * HTTP delivery).
   */
  retryNum: number;
  retryReason: string | null;
}

/** Resolves: acknowledge, with this reply. Rejects: do not acknowledge, Slack shall deliver again. */
export type Accept = (envelope: Envelope) => Promise<Reply>;

export interface TransportState {
  /** Whether Slack can reach us now. */
  isConnected: boolean;
  /**
   * When `connected` last changed; of a connection that had gone deaf, when it was last heard. By the monotonic clock.
   */
  since: number;
  /** When Slack last delivered anything, by the monotonic clock. */
  lastEnvelopeAt: number | null;
  /** Connections of other processes with our app token, when Slack said last; they take a part of what is delivered. */
  foreignConnections: number;
  /** When Slack said so, by the monotonic clock; `null` where it never does. */
  countedAt: number | null;
}

/** How deliveries come in and acknowledgements go out; knows nothing of what is delivered. */
export interface Transport {
  /**
   * Resolves once Slack can reach us; keeps itself so until `stop`. Rejects with a BridgeError when only the
   * configuration can help, or when it was stopped meanwhile.
   */
  start(accept: Accept): Promise<void>;
  /** From now on nothing is accepted and nothing new is acknowledged; what was accepted still is. */
  pause(): void;
  /** Stopping twice, or before the start, is fine. */
  stop(): Promise<void>;
  state(): TransportState;
}

/** The state, told to whoever listens when `connected` changes and whenever connections were counted. */
export function createStateKeeper(now: () => number, onState: ((state: TransportState) => void) | undefined) {
  let state: TransportState = {
    isConnected: false,
    since: now(),
    lastEnvelopeAt: null,
    foreignConnections: 0,
    countedAt: null,
  };
  return {
    get: () => state,
    setConnected(connected: boolean, since = now()) {
      if (connected === state.isConnected) return;
      state = { ...state, isConnected: connected, since };
      onState?.(state);
    },
    noteForeignCount(foreign: number) {
      state = { ...state, foreignConnections: foreign, countedAt: now() };
      onState?.(state);
    },
    noteDelivery() {
      state = { ...state, lastEnvelopeAt: now() };
    },
  };
}
