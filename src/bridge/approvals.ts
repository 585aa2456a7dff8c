import { createHash } from 'node:crypto';
import type { ApprovalRequest, Decision } from './agent-event.ts';
import type { InboundAction } from './inbound.ts';
import type { ApprovalRecord } from './thread-record.ts';
import { oneLine, toolDetail } from './turn-view.ts';

/** SHA-256 of the input with its keys in order: what a card showed, in 64 characters. */
export function digestOf(input: Record<string, unknown>): string {
  return createHash('sha256').update(canonical(input)).digest('hex');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** What a request is about, in one line that stays readable after the decision. */
export function approvalTitle(request: ApprovalRequest): string {
  if (request.questions) return oneLine(request.questions.map((question) => question.question).join(' '));
  return toolDetail(request.input);
}

/** What a click or a modal decides; `null` when it does not fit the request (an option that does not exist). */
export interface Decided {
  decision: 'approved' | 'denied' | 'answered';
  /** The reason or the answer, for the card. */
  words: string | null;
  send: Decision;
}

export function approve(): Decided {
  return { decision: 'approved', words: null, send: { behavior: 'allow' } };
}

/** @param reason what the person typed; the agent reads it as the tool's result and goes on (PROTOCOL.md 5.3). */
export function deny(by: string, reason: string | null): Decided {
  const message = reason ?? `${by} denied this in Slack.`;
  return { decision: 'denied', words: reason, send: { behavior: 'deny', message } };
}

/** AskUserQuestion is answered by allowing it with the whole input plus `answers` by question text (PROTOCOL.md 9). */
function answered(request: ApprovalRequest, answers: Record<string, string>): Decided {
  return {
    decision: 'answered',
    words: Object.values(answers).join(' · '),
    send: { behavior: 'allow', updatedInput: { ...request.input, answers } },
  };
}

export function answerWithOptions(request: ApprovalRequest, choice: InboundAction['choice']): Decided | null {
  const questions = request.questions ?? [];
  const question = choice ? questions[choice.question] : undefined;
  if (!choice || !question || questions.length !== 1 || choice.options.length === 0) return null;
  const labels = choice.options.map((option) => question.options[option]?.label);
  if (labels.some((label) => label === undefined)) return null;
  return answered(request, { [question.question]: labels.join(', ') });
}

/** @returns the inputs that are still empty, or the decision. */
export function answerInWords(request: ApprovalRequest, texts: readonly string[]): Decided | { empty: number[] } {
  const questions = request.questions ?? [];
  const empty = questions.flatMap((_, at) => ((texts[at] ?? '').trim() === '' ? [at] : []));
  if (questions.length === 0 || empty.length > 0) return { empty };
  return answered(
    request,
    Object.fromEntries(questions.map((question, at) => [question.question, (texts[at] ?? '').trim()])),
  );
}

/** What somebody is told who comes too late. */
export function lateNotice(record: ApprovalRecord): string {
  const { state } = record;
  if (state.state === 'decided') return `Already ${state.decision} by <@${state.by}>.`;
  if (state.state === 'closed' && state.why === 'answered_elsewhere') return 'This was answered outside Slack.';
  return 'This request is over: the turn that asked has ended.';
}
