import type { Place } from '../../access/can.ts';
import type {
  AgentEvent,
  ApprovalRequest,
  ConnectionEvent,
  Decision,
  DeviceOffers,
  LoopStatus,
  ModelInUse,
  ToolsetsSeen,
} from '../../agent-event.ts';
import { isDirect, parseThreadKey, ROLLING, type ThreadKey, type Token, type TurnId, type UserId } from '../../ids.ts';
import type { ThreadAddress } from '../../inbound.ts';
import type { ConnectOptions } from '../../ports.ts';
import type { ThreadRecord } from '../../record/thread-record.ts';
import type { FoundFiring } from '../../schedules/firing.ts';
import type { ToolName } from '../../tools/catalogue.ts';
import type { TurnState } from '../../turn/fold.ts';
import type { TurnUse } from '../../turn/steps.ts';
import type { Activity, TurnView } from '../../view/turn.ts';

/* All that is known of a thread, as one value, and the questions that it answers by itself. */

/** All that is known of a thread. A value: each step makes a new one. */
export interface Thread {
  readonly key: ThreadKey;
  /** On disk before any effect of the step that changed it begins. */
  readonly record: ThreadRecord | null;
  readonly link: Link;
  /** What is known of the open turn besides the record; `null` while none is open. All of it is of this turn alone. */
  readonly live: Live | null;
  /** Events that came while {@link isHolding}, in order. */
  readonly held: readonly Held[];
  /** Whether events were lost that may be of the next turn, if Letta begins that by itself. */
  readonly wasCut: boolean;
  readonly waiting: Waiting;
  readonly ending: TaskEnding;
  /** Offers that are being shown. */
  readonly showing: ReadonlySet<Token>;
  /** Turns whose end Slack refused for too long and that are being shown now. */
  readonly finishing: ReadonlySet<TurnId>;
  /** Requests whose audit entry is being written. */
  readonly auditing: ReadonlySet<Token>;
  /** Who changed the channel's settings and is still to be told that Letta has confirmed them. */
  readonly toConfirm: UserId | null;
  /** Who waits for the list of skills and commands of the device. */
  readonly toTellOffers: ReadonlySet<UserId>;
  /** Whether a new thread that goes on from this one is being shown in Slack. */
  readonly isShowingFork: boolean;
  /** The authors who were told in a direct message that what they wrote waits. */
  readonly toldAuthors: ReadonlySet<UserId>;
  /** What this process does about the calls of the bridge's tools that the record has, by the call's first id. */
  readonly calls: ReadonlyMap<string, Pursuit>;
  /**
   * Inputs that Letta is to take out of its queue, by their ids. `absent`: its queue does not have it, as far as it has
   * told.
   */
  readonly withdrawing: ReadonlyMap<string, 'asking' | 'absent'>;
  /** Why the last calls were refused, by the id of their request. */
  readonly refused: ReadonlyMap<string, string>;
  /** Ids of the messages and tool calls that were read from the history of the turn before. */
  readonly readBefore: ReadonlySet<string>;
  /** Ids of the messages that earlier turns showed, the newest last. */
  readonly saidBefore: ReadonlySet<string>;
}

/** What is being done about a call. `null`: nothing; it waits for people or for the link, or it is over. */
export interface Pursuit {
  readonly doing: 'planning' | 'running' | 'recalling' | null;
  /** When Letta must have the result, by the monotonic clock. */
  readonly dueAt: number;
  /** Whether it was told to end. */
  readonly isHurried: boolean;
}

