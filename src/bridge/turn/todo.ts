import type { TodoItem, ToolCall } from './steps.ts';

/** As the agent's tools know it: `taskId` is Letta's id, known once a task was created. */
interface Listed extends TodoItem {
  callId: string;
  taskId: string | null;
}

/** The list that the agent made or changed in this turn; empty: it has none. */
export type TodoList = readonly Listed[];

export const noTodos: TodoList = [];

/** More items are not kept. */
const MOST = 100;
const TEXT_KEPT = 500;

const WHOLE_LISTS: Readonly<Record<string, { list: string; text: string }>> = {
  TodoWrite: { list: 'todos', text: 'content' },
  UpdatePlan: { list: 'plan', text: 'step' },
};

/** Whether a tool only keeps the agent's own list. */
export function isTodoTool(tool: string): boolean {
  return tool in WHOLE_LISTS || /^Task(?:Create|Update|List|Get)$/.test(tool);
}

/** The list after a call. A repeated call changes nothing more. */
export function noteTodoCall(
  list: TodoList,
  { callId, tool, input }: Pick<ToolCall, 'callId' | 'tool' | 'input'>,
): TodoList {
  const whole = WHOLE_LISTS[tool];
  if (whole) {
    const items = input[whole.list];
    return Array.isArray(items) ? items.flatMap((item) => readItem(item, whole.text, callId)).slice(0, MOST) : list;
  }
  if (tool !== 'TaskCreate' || list.length >= MOST || list.some((item) => item.callId === callId)) return list;
  const text = textOf(input.subject);
  return text === '' ? list : [...list, { text, status: 'pending', callId, taskId: null }];
}

/**
 * The list after a call's result. Letta's tasks belong to all its conversations, so only tasks that this turn created or
 * changed are listed.
 */
export function noteTodoResult(list: TodoList, call: ToolCall, result: { ok: boolean; output: string }): TodoList {
  const { callId, tool, input } = call;
  if (tool === 'TaskCreate') {
    if (!result.ok) return list.filter((item) => item.callId !== callId);
    const taskId = fieldOf(result.output, 'taskId');
    return list.map((item) => (item.callId === callId ? { ...item, taskId } : item));
  }
  if (tool !== 'TaskUpdate' || !result.ok || typeof input.taskId !== 'string') return list;
  const { taskId } = input;
  if (input.status === 'deleted') return list.filter((item) => item.taskId !== taskId);
  const known = list.find((item) => item.taskId === taskId);
  const text = textOf(input.subject) || known?.text || textOf(fieldOf(result.output, 'subject'));
  const status = statusOf(input.status) ?? known?.status ?? statusOf(fieldOf(result.output, 'status')) ?? 'pending';
  if (text === '') return list;
  const item = { text, status, callId: known?.callId ?? callId, taskId };
  if (known) return list.map((each) => (each === known ? item : each));
  return list.length >= MOST ? list : [...list, item];
}

/** The item that the agent works on, or the first that is left; -1: all are done. */
export function currentTodo(list: readonly TodoItem[]): number {
  const working = list.findIndex(({ status }) => status === 'in_progress');
  return working >= 0 ? working : list.findIndex(({ status }) => status === 'pending');
}

function readItem(item: unknown, name: string, callId: string): Listed[] {
  if (typeof item !== 'object' || item === null) return [];
  const fields = item as Record<string, unknown>;
  const text = textOf(fields[name]);
  return text === '' ? [] : [{ text, status: statusOf(fields.status) ?? 'pending', callId, taskId: null }];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim().slice(0, TEXT_KEPT) : '';
}

function statusOf(value: unknown): TodoItem['status'] | null {
  return value === 'pending' || value === 'in_progress' || value === 'completed' ? value : null;
}

/** A text field of a result, which may be cut in its middle, so that it is no JSON any more. */
function fieldOf(output: string, name: string): string | null {
  const found = new RegExp(`"${name}"\\s*:\\s*("(?:[^"\\\\]|\\\\.){0,${TEXT_KEPT}}")`).exec(output)?.[1];
  try {
    return found === undefined ? null : String(JSON.parse(found));
  } catch {
    return null;
  }
}
