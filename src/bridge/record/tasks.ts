import type { BackgroundTask } from '../agent-event.ts';
import type { TurnId, UserId } from '../ids.ts';
import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';
import { redactCommand } from '../text/redact.ts';
import type { TurnIds } from './inbox.ts';
import type { OpenTurn, TaskRecord, ThreadRecord } from './thread-record.ts';

const LISTED = 10;

/** The background tasks that people started through the agent; not Letta's own work on the agent's memory. */
export function tasksOf(record: ThreadRecord | null): TaskRecord[] {
  return (record?.tasks ?? []).filter(({ kind }) => kind !== 'memory');
}

/** The record with the tasks that run in the background now. @param owner of tasks that were not known before */
export function setTasks(
  record: ThreadRecord,
  tasks: readonly BackgroundTask[],
  owner: UserId,
  now: number,
): ThreadRecord {
  const known = (id: string) => record.tasks?.find((task) => task.id === id);
  const next = tasks.map(
    (task): TaskRecord => ({
      ...task,
      for: known(task.id)?.for ?? owner,
      since: known(task.id)?.since ?? now,
    }),
  );
  const { tasks: _, ...others } = record;
  return { ...others, background: next.length > 0, ...(next.length > 0 && { tasks: next }) };
}

/** Notes that Stop wants all running tasks to end; the same record when that was noted before. */
export function requestTaskEnd(record: ThreadRecord, by: UserId, now: number, isRepeated: boolean): ThreadRecord {
  const ids = tasksOf(record).map(({ id }) => id);
  const wanted = record.endTasks?.ids ?? [];
  if (ids.length === 0 || (!isRepeated && ids.every((id) => wanted.includes(id)))) return record;
  return { ...record, endTasks: { by, at: now, ids, step: 'wanted' } };
}

/** The tasks that Stop wants to end and that still run. */
export function tasksToEnd(record: ThreadRecord | null): TaskRecord[] {
  return tasksOf(record).filter(({ id }) => record?.endTasks?.ids.includes(id) ?? false);
}

/**
 * Opens a turn that asks the agent to end its background tasks and offers it only the tools for that; the same record when
 * a turn is open.
 */
export function beginTaskEndTurn(record: ThreadRecord, ids: TurnIds): ThreadRecord {
  const { endTasks } = record;
  const ends = tasksToEnd(record).flatMap(({ process }) => process ?? []);
  if (record.turn || !endTasks || ends.length === 0) return record;
  const turn: OpenTurn = {
    id: ids.id,
    requester: endTasks.by,
    origin: 'people',
    items: [],
    context: [],
    clientMessageId: endInputId(ids.id),
    state: 'prepared',
    ends,
    notPassedOn: [],
    startedAt: ids.now,
    stopToken: ids.stopToken,
    stoppedBy: null,
    posts: [],
  };
  return { ...record, turn, endTasks: { ...endTasks, step: 'asked' } };
}

/** Begins like the ids of our other inputs, so that the history shows it as ours. */
function endInputId(turn: TurnId): string {
  return `slack-stop-${turn}`;
}

/** The only tools that the agent has in a turn that ends what runs in the background. */
export const END_TOOLS = ['TaskStop', 'KillBash'] as const;

/** What the agent reads in such a turn. */
export function taskEndPrompt(ends: readonly string[]): string {
  const calls = ends.map((id) => `call TaskStop ${JSON.stringify({ task_id: id })}`).join(' THEN ');
  return [
    'Someone in Slack pressed Stop: what you started in the background must end now. Do exactly this, and say nothing else:',
    calls,
  ].join('\n');
}

/** Whether a tool call in such a turn ends one of these, and nothing else. */
export function isTaskEndCall(
  ends: readonly string[],
  { tool, input }: { tool: string; input: Record<string, unknown> },
) {
  const field = tool === 'TaskStop' ? 'task_id' : tool === 'KillBash' ? 'shell_id' : null;
  const id = field === null ? undefined : input[field];
  return typeof id === 'string' && ends.includes(id) && Object.keys(input).length === 1;
}

const KINDS: Readonly<Record<BackgroundTask['kind'], string>> = {
  subagent: 'subagent',
  command: 'command',
  monitor: 'monitor',
  memory: 'memory worker',
};

/** How much of a text is searched for secrets: more than the 80 letters that are shown, so that none is cut in half. */
const LOOKED_AT = 2_000;

/** One task in words of ours, Markdown. */
function describeTask({ kind, what }: BackgroundTask): string {
  const words = oneLine(redactCommand(what.slice(0, LOOKED_AT)).text, 80);
  return words === '' ? KINDS[kind] : `${KINDS[kind]} ${asCode(words)}`;
}

/** All of them in one sentence's middle, Markdown of ours. */
export function describeTasks(tasks: readonly BackgroundTask[]): string {
  const shown = tasks.slice(0, LISTED).map(describeTask);
  return [...shown, ...(tasks.length > LISTED ? [`${tasks.length - LISTED} more`] : [])].join(', ');
}

/** What an offer's button would stop: its lines, as far as they are shown. */
export function listTaskLines(tasks: readonly BackgroundTask[]): string[] {
  const shown = tasks.slice(0, LISTED).map((task) => `- ${describeTask(task)}`);
  return [...shown, ...(tasks.length > LISTED ? [`- and ${tasks.length - LISTED} more`] : [])];
}
