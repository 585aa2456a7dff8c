import { parse } from 'yaml';
import { z } from 'zod';

const people: Record<string, string> = {
  alice: 'U01ALICE',
  bob: 'U02BOB',
  cara: 'U03CARA',
  guest: 'U04GUEST',
  external: 'U05EXT',
};
const channels: Record<string, string> = { general: 'C01GEN', eng: 'C02ENG', out: 'C03OUT' };

const person = z
  .string()
  .transform((name) => people[name.toLowerCase()] ?? name)
  .default('U01ALICE');
/** `dm` stands for the direct message between the acting person and the bot. */
const place = z
  .string()
  .transform((name) => channels[name.replace(/^#/, '')] ?? name)
  .optional();
const texts = z.union([z.string(), z.array(z.string())]).transform((text) => (Array.isArray(text) ? text : [text]));
/** A file that a message shares; its type follows from its name. */
const file = z.union([
  z.strictObject({ name: z.string(), content: z.string() }),
  z.strictObject({ name: z.string(), base64: z.base64() }),
]);
/** Seconds. */
const within = z.number().positive().max(300).default(20);

/** The shapes of a scene's steps. `thread` names a thread; the first `say` with a new name begins it at top level. */
const step = z.union([
  z.strictObject({
    say: z.string(),
    files: z.array(file).optional(),
    as: person,
    in: place,
    thread: z.string().default('main'),
  }),
  /** Edits or deletes the person's newest message in the thread that contains these words. */
  z.strictObject({ edit: z.string(), to: z.string(), as: person, thread: z.string().default('main') }),
  z.strictObject({ delete: z.string(), as: person, thread: z.string().default('main') }),
  z.strictObject({ click: z.string(), as: person, thread: z.string().default('main'), within }),
  /** Waits for these texts in the window that the last click opened. */
  z.strictObject({ window: texts, as: person, within }),
  /** Closes the window that the person has open. */
  z.strictObject({ close: z.literal('window'), as: person }),
  z.strictObject({ fill: z.record(z.string(), z.string()), as: person }),
  z.strictObject({ command: z.string().startsWith('/'), as: person, in: place }),
  z.strictObject({ expect: texts, as: person, thread: z.string().default('main'), within }),
  z.strictObject({ never: texts, as: person, thread: z.string().default('main') }),
  z.strictObject({ gone: texts, as: person, thread: z.string().default('main'), within }),
  /** Stops or kills the bridge, or starts it again on the same store; `later`: minutes that pass meanwhile. */
  z.strictObject({ bridge: z.enum(['stop', 'kill', 'start']), later: z.number().min(0).default(0) }),
  z.strictObject({ wait: z.number().min(0).max(60_000) }),
  z.strictObject({ slack: z.record(z.string(), z.unknown()) }),
  z.strictObject({ letta: z.record(z.string(), z.unknown()) }),
]);

const scene = z.strictObject({ name: z.string(), steps: z.array(step).min(1).max(500) });

export type Step = z.output<typeof step>;
export type Scene = z.output<typeof scene>;

/** Reads a scene from YAML. @throws Error that names every invalid step. */
export function parseScene(yaml: string): Scene {
  const read = scene.safeParse(parse(yaml));
  if (read.success) return read.data;
  const problems = read.error.issues.map((issue) => `${issue.path.join('.') || 'scene'}: ${issue.message}`);
  throw new Error(`not a scene:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
}
