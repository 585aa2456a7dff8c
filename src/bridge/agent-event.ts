/** Letta's permission modes as `runtime_start.mode` takes them (docs/letta-protocol.md, runtime_start). */
export type PermissionMode = 'standard' | 'acceptEdits' | 'unrestricted' | 'strict';

/** Letta's runtime: an agent in one conversation. */
export interface RuntimeRef {
  agentId: string;
  conversationId: string;
}

/**
 * A runtime as a thread keeps it. The device is the stable `deviceId`, never a `connectionId` (docs/letta-protocol.md,
 * Hosted: REST).
 */
export interface StoredRuntime extends RuntimeRef {
  /** `null` in `app-server` mode. */
  deviceId: string | null;
}

export interface DiffLine {
  type: 'context' | 'add' | 'remove';
  content: string;
}

export type FileDiff =
  | {
      kind: 'hunks';
      fileName: string;
      hunks: { oldStart: number; oldLines: number; newStart: number; newLines: number; lines: DiffLine[] }[];
    }
  | { kind: 'unavailable'; fileName: string; reason: string };

export interface QuestionOption {
  label: string;
  description: string;
}

export interface Question {
  question: string;
  header: string;
  multiSelect: boolean;
  options: QuestionOption[];
}

/**
 * A `control_request` that waits for a person. `requestId` is unique only within its conversation
 * (docs/letta-protocol.md, Approvals).
 */
export interface ApprovalRequest {
  requestId: string;
  callId: string | null;
  tool: string;
  /** The whole tool input as Letta sent it. */
  input: Record<string, unknown>;
  diffs: FileDiff[];
  suggestions: { id: string; text: string }[];
  /** Of a tool of the bridge: what its card tells besides the input. Foreign text. */
  facts?: readonly string[] | undefined;
  /** Set when the tool is AskUserQuestion: then options are shown instead of Approve and Deny. */
  questions: Question[] | null;
}

/** Letta waits for the result of a tool that the bridge runs. Both ids are foreign text. */
export interface ExternalCall {
  /** Names the call to Letta. */
  requestId: string;
  /** Of the model's call, as in `tool-called`. */
  callId: string;
  tool: string;
  input: Record<string, unknown>;
}

export type Decision =
  | { behavior: 'allow'; message?: string; updatedInput?: Record<string, unknown>; suggestionIds?: string[] }
  | { behavior: 'deny'; message: string };

/** A task that outlives the turn that started it (docs/letta-protocol.md, Activity nobody asked for). */
export interface BackgroundTask {
  /** The same from its start to its end. */
  id: string;
  /** Its id for Letta's tools (`task_1`, `bash_2`); `null` while Letta does not list it yet. */
  process: string | null;
  /** `memory`: a subagent that Letta itself starts to work on the agent's memory. */
  kind: 'subagent' | 'command' | 'monitor' | 'memory';
  /** The command, or the model's words for it. */
  what: string;
  /** Of a subagent, once it is known: the runtime that it works in. */
  runtime: RuntimeRef | null;
}

export type LoopStatus = 'idle' | 'busy' | 'waiting_on_approval';

/** What the input of a scheduled turn says about its schedule (docs/letta-protocol.md, Schedules). */
export interface Firing {
  /** The schedule's name at Letta: data, never trusted. */
  name: string;
  /** When Letta fired it, ms since 1970. */
  at: number;
}

/**
 * What a frame means for a turn. The letta folder filters out repeats, replies, and frames of subagents and other
 * runtimes. `runId` is unique only within one connection.
 */
