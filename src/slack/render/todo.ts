import type { ContextBlock, KnownBlock, PlanBlock } from '@slack/types';
import type { TodoItem } from '../../bridge/turn/steps.ts';
import { currentTodo } from '../../bridge/turn/todo.ts';
import { clip, context, plain } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { neutralizePlain } from './neutralize.ts';

/** Items of the agent's own list that a message shows; Details shows all. */
const SHOWN = 12;
/** Of them, finished ones above the current one. */
const SHOWN_BEFORE = 3;
const TITLE = 100;
/** Slack's words for the states of a task (docs/slack.md, Learned since). */
const STATUS = { pending: 'pending', in_progress: 'in_progress', completed: 'complete' } as const;
const MARKS = { pending: '◦', in_progress: '▸', complete: '✓', error: '✗' } as const;

/** The agent's own list: while it works as a checklist, then as one line. */
export function todoBlocks(items: readonly TodoItem[], isLive: boolean): KnownBlock[] {
  if (isLive) return [planBlock(items)];
  const done = items.filter(({ status }) => status === 'completed').length;
  return [context(plain(`${done === items.length ? '✓ ' : ''}${done} of ${items.length} done`))];
}

function planBlock(items: readonly TodoItem[]): PlanBlock {
  const from = Math.max(0, Math.min(currentTodo(items) - SHOWN_BEFORE, items.length - SHOWN));
  return {
    type: 'plan',
    title: titleOf(items),
    tasks: items.slice(from, from + SHOWN).map(({ text, status }, index) => ({
      type: 'task_card',
      task_id: `todo-${from + index}`,
      title: visible(text),
      status: STATUS[status],
    })),
  };
}

/** `2 of 5 · fix lock.ts`, or `5 of 5 done`. */
function titleOf(items: readonly TodoItem[]): string {
  const current = currentTodo(items);
  const item = items[current];
  if (!item) return `${items.length} of ${items.length} done`;
  return visible(`${current + 1} of ${items.length} · ${item.text}`);
}

/** The same checklist as lines, for where Slack refuses `plan`. */
export function planAsLines({ title, tasks = [] }: PlanBlock): ContextBlock {
  const lines = tasks.map((task) => {
    const status = task.status as keyof typeof MARKS;
    return `${MARKS[status] ?? MARKS.pending} ${String(task.title)}`;
  });
  return context(plain([title, ...lines].join('\n'), LIMITS.text));
}

const visible = (text: string) => clip(neutralizePlain(clip(text, TITLE)), TITLE) || ' ';
