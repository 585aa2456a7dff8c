import type { ApprovalRequest } from '../../agent-event.ts';
import { approvalTitle, digestOf } from '../../approvals/answers.ts';
import type { AuditEntry } from '../../approvals/audit-entry.ts';
import { auditText } from '../../approvals/shown.ts';
import type { ApprovalRecord } from '../../record/thread-record.ts';
import { notDone } from '../../words/tool-calls.ts';
import type { Answer } from './events.ts';
import { runsAnother } from './link.ts';
import { askOf, withFacts } from './own-requests.ts';
import { letPass, show } from './requests.ts';
import { approvals, emit, log, openTurn, upLink, type Work } from './work.ts';

/*
 * Letta asks whether a tool of the bridge may run. The bridge's own policy answers, with an entry in the audit each, or
 * people do; never a rule of Letta's.
 */

/** Letta asks, or asks again after a reconnect or a restart; then the request keeps its card. */
export function onToolRequest(work: Work, request: ApprovalRequest) {
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
  const { requestId, tool, input } = request;
  const { now: at } = work.context;
  log(work, 'info', { turn: turn.id, request: requestId, tool, message }, 'a request for a tool was denied');
  const entry: AuditEntry = {
    id: work.context.id(),
    thread: work.thread.key,
    turn: turn.id,
    requestId,
    tool,
    title: approvalTitle(request),
    digest: digestOf(input),
    input: auditText(request, work.thread.link.workingDirectory),
    requester: turn.requester,
    askedAt: at,
    by: null,
    at,
    outcome: 'denied',
    via: 'tools',
  };
  emit(work, { do: 'refuse', link, requestId, message, entry });
}
