import { createHash } from 'node:crypto';
import type { ApprovalRequest, Decision } from '../agent-event.ts';
import type { ApprovalDecision, ApprovalRecord, ApprovalState } from '../record/thread-record.ts';
import { canonicalJson, sizeOf } from '../text/json.ts';
import { oneLine } from '../text/one-line.ts';
import { redactCommand } from '../text/redact.ts';
import { isToolName } from '../tools/catalogue.ts';
import { alreadyDecidedText, deeperThanText, deniedByText, LATE, NOT_DECIDED } from '../words/requests.ts';
import { startsAgent } from './auto-approval/starts-agent.ts';
import { shownRequest } from './shown.ts';

/** SHA-256 of the input with its keys in order: what a card showed, in 64 characters. */
export function digestOf(input: Record<string, unknown>): string {
  return createHash('sha256').update(canonicalJson(input)).digest('hex');
}

/** What a request is about, in one line without secrets that the card shows after the decision. */
export function approvalTitle(request: ApprovalRequest): string {
  if (request.questions) return oneLine(request.questions.map((question) => question.question).join(' '));
  const { subject, files, rest } = shownRequest(request);
  return oneLine([subject, files.join(', '), rest].find((text) => text !== '') ?? '');
}

/** What a click or a modal decides. */
export interface Decided {
  decision: ApprovalDecision;
  /** The reason or the answer, for the card. */
  words: string | null;
  send: Decision;
}

export function approve(): Decided {
  return { decision: 'approved', words: null, send: { behavior: 'allow' } };
}

/**
 * Approves what the card shows: the agent's command, or the one that a person put in its place.
 * @param request as it would run
 */
export function approveShown(request: ApprovalRequest, record: Pick<ApprovalRecord, 'edit'>): Decided {
  return record.edit ? approveCommand(request, record.edit.command) : approve();
}

function approveCommand({ input }: ApprovalRequest, command: string): Decided {
  return {
    decision: 'approved_with_changes',
    words: oneLine(redactCommand(command).text, 300),
    // It replaces the whole input (docs/letta-protocol.md, approval_response).
    send: { behavior: 'allow', updatedInput: { ...input, command } },
  };
}

/** How deep an input may be nested to be sent back to Letta: serialising a deeper one could overflow the stack. */
const SENT_BACK = 200;

/** The longest command that can be edited: what a modal's input takes (docs/slack.md, Size limits). */
const EDITABLE = 3_000;

/**
 * The command that a person may edit before it runs; `null` when it is no command, is too long for a modal, or the card
 * does not show all of the input.
 */
export function editableCommand(request: ApprovalRequest): string | null {
  const { command } = request.input;
  if (request.tool !== 'Bash' || typeof command !== 'string' || command.length > EDITABLE) return null;
  const { isRedacted, isPartlyShown } = shownRequest(request);
  return isRedacted || isPartlyShown || isTooDeep(request) ? null : command;
}

/** Whether the input is nested too deep to be sent back with a change, or with answers. */
function isTooDeep({ input }: ApprovalRequest): boolean {
  return sizeOf(input, { depth: SENT_BACK, letters: Number.POSITIVE_INFINITY }).depth > SENT_BACK;
}

/** Why no one can decide a request in Slack, in words for people and for the agent; `null`: they can. */
export function refusalOf(request: ApprovalRequest): string | null {
  const { refusal } = shownRequest(request);
  // Answers go back with the whole input.
  if (refusal === null && request.questions && isTooDeep(request)) return deeperThanText(SENT_BACK);
  return refusal;
}

/** @returns `null` when the command may not be edited, or the new text is empty */
export function approveChanged(request: ApprovalRequest, text: string): Decided | null {
  const before = editableCommand(request);
  const command = text.replaceAll('\r\n', '\n').trim();
  if (before === null || command === '' || text.length > EDITABLE) return null;
  return command === before.trim() ? approve() : approveCommand(request, command);
}

const RULE_SAVED = 'rule saved: ';
/** How long a rule may be for the modal to show all of it. */
const RULE = 2_000;

/** Approves, and lets Letta save the rule that it offers, which holds for everybody who works in that directory. */
export function approveWithRule(request: ApprovalRequest): Decided | null {
  const suggestion = ruleOf(request);
  if (!suggestion) return null;
  return {
    decision: 'approved',
    words: `${RULE_SAVED}${suggestion.text}`,
    send: { behavior: 'allow', suggestionIds: [suggestion.id] },
  };
}

/**
 * The rule that Letta offers to save; none for questions (docs/letta-protocol.md, Approvals) nor for tools that start
 * another agent.
 */