/** The connection to the thread's runtime, and what is known of the runtime through it. */
export interface Link {
  /** Counts connections: events of an older one are ignored. */
  readonly dial: number;
  /** What the connection was made with; `null`: there is none. */
  readonly options: ConnectOptions | null;
  /** Set while the runtime can be reached. Another number each time, so that answers over an earlier link are known. */
  readonly up: number | null;
  /** How often the link became ready. */
  readonly ups: number;
  /** Whether there was a replay, or a `sync` after the last turn's end, so that Letta tracks the next input. */
  readonly settled: boolean;
  /** The turn whose input was sent, as long as Letta has not answered. */
  readonly unanswered: TurnId | null;
  /** Whether Letta has reported work since the last input was sent. */
  readonly begun: boolean;
  readonly loop: LoopStatus;
  /** Whether a tool runs on the device. */
  readonly isUsingTool: boolean;
  /** Inputs of runs, as Letta's last word on its loop tied them. */
  readonly runs: Readonly<Record<string, readonly string[]>>;
  readonly active: readonly string[];
  /** Inputs that wait in Letta's queue. */
  readonly queued: readonly string[];
  /** What an abort left in Letta's queue until more input comes, also of Letta's own. */
  readonly paused: readonly string[];
  /** Whether Letta was asked to go on with it. */
  readonly isResuming: boolean;
  readonly device: string | null;
  readonly workingDirectory: string | null;
  /** The permission mode that another client set over this link; `null`: it is the wanted one. */
  readonly otherMode: string | null;
  /** Whether a rule that people saved may change the mode. */
  readonly mayChangeMode: boolean;
  /** Foreign text; `null`: the device does not tell it. */
  readonly agentName: string | null;
  /** What Letta said last over this link; `null`: it does not tell. */
  readonly model: ModelInUse | null;
  /** Which tools Letta gives; `null`: not told. */
  readonly toolsets: ToolsetsSeen | null;
  /** Skills and commands of the device; `null`: none, or not told. */
  readonly offers: DeviceOffers | null;
  /** How many tokens the conversation had last in the model's context; `null`: not told. */
  readonly contextTokens: number | null;
  /** What the last turn used; `null`: none has ended over this link, or Letta told nothing. */
  readonly used: TurnUse | null;
  /** The conversation's address in Letta's web app; `null`: it has none. */
  readonly page: string | null;
  /** Whether Letta has told over this link what runs in the background. */
  readonly toldTasks: boolean;
  /** Whether the schedules at Letta are being compared with those of the record; `again`: once more after that. */
  readonly aligning: 'no' | 'asking' | 'again' | 'waits';
  /** How many comparisons in a row left a difference. */
  readonly alignTries: number;
  /** Firings that the history has and nobody heard over this link so far: each is a schedule's id and its time. */
  readonly suspected: readonly string[];
  /** Those of which it is certain; they are shown as soon as nothing runs, oldest first. */
  readonly unheard: readonly FoundFiring[];
  /** Whether turns of other clients that nobody heard are to be looked for (`due`), or are (`asking`). */
  readonly missed: 'no' | 'due' | 'asking';
  /** Id of the newest item of the conversation when the link opened; `null`: not told. */
  readonly newestItem: string | null;
  /** Whether the thread was given its conversation just now, and wants to hear what runs there. */
  readonly isWanted: boolean;
  /** Whether no other thread of the conversation wanted what Letta worked on when the link opened. */
  readonly isUnclaimed: boolean;
  /** Whether the history was asked over this link what began the open turn. */
  readonly isAsked: boolean;
  /** Whether that is being asked: events are held. */
  readonly isIdentifying: boolean;
  /** Whether Letta is copying the conversation. */
  readonly isForking: boolean;
  /** When the command that a person runs gave the agent a task that Letta has not begun yet, ms since 1970; `null`: it did not. */
  readonly promptedAt: number | null;
  /** Whether no retry helps: schedules alone do not dial again before the next hour. */
  readonly isGivenUp: boolean;
  /** Whether the history was asked about the open turn, because the replay of this link named another. */
  readonly isReconciled: boolean;
}

/**
 * Where a turn is, and which phases may follow; it may be over after each (docs/architecture.md, The phases of a turn).
 * - `prepared`: its input was not sent.
 * - `preparing`: its prompt is being written and its author judged.
 * - `running`: its input may have left; Letta works, waits for people, or is away.
 * - `looking`: the history is being read to find out whether it is over. Events are held.
 * - `ending`: it is over, and its last view is made or on its way to Slack. Events are held.
 * - `held_up`: Slack does not take its last view for now. Events are held.
 */
export const NEXT_PHASES = {
  prepared: ['preparing', 'running', 'ending'],
  preparing: ['prepared', 'running', 'ending'],
  running: ['prepared', 'looking', 'ending'],
  looking: ['prepared', 'running', 'ending'],
  ending: ['held_up'],
  held_up: [],
} as const;
export type Phase = keyof typeof NEXT_PHASES;

