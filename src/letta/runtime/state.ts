import type { AgentEvent, ApprovalRequest, BackgroundTask, LoopStatus, RuntimeRef } from '../../bridge/agent-event.ts';
import type { EventFrame, ResponseFrame } from '../protocol/incoming.ts';
import type { Stamp } from './order.ts';
import type { Seen } from './seen.ts';
import type { backgroundTasks } from './translate.ts';
import type { TurnMemory } from './turn-memory.ts';

export type RuntimeEffect =
  | { type: 'emit'; event: AgentEvent }
  /** The first answer to a request: at most once per `request_id`, whichever lane brought it. */
  | { type: 'response'; requestId: string; frame: ResponseFrame }
  /**
   * Read the newest items of the conversation and hand them in as `history` with this id (docs/letta-protocol.md,
   * Envelope, order, duplicates; Queue and deduplication).
   */
  | { type: 'repair'; repairId: number }
  /** Set the one timer to `ms` from now (replacing what it was set to), or stop it when `ms` is `null`. */
  | { type: 'hold'; ms: number | null };

export interface OpenApproval {
  readonly request: ApprovalRequest;
  readonly stamp: Stamp | null;
}

export interface Loop {
  readonly status: LoopStatus;
  readonly activeRunIds: string[];
  readonly clientMessageIdsByRun: Record<string, string[]>;
  readonly stamp: Stamp | null;
}

export interface Device {
  readonly mode: string | null;
  readonly workingDirectory: string | null;
  readonly processes: Processes;
  readonly stamp: Stamp | null;
}

type Processes = Parameters<typeof backgroundTasks>[0];
type Subagents = Parameters<typeof backgroundTasks>[1];

export interface Barrier {
  readonly frame: EventFrame;
  readonly waitsFor: 'deltas' | 'history' | 'end';
  readonly heldFrames: readonly EventFrame[];
}

export interface Connection {
  readonly isOrdered: boolean;
  readonly loop: Loop | null;
  readonly device: Device | null;
  readonly subagents: { readonly list: Subagents; readonly stamp: Stamp | null };
  readonly background: readonly BackgroundTask[];
  readonly approvals: readonly OpenApproval[];
  /** The last `approvals-open`, `null` before the first. */
  readonly lastOpenApprovals: readonly string[] | null;
  /** The last `automaticKeys`. */
  readonly automaticInputs: readonly string[];
  readonly turn: TurnMemory | null;
  /** The loop went idle in this turn: only its end is still to come. */
  readonly isEnding: boolean;
  /** The last turn that ended: whatever was made before that comes too late. */
  readonly lastEnded: { readonly stamp: Stamp | null; readonly turn: TurnMemory } | null;
  readonly barrier: Barrier | null;
  /** The repair that is on its way. */
  readonly repairId: number | null;
}

export interface RuntimeState {
  readonly runtime: RuntimeRef | null;
  readonly seenFrames: Seen;
  readonly answeredRequests: Seen;
  readonly repairCount: number;
  readonly connection: Connection;
}

/** One step under way: replaced values and collected effects. */
export interface Work {
  state: RuntimeState;
  readonly effects: RuntimeEffect[];
}

export function freshConnection(isOrdered: boolean): Connection {
  return {
    isOrdered,
    loop: null,
    device: null,
    subagents: { list: [], stamp: null },
    background: [],
    approvals: [],
    lastOpenApprovals: null,
    automaticInputs: [],
    turn: null,
    isEnding: false,
    lastEnded: null,
    barrier: null,
    repairId: null,
  };
}

export function changeConnection(work: Work, part: Partial<Connection>): void {
  work.state = { ...work.state, connection: { ...work.state.connection, ...part } };
}

export function emitEvent(work: Work, event: AgentEvent): void {
  work.effects.push({ type: 'emit', event });
}

/** A new repair; answers to earlier ones are of no use any more. */
export function requestHistory(work: Work): void {
  const repairId = work.state.repairCount + 1;
  work.state = { ...work.state, repairCount: repairId };
  changeConnection(work, { repairId });
  work.effects.push({ type: 'repair', repairId });
}
