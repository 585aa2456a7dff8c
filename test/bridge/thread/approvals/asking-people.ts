import type { ApprovalRequest } from '../../../../src/bridge/agent-event.ts';
import type { Token } from '../../../../src/bridge/ids.ts';
import type { ActionName, InboundAction, InboundSubmission, SubmissionName } from '../../../../src/bridge/inbound.ts';
import type { Card } from '../../../../src/bridge/view/turn.ts';
import { type Middle, ROOT, TEAM, type WriteOptions } from '../../../support/middle.ts';

export const ALICE = 'U01ALICE';
export const BOB = 'U02BOB';

/** A command that Letta offers no rule for. */
export const touchX: ApprovalRequest = {
  requestId: 'perm-1',
  callId: 'call-1',
  tool: 'Bash',
  input: { command: 'touch x' },
  diffs: [],
  suggestions: [],
  questions: null,
};

export function bash(command: string, change: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return {
    requestId: 'perm-1',
    callId: 'call-1',
    tool: 'Bash',
    input: { command, description: 'does it' },
    diffs: [],
    suggestions: [{ id: 'save-default', text: `Yes, and don't ask again for '${command}'` }],
    questions: null,
    ...change,
  };
}

export function asking(questions: { question: string; options?: string[]; multiSelect?: boolean }[]): ApprovalRequest {
  const full = questions.map(({ question, options = [], multiSelect = false }) => ({
    question,
    header: '',
    multiSelect,
    options: options.map((label) => ({ label, description: '' })),
  }));
  const input = { questions: full };
  return { ...bash(''), requestId: 'perm-q', tool: 'AskUserQuestion', input, suggestions: [], questions: full };
}

export async function ask(middle: Middle, request: ApprovalRequest): Promise<void> {
  middle.connection.emit({ type: 'approval-asked', request });
  await middle.clock.settle();
}

let replies = 0;

/** What somebody writes now, in answer to what they see. */
export function reply(middle: Middle, text: string, options: WriteOptions = {}) {
  replies += 1;
  return middle.write(text, { ts: ((middle.clock.now() + replies) / 1000).toFixed(6), ...options });
}

export function cards(middle: Middle): Card[] {
  return middle.surface.last.items.flatMap((item) => (item.kind === 'card' ? [item.card] : []));
}

export function lastCard(middle: Middle): Card {
  const card = cards(middle).at(-1);
  if (!card) throw new Error('there is no card');
  return card;
}

export async function click(middle: Middle, name: ActionName, change: Partial<InboundAction> & { user?: string } = {}) {
  const { user = ALICE, ...rest } = change;
  const outcome = await middle.intake.handleAction({
    name,
    token: rest.token ?? lastCard(middle).token,
    choice: null,
    actor: { user, team: TEAM },
    team: TEAM,
    channel: 'C01GEN',
    messageTs: '1.1',
    threadTs: ROOT,
    ...rest,
  });
  await middle.clock.settle();
  return outcome;
}

export async function submit(
  middle: Middle,
  name: SubmissionName,
  texts: string[],
  change: Partial<InboundSubmission> & { user?: string; token?: Token } = {},
) {
  const { user = ALICE, ...rest } = change;
  const token = rest.token ?? lastCard(middle).token;
  const outcome = await middle.intake.handleSubmission({
    name,
    token,
    texts,
    actor: { user, team: TEAM },
    team: TEAM,
    ...rest,
  });
  await middle.clock.settle();
  return outcome;
}

/** What Letta was told, in order. */
export function told(middle: Middle) {
  return middle.connection.answers.map(({ decision }) => decision);
}
