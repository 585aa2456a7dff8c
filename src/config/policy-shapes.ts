import { z } from 'zod';
import { MOST_PROMPTS, type TurnLimits } from '../bridge/access/policy.ts';
import type { ModelName } from '../bridge/agent-event.ts';
import { problemOfRule } from '../bridge/approvals/auto-approval/rules.ts';
import { emojiName } from '../bridge/text/emoji-name.ts';
import { isToolName, TOOL_NAMES, type ToolName } from '../bridge/tools/catalogue.ts';
import * as check from './checks.ts';

/** `[a, b]`, or `a, b` in one line, as a setting takes it. */
export function list<T>(shape: check.Check<T>) {
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
  device_commands: z
    .enum(['none', 'admins', 'everyone'], 'is not none, admins or everyone → Write none if you are not sure.')
    .optional(),
  resume: z.enum(['ask', 'auto'], 'is neither ask nor auto → Write ask if you are not sure.').optional(),
  auto_approve: rules.optional(),
  reactions: reactions.optional(),
  tools: tools.optional(),
  post_unasked: z.array(channelId, 'is not a list of channels → Write it like [C0123ABCD].').optional(),
  may_mention: mayMention.optional(),
};

export const behaviourObject = z.object(behaviour);

const anyWord = z.string('is not text → Write it in quotes.').min(1, 'is empty → Remove it.');

const MODEL = /^(\S+)(?: (\S+))?$/;
const modelName = z
  .string('is not text → Write a model’s name and, where it has several, an effort: anthropic/claude-sonnet-4-5 high.')
  .regex(
    MODEL,
    'is not a model → Write its name and, where it has several, an effort: anthropic/claude-sonnet-4-5 high.',
  )
  .transform((value): ModelName => {
    const [, handle = '', effort = null] = MODEL.exec(value) ?? [];
    return { handle, effort };
  });

/** Which agent answers, with which model, and where it runs. */
const binding = {
  agent: check.agentIdShape.optional(),
  device: anyWord.optional(),
  model: modelName.optional(),
  toolset: anyWord.optional(),
  working_directory: anyWord.regex(/^(\/|[A-Za-z]:[\\/])/, 'is not a full path → Begin it with /.').optional(),
};
export const bindingObject = z.object(binding);

export const place = z.preprocess(
  // `C0123ABCD:` with nothing after it serves the channel with the default settings.
  (value) => value ?? {},
  z.strictObject(
    {
      ...behaviour,
      ...binding,
    },
    expectObject('a group of channel settings → Write the settings below the channel, or {} for none.'),
  ),
);

export const channelName = z.string().regex(/^(\*|dm|group_dm|[CGD][A-Z0-9]+)$/, {
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
const limit = (most: { atOnce: number; schedules: number }) =>
  z
    .strictObject(
      {
        turns: rate.optional(),
        at_once: count(most.atOnce).optional(),
        schedules: countFromNone(most.schedules).optional(),
      },
      expectObject('a limit → Write turns, at_once and schedules below it.'),
    )
    .transform(
      ({ turns, at_once, schedules }): TurnLimits => ({
        ...{ rate: turns ?? null, atOnce: at_once ?? null },
        ...(schedules !== undefined && { schedules }),
      }),
    );
const USUAL_MOST = { atOnce: 1_000, schedules: 50 };
const WORKSPACE_MOST = { atOnce: 10_000, schedules: 10_000 };

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

export const channelsShape = z
  .union(
    [z.record(z.string(), z.unknown()), z.array(z.string()), z.string()],
    'names no channels → List their ids, dm or "*".',
  )
  .optional();

export const sectionShape = z.strictObject(
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
        {
          user: limit(USUAL_MOST).optional(),
          channel: limit(USUAL_MOST).optional(),
          workspace: limit(WORKSPACE_MOST).optional(),
        },
        expectObject('a group of limits → Write user, channel and workspace below it.'),
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

const WORKSPACE = 'is not the id of a workspace → Use ids (T…, or E… of an organisation), or "*" for every one.';
export const workspacesShape = z
  .record(z.string(), z.unknown(), 'names no workspaces → List their ids (T… or E…), or "*".')
  .optional();
export const fileShape = sectionShape.extend({ workspaces: workspacesShape });
/** One workspace: with an agent of its own, which shares its memory with no other workspace. */
export const workspaceShape = sectionShape.extend(binding);
export const workspaceName = z.string().regex(/^(\*|[TE][A-Z0-9]+)$/, WORKSPACE);

/** The error for a value that is no object at all. `problemsOf` reports wrong keys, because it knows their lines. */
function expectObject(what: string) {
  return { error: ({ code }: { code: string }) => (code === 'invalid_type' ? `is not ${what}` : undefined) };
}