export type AgentEvent =
  /** `isUsingTool`: set while a tool runs on the device. */
  | {
      type: 'loop';
      status: LoopStatus;
      isUsingTool?: true;
      activeRunIds: string[];
      clientMessageIdsByRun: Record<string, string[]>;
    }
  /**
   * Inputs of people that wait in Letta's queue. `paused`: those, and inputs of Letta's own, that an abort left there until
   * more input comes; left out: none.
   */
  | { type: 'queue'; clientMessageIds: string[]; paused?: string[] }
  /** A command of Letta's, or of the device, is over. `line`: as it was asked, `/name args`; foreign text, `null`: not told. */
  | ({ type: 'command-ended'; command: string; line: string | null } & CommandEnd)
  /** How many tokens the conversation has in the model's context. */
  | { type: 'context-used'; tokens: number }
  /** What one call of the model has used. */
  | ({ type: 'tokens-used'; runId: string } & Tokens)
  /** Letta has put a summary in place of earlier messages; `tokens` are left, `null`: not told. */
  | { type: 'compacted'; tokens: number | null }
  /** Incremental: append to the text of `messageId`. */
  | { type: 'text'; runId: string; messageId: string; text: string }
  /**
   * The whole text of `messageId` from the history: replaces the appended text. A message that was not heard at all goes
   * before the message `before`, or last.
   */
  | { type: 'text-repaired'; runId: string; messageId: string; text: string; before?: string }
  | { type: 'reasoning'; runId: string; messageId: string; text: string }
  | { type: 'tool-called'; runId: string; callId: string; tool: string; input: Record<string, unknown> }
  | { type: 'tool-started'; callId: string; tool: string; input: Record<string, unknown> }
  /** A snapshot of the output so far: replaces the earlier one. */
  | { type: 'tool-output'; callId: string; output: string }
  | { type: 'tool-ended'; callId: string; ok: boolean }
  /** Perhaps again: over both lanes, or copied by the relay. */
  | { type: 'external-call'; call: ExternalCall }
  /** The text that the model gets, and whether the tool really succeeded. */
  | { type: 'tool-returned'; callId: string; ok: boolean; output: string }
  /** End of a run, not of a turn. */
  | { type: 'run-ended'; runId: string; stopReason: string }
  /** The text of that run is void: the history shows that Letta retried the run while we were disconnected. */
  | { type: 'text-void'; runId: string }
  /** The text of that run is void; the next run sends the answer again. */
  | { type: 'retrying'; runId: string | null; attempt: number; maxAttempts: number; delayMs: number; reason: string }
  /** May be followed by a retry; does not end a turn. */
  | { type: 'error'; message: string; terminal: boolean }
  | { type: 'notice'; message: string; level: string }
  | { type: 'approval-asked'; request: ApprovalRequest }
  /** All requests that are still open at Letta: a known request that is not in the list was answered elsewhere. */
  | { type: 'approvals-open'; requestIds: string[] }
  /**
   * Echo of queued input; `automatic` for task notifications and cron prompts that Letta queued by itself. `asked`: the
   * words of an input that another client queued.
   */
  | { type: 'user-message'; clientMessageId: string | null; automatic: boolean; firing?: Firing; asked?: string }
  /** A schedule was made, changed, deleted or fired: of any conversation, by any client. */
  | { type: 'schedules-changed' }
  /** All tasks that run in the background now; Letta starts a turn by itself when one of them ends. */
  | { type: 'background'; tasks: BackgroundTask[] }
  | {
      type: 'device';
      mode: string;
      workingDirectory: string | null;
      toolsets?: ToolsetsSeen;
      offers?: DeviceOffers;
    }
  /** The end of a turn, after everything that belongs to it. */
  | {
      type: 'turn-ended';
      runId: string | null;
      stopReason: string;
      error: string | null;
      /** The turn never began, because Letta no longer has the agent or the conversation. */
      gone?: true;
    };

/** What a connection to a runtime says about itself, in the same stream as the events. */
export type ConnectionEvent =
  /**
   * The runtime is there, its state was replayed, its permission mode is confirmed. Sent after each (re)connect,
   * followed by events as usual.
   */
  | {
      type: 'ready';
      runtime: StoredRuntime;
      /** Foreign text; left out: the device did not tell it. */
      agentName?: string;
      /** Left out: the device did not tell it. */
      model?: ModelInUse;
      /** Left out: the device did not tell them. */
      toolsets?: ToolsetsSeen;
      /** Left out: the device did not tell them. */
      offers?: DeviceOffers;
      /** What people must know of the new conversation: a sentence. */
      notice?: string;
      /** No other thread of the conversation wants what Letta works on. */
      isUnclaimed?: true;
      /** Id of the newest item of the conversation when the link opened; left out: the device did not tell it. */
      newestItem?: string;
      /** The address of the conversation in Letta's web app; left out: it has none. */
      page?: string;
      deviceName: string | null;
      workingDirectory: string | null;
      loop: LoopStatus;
      /** Set while a tool runs on the device. */
      isUsingTool?: true;
      activeRunIds: string[];
      clientMessageIdsByRun: Record<string, string[]>;
      /** Inputs of people that wait in Letta's queue; left out: none. */
      queued?: string[];
      /** What an abort left in Letta's queue until more input comes; left out: nothing. */
      paused?: string[];
      approvals: ApprovalRequest[];
      reconnected: boolean;
      /** The agent that is gone and that the agent of `runtime` replaces. */
      replacedAgent?: string;
    }
  /** Too many runtimes start there at once, so it waits: its place, from 1 on; `null`: it is its turn now. */
  | { type: 'in-line'; place: number | null }
  /** The link is gone; the connection dials again by itself. */
  | { type: 'lost'; reason: string }
  /** Another thread of the conversation has the link now; this one gets it back when it is its turn, unless it closes. */
  | { type: 'released' }
  /**
   * The link is still down. `notice` is for people; `device` names the one that must come back. The connection dials again
   * after `retryInMs`, or never when that is `null`.
   */
  | { type: 'unavailable'; code: string; notice: string; retryInMs: number | null; device?: string };

