import { isMap, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import {
  type Binding,
  closedPolicy,
  type PlaceSettings,
  type Policy,
  type TurnLimits,
} from '../bridge/access/policy.ts';
import type { WorkspaceId } from '../bridge/ids.ts';
import * as check from './checks.ts';
import {
  type behaviourObject,
  bindingObject,
  channelName,
  channelsShape,
  fileShape,
  list,
  place,
  type sectionShape,
  workspaceName,
  workspaceShape,
  workspacesShape,
} from './policy-shapes.ts';

/** The contents of a policy file; parts that the file leaves out are left out here. */
export interface PolicyFile {
  users?: Policy['users'];
  channels?: Policy['channels'];
  places: Policy['places'];
  admins?: Policy['admins'];
  bots?: Policy['bots'];
  limits?: Policy['limits'];
  prompts?: Policy['prompts'];
  defaults: Partial<PlaceSettings>;
  /** What differs in a workspace, by its id; `*`: in every one that is not named. */
  workspaces: ReadonlyMap<WorkspaceId | '*', PolicySection>;
  /** The place of a part in the file, for a report: `policy.yml:12 channels.C01.device`. */
  at(...path: string[]): string;
}

/** The part of a policy file that is for one workspace. */
export type PolicySection = Omit<PolicyFile, 'workspaces'>;

export interface PolicyProblem {
  setting: string;
  problem: string;
  fix: string;
}

/** No policy written by hand is longer. */
const MOST_CHARACTERS = 500_000;

/** Reads a policy file. `name` is the file's name in problems. */
export function readPolicyFile(name: string, text: string): { file: PolicyFile } | { problems: PolicyProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (text.length > MOST_CHARACTERS)
    return fileProblem(name, 'is too long', `Keep it below ${MOST_CHARACTERS} characters.`);
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      setting: `${name}:${lines.linePos(error.pos[0]).line}`,
      problem: `is not valid YAML: ${(error.message.split('\n')[0] ?? '').replace(/[.:]$/, '')}`,
      fix: 'Correct that line; indent with spaces.',
    }));
    return { problems };
  }
  // What the file does not spell out (one word for several values) has the line of what is around it.
  const lineOf = (path: readonly PropertyKey[]): string => {
    const keys = path.map((key) => (typeof key === 'symbol' ? '' : key));
    const parent = document.getIn(keys.slice(0, -1), true) ?? document.contents;
    const pair = isMap(parent) ? parent.items.find(({ key }) => String(key) === String(keys.at(-1))) : undefined;
    const node = (pair?.key ?? document.getIn(keys, true)) as { range?: [number, number, number] | null } | undefined;
    if (node?.range) return `:${lines.linePos(node.range[0]).line}`;
    return path.length > 1 ? lineOf(path.slice(0, -1)) : '';
  };
  const at = (...path: PropertyKey[]) =>
    `${name}${lineOf(path)}${path.length > 0 ? ` ${path.map(String).join('.')}` : ''}`;

  const problems: PolicyProblem[] = [];
  const read = <T>(schema: z.ZodType<T>, value: unknown, path: string[]): T | null => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) problems.push(...problemsOf(issue, path, at));
    return null;
  };
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch {
    return fileProblem(name, 'refers to itself without end', 'Write it without anchors and aliases.');
  }
  const { section, workspaces = {} } = readSection(value, fileShape, [], read, at);
  const sections = new Map<string, PolicySection>();
  for (const [id, own] of Object.entries(workspaces)) {
    if (read(workspaceName, id, ['workspaces', id]) === null) continue;
    // `T0123ABCD:` with nothing after it serves the workspace as the rest of the file says.
    const { section: theirs } = readSection(own ?? {}, workspaceShape, ['workspaces', id], read, at);
    if (theirs) sections.set(id, theirs);
  }
  if (!section || problems.length > 0) return { problems };
  return { file: { ...section, workspaces: sections } };
}

/** Reads the top level, or the part of one workspace. @param above where it stands in the file */
function readSection<Whole extends z.output<typeof sectionShape> & { workspaces?: z.output<typeof workspacesShape> }>(
  value: unknown,
  schema: z.ZodType<Whole>,
  above: string[],
  read: Read,
  at: (...path: PropertyKey[]) => string,
): { section: PolicySection | null; workspaces?: Record<string, unknown> | undefined } {
  const whole = read(schema, value, above);
  // Read the channels even if something else is wrong, so that all problems are reported at once.
  const given = z.object({ channels: channelsShape }).safeParse(value).data;
  const channels = readChannels(given?.channels, [...above, 'channels'], read);
  const workspaces = z.object({ workspaces: workspacesShape }).safeParse(value).data?.workspaces;
  if (!whole) return { section: null, workspaces };
  const { users, admins, bots, limits, prompts } = whole;
  const { binding } = bindingIn(bindingObject.parse(whole));
  const usual = closedPolicy.bots;
  const none: TurnLimits = { rate: null, atOnce: null };
  const section: PolicySection = {
    ...(users && { users }),
    ...(channels.served && { channels: channels.served }),
    places: binding ? withBinding(channels.places, binding) : channels.places,
    ...(admins && { admins }),
    ...(bots && { bots: { ids: bots.allow, inARow: bots.in_a_row ?? usual.inARow, rate: bots.turns ?? usual.rate } }),
    ...(limits && {
      limits: {
        ...{ user: limits.user ?? none, channel: limits.channel ?? none },
        ...(limits.workspace && { workspace: limits.workspace }),
      },
    }),
    ...(prompts && { prompts }),
    defaults: { ...settingsIn(whole), ...(binding && { binding }) },
    at: (...path) => at(...above, ...path),
  };
  return { section, workspaces };
}

