import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/bridge/agent-event.ts';
import { makeTurnId } from '../../../src/bridge/ids.ts';
import { detailsOf } from '../../../src/bridge/turn/details.ts';
import { emptyTurn, foldTurn } from '../../../src/bridge/turn/fold.ts';

let calls = 0;
function call(tool: string, input: Record<string, unknown>, output: string, ok = true): AgentEvent[] {
  calls += 1;
  const callId = `call-${calls}`;
  return [
    { type: 'tool-called', runId: 'r', callId, tool, input },
    { type: 'tool-started', callId, tool, input },
    { type: 'tool-returned', runId: 'r', callId, ok, output },
  ] as AgentEvent[];
}
const created = (id: string, subject: string) =>
  call('TaskCreate', { subject, description: 'd' }, JSON.stringify({ taskId: id, subject, status: 'pending' }));
const updated = (id: string, change: Record<string, unknown>, subject = 'old') =>
  call('TaskUpdate', { taskId: id, ...change }, JSON.stringify({ taskId: id, subject, ...change }));
const listOf = (...events: AgentEvent[][]) =>
  events
    .flat()
    .reduce(foldTurn, emptyTurn)
    .todo.map(({ text, status }) => `${text}: ${status}`);

describe("the agent's own list", () => {
  it('written whole: is the last one', () => {
    const todos = (status: string) => ({ todos: [{ content: 'fix lock.ts', status, activeForm: 'Fixing' }] });
    expect(listOf(call('TodoWrite', todos('pending'), '{}'), call('TodoWrite', todos('completed'), '{}'))).toEqual([
      'fix lock.ts: completed',
    ]);
    const plan = {
      explanation: 'x',
      plan: [
        { step: 'look', status: 'in_progress' },
        { step: 'mend', status: 'pending' },
      ],
    };
    expect(listOf(call('UpdatePlan', plan, '{}'))).toEqual(['look: in_progress', 'mend: pending']);
  });

  it('made of tasks: follows what becomes of each', () => {
    expect(
      listOf(
        created('task_1', 'read the log'),
        created('task_2', 'fix lock.ts'),
        created('task_3', 'not needed'),
        updated('task_1', { status: 'completed' }),
        updated('task_2', { status: 'in_progress', subject: 'fix src/lock.ts' }),
        updated('task_3', { status: 'deleted' }),
      ),
    ).toEqual(['read the log: completed', 'fix src/lock.ts: in_progress']);
  });

  it('has tasks of an earlier turn once they change, and no others', () => {
    const all = { tasks: [{ taskId: 'task_9', subject: 'of another thread', status: 'pending' }] };
    expect(listOf(call('TaskList', {}, JSON.stringify(all)))).toEqual([]);
    expect(listOf(updated('task_4', { status: 'completed' }, 'from before'))).toEqual(['from before: completed']);
  });

  it('lacks a task that could not be created', () => {
    expect(listOf(call('TaskCreate', { subject: 'x', description: '' }, 'an error', false))).toEqual([]);
  });

  it('is kept whole in the details', () => {
    const state = created('task_1', 'use sk-live-4eC39HqLyjWDarjtT1zdp7dcAAAA').reduce(foldTurn, emptyTurn);
    const { todo } = detailsOf(state, makeTurnId('a'), 1) ?? {};
    expect(todo).toHaveLength(1);
    expect(todo?.[0]?.text).not.toContain('4eC39HqLyjWDarjtT1zdp7dc');
  });

  it('is bounded, whatever the tools are called with', () => {
    const tool = fc.constantFrom('TodoWrite', 'UpdatePlan', 'TaskCreate', 'TaskUpdate', 'TaskList');
    const input = fc.oneof(
      fc.record({
        todos: fc.array(fc.anything()),
        plan: fc.array(fc.anything()),
        subject: fc.anything(),
        taskId: fc.anything(),
      }),
      fc
        .array(fc.record({ content: fc.string(), step: fc.string(), status: fc.string() }), { minLength: 150 })
        .map((items) => ({ todos: items, plan: items })),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(tool, input, fc.string())), (all) => {
        const { todo } = all
          .flatMap(([name, fields, output]) => call(name, fields, output))
          .reduce(foldTurn, emptyTurn);
        expect(todo.length).toBeLessThanOrEqual(100);
        for (const { text } of todo) expect(text.length).toBeGreaterThan(0);
      }),
      { numRuns: 40 },
    );
  });
});
