import { isMap, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import {
  type Binding,
  closedPolicy,
  MOST_PROMPTS,
  type PlaceSettings,
  type Policy,
  type TurnLimits,
} from '../bridge/access/policy.ts';
import { problemOfRule } from '../bridge/approvals/auto-approval/rules.ts';
import { emojiName } from '../bridge/text/emoji-name.ts';
import { isToolName, TOOL_NAMES, type ToolName } from '../bridge/tools/catalogue.ts';
import * as check from './checks.ts';

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
  /** The place of a part in the file, for a report: `policy.yml:12 channels.C01.device`. */
  at(...path: string[]): string;
}

export interface PolicyProblem {
  setting: string;
  problem: string;
  fix: string;
}

/** No policy written by hand is longer. */
const MOST_CHARACTERS = 500_000;

/** `[a, b]`, or `a, b` in one line, as a setting takes it. */
function list<T>(shape: check.Check<T>) {
  const words = z.union([z.string(), z.array(z.string())], 'is not a list → Write it like [U0123ABCD, S0123ABCD].');
  return words.transform((value) => (Array.isArray(value) ? value.join(',') : value)).pipe(shape);
}

/** YAML turns some words into `true` and `false`; this turns them back. */
function word(shape: check.Check<boolean>, yes: string, no: string) {
  const words = z.union([z.string(), z.boolean()], `is neither ${yes} nor ${no} → Write ${yes} or ${no}.`);
  return words.transform((value) => (typeof value === 'boolean' ? (value ? yes : no) : value)).pipe(shape);
}

const rules = z.array(
  z.string('is not a rule → Write it like Bash(npm test).').superRefine((rule, context) => {
    const problem = problemOfRule(rule);
    if (problem !== null) context.addIssue({ code: 'custom', message: `${problem} → Write it like Bash(npm test).` });
  }),
  'is not a list of rules → Write it like ["Bash(npm test)"].',
);

/** Words of the policy that an emoji stands for. */
const REACTION_CHARACTERS = 1_000;
const MOST_REACTIONS = 20;
const reactions = z
  .record(
    z.string(),
    z
      .string('is not text → Write what the agent is asked, in quotes.')
      .trim()
      .min(1, 'is empty → Write what the agent is asked, or remove it.')
      .max(REACTION_CHARACTERS, `is longer than ${REACTION_CHARACTERS} characters → Shorten it.`),
    expectObject('a list of emoji → Write it like {eyes: "Look at this."}.'),
  )
  .transform((given, context) => {
    const names = Object.entries(given).map(([name, prompt]) => [name, emojiName(name), prompt] as const);
    const read = new Map<string, string>();
    const refuse = (name: string, message: string) => context.addIssue({ code: 'custom', path: [name], message });
    for (const [name, emoji, prompt] of names) {
      if (emoji === null)
        refuse(name, 'is not the name of an emoji → Write it as in Slack, without colons, like eyes.');
      else if (read.has(emoji)) refuse(name, `is the same emoji as another one (${emoji}) → Remove one of them.`);
      else read.set(emoji, prompt);
    }
    if (names.length > MOST_REACTIONS)
      context.addIssue({ code: 'custom', message: `has more than ${MOST_REACTIONS} emoji → Remove the others.` });
    return Object.fromEntries(read);
  });
const toolName = z.custom<ToolName>(
  (name) => typeof name === 'string' && isToolName(name),
  `is not a tool of the bridge → Use ${TOOL_NAMES.join(', ')}, or off for none.`,
);
const tools = z
  .preprocess(
    // YAML reads `off` as a word or as false.
    (value) => (value === 'off' || value === false ? [] : value),
    list(z.string().transform((value) => value.split(',').flatMap((name) => name.trim() || []))).pipe(
      z.array(toolName),
    ),
  )
  .transform((names) => TOOL_NAMES.filter((name) => names.includes(name)));
const channelId = z
  .string('is not a channel id → Use channel ids (C…).')
  .regex(
    /^[CG][A-Z0-9]+$/,
    'is not a channel id → Use channel ids (C…; in Slack: at the bottom of the channel details).',
  );
const personId = z
  .string('is not a user id → Use user ids (U…).')
  .regex(/^[UW][A-Z0-9]+$/, 'is not a user id → Use user ids (U…).');
const mayMention = z.union(
  [z.enum(['requester', 'thread']), z.array(personId)],
  'must be requester, thread or a list of user ids → Use requester if you are not sure.',
);

