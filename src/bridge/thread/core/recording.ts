import type { Policy } from '../../access/policy.ts';
import type { ChannelId, UserId } from '../../ids.ts';
import type { Admission } from '../../record/inbox-change.ts';
import type { InboxItem, ThreadRecord } from '../../record/thread-record.ts';
import { redact } from '../../text/redact.ts';
import type { Effect } from './effects.ts';
import type { ThreadEvent } from './events.ts';
import { step } from './step.ts';
import type { Config, Thread } from './thread.ts';
import type { Context, Work } from './work.ts';

/*
 * A recording of a thread: what its steps were given, a line of JSON each, so that they can be taken again. It has what
 * people said; keys and passwords are left out of it.
 */

/** What a step was given besides the thread and the event, and what it drew from the world. */
export interface RecordedContext
  extends Omit<
    Context,
    keyof Config | 'policy' | 'id' | 'countAlongside' | 'countSchedules' | 'isScheduled' | 'admit' | 'notifyAfterMs'
  > {
  /** Left out: as in the line before. */
  policy?: Policy | undefined;
  ids: string[];
  alongside: number[];
  admitted: Admission[];
  notifyAfter: number[];
  /** Left out in recordings from before there were schedules. */
  schedules?: { user: number; channel: number }[];
  scheduled?: boolean[];
}

export type Line =
  /** All that is known of the thread; what comes next happens to this. */
  | { begins: Thread; config: Config; policy: Policy }
  /** `effects`: what the step wanted done. */
  | { event: ThreadEvent; context: RecordedContext; effects: Effect[] }
  /** The record as the disk has it; `dropped`: the disk failed, so the steps since the last store do not count. */
  | { stored: ThreadRecord | null }
  | { dropped: true };

const emptyNotes = () => ({
  ids: [] as string[],
  alongside: [] as number[],
  admitted: [] as Admission[],
  notifyAfter: [] as number[],
  schedules: [] as { user: number; channel: number }[],
  scheduled: [] as boolean[],
});

/** The context with what a step draws from it noted down. */
export function notingContext(context: Context, config: Config): { context: Context; noted: RecordedContext } {
  const {
    id: _,
    countAlongside: __,
    notifyAfterMs: ___,
    admit: ____,
    countSchedules: _____,
    policy,
    ...rest
  } = context;
  const plain = Object.fromEntries(Object.entries(rest).filter(([name]) => !(name in config)));
  const noted = { ...(plain as Omit<typeof rest, keyof Config>), policy, ...emptyNotes() };
  const note =
    <In extends unknown[], Out>(list: Out[], ask: (...given: In) => Out) =>
    (...given: In): Out => {
      const answer = ask(...given);
      list.push(answer);
      return answer;
    };
  return {
    context: {
      ...context,
      id: note<[], string>(noted.ids, () => context.id()),
      countAlongside: note(noted.alongside, (place: string) => context.countAlongside(place)),
      admit: note(noted.admitted, (item: InboxItem, begins: boolean) => context.admit(item, begins)),
      isScheduled: note(noted.scheduled, (id: string) => context.isScheduled(id)),
      countSchedules: note(noted.schedules, (owner: UserId, channel: ChannelId) =>
        context.countSchedules(owner, channel),
      ),
      notifyAfterMs: note(noted.notifyAfter, (user: string) => context.notifyAfterMs(user)),
    },
    noted,
  };
}

// ---- as text -----------------------------------------------------------------------------------

/** Ids are no secrets, though they look like some. */
const IDS = /^(?:id|ids|key|token|turn|digest|hash|ts|ref)$|(?:Id|Ids|Key|Token)$/;

/** A line as JSON, without keys and passwords. */
export function encodeLine(line: Line): string {
  return JSON.stringify(line, (name, value: unknown) => {
    if (typeof value === 'string') return IDS.test(name) ? value : redact(value).text;
    if (value instanceof Set) return { $set: [...value] };
    return value instanceof Map ? { $map: [...value] } : value;
  });
}

/** @throws SyntaxError when the text is no JSON */
export function decodeLine(text: string): Line {
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value;
    if ('$set' in value) return new Set(value.$set as unknown[]);
    return '$map' in value ? new Map(value.$map as [unknown, unknown][]) : value;
  }) as Line;
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

function contextOf(
  { ids, alongside, admitted, notifyAfter, schedules = [], scheduled = [], ...noted }: RecordedContext,
  policy: Policy,
  config: Config,
): Context {
  const [left, counts, admissions, times] = [[...ids], [...alongside], [...admitted], [...notifyAfter]];
  const [made, found] = [[...schedules], [...scheduled]];
  return {
    ...config,
    ...noted,
    policy,
    id: () => left.shift() ?? 'more-ids-than-recorded'.padEnd(32, '0'),
    isScheduled: () => found.shift() ?? true,
    countSchedules: () => made.shift() ?? { user: 0, channel: 0 },
    countAlongside: () => counts.shift() ?? 0,
    admit: () => admissions.shift() ?? { isGranted: true },
    notifyAfterMs: () => times.shift() ?? 0,
  };
}

// ---- for others to read ------------------------------------------------------------------------

/** Fields whose strings the bridge, Slack or Letta made up: they stay. All other strings are dropped. */
const STAYS =
  /^(?:type|do|timer|as|kind|state|phase|status|outcome|why|decision|via|behavior|verdict|offer|action|display|step|trying|loop|mode|origin|by|for|from|user|requester|starter|giver|participants|channel|team|threadTs|root|upTo|also|seal|active|stopReason|code|version|wanted|grants|asks|only|stoppedBy|mutedBy|part|posts|ids|listen|verbosity|permissions|channelKind|level|runs|openApprovals|passed|moved|botUser|admins|users|bots|groups)$/;
/** Fields of which nothing stays, whatever it looks like: what the agent, a device or a person put together freely. */
const CLOSED = /^(?:input|updatedInput|output|args|diffs|suggestions|questions|texts|choices|details|fields|names)$/;

/** The line with the letters and digits of all that was written replaced: lengths and lines stay. */
export function withoutTexts(line: Line): Line {
  return hide(line, '', false) as Line;
}

function hide(value: unknown, name: string, isClosed: boolean): unknown {
  if (typeof value === 'string') return !isClosed && (IDS.test(name) || STAYS.test(name)) ? value : shapeOf(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => hide(each, name, isClosed));
  if (value instanceof Set) return new Set([...value].map((each) => hide(each, 'id', isClosed)));
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, hide(each, name, isClosed)]));
  // Beside an id, or beside who decided, a name is a person's or a file's; else it is that of a button or command.
  const isButton = 'name' in value && !('id' in value) && !('decision' in value);
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      // Which inputs a run answers: all ids.
      key === 'clientMessageIdsByRun' || key === 'runs'
        ? each
        : hide(each, key === 'name' && isButton ? 'id' : key, isClosed || CLOSED.test(key)),
    ]),
  );
}

const shapeOf = (text: string) => text.replace(/\p{L}/gu, 'x').replace(/\p{N}/gu, '0');