export interface Live {
  readonly id: TurnId;
  readonly phase: Phase;
  /** What the agent said and did. */
  readonly fold: TurnState;
  /** Whether Slack shows an outdated view of it. */
  readonly isViewOutdated: boolean;
  /** What it waits for outside the agent, as people are shown it. */
  readonly hold: Activity | null;
  /** Whether {@link fold} may lack what the agent said before a restart, because the history was not read yet. */
  readonly isTextUnknown: boolean;
  /** Whether all text that people have seen is known: not after a restart that found posts without their text. */
  readonly isSaidKnown: boolean;
  /** Whether it was submitted before this process started. */
  readonly isResumed: boolean;
  /** Whether the link was lost since it was submitted. */
  readonly wasLinkLost: boolean;
  /** Whether we may have missed events of it: then the history is read before it is closed. */
  readonly mayHaveMissed: boolean;
  /** Whether the bridge heard all that it did: not after a restart, a lost link or missed events. */
  readonly isAllHeard: boolean;
  /** Open cards that are neither posted nor edited until {@link fold} has the text that belongs above them. */
  readonly frozen: ReadonlySet<Token>;
  /** Ids of its messages and tool calls in the history that was read last. */
  readonly read: ReadonlySet<string>;
  /** Counts looks into the history and tries to send: only the latest may decide, or an input could be sent twice. */
  readonly tries: number;
  /** The look that is under way or waits to be repeated. */
  readonly look: Look;
  /** Whether the end is expected soon, and looked for when it does not come. */
  readonly isEndDue: boolean;
  readonly silence: Silence;
  /** Whether an abort was asked for and will be repeated. */
  readonly isAborting: boolean;
  /** Its last view, once its end is stored. */
  readonly lastView: TurnView | null;
  /** Whether its answer is being sent to its requester in a direct message. */
  readonly isCopying: boolean;
  /** Decisions that Letta has not confirmed, by request: sent again after a reconnect if Letta still asks. */
  readonly decisions: ReadonlyMap<string, Decision>;
  /** Cards whose decision Letta has confirmed. */
  readonly taken: ReadonlySet<Token>;
  /** By request and time of asking: the monotonic clock minus the wall clock when this process first saw the request. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Calls that may move the working directory and were let pass without a card. */
  readonly passed: readonly ApprovalRequest[];
  /** Calls after which the device has reported the new working directory. */
  readonly moved: readonly string[];
  /** Whether its first change of something was noted. */
  readonly isChanging: boolean;
  /** Whether a new link joined while it ran, so that we may have missed earlier calls. */
  readonly isJoined: boolean;
  /** Counts prompts of messages that are to join it; `steering`: the one that is being written. */
  readonly steerTries: number;
  readonly steering: number | null;
  /** Whether a prompt could not be written or sent just now, so that the next try waits a little. */
  readonly isSteerHeld: boolean;
}

export interface Look {
  /** Whether this is the second look for a hosted input that the first did not find. */
  readonly again: boolean;
  readonly failures: number;
  /** Whether Letta has just reported its state; if not, it is asked first, because a device's socket loses frames. */
  readonly fresh: boolean;
}

/** How long the turn has said nothing while the agent was to go on with it. Times by the monotonic clock. */
export interface Silence {
  readonly silentMs: number;
  readonly lookedAt: number;
  /** Whether people were told of it, and Letta was asked. */
  readonly asked: boolean;
  /** Why it is being stopped. */
  readonly line: string | null;
}

/** Since when messages may not run, by the monotonic clock; `null`: they may. */
export interface Waiting {
  /** Whether the record was read for how long its messages wait. */
  readonly begun: boolean;
  /** Since when Letta could not be reached, as far as known. */
  readonly forLetta: number | null;
  /** Since when people have paused the agent, or Slack holds up the thread's answer. */
  readonly forPeople: number | null;
  /** Since when we cannot tell whether Letta got the open turn's input. */
  readonly inDoubt: number | null;
  readonly isUnreachable: boolean;
}

