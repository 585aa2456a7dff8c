import type { Policy } from '../../access/policy.ts';
import { GUARDED_TOOLS } from '../../approvals/auto-approval/guarded-tools.ts';
import type { ActionName, SubmissionName } from '../../inbound.ts';
import type { ThreadRecord } from '../../record/thread-record.ts';
import { REDACTED, redact } from '../../text/redact.ts';
import { isSecretName } from '../../text/secrets/names.ts';
import { readWide, writeWide } from '../../text/wide-json.ts';
import { isToolName, TOOL_NAMES, toolOf } from '../../tools/catalogue.ts';
import type { Effect } from './effects.ts';
import type { Command, ThreadEvent } from './events.ts';
import { step } from './step.ts';
import type { Config, Thread } from './thread.ts';
import type { Context, Work } from './work.ts';

/*
 * A recording of a thread: what its steps were given, a line of JSON each, so that they can be taken again. It has what
 * people said; keys and passwords are left out of it.
 */

type Question = {
  [Name in keyof Context]: Context[Name] extends (...given: never[]) => unknown ? Name : never;
}[keyof Context];

/** What a step asks its context, and under which name a recording has the answers. */
const QUESTIONS = {
  id: 'ids',
  countAlongside: 'alongside',
  admit: 'admitted',
  notifyAfterMs: 'notifyAfter',
  countSchedules: 'schedules',
  isScheduled: 'scheduled',
} as const satisfies Record<Question, string>;

/** What is answered once a recording has no answer left. */
const UNRECORDED: { [Q in Question]: ReturnType<Context[Q]> } = {
  id: 'more-ids-than-recorded'.padEnd(32, '0'),
  countAlongside: 0,
  admit: { isGranted: true },
  notifyAfterMs: 0,
  countSchedules: { user: 0, channel: 0, workspace: 0 },
  isScheduled: true,
};

/** The answers to each question, in the order in which they were given. Older recordings lack questions. */
type Answers = { [Q in Question as (typeof QUESTIONS)[Q]]?: ReturnType<Context[Q]>[] };

/** What a step was given besides the thread and the event, and what it drew from the world. */
export type RecordedContext = Omit<Context, keyof Config | 'policy' | Question> &
  Answers & {
    /** Left out: as in the line before. */
    policy?: Policy | undefined;
  };

export type Line =
  /** All that is known of the thread; what comes next happens to this. `isRedacted`: the texts were dropped. */
  | { begins: Thread; config: Config; policy: Policy; isRedacted?: true }
  /** `effects`: what the step wanted done. */
  | { event: ThreadEvent; context: RecordedContext; effects: Effect[] }
  /** The record as the disk has it; `dropped`: the disk failed, so the steps since the last store do not count. */
  | { stored: ThreadRecord | null }
  | { dropped: true };

/** Puts another function in the place of each question. */
function replaceQuestions(replace: <Q extends Question>(question: Q) => (...given: never[]) => unknown) {
  const questions = Object.keys(QUESTIONS) as Question[];
  return Object.fromEntries(questions.map((each) => [each, replace(each)])) as Pick<Context, Question>;
}

/** The context with what a step draws from it noted down. */
export function notingContext(context: Context, config: Config): { context: Context; noted: RecordedContext } {
  const given = Object.entries(context).filter(([name]) => !(name in config) && !(name in QUESTIONS));
  const answers: Record<string, unknown[]> = {};
  for (const name of Object.values(QUESTIONS)) answers[name] = [];
  const noting = replaceQuestions((question) => (...asked) => {
    const answer = (context[question] as (...asked: never[]) => unknown)(...asked);
    answers[QUESTIONS[question]]?.push(answer);
    return answer;
  });
  const noted = { ...Object.fromEntries(given), ...answers } as unknown as RecordedContext;
  return { context: { ...context, ...noting }, noted };
}

// ---- as text -----------------------------------------------------------------------------------

/** Ids are no secrets, though they look like some. */
const IDS = /^(?:id|ids|key|token|turn|digest|hash|ts|ref)$|(?:Id|Ids|Key|Token)$/;
/** What the agent, a device or a person put together freely: there a field of any name may hold a secret. */
const FREE = /^(?:input|updatedInput|args|output|diffs|suggestions|questions)$/;

/** Where a value stands: under which key, and whether somebody put together freely what is around it. */
interface Place {
  name: string;
  isFree: boolean;
}

