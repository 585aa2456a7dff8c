import type { ThreadAddress } from '../inbound.ts';

/** Something that must be well for the bridge to hear and answer, in a word or two. */
export interface HomeCheck {
  name: string;
  ok: boolean;
  state: string;
}

export interface HomeThread {
  address: ThreadAddress;
  /** `background`: its turn is over, and something that the agent started goes on. */
  doing: 'working' | 'waiting_for_people' | 'waiting_for_letta' | 'ending' | 'background';
  /** Messages that wait for their turn. */
  queued: number;
  /** ms since 1970 */
  since: number;
}

/** A request that waits for the reader's click. */
export interface HomeApproval {
  address: ThreadAddress;
  tool: string;
  /** One line of foreign text. */
  title: string;
  /** ms since 1970 */
  askedAt: number;
}

/** Which agent answers, as far as Letta has said so since the bridge started. Foreign text. */
export interface HomeAgent {
  agentId: string;
  device: string | null;
  workingDirectory: string | null;
}

/** What a person sees of the bridge in the app's Home tab: values only. */
export type HomeView =
  /** One line that says why not, Markdown of ours. */
  | { kind: 'refused'; notice: string }
  | {
      kind: 'open';
      /** Who has paused the agent, Markdown of ours. */
      paused: string | null;
      checks: readonly HomeCheck[];
      agents: readonly HomeAgent[];
      approvals: readonly HomeApproval[];
      threads: readonly HomeThread[];
      /** Markdown of ours. */
      help: string;
    };
