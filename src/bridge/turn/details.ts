import type { TurnId } from '../ids.ts';
import type { DetailsRef, ThreadRecord } from '../record/thread-record.ts';
import { printFields } from '../text/print-input.ts';
import { redact, redactField } from '../text/redact.ts';
import type { TurnState } from './fold.ts';
import {
  type DetailsStep,
  PLAN_KEPT,
  PLAN_TOOL,
  type Thought,
  type ToolCall,
  type TurnDetails,
  type TurnUse,
  withoutMiddle,
} from './steps.ts';

/** How many turns of a thread keep their details. */
const TURNS_KEPT = 20;
const STEPS_KEPT = 300;
/** UTF-16 units of one text, and of all texts of a turn; older steps beyond that keep only their name. */
const TEXT_KEPT = 2_900;
const ALL_KEPT = 60_000;

/** The details of a turn that ended; `null` when it has no steps and no error. */
export function detailsOf(
  state: TurnState,
  turn: TurnId,
  endedAt: number,
  used: TurnUse | null = null,
  page: string | null = null,
): TurnDetails | null {
  const all = [...inOrder(state), ...errorOf(state)];
  if (all.length === 0) return null;
  let room = ALL_KEPT;
  const steps = all
    .slice(-STEPS_KEPT)
    .toReversed()
    .map((step): DetailsStep => {
      const shown = room > 0 ? readable(step) : nameOnly(step);
      room -= lengthOf(shown);
      return shown;
    });
  const todo = state.todo.map(({ text, status }) => ({ text: short(text), status }));
  const earlier = all.length - steps.length;
  const kept = {
    turn,
    endedAt,
    steps: steps.toReversed(),
    earlier,
    ...(used && { used }),
    ...(page !== null && { page }),
  };
  return todo.length > 0 ? { ...kept, todo } : kept;
}

/** The record with the reference to one more turn's details, without the oldest beyond the limit. */
export function withDetails(record: ThreadRecord, ref: DetailsRef): ThreadRecord {
  const known = record.details ?? [];
  if (known.some(({ token }) => token === ref.token)) return record;
  return { ...record, details: [...known, ref].slice(-TURNS_KEPT) };
}

type Step = { call: ToolCall } | { thought: Thought } | { error: string } | { summary: true };

function lengthOf(step: DetailsStep): number {
  if (step.kind === 'summary') return 0;
  return step.kind === 'call' ? step.input.length + step.output.length : step.text.length;
}

function errorOf({ error, end }: TurnState): Step[] {
  if (error === null) return [];
  return [{ error: end === null ? error : `${error}\n(${end.stopReason})` }];
}

/** A thought and a summary stand before the tool that was called after them. */
function inOrder({ tools, thoughts, summaries }: TurnState): Step[] {
  const between = (after: number): Step[] => [
    ...(thoughts ?? []).filter((thought) => thought.after === after).map((thought) => ({ thought })),
    ...summaries.filter((at) => at === after).map(() => ({ summary: true as const })),
  ];
  return [...tools.flatMap((call, index) => [...between(index), { call }]), ...between(tools.length)];
}

/** A plan is printed with a mark before each line, so it may be longer than it was kept. */
function readable(step: Step): DetailsStep {
  if ('error' in step) return { kind: 'error', text: short(step.error) };
  if ('thought' in step) return { kind: 'thought', text: short(step.thought.text) };
  if ('summary' in step) return { kind: 'summary' };
  const { tool, input, output, status } = step.call;
  return {
    kind: 'call',
    tool,
    input: withoutMiddle(inputText(input), tool === PLAN_TOOL ? 2 * PLAN_KEPT : TEXT_KEPT),
    output: short(output),
    status,
  };
}

function nameOnly(step: Step): DetailsStep {
  if ('error' in step) return { kind: 'error', text: '' };
  if ('thought' in step) return { kind: 'thought', text: '' };
  if ('summary' in step) return { kind: 'summary' };
  return { kind: 'call', tool: step.call.tool, input: '', output: '', status: step.call.status };
}

function short(text: string): string {
  return withoutMiddle(redact(text).text, TEXT_KEPT);
}

/** `name: value` lines, because people read them faster than JSON, above all a command of several lines. */
function inputText(input: Record<string, unknown>): string {
  return printFields(Object.entries(input), (text, name) => redactField(text, name).text);
}