/** Where ending background tasks stands. Times by the monotonic clock. */
export interface TaskEnding {
  /** Whether Letta is being asked to end tasks (`asking`), or was asked and some still run (`done`). */
  readonly trying: 'no' | 'asking' | 'done';
  /** When the last of the tasks that were to end had ended. */
  readonly endedAt: number | null;
  /** Since when tasks run without an open turn. */
  readonly aloneSince: number | null;
}

/** `cut`: stands for events that were dropped here, because there was no room. */
export type Held = AgentEvent | (ConnectionEvent & { type: 'ready' }) | { readonly type: 'cut' };

export type Change = (record: ThreadRecord | null) => ThreadRecord | null;

/** What never changes while the process lives. */
export interface Config {
  readonly botUser: UserId;
  /** App Server: a turn does not outlive its socket (docs/letta-protocol.md, Loss and restart). */
  readonly turnsDieWithLink: boolean;
  /** How long a running turn may say nothing, in ms. */
  readonly silenceMs: number;
  /** ms after which a request that nobody decided is denied; `null`: never. */
  readonly approvalTimeoutMs: number | null;
  /** ms that a message may wait for an unreachable device and still run without asking; `null`: no limit. */
  readonly staleAfterMs: number | null;
  /** Whether what turns did is stored for the Details button. */
  readonly keepsDetails: boolean;
  /** The tools that the bridge can run. */
  readonly tools: readonly ToolName[];
}

const noLink: Link = {
  dial: 0,
  options: null,
  up: null,
  ups: 0,
  settled: false,
  unanswered: null,
  begun: false,
  loop: 'idle',
  isUsingTool: false,
  runs: {},
  active: [],
  queued: [],
  paused: [],
  isResuming: false,
  device: null,
  workingDirectory: null,
  otherMode: null,
  mayChangeMode: false,
  agentName: null,
  model: null,
  toolsets: null,
  offers: null,
  contextTokens: null,
  used: null,
  page: null,
  toldTasks: false,
  isReconciled: false,
  aligning: 'no',
  alignTries: 0,
  suspected: [],
  unheard: [],
  isWanted: false,
  isUnclaimed: false,
  isAsked: false,
  missed: 'no',
  newestItem: null,
  isIdentifying: false,
  isForking: false,
  promptedAt: null,
  isGivenUp: false,
};

/** A thread as the start of its actor finds it. */
export function newThread(key: ThreadKey, record: ThreadRecord | null): Thread {
  return {
    key,
    record,
    link: noLink,
    live: null,
    held: [],
    wasCut: false,
    waiting: { begun: false, forLetta: null, forPeople: null, inDoubt: null, isUnreachable: false },
    ending: { trying: 'no', endedAt: null, aloneSince: null },
    showing: new Set(),
    finishing: new Set(),
    auditing: new Set(),
    toConfirm: null,
    isShowingFork: false,
    toTellOffers: new Set(),
    toldAuthors: new Set(),
    calls: new Map(),
    withdrawing: new Map(),
    refused: new Map(),
    readBefore: new Set(),
    saidBefore: new Set(),
  };
}

// ---- questions ---------------------------------------------------------------------------------

export function isOver({ live }: Thread): boolean {
  return live?.phase === 'ending' || live?.phase === 'held_up';
}

/** Whether events that may be of the next turn wait in {@link Thread.held}. */
export function isHolding(thread: Thread): boolean {
  return thread.live?.phase === 'looking' || thread.link.isIdentifying || isOver(thread);
}

export function addressOf({ record, key }: Thread): ThreadAddress {
  if (record) return record.address;
  const { team, channel, root } = parseThreadKey(key);
  return { team, channel, threadTs: root === ROLLING ? null : root };
}

export function isDirectThread(thread: Thread): boolean {
  const { threadTs, channel } = addressOf(thread);
  return threadTs === null || isDirect(channel);
}

/** The door judged already whether the channel is shared, when the message came in. */
export function placeOf(thread: Thread): Place {
  const { channel, kind = 'channel' } = addressOf(thread);
  return { channel, channelKind: isDirectThread(thread) ? 'im' : kind, external: false };
}
