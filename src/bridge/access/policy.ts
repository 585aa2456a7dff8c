import type { ModelName, PermissionMode } from '../agent-event.ts';
import { type ChannelId, isDirect, type UserId } from '../ids.ts';
import type { ChannelKind } from '../inbound.ts';
import { DEFAULT_TOOLS, type ToolName } from '../tools/catalogue.ts';
import type { MayMention } from '../tools/may-mention.ts';
import { USUAL_PROMPTS } from '../words/prompts.ts';

/** Id of a Slack user group, `S…`. */
export type GroupId = string;

/** Which messages are for the agent: those that mention it; also replies of people who did so in that thread; all. */
export type Listening = 'mention' | 'thread' | 'all';

/**
 * What of a thread the agent reads besides the messages for it: all that people see there, only replies that were
 * delivered in threads where it takes part (of people who may use it), or nothing.
 */
export type ContextReach = 'thread' | 'addressed' | 'off';

/**
 * How much is shown of what the agent does; never of what it says.
 * - `quiet`: the answer and what went wrong.
 * - `compact`: one line, with figures at the end.
 * - `verbose`: a line for each tool, too.
 */
export type Verbosity = 'quiet' | 'compact' | 'verbose';

/** What the agent may do without asking: a mode of Letta's, or `guarded`: Letta's `strict` with a preset of ours. */
export type Permissions = PermissionMode | 'guarded';

/** People by id, and full members by user group. */
export interface PeopleList {
  ids: readonly UserId[];
  groups: readonly GroupId[];
}

/** Whose click counts on an approval. `requester`: the person whose message started the turn. */
export interface Approvers extends PeopleList {
  requester: boolean;
}

/** Where new conversations of a place are held; what is `null` is as configured for the whole bridge. */
export interface Binding {
  agentId: string | null;
  /** A device id or connection name; never on an App Server, which is one. */
  device: string | null;
  workingDirectory: string | null;
  /** Left out: the agent's own. */
  model?: ModelName | undefined;
  /** The id of the tools that Letta gives new conversations; left out: as Letta chooses. */
  toolset?: string | undefined;
}

/** All that may differ from one channel to another. */
export interface PlaceSettings {
  listen: Listening;
  context: ContextReach;
  verbosity: Verbosity;
  showReasoning: boolean;
  permissions: Permissions;
  approvers: Approvers;
  /** Whether an approver may decide what a turn of their own asks. */
  selfApproval: boolean;
  /** Whether approvers may approve that the agent starts another agent, which never asks; else only admins may. */
  subagents: boolean;
  /** Who chooses the model of a thread: admins alone, or the person who began it, too. */
  models: 'starter' | 'admins';
  /** Who sees the skills of the agent's machine, and runs its own commands. */
  deviceCommands: 'none' | 'admins' | 'everyone';
  /**
   * What becomes of a turn that was cut by a crash or a lost link: its requester is asked whether to continue, or it goes on
   * by itself where that is certainly harmless (`goesOnAlone`).
   */
  resume: 'ask' | 'auto';
  /** Rules that approve requests without a person. */
  autoApprove: readonly string[];
  /** What a reaction asks the agent about the message, by the emoji's name (`emojiName`). */
  reactions: Readonly<Record<string, string>>;
  /** The tools of the bridge that the agent has there. */
  tools: readonly ToolName[];
  /** Channels in which a tool posts without asking anybody. */
  postUnasked: readonly ChannelId[];
  /** Whom the texts of tools may ping. */
  mayMention: MayMention;
  binding: Binding | null;
}

/** Bounds on turns and schedules; `null`: none. */
export interface TurnLimits {
  rate: { turns: number; perMs: number } | null;
  atOnce: number | null;
  /** How many schedules there may be, 0: none; left out: {@link SCHEDULES_ALLOWED}. */
  schedules?: number | undefined;
}

/** How many schedules a person and a channel may have where the policy says nothing. */
export const SCHEDULES_ALLOWED = { user: 5, channel: 10, workspace: 500 } as const;
/**
 * How many threads of a workspace may be at work at once where the policy says nothing. A thread at work holds its record,
 * at most 1 MB, and a connection to Letta, so this bounds what one workspace takes from the others of a process.
 */
export const THREADS_ALLOWED = 500;

/** An example of what people can ask the agent. */
export interface Prompt {
  /** A few words: what is asked. */
  title: string;
  /** What is sent to the agent. */
  message: string;
}

/** Slack shows at most so many beside a conversation (docs/slack.md, Agent apps). */
export const MOST_PROMPTS = 4;

/** Who may do what, where and how often. A value: a changed policy is a new object. */
export interface Policy {
  users: PeopleList & {
    /** `*` and `members` admit the same people: full members. Everybody else must be named by id. */
    everyone: boolean;
    members: boolean;
  };
  channels: {
    /** `*`: wherever the bot is, except channels that other organisations share: those must be named. */
    everywhere: boolean;
    directMessages: boolean;
    /** Left out: as `directMessages`, or everywhere. */
    groupDirectMessages?: boolean;
    ids: readonly ChannelId[];
  };
  /** Where `unrestricted` may be the permissions; elsewhere it counts as `guarded`. */
  unrestricted: Policy['channels'];
  /** They alone change what a place is bound to, and stop everything. */
  admins: PeopleList;
  bots: {
    /** Bots and workflows by user id or bot id (`B…`); the agent answers no others. */
    ids: readonly string[];
    /** How many messages of bots a thread accepts in a row before a person must write there again. */
    inARow: number;
    /** How many turns bots may begin in each channel: two bots that answer each other must come to an end. */
    rate: NonNullable<TurnLimits['rate']>;
  };
  /** `workspace`: of everyone together; left out or `atOnce: null`: {@link THREADS_ALLOWED} at once. */
  limits: { user: TurnLimits; channel: TurnLimits; workspace?: TurnLimits };
  /** What the Home tab and agent apps suggest, at most {@link MOST_PROMPTS}. */
  prompts: readonly Prompt[];
  defaults: PlaceSettings;
  /**
   * What differs from the defaults, by channel id; `dm` stands for all direct messages, group direct messages included,
   * and `group_dm` for these alone.
   */
  places: ReadonlyMap<ChannelId | 'dm' | 'group_dm', Partial<PlaceSettings>>;
}