const AS_IT_IS = {
  number: (number: number) => number,
  key: (key: string) => key,
};

/** A line as JSON, without keys and passwords. */
export function encodeLine(line: Line): string {
  return writeWide<Place>(
    line,
    { name: '', isFree: false },
    {
      ...AS_IT_IS,
      text(text, { name, isFree }) {
        if (!isFree && IDS.test(name)) return text;
        return isFree && isSecretName(name) && text !== '' ? REDACTED : redact(text).text;
      },
      member: (name, { isFree }) => ({ name, isFree: isFree || FREE.test(name) }),
      id: ({ isFree }) => ({ name: 'id', isFree }),
    },
  );
}

/** @throws SyntaxError when the text is no JSON */
export function decodeLine(text: string): Line {
  return readWide(text) as Line;
}

// ---- playing it again --------------------------------------------------------------------------

/** A thread in the middle of its recording. */
export interface Replay {
  thread: Thread;
  /** The thread as it was when its record was last stored. */
  before: Thread;
  config: Config;
  policy: Policy;
}

export interface Replayed {
  replay: Replay | null;
  /** What the step wants done now; `null`: the line is no step. */
  effects: Effect[] | null;
}

/** Takes one recorded step again. @param replay `null`: the recording has not begun */
export function replayLine(replay: Replay | null, line: Line): Replayed {
  if ('begins' in line) {
    const { begins: thread, config, policy } = line;
    return { replay: { thread, before: thread, config, policy }, effects: null };
  }
  if (!replay) return { replay, effects: null };
  if ('dropped' in line) return { replay: { ...replay, thread: replay.before }, effects: null };
  if ('stored' in line) {
    const thread = { ...replay.thread, record: line.stored };
    return { replay: { ...replay, thread, before: thread }, effects: null };
  }
  const { event, context: noted } = line;
  const policy = noted.policy ?? replay.policy;
  const context = contextOf(noted, policy, replay.config);
  const work: Work = { thread: replay.thread, changes: [], effects: [], context, isDue: false, answer: undefined };
  step(work, event);
  const before = work.changes.length > 0 ? replay.before : work.thread;
  return { replay: { ...replay, thread: work.thread, before, policy }, effects: work.effects };
}

function contextOf(noted: RecordedContext, policy: Policy, config: Config): Context {
  const answering = replaceQuestions((question) => {
    const left: unknown[] = [...(noted[QUESTIONS[question]] ?? [])];
    return () => (left.length > 0 ? left.shift() : UNRECORDED[question]);
  });
  return { ...config, ...noted, policy, ...answering };
}

// ---- for others to read ------------------------------------------------------------------------

/** Fields whose strings the bridge, Slack or Letta made up: they stay. All other strings are dropped. */
const STAYS =
  /^(?:type|do|timer|as|kind|state|phase|status|outcome|why|decision|via|behavior|verdict|offer|action|display|step|trying|loop|mode|origin|by|for|from|user|requester|starter|giver|participants|channel|team|threadTs|root|upTo|also|seal|active|stopReason|code|version|wanted|grants|asks|only|stoppedBy|mutedBy|part|posts|ids|listen|verbosity|permissions|channelKind|level|runs|openApprovals|passed|moved|botUser|admins|users|bots|groups)$/;
/** Letta's own tools. */
const LETTA_TOOLS: ReadonlySet<string> = new Set(GUARDED_TOOLS.map(({ tool }) => tool));
/** Fields of which no text stays, whatever it looks like. */
const CLOSED =
  /^(?:input|updatedInput|output|args|diffs|suggestions|questions|texts|choices|details|fields|names|reactions)$/;
