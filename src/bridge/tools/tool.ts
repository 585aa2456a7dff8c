import type { ChannelId, TeamId, UserId } from '../ids.ts';
import type { ChannelKind, ThreadAddress } from '../inbound.ts';
import type { AgentConnection } from '../ports.ts';
import type { ToolInput, ToolName } from './catalogue.ts';
import type { MayMention } from './may-mention.ts';
import type { ToolResult } from './result.ts';

/** What the policy of the place allows tools there, at the moment of the call. */
export interface ToolRights {
  mayMention: MayMention;
  /** Channels where `slack_post_message` asks nobody. */
  postUnasked: readonly ChannelId[];
  /** What the policy allows in another place, or in this one. */
  at(place: ToolPlace): PlaceRights;
}

/** A channel as the policy judges it (`Place` of `access/can.ts`). */
export interface ToolPlace {
  channel: ChannelId;
  channelKind: ChannelKind;
  /** Whether the channel is shared with another organisation. */
  external: boolean;
}

export interface PlaceRights {
  /** Whether the requester may use the agent there: else it writes nothing there. */
  mayWork: boolean;
  /** Whether messages there may go along that are not for the agent (`context: thread`). */
  mayReadMessages: boolean;
}

/** The agent's machine; methods reject with a BridgeError while Letta is away. */
export interface ToolDevice extends Pick<AgentConnection, 'readFile' | 'writeFile' | 'readBytes'> {
  /** Names the machine while its links come and go. */
  id: string;
  /** Files of one conversation lie together. */
  conversation: string;
  /** `null`: not known. */
  workingDirectory: string | null;
}

/** A call of a tool, checked: whose turn it is, and what it wants. */
export interface ToolCall<Name extends ToolName = ToolName> {
  name: Name;
  input: ToolInput<Name>;
  /** The same whenever the same call is handled, also after a restart; of no other call. Letters, digits, `-`, `:`, `_`. */
  key: string;
  team: TeamId;
  /** The thread in which the agent answers. */
  address: ThreadAddress;
  /** Nothing is read or written that this person could not read or write in Slack. */
  requester: UserId;
  /**
   * Whether the turn began by itself (a background task, another client of Letta): no one knows who asked for it, and
   * `requester` only began the thread, so nothing outside of this thread is read or written in their name.
   */
  staysHere: boolean;
  /** The people whose messages the thread has heard, for `may_mention: thread`; bounded. */
  participants: readonly UserId[];
  /** `ts` of the message that the turn answers; `null`: it answers none. */
  message: string | null;
  rights: ToolRights;
  device: ToolDevice;
  /** Aborted on Stop, shutdown and when the time for an answer is over. */
  signal: AbortSignal;
}

/**
 * What would become of a call. `facts`: lines for the card that the input does not hold, like a file's size or the name
 * of a channel; foreign text, which the card neutralises. `seal`: a digest of all that the call rests on besides its
 * input (the content of the file, the channel that a name means): when it changed since people approved, it does not run.
 */
export type ToolPlan =
  | { may: 'run'; seal: string }
  | { may: 'ask'; facts: readonly string[]; seal: string }
  /** `why`: words for the model. */
  | { may: 'no'; why: string };

/**
 * What one tool does. Each call is prepared when it is asked for and again right before it runs, so that access and rights
 * are those of that moment.
 */
export interface ToolHandler<Name extends ToolName = ToolName> {
  /** Finds out, without acting, what would become of the call. Rejects with a BridgeError when it cannot tell. */
  prepare(call: ToolCall<Name>): Promise<ToolPlan>;
  /**
   * Does it, once. A failure of Slack's is a result with `isError`. Rejects with a BridgeError: `certain: false` when it
   * may have happened.
   */
  run(call: ToolCall<Name>, plan: ToolPlan & { may: 'run' | 'ask' }): Promise<ToolResult>;
  /**
   * Of a tool that acts: after a crash in the middle of {@link run}, what can be found out; `null`: that cannot be told.
   * Left out: never.
   */
  recall?(call: ToolCall<Name>): Promise<ToolResult | null>;
}

/** The handlers of the tools that this bridge has; a tool without one does not exist. */
export type ToolHandlers = { readonly [Name in ToolName]?: ToolHandler<Name> };
