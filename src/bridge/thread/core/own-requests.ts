import { createHash } from 'node:crypto';
import type { ApprovalRequest, ExternalCall } from '../../agent-event.ts';
import { authorOf } from '../../record/inbox.ts';
import type { ToolCallRecord } from '../../record/thread-record.ts';
import { idOf } from '../../record/tool-calls.ts';
import { toolOf } from '../../tools/catalogue.ts';
import { checkInput } from '../../tools/params.ts';
import { notDone, wrongInput } from '../../words/tool-calls.ts';
import { isMixed } from './clients.ts';
import type { ToolAsk } from './effects.ts';
import { addressOf } from './thread.ts';
import { approvals, hasTool, openTurn, settings, type Work } from './work.ts';

/* What a call of a tool of the bridge asks for, and the requests that the bridge itself makes for one. */

/** What a call asks for, or why there is nothing to ask. */
export function askOf(
  work: Work,
  { callId, tool, input }: Pick<ExternalCall, 'callId' | 'tool' | 'input'>,
): { ask: ToolAsk } | { wrong: string } {
  const turn = openTurn(work);
  if (!turn) return { wrong: notDone('turn_over') };
  // They act in the requester's name, and others may have asked for it.
  if (isMixed(work)) return { wrong: notDone('not_your_turn') };
  if (!hasTool(work, tool)) return { wrong: notDone('no_tool') };
  const checked = checkInput(toolOf(tool).params, input);
  if ('wrong' in checked) return { wrong: wrongInput(checked.wrong) };
  const { record } = work.thread;
  const { mayMention, postUnasked } = settings(work);
  return {
    ask: {
      name: tool,
      input: checked.input,
      key: keyOf(work, callId),
      address: addressOf(work.thread),
      author: authorOf(turn),
      requester: turn.requester,
      staysHere: turn.origin === 'agent' && !turn.schedule,
      participants: record?.participants ?? [],
      message: turn.items.at(-1)?.ts ?? null,
      rights: { mayMention, postUnasked },
    },
  };
}

/** Model-made ids repeat in other turns. */
function keyOf(work: Work, callId: string): string {
  const { runtime } = work.thread.record ?? {};
  const whole = [runtime?.agentId, runtime?.conversationId, openTurn(work)?.id, callId];
  return createHash('sha256').update(JSON.stringify(whole)).digest('hex').slice(0, 40);
}

// ---- requests ----------------------------------------------------------------------------------

/** The request of a card that the bridge itself shows for a call. */
const OWN = 'bridge-call:';
const FACTS_MOST = 10;
const FACT_LETTERS = 500;

export const ownId = (call: ToolCallRecord): string => `${OWN}${idOf(call)}`;

export const isOwnRequest = (requestId: string): boolean => requestId.startsWith(OWN);

/** Open requests of the bridge itself, which Letta's lists do not name. */
export function openOwnRequests(work: Work): string[] {
  return approvals(work).flatMap(({ requestId, state }) =>
    state.state === 'open' && isOwnRequest(requestId) ? [requestId] : [],
  );
}

export function requestOf(call: ToolCallRecord, facts: readonly string[]): ApprovalRequest {
  const { callId, tool, input } = call;
  const plain = { requestId: ownId(call), callId, tool, input, diffs: [], suggestions: [], questions: null };
  return withFacts(plain, facts);
}

/** What the card tells besides the input. */
export function withFacts(request: ApprovalRequest, facts: readonly string[]): ApprovalRequest {
  const short = facts.slice(0, FACTS_MOST).map((fact) => fact.slice(0, FACT_LETTERS).toWellFormed());
  return { ...request, facts: short };
}
