import { closedPolicy, mayBeUnrestricted, type Policy, settingsOf } from '../bridge/access/policy.ts';
import * as check from './checks.ts';
import { type PolicyFile, readPolicyFile } from './policy-file.ts';
import type { SettingName } from './settings.ts';

export interface ConfigProblem {
  /** The name of a setting, or of several that contradict each other: `A and B`. */
  setting: string;
  /** What is wrong; it never contains a secret value. */
  problem: string;
  /** What to do about it: a sentence. */
  fix: string;
}

/** How the parts of the configuration are read. A wrong setting adds a problem and reads as `null`. */
export interface Reading {
  readSetting<T>(name: SettingName, shape: check.Check<T>, value?: string | null): T | null;
  readWithDefault(name: SettingName): string;
  isSet(name: SettingName): boolean;
  addProblem(setting: string, problem: string, fix: string): void;
}

/** Parts of the policy that may be set in the file or in the environment, under these names. */
const BOTH: Readonly<Record<string, SettingName>> = {
  users: 'SLACK_ALLOWED_USERS',
  channels: 'SLACK_ALLOWED_CHANNELS',
  admins: 'ADMINS',
  permissions: 'PERMISSIONS',
  approvers: 'APPROVERS',
  auto_approve: 'AUTO_APPROVE',
  self_approval: 'SELF_APPROVAL',
  verbosity: 'VERBOSITY',
  show_reasoning: 'SHOW_REASONING',
};

/**
 * Reads the policy from the environment and the policy file; each part may be set in only one of them.
 * @param readText a file's text; `null` when there is none
 */
export function readPolicy(reading: Reading, readText: (path: string) => string | null): Policy | null {
  const { readSetting, readWithDefault, isSet, addProblem } = reading;
  const file = readFile(reading, readText);
  if (file === null) return null;
  const inFile = keysInFile(file);
  for (const [key, name] of Object.entries(BOTH)) {
    if (!inFile.has(key) || !isSet(name)) continue;
    const where = file.at(key);
    addProblem(`${name} and ${where}`, 'set the same thing twice', `Keep one and remove the other.`);
  }
  const users = file.users ?? readSetting('SLACK_ALLOWED_USERS', check.allowedUsers);
  if (!file.users && !isSet('SLACK_ALLOWED_USERS')) {
    addProblem(
      'SLACK_ALLOWED_USERS',
      'is missing, so no one may use the bot',
      'Set it to members (every full member of the workspace) or to user ids (U…), or write users: [members] into policy.yml.',
    );
  }
  const channels = file.channels ?? readSetting('SLACK_ALLOWED_CHANNELS', check.allowedChannels);
  if (!file.channels && !isSet('SLACK_ALLOWED_CHANNELS')) {
    addProblem(
      'SLACK_ALLOWED_CHANNELS',
      'is missing, so the bot may not be used anywhere',
      'Set it to dm and channel ids (C…), or to * for everywhere, or write channels: [dm] into policy.yml.',
    );
  }
  const admins = file.admins ?? (isSet('ADMINS') ? readSetting('ADMINS', check.peopleShape) : closedPolicy.admins);
  const permissions = readSetting('PERMISSIONS', check.permissionsShape, readWithDefault('PERMISSIONS'));
  const approvers = readSetting('APPROVERS', check.approversShape, readWithDefault('APPROVERS'));
  const selfApproval = readSetting('SELF_APPROVAL', check.allowOrDeny, readWithDefault('SELF_APPROVAL'));
  const verbosity = readSetting('VERBOSITY', check.verbosityShape, readWithDefault('VERBOSITY'));
  const showReasoning = readSetting('SHOW_REASONING', check.onOrOff, readWithDefault('SHOW_REASONING'));
  const autoApprove = isSet('AUTO_APPROVE') ? readSetting('AUTO_APPROVE', check.autoApproveShape) : [];
  const unrestricted = isSet('ALLOW_UNRESTRICTED')
    ? readSetting('ALLOW_UNRESTRICTED', check.allowedChannels)
    : closedPolicy.unrestricted;
  if (!(users && channels && admins && permissions && approvers && verbosity)) return null;
  if (!autoApprove || !unrestricted) return null;
  if (selfApproval === null || showReasoning === null) return null;
  const settings = { permissions, approvers, autoApprove, selfApproval, verbosity, showReasoning };
  const policy: Policy = {
    users,
    channels,
    admins,
    unrestricted,
    bots: file.bots ?? closedPolicy.bots,
    limits: file.limits ?? closedPolicy.limits,
    prompts: file.prompts ?? closedPolicy.prompts,
    defaults: { ...closedPolicy.defaults, ...settings, ...file.defaults },
    places: file.places,
  };
  checkPlaces(policy, file, reading);
  return policy;
}

