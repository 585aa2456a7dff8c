import type { Policy } from '../bridge/access/policy.ts';
import { type ChannelId, isDirect } from '../bridge/ids.ts';
import type { ToolName } from '../bridge/tools/catalogue.ts';
import { BridgeError } from '../errors.ts';
import { inspectChannel } from '../slack/api/inspect.ts';
import type { SlackApi } from '../slack/api/slack-api.ts';
import { trouble } from './report.ts';

/** The kind of each channel; an id that is missing here is of unknown kind. */
export type ChannelKinds = ReadonlyMap<ChannelId, 'public' | 'private'>;

interface Scope {
  /** What does not work without the scope, for people. */
  without: string;
  /** Whether the bridge cannot work without it under this policy; left out: only a feature is off. */
  breaks?: (policy: Policy, kinds: ChannelKinds) => boolean;
}

const always = () => true;
const everywhere = ({ channels }: Policy) => channels.everywhere;
const directMessages = ({ channels }: Policy) => channels.everywhere || channels.directMessages;
/** `dm` alone works without them, for direct messages of one person. */
const groupDirectMessages = ({ channels }: Policy) => channels.groupDirectMessages ?? channels.everywhere;
/** Whether the policy serves a channel of this kind, or one whose kind is unknown. */
const channelsOf = (kind: 'public' | 'private') => (policy: Policy, kinds: ChannelKinds) =>
  policy.channels.everywhere ||
  policy.channels.ids
    .filter((id) => !isDirect(id))
    .some((id) => (kinds.get(id) ?? (id.startsWith('G') ? 'private' : kind)) === kind);
const groupsNamed = ({ users, admins, defaults, places }: Policy) =>
  [users, admins, defaults.approvers, ...[...places.values()].map(({ approvers }) => approvers)].some(
    (list) => (list?.groups.length ?? 0) > 0,
  );

/** Each bot scope of the manifest. */
export const SCOPES: Readonly<Record<string, Scope>> = {
  'app_mentions:read': { without: 'the bot does not see a mention that invites it to a channel' },
  'channels:history': { without: 'the bot does not see messages in public channels', breaks: channelsOf('public') },
  // Needed where the policy serves every channel: the bridge then asks whether other organisations share the channel.
  'channels:read': { without: 'the bridge cannot read the names of public channels', breaks: everywhere },
  'chat:write': { without: 'the bot cannot post', breaks: always },
  commands: { without: '/agent does not work (!help and the other ! commands do)' },
  'files:read': { without: 'the agent gets no files, pictures or recordings (its tool slack_read_file, too)' },
  'files:write': { without: 'long answers are posted in parts, and the agent uploads no files (slack_upload_file)' },
  'groups:history': { without: 'the bot does not see messages in private channels', breaks: channelsOf('private') },
  'groups:read': { without: 'the bridge cannot read the names of private channels', breaks: everywhere },
  'im:history': { without: 'the bot does not see direct messages', breaks: directMessages },
  'im:read': { without: 'the bridge cannot catch up on direct messages after an outage' },
  'mpim:history': { without: 'the bot does not see group direct messages', breaks: groupDirectMessages },
  'mpim:read': { without: 'the bridge cannot tell what is a group direct message', breaks: groupDirectMessages },
  'usergroups:read': { without: 'the bridge cannot tell who is in a user group', breaks: groupsNamed },
  'users:read': { without: 'the bridge cannot check who may use the agent', breaks: always },
};

/** Bot scopes that whoever installs the app may leave out. `wanted`: whether this policy needs it for a feature. */
const OPTIONAL: Readonly<Record<string, { without: string; wanted(policy: Policy): boolean }>> = {
  'reactions:read': {
    without: 'the reactions that the policy names ask the agent nothing',
    wanted: ({ defaults, places }) =>
      [defaults, ...places.values()].some(({ reactions = {} }) => Object.keys(reactions).length > 0),
  },
};

/** Optional scopes that this policy needs for a feature, and the token lacks. */
export function missingOptional(scopes: readonly string[], policy: Policy): string[] {
  return Object.entries(OPTIONAL).flatMap(([name, { wanted }]) =>
    !scopes.includes(name) && wanted(policy) ? [name] : [],
  );
}

/** Tools of the agent that need a scope which the bridge itself can do without. */
export const TOOL_SCOPES: Readonly<Record<string, readonly ToolName[]>> = {
  'files:read': ['slack_read_file'],
  'files:write': ['slack_upload_file'],
  'reactions:write': ['slack_react'],
};

export interface MissingScopes {
  /** Without these the bridge cannot work under this policy. */
  breaking: string[];
  /** Without these a feature is off. */
  lesser: string[];
}

export function missingScopes(
  scopes: readonly string[],
  policy: Policy,
  kinds: ChannelKinds = new Map(),
): MissingScopes {
  const missing = Object.entries(SCOPES).filter(([name]) => !scopes.includes(name));
  const [breaking, lesser] = [true, false].map((wanted) =>
    missing.filter(([, { breaks }]) => (breaks?.(policy, kinds) ?? false) === wanted).map(([name]) => name),
  );
  return { breaking: breaking ?? [], lesser: [...(lesser ?? []), ...missingOptional(scopes, policy)] };
}

/** What does not work without them, for people. */
export function describeMissing(names: readonly string[]): string {
  return names.flatMap((name) => (SCOPES[name] ?? OPTIONAL[name])?.without ?? []).join('; ');
}

/** Ask for the kind of at most this many channels: each costs a Slack call, at the busiest moment. */
const LOOKED_AT = 20;

/**
 * The kinds of the channels that the policy names. Slack is asked only if a scope is missing, because only then they
 * matter.
 */
export async function kindsThatMatter(api: SlackApi, scopes: readonly string[], policy: Policy): Promise<ChannelKinds> {
  const kinds = new Map<ChannelId, 'public' | 'private'>();
  if (scopes.includes('channels:history') && scopes.includes('groups:history')) return kinds;
  for (const id of policy.channels.ids.filter((each) => !isDirect(each)).slice(0, LOOKED_AT)) {
    const channel = await inspectChannel(api, id).catch(() => null);
    if (channel !== null) kinds.set(id, channel.isPrivate ? 'private' : 'public');
  }
  return kinds;
}

/** The error with which the bridge refuses to start without these scopes. */
export function scopesRefused(breaking: readonly string[]): BridgeError {
  const { text, fix } = trouble('scopes_missing', { scopes: breaking.join(', ') });
  return new BridgeError('config_invalid', `${text}: ${describeMissing(breaking)}. ${fix}`, { notice: text });
}
