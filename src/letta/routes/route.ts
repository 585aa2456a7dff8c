import type { Binding } from '../../bridge/access/policy.ts';
import type { RuntimeRef, StoredRuntime } from '../../bridge/agent-event.ts';
import type { BridgeError } from '../../errors.ts';
import type { ConversationFacts } from '../hosted-api.ts';
import type { LaneEndpoint, LaneLoss } from '../link/lane.ts';

/** Everything needed to dial once. Made for each dialling, because leases rotate. */
export interface Plan {
  endpoints: readonly LaneEndpoint[];
  agentId: string;
  /** `null`: `runtime_start` creates the conversation. */
  conversationId: string | null;
  deviceId: string | null;
  deviceName: string | null;
}

/** How a runtime is reached: everything in which App Server, cloud and dialling devices differ (docs/design.md, Letta side). */
export interface Route {
  /**
   * Whether frames arrive in the order in which they were made (docs/letta-protocol.md, Hosted: what the device tells
   * the relay).
   */
  readonly isOrdered: boolean;
  /**
   * Whether all clients of a device share one set of tools, so that another one's `runtime_start` replaces ours
   * (docs/letta-protocol.md, External tools).
   */
  readonly sharesTools: boolean;
  /** ms until a device that does not answer `runtime_start` is driven by `sync`; `null`: every server answers it. */
  readonly syncAfterMs: number | null;
  /** Whether files can come over a link of their own, beside that of the turn. */
  readonly hasOwnLinkForFiles: boolean;
  /**
   * Where devices dial us: calls `onBack` when the device of `runtime`, or any for a new conversation, has dialled in. A
   * lost link is then replaced as soon as its device is back, because nothing is dialled in vain. `null`: we dial.
   * @returns a function that ends it
   */
  readonly watchReturn: ((runtime: StoredRuntime | null, onBack: () => void) => () => void) | null;
  /**
   * `binding` applies to a new conversation only; a known runtime keeps its agent and device. Rejects with a
   * BridgeError when there is nowhere to dial; `retry` says whether trying again may help.
   */
  makePlan(runtime: StoredRuntime | null, binding: Binding | null): Promise<Plan>;
  /**
   * Letta no longer has the agent of a new conversation. If the bridge had chosen it, chooses another one.
   * @returns the new agent's id; `null` if the agent was configured. Rejects if there is no other agent.
   */
  replaceAgent(gone: string): Promise<string | null>;
  /** Whether an agent of Letta's cloud cannot be reached this way. */
  readonly hasOnlyLocalAgents: boolean;
  /** The error to report when a link cannot be opened. */
  unreachable(loss: LaneLoss): BridgeError;
  /**
   * Which agent a conversation belongs to, where Letta tells that without a device; it resolves with `null` when there is
   * no such conversation. Left out: its device is asked.
   */
  retrieveConversation?: (conversationId: string) => Promise<ConversationFacts | null>;
  /** The address of a conversation in Letta's web app; `null`: it has none. */
  webPage(runtime: RuntimeRef): string | null;
  /** Newest first, over REST; `null` where there is no REST API or no such conversation. */
  listMessages(conversationId: string, limit: number): Promise<unknown[] | null>;
  /** Asked before `sync`, which succeeds for any id (docs/letta-protocol.md, runtime_start). */
  conversationExists(conversationId: string): Promise<boolean>;
}
