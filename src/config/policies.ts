import { closedPolicy, type Policy } from '../bridge/access/policy.ts';
import type { WorkspaceId } from '../bridge/ids.ts';
import * as check from './checks.ts';
import { checkPolicy, type Reading, readFile, readUsualPolicy } from './policy.ts';
import type { PolicySection } from './policy-file.ts';

/** Who may do what in each workspace. A value: a changed policy is a new object. */
export interface Policies {
  /** Where nothing else is said. */
  usual: Policy;
  /** Which workspaces may install the app by OAuth: these ids (`T…`, `E…`), or all. */
  workspaces: { everyone: boolean; ids: readonly WorkspaceId[] };
  /** By workspace, where it differs; `*`: in all that have none of their own. */
  own: ReadonlyMap<WorkspaceId | '*', Policy>;
}

/** A workspace as the policy knows it. */
export interface PolicedWorkspace {
  workspace: WorkspaceId;
  /** Its organisation. */
  enterpriseId: string | null;
  /** `static`: the workspace of `SLACK_BOT_TOKEN`, which is always allowed. */
  source: 'static' | 'oauth';
}

/** The policy of a workspace; one that may not have the app is closed. */
export function policyIn(policies: Policies, { workspace, enterpriseId, source }: PolicedWorkspace): Policy {
  if (source === 'oauth' && !mayInstall(policies, workspace, enterpriseId)) return closedPolicy;
  const { usual, own } = policies;
  return own.get(workspace) ?? own.get('*') ?? usual;
}

/** The policy of the workspace that `SLACK_BOT_TOKEN` is of. */
export function policyOfToken(policies: Policies, workspace: WorkspaceId): Policy {
  return policyIn(policies, { workspace, enterpriseId: null, source: 'static' });
}

/** Whether the app may be installed in this workspace, or for this organisation. @param enterpriseId its organisation */
export function mayInstall({ workspaces }: Policies, workspace: WorkspaceId, enterpriseId: string | null): boolean {
  const { everyone, ids } = workspaces;
  return everyone || ids.includes(workspace) || (enterpriseId !== null && ids.includes(enterpriseId));
}

/**
 * Reads the policy from the environment and the policy file. What the file says of one workspace goes before the rest.
 * @param readText a file's text; `null` when there is none
 */
export function readPolicies(reading: Reading, readText: (path: string) => string | null): Policies | null {
  const { readSetting, isSet } = reading;
  const file = readFile(reading, readText);
  if (file === null) return null;
  const usual = readUsualPolicy(reading, file);
  const named = isSet('SLACK_ALLOWED_WORKSPACES')
    ? readSetting('SLACK_ALLOWED_WORKSPACES', check.allowedWorkspaces)
    : { everyone: false, ids: [] };
  if (usual === null || named === null) return null;
  const own = new Map<WorkspaceId | '*', Policy>();
  for (const [id, section] of file.workspaces) {
    const policy = withSection(usual, section);
    checkPolicy(policy, section, reading, 'section');
    own.set(id, policy);
  }
  const ids = [...own.keys()].filter((id) => id !== '*');
  return {
    usual,
    workspaces: { everyone: named.everyone || own.has('*'), ids: [...new Set([...named.ids, ...ids])] },
    own,
  };
}

/** What the section names goes before the rest. Channels come with all their settings, so the usual ones fall away. */
function withSection(usual: Policy, section: PolicySection): Policy {
  const { users, channels, admins, bots, limits, prompts, defaults, places } = section;
  return {
    ...usual,
    ...(users && { users }),
    ...(channels ? { channels, places } : defaults.binding && { places: withoutBindings(usual.places) }),
    ...(admins && { admins }),
    ...(bots && { bots }),
    ...(limits && { limits }),
    ...(prompts && { prompts }),
    defaults: { ...usual.defaults, ...defaults },
  };
}

/** The agent of a workspace goes before the one that all workspaces have in a kind of place, such as `dm`. */
function withoutBindings(places: Policy['places']): Policy['places'] {
  return new Map([...places].map(([place, { binding, ...rest }]) => [place, rest]));
}