/** An item of a conversation's history, oldest first. System reminders that the server added are stripped. */
export type HistoryItem = {
  id: string;
  /** When it was written, ms since 1970; not always told. */
  at?: number | null;
} & (
  | { kind: 'user'; clientMessageId: string | null; text: string }
  | { kind: 'assistant'; text: string }
  /** `result`: it is the result of a call; `closed`: Letta wrote one because it lost the real one. */
  | { kind: 'tool'; callId: string | null; tool: string | null; result?: 'real' | 'closed' }
  /** Letta's words in place of earlier items, which are gone from the history (docs/letta-protocol.md, Compaction). */
  | { kind: 'summary' }
);

/** A conversation that Letta has, as it was looked up by its id. */
export interface FoundConversation {
  runtime: StoredRuntime;
  /** Foreign text, as is the agent's name; `null`: not told. */
  title: string | null;
  agentName: string | null;
  deviceName: string | null;
  /** The newest of its items, oldest first. */
  items: readonly HistoryItem[];
}

// ---- models (docs/letta-protocol.md, Models) ---------------------------------------------------

/** One entry of Letta's list: a model with one effort. Texts are foreign. */
export interface ModelEntry {
  id: string;
  handle: string;
  /** `null`: the model has no efforts. */
  effort: string | null;
}

/** What a conversation works with. */
export interface ModelInUse {
  /** Foreign text, as is the effort. */
  handle: string;
  effort: string | null;
  /** How many tokens fit; `null`: not told. */
  contextWindow: number | null;
}

/** The tools that Letta gives a conversation (docs/letta-protocol.md, Toolsets). Texts are foreign. */
export interface ToolsetsSeen {
  /** The id of the one that was chosen. */
  chosen: string;
  options: readonly { id: string; name: string }[];
}

/** What Letta made of a choice of tools. */
export interface ToolsetChange {
  /** What was chosen, and what that is now. */
  chosen: string;
  current: string;
}

/** A model with an effort, as people choose it. Both are foreign text. */
export interface ModelName {
  handle: string;
  /** `null`: the model has no efforts. */
  effort: string | null;
}

/** What Letta tells of models for one conversation. */
export interface ModelsSeen {
  /** Only models that can be used now. */
  entries: readonly ModelEntry[];
  /** `null`: Letta does not tell. */
  current: ModelInUse | null;
}

/** What came of a command of the device; foreign text. */
export interface CommandEnd {
  ok: boolean;
  output: string;
  /** Set when it gave the agent a task: the device begins that turn next. */
  begins?: true;
}

/** A skill that the agent can load. Texts are foreign. */
export interface Skill {
  name: string;
  description: string;
}

/** A command that the device's user has installed. Texts are foreign. */
export interface DeviceCommand extends Skill {
  /** What it takes, in its own words; empty: not told. */
  args: string;
}

/** What the device offers besides tools. */
export interface DeviceOffers {
  /** As last told; empty: none, or not told yet (docs/letta-protocol.md, Slash commands and skills). */
  skills: readonly Skill[];
  commands: readonly DeviceCommand[];
}

/** Tokens of a model, counted by its provider. */
export interface Tokens {
  /** All that the model read, those from its cache included. */
  input: number;
  cached: number;
  output: number;
}

/** What Letta made of a choice. */
export interface ModelChange {
  model: ModelInUse;
  /** `agent`: for all conversations of the agent that have no model of their own. */
  appliedTo: 'conversation' | 'agent';
}

/** What Letta made of a conversation's messages by summarising the earlier ones. */
export interface Compacted {
  /** How many there were before and are now; `null`: not told. */
  messages: { before: number; after: number } | null;
}
