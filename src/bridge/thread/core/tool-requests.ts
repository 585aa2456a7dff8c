import type { ApprovalRequest } from '../../agent-event.ts';
import { digestOf } from '../../approvals/answers.ts';
import type { ApprovalRecord } from '../../record/thread-record.ts';
import { isToolName } from '../../tools/catalogue.ts';
import { notDone } from '../../words/tool-calls.ts';
import type { Answer } from './events.ts';
import { runsAnother } from './link.ts';
import { askOf, withFacts } from './own-requests.ts';
import { letPass, onRequest, show, unaskedEntry } from './requests.ts';
import { approvals, emit, log, openTurn, upLink, type Work } from './work.ts';

/*
 * Letta asks whether a tool of the bridge may run. The bridge's own policy answers, with an entry in the audit each, or
 * people do; never a rule of Letta's.
 */

/** Letta asks whether a tool may run, its own or one of the bridge. */
export function ask(work: Work, request: ApprovalRequest): void {
  if (isToolName(request.tool)) onToolRequest(work, request);
  else onRequest(work, request);
}

/** Letta asks, or asks again after a reconnect or a restart; then the request keeps its card. */
function onToolRequest(work: Work, request: ApprovalRequest) {
  const turn = openTurn(work);
  const link = upLink(work);
  // Over another link Letta asks again.
  if (!turn || link === null) return;
  if (runsAnother(work.thread.link, turn)) return refuse(work, request, notDone('not_your_turn'));
  if (turn.ends) return refuse(work, request, notDone('no_tool'));
  const { callId, requestId, tool, input } = request;
  const asked = askOf(work, { callId: callId ?? requestId, tool, input });
  if ('wrong' in asked) return refuse(work, request, asked.wrong);
  emit(work, { do: 'plan_request', turn: turn.id, link, request, ask: asked.ask });
}

/** What would become of the call is known; `null`: it cannot be told. */
export function onRequestPlanned(work: Work, { request, plan }: Answer & { type: 'request_planned' }) {
  const turn = openTurn(work);
  if (!turn || turn.stoppedBy) return;
  if (!plan) return refuse(work, request, notDone('cannot_check'));
  if (plan.may === 'no') return refuse(work, request, plan.why);
  const known = knownCard(work, request, plan.seal);
  if (plan.may === 'run' && !known) return letPass(work, request, { by: 'tools' });
  const facts = plan.may === 'ask' ? plan.facts : [];
  const call = request.callId === null ? undefined : { id: request.callId, seal: plan.seal };
  show(work, withFacts(request, facts), known, { call });
}

/** The card that asked about exactly this. */
function knownCard(work: Work, { requestId, input }: ApprovalRequest, seal: string): ApprovalRecord | null {
  const turn = openTurn(work)?.id;
  const last = approvals(work).findLast((each) => each.turn === turn && each.requestId === requestId);
  const isSame = last?.digest === digestOf(input) && last.call?.seal === seal;
  return isSame && !work.thread.live?.taken.has(last.token) ? last : null;
}

function refuse(work: Work, request: ApprovalRequest, message: string) {
  const turn = openTurn(work);
  const link = upLink(work);
  if (!turn || link === null) return;
  const { requestId, tool } = request;
  log(work, 'info', { turn: turn.id, request: requestId, tool, message }, 'a request for a tool was denied');
  const entry = unaskedEntry(work, turn, request, { outcome: 'denied', via: 'tools' });
  emit(work, { do: 'deny', link, requestId, message, entry });
}
