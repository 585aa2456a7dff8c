import { closedPolicy, mayBeUnrestricted, type Policy, settingsOf } from '../bridge/access/policy.ts';
import * as check from './checks.ts';
import { type PolicyFile, type PolicySection, readPolicyFile } from './policy-file.ts';
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
 * Reads the policy from the environment and the policy file, without what the file says of single workspaces; each part
 * may be set in only one of them.
 */
export function readUsualPolicy(reading: Reading, file: PolicyFile): Policy | null {
  const { readSetting, readWithDefault, isSet, addProblem } = reading;
  const inFile = keysInFile(file);
  for (const [key, name] of Object.entries(BOTH)) {
    if (!inFile.has(key) || !isSet(name)) continue;
    const where = file.at(key);
    addProblem(`${name} and ${where}`, 'set the same thing twice', `Keep one and remove the other.`);
  }
  const users = file.users ?? readSetting('SLACK_ALLOWED_USERS', check.allowedUsers);
  const isOptional = isInEachSection(reading, file);
  if (!file.users && !isSet('SLACK_ALLOWED_USERS') && !isOptional.users) {
    addProblem(
      'SLACK_ALLOWED_USERS',
      'is missing, so no one may use the bot',
      'Set it to members (every full member of the workspace) or to user ids (U…), or write users: [members] into policy.yml.',
    );
  }
  const channels = file.channels ?? readSetting('SLACK_ALLOWED_CHANNELS', check.allowedChannels);
  if (!file.channels && !isSet('SLACK_ALLOWED_CHANNELS') && !isOptional.channels) {
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
  const isGiven = (users !== null || isOptional.users) && (channels !== null || isOptional.channels);
  if (!(isGiven && admins && permissions && approvers && verbosity)) return null;
  if (!autoApprove || !unrestricted) return null;
  if (selfApproval === null || showReasoning === null) return null;
  const settings = { permissions, approvers, autoApprove, selfApproval, verbosity, showReasoning };
  const policy: Policy = {
    users: users ?? closedPolicy.users,
    channels: channels ?? closedPolicy.channels,
    admins,
    unrestricted,
    bots: file.bots ?? closedPolicy.bots,
    limits: file.limits ?? closedPolicy.limits,
    prompts: file.prompts ?? closedPolicy.prompts,
    defaults: { ...closedPolicy.defaults, ...settings, ...file.defaults },
    places: file.places,
  };
  checkPolicy(policy, file, reading, 'whole');
  return policy;
}

/** Without a bot token, the top level may leave out what each workspace says for itself: elsewhere it is closed. */
function isInEachSection({ isSet }: Reading, { workspaces }: PolicyFile): { users: boolean; channels: boolean } {
  const sections = [...workspaces.values()];
  const mayBe = sections.length > 0 && !isSet('SLACK_BOT_TOKEN');
  return {
    users: mayBe && sections.every(({ users }) => users !== undefined),
    channels: mayBe && sections.every(({ channels }) => channels !== undefined),
  };
}

/** The policy file; an empty one if there is no file, `null` if it is wrong. */
export function readFile(
  { readWithDefault, isSet, addProblem }: Reading,
  readText: (path: string) => string | null,
): PolicyFile | null {
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

function keysInFile({ users, channels, admins, defaults }: PolicySection): Set<string> {
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

/**
 * Reports what would leave somebody stuck, or more open than the environment allows.
 * @param of the `section` of a workspace: only what it says itself is reported there
 */
export function checkPolicy(
  policy: Policy,
  file: PolicySection,
  { addProblem, isSet }: Reading,
  of: 'whole' | 'section',
): void {
  const isWhole = of === 'whole';
  const said = file.defaults;
  const nobody = 'leave no one to decide about approvals';
  const fix = 'Name people or user groups as approvers, or let people decide about their own requests (self_approval).';
  const saysDeciders = said.approvers !== undefined || said.selfApproval !== undefined;
  if ((isWhole || saysDeciders) && hasNobodyToDecide(policy.defaults)) {
    addProblem(isWhole ? 'APPROVERS and SELF_APPROVAL' : `${file.at()}: its approvers and self_approval`, nobody, fix);
  }
  const { admins, bots, defaults } = policy;
  const { approvers } = defaults;
  const hasBots = bots.ids.length > 0 && (isWhole || file.bots !== undefined);
  if (hasBots && [admins, approvers].every(({ ids, groups }) => ids.length + groups.length === 0)) {
    const who = 'Name admins, or approvers by id: a bot cannot click.';
    addProblem(file.at('bots'), 'leaves no one to decide about approvals in turns of bots', who);
  }
  // Editing the policy file is not enough for `unrestricted`: the environment must allow it, too.
  const named = 'List its channels, dm or * in ALLOW_UNRESTRICTED, or use guarded.';
  const saysMode = isWhole || said.permissions !== undefined;
  if (saysMode && policy.defaults.permissions === 'unrestricted' && !policy.unrestricted.everywhere) {
    addProblem(
      isWhole ? 'PERMISSIONS' : file.at('permissions'),
      'is unrestricted, which ALLOW_UNRESTRICTED does not allow here',
      named,
    );
  }
  for (const [channel, own] of file.places) {
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
