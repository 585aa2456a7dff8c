import type { AgentEvent, ApprovalRequest, HistoryItem, LoopStatus, RuntimeRef } from '../../bridge/agent-event.ts';
import type { Frame, ResponseFrame } from '../protocol/incoming.ts';

export type RuntimeInput =
  /** A connection (all lanes) is open; everything known about an earlier one is void, except what was seen already. */
  | {
      type: 'opened';
      /** True where frames arrive in the order in which they were made (App Server); false behind the hosted relay. */
      ordered: boolean;
    }
  /** Of any lane, after `decode`; also the `frame` of an unknown one where it has one. */
  | { type: 'frame'; frame: Frame }
  /** The answer to the `repair` of that id; `null` when the history could not be had. */
  | { type: 'history'; repairId: number; items: readonly HistoryItem[] | null }
  /** The time that the last `hold` gave has passed. */
  | { type: 'hold-expired' }
  | { type: 'closed' };

export type RuntimeEffect =
  | { type: 'emit'; event: AgentEvent }
  /** The first answer to a request: at most once per `request_id`, whichever lane brought it. */
  | { type: 'response'; requestId: string; frame: ResponseFrame }
  /** Read the newest items of the conversation and hand them in as `history` with this id (PROTOCOL.md 4, 11). */
  | { type: 'repair'; repairId: number }
  /** Set the one timer to `ms` from now (replacing what it was set to), or stop it when `ms` is `null`. */
  | { type: 'hold'; ms: number | null };

/** What is known about the runtime on the present connection. */
export interface RuntimeSnapshot {
  runtime: RuntimeRef | null;
  /** `null` until the replay told. */
  loop: LoopStatus | null;
  activeRunIds: string[];
  clientMessageIdsByRun: Record<string, string[]>;
  mode: string | null;
  workingDirectory: string | null;
  approvals: ApprovalRequest[];
  background: number;
  /** True between the first sign of a turn and its `turn-ended`. */
  turnOpen: boolean;
}

export interface RuntimeState {
  readonly runtime: RuntimeRef | null;
}

/** @param runtime `null` until `runtime_start` has made the conversation: then the response (or the first frame) tells it */
export function initialRuntime(runtime: RuntimeRef | null): RuntimeState {
  return { runtime };
}

export function step(state: RuntimeState, _input: RuntimeInput): { state: RuntimeState; effects: RuntimeEffect[] } {
  return { state, effects: [] };
}

export function snapshot(state: RuntimeState): RuntimeSnapshot {
  return {
    runtime: state.runtime,
    loop: null,
    activeRunIds: [],
    clientMessageIdsByRun: {},
    mode: null,
    workingDirectory: null,
    approvals: [],
    background: 0,
    turnOpen: false,
  };
}
