import type { Door } from '../../access/door.ts';
import { mayApproversStartAgents, type Policy, type PolicyBook, settingsOf } from '../../access/policy.ts';
import type { ApprovalRequest, Decision } from '../../agent-event.ts';
import { approvalTitle, approve, digestOf, rebuildDecision, refusalOf, ruleOf } from '../../approvals/answers.ts';
import { type AutoApproval, findAutoApproval } from '../../approvals/auto-approval/auto-approval.ts';
import { startsAgent } from '../../approvals/auto-approval/starts-agent.ts';
import { mayMoveDirectory, pendingMoves } from '../../approvals/directory-moves.ts';
import { auditText } from '../../approvals/shown.ts';
import { makeToken, type TurnId, type UserId } from '../../ids.ts';
import type { Clock, Log, Random } from '../../ports.ts';
import { authorOf, setApproval } from '../../record/inbox.ts';
import { isTaskEndCall } from '../../record/tasks.ts';
import type { ApprovalRecord, ApprovalState, OpenTurn } from '../../record/thread-record.ts';
import { foldTurn, lastSaidMessageId } from '../../turn/fold.ts';
import type { ThreadLink } from '../link.ts';
import type { Mailbox } from '../mailbox.ts';
import type { ThreadState } from '../state.ts';
import type { ThreadAudit } from './audit.ts';
import { type ApprovalDecisions, denialOf } from './decide.ts';

export interface AskingParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  policies: PolicyBook;
  clock: Clock;
  random: Random;
  log: Log;
  decisions: ApprovalDecisions;
  /** Judges again whether a person may, when what they wrote or decided takes effect. */
  door: Pick<Door, 'judgeAgain'>;
  audit: ThreadAudit;
  /** Posts a line in the thread. */
  say(text: string): void;
  /** ms after which a request that nobody decided is denied; left out: never. */
  timeoutMs?: number | undefined;
  /** ms after which a decision that Letta did not get is not sent, and people decide anew; left out: no limit. */
  staleAfterMs?: number | undefined;
  onChange(): void;
}

/** Handles Letta's requests: matches them with known cards after a reconnect, lets them pass, or shows them. */
export class ApprovalRequests {
  readonly #parts: AskingParts;
  /** Calls that may move the working directory and were let pass without a card. */
  #passed: { turn: TurnId; requests: ApprovalRequest[] } | null = null;
  /** Calls after which the device has reported the new working directory. */
  #moved: { turn: TurnId; ids: string[] } | null = null;
  /** The turn during which a new link joined, so that we may have missed earlier calls of it. */
  #joined: TurnId | null = null;

  constructor(parts: AskingParts) {
    this.#parts = parts;
  }

  /** A new link joined the running turn, and Letta does not repeat the calls that it made before. */
  joined(): void {
    this.#joined = this.#parts.state.open?.id ?? null;
  }

  /**
   * The device reported another working directory. It does not say which call moved it, so when several could have,
   * none counts as done.
   */
  directoryMoved(): void {
    const turn = this.#parts.state.open?.id;
    if (turn === undefined) return;
    const decided = this.#pendingMoves(turn).filter((id) => this.#mayRun(id, turn));
    const [only, ...others] = decided;
    if (only === undefined || others.length > 0) return;
    this.#moved = { turn, ids: [...(this.#moved?.turn === turn ? this.#moved.ids : []), only] };
  }

  /** Whether this call was approved or let pass, or was seen to run. */
  #mayRun(id: string, turn: TurnId): boolean {
    const { state } = this.#parts;
    const approved = (state.record?.approvals ?? []).filter(
      (record) =>
        record.turn === turn &&
        record.state.state === 'decided' &&
        !['denied', 'edited'].includes(record.state.decision),
    );
    const isApproved = (requestId: string) => approved.some((record) => record.requestId === requestId);
    const isIt = ({ callId, requestId }: ApprovalRequest) => (callId ?? requestId) === id;
    return (
      isApproved(id) ||
      (this.#passed?.requests.some(isIt) ?? false) ||
      state.turn.approvals.some((request) => isIt(request) && isApproved(request.requestId)) ||
      state.turn.tools.some(({ callId, status }) => callId === id && status !== 'called')
    );
  }