/** The policy file; an empty one if there is no file, `null` if it is wrong. */
function readFile({ readWithDefault, isSet, addProblem }: Reading, readText: (path: string) => string | null) {
  const path = readWithDefault('POLICY');
  let text: string | null = null;
  try {
    text = readText(path);
  } catch {
    addProblem(path, 'cannot be read', 'Let the bridge read it (chmod, chown), or remove it.');
    return null;
  }
  if (text === null && isSet('POLICY')) {
    addProblem(
      'POLICY',
      `names ${JSON.stringify(path)}, which does not exist`,
      'Correct the path, or remove the setting.',
    );
    return null;
  }
  const read = readPolicyFile(path.replace(/^\.\//, ''), text ?? '');
  if ('file' in read) return read.file;
  for (const { setting, problem, fix } of read.problems) addProblem(setting, problem, fix);
  return null;
}

function keysInFile({ users, channels, admins, defaults }: PolicyFile): Set<string> {
  const { permissions, approvers, selfApproval, verbosity, showReasoning, autoApprove } = defaults;
  const auto_approve = autoApprove;
  const self_approval = selfApproval;
  const show_reasoning = showReasoning;
  const parts = {
    users,
    channels,
    admins,
    permissions,
    approvers,
    self_approval,
    verbosity,
    show_reasoning,
    auto_approve,
  };
  return new Set(Object.entries(parts).flatMap(([key, value]) => (value === undefined ? [] : [key])));
}

function checkPlaces(policy: Policy, file: PolicyFile, { addProblem, isSet }: Reading): void {
  const nobody = 'leave no one to decide about approvals';
  const fix = 'Name people or user groups as approvers, or let people decide about their own requests (self_approval).';
  if (hasNobodyToDecide(policy.defaults)) addProblem('APPROVERS and SELF_APPROVAL', nobody, fix);
  const { admins, bots, defaults } = policy;
  const { approvers } = defaults;
  if (bots.ids.length > 0 && [admins, approvers].every(({ ids, groups }) => ids.length + groups.length === 0)) {
    const who = 'Name admins, or approvers by id: a bot cannot click.';
    addProblem(file.at('bots'), 'leaves no one to decide about approvals in turns of bots', who);
  }
  // Editing the policy file is not enough for `unrestricted`: the environment must allow it, too.
  const named = 'List its channels, dm or * in ALLOW_UNRESTRICTED, or use guarded.';
  if (policy.defaults.permissions === 'unrestricted' && !policy.unrestricted.everywhere) {
    addProblem('PERMISSIONS', 'is unrestricted, which ALLOW_UNRESTRICTED does not allow here', named);
  }
  for (const [channel, own] of policy.places) {
    if (own.permissions === 'unrestricted' && !mayBeUnrestricted(policy, channel)) {
      const where = file.at('channels', channel, 'permissions');
      addProblem(where, 'is unrestricted, which ALLOW_UNRESTRICTED does not allow here', named);
    }
    if ((own.approvers || own.selfApproval !== undefined) && hasNobodyToDecide(settingsOf(policy, channel))) {
      addProblem(`${file.at('channels', channel)}: its approvers and self_approval`, nobody, fix);
    }
    if (own.binding?.device && isSet('LETTA_APP_SERVER_URL')) {
      const where = file.at('channels', channel, 'device');
      addProblem(
        where,
        'names a device, but an App Server has none',
        'Remove it; to choose a directory, set working_directory.',
      );
    }
  }
}

function hasNobodyToDecide({ approvers, selfApproval }: Policy['defaults']): boolean {
  return !selfApproval && approvers.ids.length + approvers.groups.length === 0;
}