/** Gives the current policy. It can change at any time, so callers must not keep it. */
export interface PolicyBook {
  current(): Policy;
  /** Loads what is stored of it; call it before threads are resumed and messages accepted. */
  load?(): Promise<void>;
}

/** Admits no one anywhere. */
export const closedPolicy: Policy = {
  users: { everyone: false, members: false, ids: [], groups: [] },
  channels: { everywhere: false, directMessages: false, ids: [] },
  admins: { ids: [], groups: [] },
  unrestricted: { everywhere: false, directMessages: false, ids: [] },
  bots: { ids: [], inARow: 5, rate: { turns: 30, perMs: 60 * 60_000 } },
  limits: { user: { rate: null, atOnce: null }, channel: { rate: null, atOnce: null } },
  prompts: USUAL_PROMPTS,
  defaults: {
    listen: 'thread',
    context: 'thread',
    verbosity: 'compact',
    showReasoning: false,
    permissions: 'guarded',
    approvers: { requester: true, ids: [], groups: [] },
    selfApproval: true,
    subagents: false,
    models: 'admins',
    deviceCommands: 'none',
    resume: 'ask',
    autoApprove: [],
    reactions: {},
    tools: DEFAULT_TOOLS,
    postUnasked: [],
    mayMention: 'requester',
    binding: null,
  },
  places: new Map(),
};

/**
 * What settings are asked for: the name of a place in the policy, or a channel of a known kind. A group direct message
 * cannot be told by its id.
 */
export type Where = ChannelId | 'dm' | 'group_dm' | { channel: ChannelId; channelKind: ChannelKind };

interface Kind {
  place: string;
  isDirect: boolean;
  isGroup: boolean;
}

function kindOf(where: Where): Kind {
  const place = typeof where === 'string' ? where : where.channel;
  const isGroup = typeof where === 'string' ? where === 'group_dm' : where.channelKind === 'mpim';
  return { place, isGroup, isDirect: isGroup || place === 'dm' || isDirect(place) };
}

/**
 * The settings of a channel: its own, over those of group direct messages (`group_dm`) and of all direct messages (`dm`),
 * over the defaults. As in a direct message, no mention is needed in a group direct message, unless these places say so.
 */
export function settingsOf(policy: Policy, where: Where): PlaceSettings {
  const { place, isDirect: isDirectPlace, isGroup } = kindOf(where);
  const { places } = policy;
  const settings = {
    ...policy.defaults,
    ...(isGroup && { listen: 'all' as const }),
    ...(isDirectPlace && places.get('dm')),
    ...(isGroup && places.get('group_dm')),
    ...places.get(place),
  };
  const isPermitted = settings.permissions !== 'unrestricted' || mayBeUnrestricted(policy, where);
  return isPermitted ? settings : { ...settings, permissions: 'guarded' };
}

/** Whether the agent answers group direct messages: `dm` covers them, unless the policy separates them. */
export function servesGroupDms({ channels }: Policy): boolean {
  return channels.groupDirectMessages ?? (channels.directMessages || channels.everywhere);
}

/** Whether the policy treats group direct messages otherwise than channels, so that a channel's kind matters. */
export function tellsGroupDms({ channels, unrestricted, places }: Policy): boolean {
  const isSeparate = [channels, unrestricted].some((list) => list.groupDirectMessages !== undefined);
  const isServed = channels.directMessages || channels.everywhere;
  return isSeparate || isServed || places.has('dm') || places.has('group_dm');
}

/**
 * Whether the configuration allows the permissions `unrestricted` there. In group direct messages others write too, so
 * there `dm` is not enough: they must be named.
 */
export function mayBeUnrestricted({ unrestricted }: Policy, where: Where): boolean {
  const { place, isDirect: isDirectPlace, isGroup } = kindOf(where);
  const { everywhere, directMessages, groupDirectMessages, ids } = unrestricted;
  const isCovered = isGroup ? groupDirectMessages === true : isDirectPlace && directMessages;
  return everywhere || isCovered || ids.includes(place);
}

/** Whether approvers there may approve that the agent starts another agent; else only admins may. */
export function mayApproversStartAgents(policy: Policy, where: Where): boolean {
  return mayBeUnrestricted(policy, where) || settingsOf(policy, where).subagents;
}

/** The mode that Letta is started in. */
export function lettaMode(permissions: Permissions): PermissionMode {
  return permissions === 'guarded' ? 'strict' : permissions;
}

/** Every user group that the policy names, once. */
export function groupsOf(policy: Policy): GroupId[] {
  const approvers = [policy.defaults, ...policy.places.values()].flatMap((place) => place.approvers ?? []);
  return [...new Set([policy.users, policy.admins, ...approvers].flatMap(({ groups }) => groups))];
}
