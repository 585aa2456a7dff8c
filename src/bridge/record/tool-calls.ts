import type { TurnId } from '../ids.ts';
import type { ThreadRecord, ToolCallRecord } from './thread-record.ts';

/** Calls that are over, the last of them, so that a late repeat is known. */
const KEPT = 30;
/** How much of a result the record keeps: what a tool that acts says is short. */
const RESULT = 1_000;

export const callsOf = (record: ThreadRecord | null): readonly ToolCallRecord[] => record?.calls ?? [];

export function addCall(record: ThreadRecord, call: ToolCallRecord): ThreadRecord {
  const over = callsOf(record).filter(({ state }) => state === 'done');
  const dropped = new Set(over.slice(0, Math.max(0, over.length - KEPT)));
  return { ...record, calls: [...callsOf(record).filter((each) => !dropped.has(each)), call] };
}

/** @param id the first id under which Letta waits for it */
export function changeCall(record: ThreadRecord, id: string, change: Partial<ToolCallRecord>): ThreadRecord {
  const calls = callsOf(record).map((call) => (idOf(call) === id ? { ...call, ...change } : call));
  return { ...record, calls };
}

/** Names a call of this thread. */
export const idOf = ({ requestIds }: ToolCallRecord): string => requestIds[0] ?? '';

/** What is known of a call's outcome, as the record keeps it. */
export function keptResult(text: string, isError: boolean): NonNullable<ToolCallRecord['result']> {
  const kept = text.length > RESULT ? `${text.slice(0, RESULT).toWellFormed()}…` : text;
  return { text: kept, ...(isError && { isError }) };
}

/** The turn is over: of its calls only what tells a repeat is kept, and of those in the middle of acting all. */
export function forgetCalls(record: ThreadRecord, turn: TurnId): ThreadRecord {
  const { calls: before, ...rest } = record;
  if (!before) return record;
  const calls = before
    .map((call): ToolCallRecord => (call.turn === turn && call.state !== 'acting' ? { ...call, input: {} } : call))
    .slice(-KEPT);
  return { ...rest, calls };
}
