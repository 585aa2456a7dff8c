import type { Tokens } from '../agent-event.ts';
import type { ChannelId, TurnId, UserId } from '../ids.ts';
import { jsonText } from '../text/json.ts';
export interface ToolCall {
  callId: string;
  runId: string | null;
  tool: string;
  /** Long texts in it are cut: it is shown, never sent back. */
  input: Record<string, unknown>;
  status: 'called' | 'running' | 'ok' | 'failed';
  /** Cut as the input is. */
  output: string;
}

/** A piece of the model's reasoning. */
export interface Thought {
  runId: string;
  messageId: string;
  text: string;
  /** How many tools had been called by then. */
  after: number;
}

/** Characters of one text of a call, and of a thought. */
const TEXT_KEPT = 4_000;
const HEAD_KEPT = 1_000;
const FIELDS_KEPT = 40;
/** Older calls than the last 200 keep only their name and outcome. */
const CALLS_KEPT = 200;
const THOUGHTS_KEPT = 100;

/** The last of a turn. */
export const SUMMARIES_KEPT = 20;

/** The tool by which the agent asks for consent to its plan. */
export const PLAN_TOOL = 'ExitPlanMode';
/** UTF-16 units of a plan: people look up later what they agreed to. */
export const PLAN_KEPT = 20_000;

/** Tools that only read: several calls in a row are shown as one line. Names as in the toolsets of Letta Code. */
const LOOKING_AROUND = new Set(
  'read glob grep ls list_dir list_directory read_file read_many_files view search_file_content todowrite todoread'
    .concat(' update_plan updateplan write_todos taskoutput bashoutput conversation_search archival_memory_search')
    .split(' '),
);

export function isLookingAround(tool: string): boolean {
  return LOOKING_AROUND.has(tool.toLowerCase());
}

export function addCall(calls: readonly ToolCall[], call: ToolCall): ToolCall[] {
  const old = calls.length - CALLS_KEPT;
  const before = calls[old];
  const kept = before ? calls.with(old, { ...before, input: {}, output: '' }) : calls;
  return [...kept, { ...call, input: shortenInput(call.tool, call.input) }];
}

/** @param tool its name; given, an unknown call is added */
export function changeCall(
  calls: readonly ToolCall[],
  callId: string,
  change: Partial<ToolCall>,
  tool?: string,
): readonly ToolCall[] {
  const at = calls.findLastIndex((known) => known.callId === callId);
  const known = calls[at];
  const short = {
    ...change,
    ...(change.input && { input: shortenInput(known?.tool ?? tool, change.input) }),
    ...(change.output !== undefined && { output: withoutMiddle(change.output) }),
  };
  if (known) return calls.with(at, { ...known, ...short });
  if (tool === undefined) return calls;
  return addCall(calls, { callId, runId: null, tool, input: {}, status: 'called', output: '', ...short });
}

export function addThought(
  thoughts: readonly Thought[],
  { runId, messageId, text }: { runId: string; messageId: string; text: string },
  after: number,
): readonly Thought[] {
  const last = thoughts.at(-1);
  if (last?.messageId === messageId && last.runId === runId && last.after === after) {
    if (last.text.length >= TEXT_KEPT) return thoughts;
    return thoughts.with(-1, { ...last, text: (last.text + text).slice(0, TEXT_KEPT) });
  }
  return [...thoughts.slice(1 - THOUGHTS_KEPT), { runId, messageId, text: text.slice(0, TEXT_KEPT), after }];
}

/** How many calls at the end only read. */
export function countLookingAtEnd(calls: readonly ToolCall[]): number {
  return calls.length - 1 - calls.findLastIndex((call) => !isLookingAround(call.tool));
}

/**
 * A long text without its middle. Cuts at line ends where lines are short, else at word ends, because half of a secret
 * would not be recognised as one.
 */
export function withoutMiddle(text: string, max = TEXT_KEPT): string {
  if (text.length <= max) return text;
  const headMax = Math.min(HEAD_KEPT, Math.floor(max / 4));
  const head = text.slice(0, headMax).replace(/(?:\n[^\n]{0,400}|\S{1,200})$/, '');
  const tail = text.slice(text.length - (max - headMax)).replace(/^(?:[^\n]{0,400}\n|\S{1,200})/, '');
  return `${head}\n… ${text.length - head.length - tail.length} characters left out …\n${tail}`;
}

function shortenInput(tool: string | undefined, input: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(input).slice(0, FIELDS_KEPT);
  return Object.fromEntries(
    fields.map(([name, value]) => {
      const isPlan = tool === PLAN_TOOL && name === 'plan';
      return [name, shortenValue(value, isPlan ? PLAN_KEPT : TEXT_KEPT)];
    }),
  );
}

function shortenValue(value: unknown, max: number): unknown {
  if (typeof value === 'string') return withoutMiddle(value, max);
  if (typeof value !== 'object' || value === null) return value;
  const json = jsonText(value);
  return json.length <= TEXT_KEPT ? value : withoutMiddle(json);
}

/** One step of a turn as people may see it: without secrets, shortened. */
export type DetailsStep =
  | { kind: 'call'; tool: string; input: string; output: string; status: ToolCall['status'] }
  /** Why the turn failed, in Letta's own words. */
  | { kind: 'error'; text: string }
  | { kind: 'thought'; text: string }
  /** Letta put a summary in place of earlier messages. */
  | { kind: 'summary' };

/** An item of the agent's own list. */
export interface TodoItem {
  /** The agent's words. */
  text: string;
  status: 'pending' | 'in_progress' | 'completed';
}

/** What a finished turn did, in order. */
export interface TurnDetails {
  turn: TurnId;
  /** ms since 1970 */
  endedAt: number;
  steps: DetailsStep[];
  /** The agent's own list at the turn's end; left out: it had none. */
  todo?: TodoItem[] | undefined;
  /** How many came before those. */
  earlier: number;
  /** What the model used; left out: not told. */
  used?: TurnUse | undefined;
  /** The conversation's address in Letta's web app; left out: it has none. */
  page?: string | undefined;
}

/** What a turn used, as far as Letta told. */
export interface TurnUse extends Tokens {
  /** Whether one link heard all of the turn; else it may have been more. */
  isAll: boolean;
  /** As Letta calls the model, foreign text; `null`: not told. */
  model: string | null;
  /** How full the model's context was at the end, in percent; `null`: not known. */
  context: number | null;
}

/** What a turn that ended has used. */
export interface UsedTurn {
  user: UserId;
  channel: ChannelId;
  /** As Letta calls it, foreign text; `null`: not told. */
  model: string | null;
  /** `null`: Letta told nothing of them. */
  tokens: Tokens | null;
  /** As {@link TurnUse.context}. */
  context: number | null;
  /** How often Letta put a summary in place of earlier messages. */
  compactions: number;
}