/** Of these neither keys nor numbers stay: the agent or an admin chose them, too. */
const KEYS_CLOSED = /^(?:input|updatedInput|reactions)$/;
/** Fields of tools that every Letta or the bridge has: what a step does depends on them. */
const TOOL_FIELDS: ReadonlySet<string> = new Set([
  ...TOOL_NAMES.flatMap((name) => Object.keys(toolOf(name).params)),
  ...['command', 'cmd', 'description', 'timeout', 'run_in_background', 'workdir', 'file_path', 'path', 'offset'],
  ...['limit', 'ignore', 'pattern', 'glob', 'type', 'output_mode', 'multiline', 'context', 'head_limit'],
  ...['-A', '-B', '-C', '-n', '-i', 'content', 'old_string', 'new_string', 'replace_all', 'edits', 'patch', 'input'],
  ...['todos', 'status', 'activeForm', 'plan', 'step', 'explanation', 'subject', 'taskId', 'task_id', 'prompt'],
  ...['subagent_type', 'model', 'skill', 'reason', 'answers', 'questions', 'question', 'header', 'multiSelect'],
  ...['options', 'label'],
]);
/** What a `name` may be that is no person's, file's or schedule's: of a command, a button or a dialog. */
const NAMES: Readonly<Record<Command['name'] | ActionName | SubmissionName, true>> = {
  ...{ stop: true, attach: true, detach: true, new: true, mute: true, unmute: true, now: true, compact: true },
  ...{ skills: true, run: true, fork: true, approve: true, deny: true, settings_changed: true, model_changed: true },
  ...{ toolset_changed: true, queue: true, status: true, schedule: true, schedules: true, deny_with_reason: true },
  ...{ edit_command: true, allow_command: true, allow_edits: true, save_rule: true, view_full: true },
  ...{ view_page: true, answer: true, answer_in_words: true, send_now: true, details: true, run_now: true },
  ...{ drop: true, send_again: true, start_new: true, continue: true, ask_again: true, deny_with_this: true },
  ...{ keep_queued: true, make_schedule: true, drop_schedule: true },
};

/** The line with the letters and digits of all that was written replaced: lengths and lines stay. */
export function withoutTexts(line: Line): Line {
  const hidden = decodeLine(
    writeWide<Hiding>(
      line,
      { name: '', hides: 'texts' },
      {
        text: (text, { name, hides }) => (hides === 'nothing' || mayStay(text, name, hides) ? text : shapeOf(text)),
        number: (number, { hides }) => (hides === 'keys' ? 0 : number),
        key: (key, { hides }) => (hides === 'keys' && !TOOL_FIELDS.has(key) ? shapeOf(key) : key),
        member: (name, { hides }) => ({ name, hides: hidingOf(name, hides) }),
        id: ({ hides }) => ({ name: 'id', hides }),
      },
    ),
  );
  return 'begins' in hidden ? { ...hidden, isRedacted: true } : hidden;
}

/**
 * Whether two lines say the same. Of a redacted recording only shapes can be compared: what a step says of its own
 * accord was dropped from the recording, too, and a digest is of the text that was.
 */
export function isSameLine(one: Line, other: Line, isRedacted: boolean): boolean {
  if (!isRedacted) return encodeLine(one) === encodeLine(other);
  const shape = (line: Line) => encodeLine(withoutTexts(line)).replace(/"(digest|hash)":"[^"]*"/g, '"$1":""');
  return shape(one) === shape(other);
}

interface Hiding {
  name: string;
  /** `texts`: all but ids and words of the bridge's own. `all`: all texts; `keys`: with their keys and numbers. */
  hides: 'nothing' | 'texts' | 'all' | 'keys';
}

function hidingOf(name: string, outside: Hiding['hides']): Hiding['hides'] {
  if (outside === 'keys' || outside === 'nothing') return outside;
  if (KEYS_CLOSED.test(name)) return 'keys';
  if (outside === 'all' || CLOSED.test(name)) return 'all';
  // Which inputs a run answers: all ids.
  return name === 'clientMessageIdsByRun' || name === 'runs' ? 'nothing' : outside;
}

/** Of the tools only those that every Letta has keep their names: they decide what a step does. */
function mayStay(value: string, name: string, hides: Hiding['hides']): boolean {
  if (hides !== 'texts') return false;
  const isTool = isToolName(value) || LETTA_TOOLS.has(value);
  if (name === 'name') return Object.hasOwn(NAMES, value) || isTool;
  return IDS.test(name) || STAYS.test(name) || (/^tools?$/.test(name) && isTool);
}

/** Of the name of a schedule of the bridge its id stays. */
function shapeOf(text: string): string {
  const [id = ''] = SCHEDULE_ID.exec(text) ?? [];
  return (
    text
      .slice(0, text.length - id.length)
      .replace(LETTERS, (letter) => 'x'.repeat(letter.length))
      .replace(/\p{N}/gu, '0') + id
  );
}

const SCHEDULE_ID = / \(slack-[A-Za-z0-9]{8}\)$/;
/** Signs of languages and pictures, too: they say something by themselves. */
const LETTERS = /[\p{L}\p{M}\p{Extended_Pictographic}\p{Regional_Indicator}]/gu;