export function ruleOf(request: ApprovalRequest): { id: string; text: string } | null {
  const [suggestion] = request.suggestions;
  // A saved rule would silence the question for everybody on that machine (docs/letta-protocol.md, External tools).
  if (
    !suggestion ||
    request.questions ||
    startsAgent(request.tool) ||
    isToolName(request.tool) ||
    suggestion.text.length > RULE
  )
    return null;
  // Letta quotes the command in the rule, and everybody in the thread reads the decision.
  return { id: suggestion.id, text: redactCommand(suggestion.text).text };
}

/**
 * @param reason what the person typed; the agent reads it as the tool's result and goes on (docs/letta-protocol.md,
 * approval_response).
 */
export function deny(by: string, reason: string | null): Decided {
  const message = reason ?? deniedByText(by);
  return { decision: 'denied', words: reason, send: { behavior: 'deny', message } };
}

/**
 * AskUserQuestion is answered by allowing it with the whole input plus `answers` by question text
 * (docs/letta-protocol.md, Approvals).
 */
function answerQuestions(request: ApprovalRequest, answers: Record<string, string>): Decided {
  return {
    decision: 'answered',
    words: Object.values(answers).join(' · '),
    send: { behavior: 'allow', updatedInput: { ...request.input, answers } },
  };
}

/** A click on one option of the only question. */
export function answerWithOption(
  request: ApprovalRequest,
  choice: { question: number; options: number[] } | null,
): Decided | null {
  const [question, ...more] = request.questions ?? [];
  const [option, ...others] = choice?.options ?? [];
  if (!question || more.length > 0 || choice?.question !== 0 || option === undefined || others.length > 0) return null;
  const label = question.options[option]?.label;
  return label === undefined ? null : answerQuestions(request, { [question.question]: label });
}

/** What was filled in for each question. */
export interface FormAnswers {
  choices: readonly (readonly number[])[];
  texts: readonly string[];
}

/** @returns the errors by question, or the decision. Several choices, and words beside them, are joined to one text. */
export function answerWithForm(
  request: ApprovalRequest,
  { choices, texts }: FormAnswers,
): Decided | { wrong: { input: number; text: string }[] } {
  const questions = request.questions ?? [];
  const answers: [string, string][] = [];
  const wrong: { input: number; text: string }[] = [];
  questions.forEach(({ question, multiSelect, options }, input) => {
    const words = (texts[input] ?? '').trim();
    const labels = [...new Set(choices[input] ?? [])].map((option) => options[option]?.label);
    const given = [...labels.flatMap((label) => label ?? []), ...(words === '' ? [] : [words])];
    if (labels.includes(undefined)) wrong.push({ input, text: NOT_DECIDED.optionGone });
    else if (given.length === 0) wrong.push({ input, text: NOT_DECIDED.chooseOrWrite });
    else if (given.length > 1 && !multiSelect) wrong.push({ input, text: NOT_DECIDED.notBoth });
    else answers.push([question, given.join(', ')]);
  });
  if (questions.length === 0 || wrong.length > 0) return { wrong };
  return answerQuestions(request, Object.fromEntries(answers));
}

/** Takes a plain reply as the answer to every question. `null` when there is no question or no text. */
export function answerWithReply(request: ApprovalRequest, text: string): Decided | null {
  const questions = request.questions ?? [];
  const words = text.trim();
  if (questions.length === 0 || words === '') return null;
  return answerQuestions(request, Object.fromEntries(questions.map(({ question }) => [question, words])));
}

/**
 * Rebuilds from the record what was decided, as it is sent to Letta. `null` when the record does not hold all of it: then
 * people must decide again.
 */
export function rebuildDecision(
  request: ApprovalRequest,
  record: Pick<ApprovalRecord, 'edit'>,
  { decision, by, words }: ApprovalState & { state: 'decided' },
): Decided | null {
  switch (decision) {
    case 'approved': {
      if (!words?.startsWith(RULE_SAVED)) return approve();
      const rule = approveWithRule(request);
      return rule?.words === words ? rule : null;
    }
    case 'denied':
      return deny(by, words);
    case 'answered': {
      const [question, ...more] = request.questions ?? [];
      return question && more.length === 0 && words !== null
        ? answerQuestions(request, { [question.question]: words })
        : null;
    }
    case 'approved_with_changes':
      return record.edit ? approveCommand(request, record.edit.command) : null;
    case 'edited':
      return null;
    default:
      return decision satisfies never;
  }
}

/** The notice for a person who decides too late. */
export function lateNotice(record: ApprovalRecord): string {
  const { state } = record;
  if (state.state === 'decided') return alreadyDecidedText(state.decision, state.by);
  return LATE[state.state === 'open' ? 'open' : state.why];
}