const behaviour = {
  listen: z
    .enum(['mention', 'thread', 'all'], 'must be mention, thread or all → Use thread if you are not sure.')
    .optional(),
  context: z
    .enum(['thread', 'addressed', 'off'], 'must be thread, addressed or off → Use thread if you are not sure.')
    .optional(),
  verbosity: check.verbosityShape.optional(),
  show_reasoning: word(check.onOrOff, 'on', 'off').optional(),
  permissions: check.permissionsShape.optional(),
  approvers: list(check.approversShape).optional(),
  self_approval: word(check.allowOrDeny, 'allow', 'deny').optional(),
  subagents: z.enum(['allow', 'admins'], 'is neither allow nor admins → Write allow or admins.').optional(),
  models: z.enum(['starter', 'admins'], 'is neither starter nor admins → Write starter or admins.').optional(),
  auto_approve: rules.optional(),
  reactions: reactions.optional(),
  tools: tools.optional(),
  post_unasked: z.array(channelId, 'is not a list of channels → Write it like [C0123ABCD].').optional(),
  may_mention: mayMention.optional(),
};

const behaviourObject = z.object(behaviour);

const anyWord = z.string('is not text → Write it in quotes.').min(1, 'is empty → Remove it.');

const place = z.preprocess(
  // `C0123ABCD:` with nothing after it serves the channel with the default settings.
  (value) => value ?? {},
  z.strictObject(
    {
      ...behaviour,
      agent: check.agentIdShape.optional(),
      device: anyWord.optional(),
      working_directory: anyWord.regex(/^(\/|[A-Za-z]:[\\/])/, 'is not a full path → Begin it with /.').optional(),
    },
    expectObject('a group of channel settings → Write the settings below the channel, or {} for none.'),
  ),
);

const channelName = z.string().regex(/^(\*|dm|group_dm|[CGD][A-Z0-9]+)$/, {
  message: 'is not a channel id → Use channel ids (C…; in Slack: at the bottom of the channel details), dm or "*".',
});

const count = (most: number) =>
  z
    .int(`is not a whole number → Use a number from 1 to ${most}.`)
    .min(1, `is less than 1 → Use a number from 1 to ${most}.`)
    .max(most, `is more than ${most} → Use a number from 1 to ${most}.`);

/** As {@link count}, but 0 forbids it. */
const countFromNone = (most: number) =>
  z
    .int(`is not a whole number → Use a number from 0 to ${most}.`)
    .min(0, `is less than 0 → Use a number from 0 to ${most}.`)
    .max(most, `is more than ${most} → Use a number from 0 to ${most}.`);

const RATE = /^(\d{1,5}) per (\d{1,4}[smhd])$/;
const rate = z
  .string('is not a rate → Write it like 30 per 1h.')
  .regex(RATE, 'is not a rate → Write it like 30 per 1h.')
  .transform((value, context) => {
    const [, turns = '', time = ''] = RATE.exec(value) ?? [];
    const per = check.timeUpTo('1d').safeParse(time);
    if (!per.success || per.data === 0 || turns === '0' || Number(turns) > 10_000) {
      context.addIssue({
        code: 'custom',
        message: 'is outside the allowed range → Use 1 to 10000 turns in at most 1d.',
      });
      return z.NEVER;
    }
    return { turns: Number(turns), perMs: per.data };
  });
const limit = z
  .strictObject(
    { turns: rate.optional(), at_once: count(1_000).optional(), schedules: countFromNone(50).optional() },
    expectObject('a limit → Write turns, at_once and schedules below it.'),
  )
  .transform(
    ({ turns, at_once, schedules }): TurnLimits => ({
      ...{ rate: turns ?? null, atOnce: at_once ?? null },
      ...(schedules !== undefined && { schedules }),
    }),
  );

const botId = z
  .string('is not an id → Use bot ids (B… or U…).')
  .regex(/^[BUW][A-Z0-9]+$/, 'is not a bot id → Use bot ids (B…) or the user ids of bots (U…).');

const promptText = (most: number) =>
  z
    .string('is not text → Write it in quotes.')
    .trim()
    .min(1, 'is empty → Remove it.')
    .max(most, `is longer than ${most} characters → Shorten it.`);
const PROMPT_TITLE = 60;
const titleOf = (line: string) => (line.length > PROMPT_TITLE ? `${line.slice(0, PROMPT_TITLE - 1)}…` : line);
const prompt = z.preprocess(
  // One line alone is both: what is shown, and what is sent.
  (value) => (typeof value === 'string' ? { title: titleOf(value), message: value } : value),
  z.strictObject(
    { title: promptText(PROMPT_TITLE), message: promptText(300) },
    expectObject(
      'a prompt → Write it like { title: Run the tests, message: "Run the tests and explain what fails." }.',
    ),
  ),
);