  #pendingMoves(turn: TurnId): string[] {
    const { state } = this.#parts;
    const passed = this.#passed?.turn === turn ? this.#passed.requests : [];
    const moved = this.#moved?.turn === turn ? this.#moved.ids : [];
    return pendingMoves({
      requests: [...state.turn.approvals, ...passed],
      records: (state.record?.approvals ?? []).filter((record) => record.turn === turn),
      tools: state.turn.tools,
    }).filter((id) => !moved.includes(id));
  }

  /** Whether this call's relative paths may be meant for another directory than the one that we know. */
  #mayMove({ callId }: ApprovalRequest, turn: TurnId): boolean {
    const { tools } = this.#parts.state.turn;
    const heard = this.#joined !== turn || tools.some((call) => call.callId === callId);
    return !heard || this.#pendingMoves(turn).length > 0;
  }

  /**
   * Letta asks, or asks again after a reconnect or a restart; then the request keeps its card. If Letta had confirmed
   * that card's decision, this is a new request with the same id, because the model makes the ids
   * (docs/letta-protocol.md, Approvals).
   */
  asked(request: ApprovalRequest): void {
    const { state, decisions, log } = this.#parts;
    const turn = state.open;
    if (!turn) return;
    const { requestId } = request;
    const digest = digestOf(request.input);
    const last = state.record?.approvals.findLast(
      (approval) => approval.turn === turn.id && approval.requestId === requestId,
    );
    const known = last?.digest === digest && !decisions.isTaken(last.token) ? last : null;
    if (turn.ends && isTaskEndCall(turn.ends, request)) {
      this.#letPass(request, digest, turn, { by: 'stop' });
      return;
    }
    // While Letta runs a turn of its own, our input is queued behind it, and the agent has not read yet that it may
    // only end tasks; so people decide that turn's requests.
    if (turn.ends && !known && !this.#parts.link.runsAnother(turn)) {
      this.#denyInEndTurn(request);
      return;
    }
    const pass = known ? null : this.#autoApprovalOf(request, turn);
    if (!pass) {
      this.#show(request, digest, turn, known, null);
      return;
    }
    const connection = this.#parts.link.ready;
    this.#parts.mailbox.away(
      () => this.#stillMay(pass, turn),
      (may) => {
        const now = state.open;
        // Over another link Letta asks again.
        if (now?.id !== turn.id || this.#parts.link.ready !== connection) return undefined;
        // Policy, grants or turn may have changed while we asked Slack, so the request is judged again.
        const still = may ? this.#autoApprovalOf(request, now) : null;
        if (still?.by !== pass.by) return this.#show(request, digest, now, null, null);
        return still.by === 'grant'
          ? this.#show(request, digest, now, null, still)
          : this.#letPass(request, digest, now, still);
      },
      (error) => {
        log.warn({ request: requestId, err: error }, 'could not judge whether a request may pass');
        const now = state.open;
        if (now?.id !== turn.id || this.#parts.link.ready !== connection) return undefined;
        return this.#show(request, digest, now, null, null);
      },
    );
  }

  /** Whether those in whose name a request passes without a card, the author and the giver of a grant, still may. */
  async #stillMay(pass: AutoApproval, turn: OpenTurn): Promise<boolean> {
    const { door, state } = this.#parts;
    const { requester } = turn;
    const asked = [door.judgeAgain(state.key, authorOf(turn), { do: 'speak' })];
    if (pass.by === 'grant')
      asked.push(door.judgeAgain(state.key, { user: pass.grant.by.id }, { do: 'decide', requester }));
    return (await Promise.all(asked)).every(({ verdict }) => verdict.allowed);
  }

  #show(
    request: ApprovalRequest,
    digest: string,
    turn: OpenTurn,
    known: ApprovalRecord | null,
    pass: (AutoApproval & { by: 'grant' }) | null,
  ): void {
    const { state, clock } = this.#parts;
    const { requestId } = request;
    if (!known) {
      const others = state.turn.openApprovals.filter((open) => open !== requestId);
      state.turn = foldTurn(state.turn, { type: 'approvals-open', requestIds: others });
    }
    state.turn = foldTurn(state.turn, { type: 'approval-asked', request });
    state.isViewOutdated = true;
    if (known) {
      this.#again(known, request, turn);
      return;
    }
    if (!pass) {
      const refusal = refusalOf(request);
      if (refusal !== null) {
        this.#refuse(turn, request, digest, refusal);
        return;
      }
      return void this.#open(turn, request, digest, { state: 'open' });
    }
    const { kind, by } = pass.grant;
    const words = kind === 'command' ? 'this exact command during this turn' : 'all edits during this turn';
    const at = clock.now();
    const { id, name } = by;
    const answered = { state: 'decided', decision: 'approved', by: id, name, at, words, via: 'grant' } as const;
    const record = this.#open(turn, request, digest, answered);
    this.#parts.decisions.tell(record, approve().send);
  }

  /** Denies a request that nobody could decide in Slack, and tells the agent and the thread why. */
  #refuse(turn: OpenTurn, request: ApprovalRequest, digest: string, refusal: string): void {
    const { clock, log, decisions, say } = this.#parts;
    log.warn({ request: request.requestId, tool: request.tool, refusal }, 'request denied: it cannot be shown');
    const closed = { state: 'closed', why: 'not_shown', at: clock.now() } as const;
    const record = this.#open(turn, request, digest, closed);
    const message = `This could not be shown to anyone in Slack, so it was not approved: it is ${refusal}.`;
    decisions.tell(record, { behavior: 'deny', message });
    say(`I could not show here what the agent asked for, so I denied it: it is ${refusal}.`);
  }

  /** Letta asks again for a request that has a card: it is open, or Letta did not get the decision. */
  #again(known: ApprovalRecord, request: ApprovalRequest, turn: OpenTurn): void {
    const { state, decisions, clock, log, staleAfterMs, onChange } = this.#parts;
    const { requestId } = request;
    if (known.state.state === 'open') {
      onChange();
      return;
    }
    if (turn.stoppedBy) {
      // Somebody stopped the turn, so a decision made before must not reach Letta after the Stop.
      const over = { state: 'closed', why: 'turn_over', at: clock.now() } as const;
      state.change((record) => setApproval(record, known.token, over));
      onChange();
      return;
    }
    if (known.state.state === 'decided') {
      const { decision, by, at } = known.state;
      // A command approved in the evening must not run in the morning, when things may have changed.
      const stale = staleAfterMs !== undefined && clock.now() - at > staleAfterMs;
      if (stale) log.info({ request: requestId, decision, by }, 'a decision is too old to be sent to Letta');
      const send = decisions.underWay(requestId) ?? rebuildDecision(request, known, known.state)?.send;
      if (send && !stale && decision === 'denied') {
        decisions.tell(known, send);
        return;
      }
      if (send && !stale) {
        this.#sayLate(known, send, by);
        return;
      }
    } else if (known.state.why === 'expired' || known.state.why === 'not_shown') {
      decisions.tell(known, denialOf(known.state.why));
      return;
    }
    decisions.reopen(known);
  }

  /** Sends an approval that Letta did not get, if the person who gave it still may; else people decide anew. */
  #sayLate(known: ApprovalRecord, send: Decision, by: UserId): void {
    const { state, decisions, door, mailbox, link, log } = this.#parts;
    const { token, requester } = known;
    const connection = link.ready;
    const ask = () =>
      door.judgeAgain(state.key, { user: by }, { do: 'decide', requester }).catch((error: unknown) => {
        log.warn({ request: known.requestId, err: error }, 'could not check whether a decision still counts');
        return null;
      });
    mailbox.away(
      ask,
      (asked) => {
        const now = state.record?.approvals.find((each) => each.token === token);
        const same = now?.state.state === 'decided' && state.open?.id === known.turn && !state.open.stoppedBy;
        // Over another link Letta asks again.
        if (!now || !same || link.ready !== connection) return undefined;
        if (asked && decisions.couldDecide(now, asked.person)) return decisions.tell(now, send);
        log.warn({ request: known.requestId, by }, 'a decision no longer counts; asking again');
        return decisions.reopen(now);
      },
      () => undefined,
    );
  }

  #open(turn: OpenTurn, request: ApprovalRequest, digest: string, decided: ApprovalState): ApprovalRecord {
    const { state, link, random, clock, log, policies, timeoutMs, onChange } = this.#parts;
    const { requestId, tool } = request;
    const at = clock.now();
    const policy = policies.current();
    const after = lastSaidMessageId(state.turn);
    const only = onlyFor(policy, state.place.channel, tool);
    const approval: ApprovalRecord = {
      token: makeToken(random.id()),
      turn: turn.id,
      requestId,
      tool,
      title: approvalTitle(request),
      digest,
      requester: turn.requester,
      asks: request.questions ? [turn.requester] : asksOf(policy, state.place.channel, turn.requester, only),
      ...(only !== null && { only }),
      rule: hasAdmins(policy) && ruleOf(request) !== null,
      askedAt: at,
      // Left out while unknown: after a restart, text before the request may not have been read from the history yet.
      ...((after !== null || !state.textUnknown) && { after }),
      ...(timeoutMs !== undefined && decided.state === 'open' && { expiresAt: at + timeoutMs }),
      ...(decided.state !== 'open' && { audit: 'due' as const, input: auditText(request, link.workingDirectory) }),
      state: decided,
    };
    state.change((record) => {
      const before = record.approvals.map((old): ApprovalRecord => {
        const replaced = old.turn === turn.id && old.requestId === requestId && old.state.state === 'open';
        const closed = { state: 'closed', why: 'answered_elsewhere', at } as const;
        return replaced ? { ...old, state: closed, audit: 'due' } : old;
      });
      return { ...record, approvals: [...before, approval] };
    });
    log.info({ turn: turn.id, request: requestId, tool, digest, state: decided.state }, 'approval asked');
    onChange();
    return approval;
  }

  /** Closes open cards whose requests Letta no longer waits for. @param stillOpen ids that Letta still waits for */
  close(stillOpen: readonly string[], why: 'answered_elsewhere' | 'link_lost' | 'turn_over'): void {
    const { state, clock, onChange } = this.#parts;
    const turn = state.open?.id;
    const settled = (state.record?.approvals ?? []).filter(
      (approval) =>
        approval.turn === turn && approval.state.state === 'open' && !stillOpen.includes(approval.requestId),
    );
    if (settled.length === 0) return;
    const at = clock.now();
    state.change((record) =>
      settled.reduce((now, approval) => setApproval(now, approval.token, { state: 'closed', why, at }), record),
    );
    state.isViewOutdated = true;
    onChange();
  }

  #autoApprovalOf(request: ApprovalRequest, turn: OpenTurn): AutoApproval | null {
    const { state, link, policies } = this.#parts;
    // Somebody stopped the turn, so nothing more passes without a card.
    if (turn.stoppedBy) return null;
    return findAutoApproval(request, {
      policy: policies.current(),
      place: state.place,
      workingDirectory: link.workingDirectory,
      mayMove: this.#mayMove(request, turn.id),
      requester: turn.requester,
      grants: turn.grants ?? [],
      files: state.record?.handedOver,
    });
  }

  /** Denies a request without asking people, because in this turn the agent may only end background tasks. */
  #denyInEndTurn(request: ApprovalRequest): void {
    const { link, mailbox, log } = this.#parts;
    const connection = link.ready;
    if (!connection) return;
    const message = 'In this turn you may only end the background tasks, by their ids.';
    mailbox.away(
      () => connection.answer(request.requestId, { behavior: 'deny', message }),
      () => undefined,
      (error) => log.warn({ request: request.requestId, err: error }, 'could not answer a request'),
    );
  }

  /** Approves a request without a card, after its audit entry is written; if either fails, people are asked. */
  #letPass(
    request: ApprovalRequest,
    digest: string,
    turn: OpenTurn,
    pass: Exclude<AutoApproval, { by: 'grant' }>,
  ): void {
    const { state, link, mailbox, clock, random, log, audit } = this.#parts;
    const connection = link.ready;
    const { requestId, tool } = request;
    if (mayMoveDirectory(request)) {
      const before = this.#passed?.turn === turn.id ? this.#passed.requests : [];
      this.#passed = { turn: turn.id, requests: [...before, request] };
    }
    const at = clock.now();
    const title = pass.by === 'rule' ? `${approvalTitle(request)} · rule ${pass.rule}` : approvalTitle(request);
    const shared = { id: random.id(), thread: state.key, turn: turn.id, requestId, tool, title, digest, at };
    const input = auditText(request, link.workingDirectory);
    const entry = { ...shared, input, requester: turn.requester, askedAt: at, by: null, outcome: 'approved' } as const;
    const answer = async () => {
      await audit.write({ ...entry, via: pass.by });
      if (!connection || link.ready !== connection) throw new Error('the link was lost');
      if (state.open?.id !== turn.id || state.open.stoppedBy) throw new Error('the turn was stopped');
      return connection.answer(requestId, approve().send);
    };
    mailbox.away(
      answer,
      () => undefined,
      (error) => {
        log.warn({ request: requestId, err: error }, 'could not let a request pass');
        // After a lost link Letta asks again, and a stopped turn needs no answer.
        if (state.open?.id !== turn.id || state.open.stoppedBy || link.ready !== connection) return;
        this.#show(request, digest, state.open, null, null);
      },
    );
  }
}

/** Ids of the people and groups whose click would count, for the card's mentions; the requester first. */
function asksOf(policy: Policy, channel: string, requester: UserId, only: ApprovalRecord['only'] | null): string[] {
  const { approvers, selfApproval } = settingsOf(policy, channel);
  if (only) return [...policy.admins.ids, ...policy.admins.groups].filter((id) => id !== requester || selfApproval);
  const first = approvers.requester && selfApproval ? [requester] : [];
  const others = [...approvers.ids, ...approvers.groups].filter((id) => id !== requester || selfApproval);
  return [...new Set([...first, ...others])];
}

/** Who alone may approve this tool; `null`: the channel's approvers. */
function onlyFor(policy: Policy, channel: string, tool: string): 'admins' | 'nobody' | null {
  if (!startsAgent(tool) || mayApproversStartAgents(policy, channel)) return null;
  return hasAdmins(policy) ? 'admins' : 'nobody';
}

function hasAdmins({ admins }: Policy): boolean {
  return admins.ids.length + admins.groups.length > 0;
}
