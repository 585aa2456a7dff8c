import type {
  AgentEvent,
  ApprovalRequest,
  BackgroundTask,
  DeviceOffers,
  LoopStatus,
  RuntimeRef,
  ToolsetsSeen,
} from '../../bridge/agent-event.ts';
import type { EventFrame, ResponseFrame } from '../protocol/incoming.ts';
import type { Stamp } from './order.ts';
import type { Seen } from './seen.ts';
import type { backgroundTasks } from './translate.ts';
import type { TurnMemory } from './turn-memory.ts';

export type RuntimeEffect =
  | { type: 'emit'; event: AgentEvent }
  /** The first answer to a request; later copies, also from another lane, are dropped. */
  | { type: 'response'; requestId: string; frame: ResponseFrame }
  /**
   * Read the newest items of the conversation and hand them in as `history` with this id (docs/letta-protocol.md,
   * Envelope, order, duplicates; Queue and deduplication).
   */
  | { type: 'repair'; repairId: number }
  /** Set the one timer to `ms` from now, replacing the earlier time; `null` stops it. */
  | { type: 'hold'; ms: number | null };

export interface OpenApproval {
  readonly request: ApprovalRequest;
  readonly stamp: Stamp | null;
}

export interface Loop {
  readonly status: LoopStatus;
  /** A tool runs on the device. */
  readonly isUsingTool: boolean;
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

/** An input in Letta's queue. `id`: the queue's own name for it, which its removal needs. */
export interface QueuedInput {
  readonly id: string;
  readonly clientMessageId: string;
}

export interface Barrier {
  readonly frame: EventFrame;
  readonly waitsFor: 'deltas' | 'history' | 'end';
  readonly heldFrames: readonly EventFrame[];
}

export interface Connection {
  readonly isOrdered: boolean;
  readonly loop: Loop | null;
  readonly device: Device | null;
  readonly toolsets: ToolsetsSeen | null;
  readonly offers: DeviceOffers | null;
  readonly subagents: { readonly list: Subagents; readonly stamp: Stamp | null };
  readonly background: readonly BackgroundTask[];
  readonly approvals: readonly OpenApproval[];
  /** The last `approvals-open`, `null` before the first. */
  readonly lastOpenApprovals: readonly string[] | null;
  /**
   * Inputs of people that wait at Letta. `paused`: what an abort left there until more input comes, also of Letta's own,
   * by client ids.
   */
  readonly queue: {
    readonly items: readonly QueuedInput[];
    readonly paused: readonly string[];
    readonly stamp: Stamp | null;
  };
  /** The last `automaticKeys`. */
  readonly automaticInputs: readonly string[];
  /** The last `clientKeys`. */
  readonly clientInputs: readonly string[];
  readonly turn: TurnMemory | null;
  /** The loop went idle in this turn: only its `turn_finished` is still missing. */
  readonly isEnding: boolean;
  /** The last turn that ended: frames older than its end are dropped. */
  readonly lastEnded: { readonly stamp: Stamp | null; readonly turn: TurnMemory } | null;
  readonly barrier: Barrier | null;
  /** The repair whose history was asked for and has not come. */
  readonly repairId: number | null;
}

export interface RuntimeState {
  readonly runtime: RuntimeRef | null;
  readonly seenFrames: Seen;
  readonly answeredRequests: Seen;
  readonly repairCount: number;
  readonly connection: Connection;
}

/** What one step has changed and collected so far. */
export interface Work {
  state: RuntimeState;
  readonly effects: RuntimeEffect[];
}

export function freshConnection(isOrdered: boolean): Connection {
  return {
    isOrdered,
    loop: null,
    device: null,
    toolsets: null,
    offers: null,
    subagents: { list: [], stamp: null },
    background: [],
    approvals: [],
    lastOpenApprovals: null,
    queue: { items: [], paused: [], stamp: null },
    automaticInputs: [],
    clientInputs: [],
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

/** Starts a new repair; answers to earlier ones are dropped from now on. */
export function requestHistory(work: Work): void {
  const repairId = work.state.repairCount + 1;
  work.state = { ...work.state, repairCount: repairId };
  changeConnection(work, { repairId });
  work.effects.push({ type: 'repair', repairId });
}