const channelsShape = z
  .union(
    [z.record(z.string(), z.unknown()), z.array(z.string()), z.string()],
    'names no channels → List their ids, dm or "*".',
  )
  .optional();

const shape = z.strictObject(
  {
    users: list(check.allowedUsers).optional(),
    channels: channelsShape,
    admins: list(check.peopleShape).optional(),
    bots: z
      .strictObject(
        {
          allow: z.array(botId, 'is not a list of ids → Write it like [B0123ABCD].'),
          in_a_row: count(100).optional(),
          turns: rate.optional(),
        },
        expectObject('a group of settings for bots → Write allow, in_a_row and turns below it.'),
      )
      .optional(),
    limits: z
      .strictObject(
        { user: limit.optional(), channel: limit.optional() },
        expectObject('a group of limits → Write user and channel below it.'),
      )
      .optional(),
    prompts: z
      .array(prompt, 'is not a list → Write it like [Run the tests, Explain this repository].')
      .max(MOST_PROMPTS, `names more than ${MOST_PROMPTS} → Slack shows only ${MOST_PROMPTS}; remove the others.`)
      .optional(),
    ...behaviour,
  },
  expectObject('a policy → See policy.example.yml.'),
);

/** The error for a value that is no object at all. `problemsOf` reports wrong keys, because it knows their lines. */
function expectObject(what: string) {
  return { error: ({ code }: { code: string }) => (code === 'invalid_type' ? `is not ${what}` : undefined) };
}

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
  const whole = read(shape, value, []);
  // Read the channels even if something else is wrong, so that all problems are reported at once.
  const given = z.object({ channels: channelsShape }).safeParse(value).data;
  const channels = readChannels(given?.channels, read);
  if (!whole || problems.length > 0) return { problems };
  const { users, admins, bots, limits, prompts } = whole;
  const usual = closedPolicy.bots;
  const none: TurnLimits = { rate: null, atOnce: null };
  return {
    file: {
      ...(users && { users }),
      ...(channels.served && { channels: channels.served }),
      places: channels.places,
      ...(admins && { admins }),
      ...(bots && { bots: { ids: bots.allow, inARow: bots.in_a_row ?? usual.inARow, rate: bots.turns ?? usual.rate } }),
      ...(limits && { limits: { user: limits.user ?? none, channel: limits.channel ?? none } }),
      ...(prompts && { prompts }),
      defaults: settingsIn(whole),
      at: (...path) => at(...path),
    },
  };
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
  read: Read,
): { served: Policy['channels'] | null; places: Map<string, Partial<PlaceSettings>> } {
  const places = new Map<string, Partial<PlaceSettings>>();
  if (value === undefined) return { served: null, places };
  if (typeof value === 'string' || Array.isArray(value))
    return { served: read(list(check.allowedChannels), value, ['channels']), places };
  const keys = Object.keys(value).filter((key) => read(channelName, key, ['channels', key]) !== null);
  // `dm` covers group direct messages too, and `*` everything: this takes them out.
  const isWithoutGroups = value.group_dm === 'off' || value.group_dm === false;
  const names = keys.filter((key) => !(key === 'group_dm' && isWithoutGroups));
  for (const key of names) {
    const settings = read(place, value[key], ['channels', key]);
    if (!settings) continue;
    const own = { ...settingsIn(settings), ...bindingIn(settings) };
    if (Object.keys(own).length > 0) places.set(key, own);
  }
  if (places.has('*'))
    read(z.never('has its own settings → Write them at the top level: there they apply everywhere.'), 1, [
      'channels',
      '*',
    ]);
  const served = read(list(check.allowedChannels), names, ['channels']);
  return { served: served && isWithoutGroups ? { ...served, groupDirectMessages: false } : served, places };
}

function settingsIn(read: z.output<typeof behaviourObject>): Partial<PlaceSettings> {
  const { listen, context, verbosity, show_reasoning, permissions, approvers } = read;
  const { self_approval, subagents, models, auto_approve, reactions } = read;
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
    ...(auto_approve && { autoApprove: auto_approve }),
    ...(reactions && { reactions }),
    ...(names && { tools: names }),
    ...(post_unasked && { postUnasked: post_unasked }),
    ...(may_mention && { mayMention: may_mention }),
  };
}

function bindingIn({ agent, device, working_directory }: z.output<typeof place>): { binding?: Binding } {
  if (agent === undefined && device === undefined && working_directory === undefined) return {};
  return {
    binding: { agentId: agent ?? null, device: device ?? null, workingDirectory: working_directory ?? null },
  };
}