function fileProblem(name: string, problem: string, fix: string): { problems: PolicyProblem[] } {
  return { problems: [{ setting: name, problem, fix }] };
}

function problemsOf(issue: z.core.$ZodIssue, above: string[], at: (...path: PropertyKey[]) => string): PolicyProblem[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      setting: at(...path, key),
      problem: 'is not a setting',
      fix: 'Remove it or correct its name; policy.example.yml lists all settings.',
    }));
  }
  const [problem = 'is not valid', fix = 'Correct it; see policy.example.yml.'] = issue.message.split(' → ');
  return [{ setting: at(...path), problem, fix }];
}

type Read = <T>(schema: z.ZodType<T>, value: unknown, path: string[]) => T | null;

function readChannels(
  value: Record<string, unknown> | string[] | string | undefined,
  at: string[],
  read: Read,
): { served: Policy['channels'] | null; places: Map<string, Partial<PlaceSettings>> } {
  const places = new Map<string, Partial<PlaceSettings>>();
  if (value === undefined) return { served: null, places };
  if (typeof value === 'string' || Array.isArray(value))
    return { served: read(list(check.allowedChannels), value, at), places };
  const keys = Object.keys(value).filter((key) => read(channelName, key, [...at, key]) !== null);
  // `dm` covers group direct messages too, and `*` everything: this takes them out.
  const isWithoutGroups = value.group_dm === 'off' || value.group_dm === false;
  const names = keys.filter((key) => !(key === 'group_dm' && isWithoutGroups));
  for (const key of names) {
    const settings = read(place, value[key], [...at, key]);
    if (!settings) continue;
    const own = { ...settingsIn(settings), ...bindingIn(settings) };
    if (Object.keys(own).length > 0) places.set(key, own);
  }
  if (places.has('*'))
    read(z.never('has its own settings → Write them at the top level: there they apply everywhere.'), 1, [...at, '*']);
  const served = read(list(check.allowedChannels), names, at);
  return { served: served && isWithoutGroups ? { ...served, groupDirectMessages: false } : served, places };
}

function settingsIn(read: z.output<typeof behaviourObject>): Partial<PlaceSettings> {
  const { listen, context, verbosity, show_reasoning, permissions, approvers } = read;
  const { self_approval, subagents, models, device_commands, resume, auto_approve, reactions } = read;
  const { tools: names, post_unasked, may_mention } = read;
  return {
    ...(listen && { listen }),
    ...(context && { context }),
    ...(verbosity && { verbosity }),
    ...(show_reasoning !== undefined && { showReasoning: show_reasoning }),
    ...(permissions && { permissions }),
    ...(approvers && { approvers }),
    ...(self_approval !== undefined && { selfApproval: self_approval }),
    ...(subagents && { subagents: subagents === 'allow' }),
    ...(models && { models }),
    ...(device_commands && { deviceCommands: device_commands }),
    ...(resume && { resume }),
    ...(auto_approve && { autoApprove: auto_approve }),
    ...(reactions && { reactions }),
    ...(names && { tools: names }),
    ...(post_unasked && { postUnasked: post_unasked }),
    ...(may_mention && { mayMention: may_mention }),
  };
}

/** What a channel says of agent and machine goes before what its workspace says. */
function withBinding(places: Policy['places'], of: Binding): Policy['places'] {
  const both = ({ binding: own, ...rest }: Partial<PlaceSettings>): Partial<PlaceSettings> => ({
    ...rest,
    ...(own && {
      binding: {
        ...{ ...of, ...own },
        agentId: own.agentId ?? of.agentId,
        device: own.device ?? of.device,
        workingDirectory: own.workingDirectory ?? of.workingDirectory,
      },
    }),
  });
  return new Map([...places].map(([place, settings]) => [place, both(settings)]));
}

function bindingIn(of: z.output<typeof bindingObject>): { binding?: Binding } {
  const { agent = null, device = null, working_directory: workingDirectory = null, model, toolset } = of;
  const isUsual = [agent, device, workingDirectory].every((each) => each === null);
  if (isUsual && model === undefined && toolset === undefined) return {};
  const chosen = { ...(model && { model }), ...(toolset !== undefined && { toolset }) };
  return { binding: { agentId: agent, device, workingDirectory, ...chosen } };
}
