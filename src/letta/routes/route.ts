import type { Binding } from '../../bridge/access/policy.ts';
import type { StoredRuntime } from '../../bridge/agent-event.ts';
import type { BridgeError } from '../../errors.ts';
import type { LaneEndpoint, LaneLoss } from '../link/lane.ts';

/** Everything needed to dial once. Made anew for each dialling, because leases rotate. */
export interface Plan {
  endpoints: readonly LaneEndpoint[];
  agentId: string;
  /** `null`: `runtime_start` creates the conversation. */
  conversationId: string | null;
  deviceId: string | null;
  deviceName: string | null;
}

/** How a runtime is reached: everything in which the modes of docs/design.md, Letta side differ. */
export interface Route {
  /**
   * Whether frames arrive in the order in which they were made (docs/letta-protocol.md, Hosted: what the device tells
   * the relay).
   */
  readonly isOrdered: boolean;
  /** ms until a device that does not answer `runtime_start` is driven by `sync`; `null`: every server answers it. */
  readonly syncAfterMs: number | null;
  /**
   * `binding`: where a new conversation is held; a runtime that is known stays with its agent and device.
   * Rejects with a BridgeError when there is nowhere to dial; `retry` says whether trying again may help.
   */
  makePlan(runtime: StoredRuntime | null, binding: Binding | null): Promise<Plan>;
  /**
   * The agent of a new conversation is gone. Where it had been chosen for new threads, another one is chosen.
   * @returns the other one's id; `null` where nobody chose, or the error that says why there is none is thrown
   */
  replaceAgent(gone: string): Promise<string | null>;
  /** What it means for people that a link could not be opened. */
  unreachable(loss: LaneLoss): BridgeError;
  /** Newest first, without the link; `null` where there is no other way, or no such conversation. */
  listMessages(conversationId: string, limit: number): Promise<unknown[] | null>;
  /** For devices driven by `sync`, which says yes to anything (docs/letta-protocol.md, runtime_start). */
  conversationExists(conversationId: string): Promise<boolean>;
}
