import type { GroupId } from './access/policy.ts';
import type { TeamId, UserId } from './ids.ts';

export type PersonKind = 'member' | 'guest' | 'external' | 'bot' | 'deactivated';

/** A person or a bot as Slack's directory knows them. */
export interface Person {
  id: UserId;
  team: TeamId;
  kind: PersonKind;
  /** Whether the directory knows them as one of our organisation, in whichever of its workspaces. */
  colleague?: boolean;
  /** Display name: data, never trusted. */
  name: string;
  /** As in `Europe/Amsterdam`; left out: not known. */
  timeZone?: string;
  /** The user groups of the policy that they are in; left out: none. */
  groups?: readonly GroupId[];
  /** User groups of the policy whose members Slack does not tell right now. */
  unconfirmedGroups?: readonly GroupId[];
  /** Of a bot: its user id, besides its bot id. */
  botUser?: UserId;
}
