import { asBridgeError } from '../errors.ts';
import { can, type Doing } from './access.ts';
import type { ApprovalRequest, Decision } from './agent-event.ts';
import {
  answerInWords,
  answerWithOptions,
  approvalTitle,
  approve,
  type Decided,
  deny,
  digestOf,
  lateNotice,
} from './approvals.ts';
import { makeToken, type Token } from './ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundSubmission,
  type OfferAction,
  type Refused,
  refused,
  type SubmissionOutcome,
} from './inbound.ts';
import { setApproval } from './inbox.ts';
import type { Mailbox } from './mailbox.ts';
import type { PolicyBook } from './policy.ts';
import type { Clock, Log, Person, Random } from './ports.ts';
import type { ThreadLink } from './thread-link.ts';
import type { ApprovalRecord, OpenTurn, ThreadRecord } from './thread-record.ts';
import type { ThreadState } from './thread-state.ts';
import { foldTurn } from './turn.ts';

export interface ApprovalParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  policies: PolicyBook;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The requests of a thread's turn: asked, shown, decided by the one who may, told to Letta, once. */
export class ThreadApprovals {
  readonly #parts: ApprovalParts;
  /** Decisions on their way to Letta, by request: said again after a reconnect if the request is still open. */
  readonly #decisions = new Map<string, Decision>();
  /** Cards whose decision Letta has taken. */
  readonly #taken = new Set<Token>();

  constructor(parts: ApprovalParts) {
    this.#parts = parts;
  }

  async act(
    action: InboundAction & { name: Exclude<InboundAction['name'], OfferAction | 'stop' | 'details'> },
    person: Person,
  ): Promise<ActionOutcome> {
    const open = this.#find(action.token, person, action.name === 'view_full');
    if ('result' in open) return open;
    const { record, request } = open;
    const { tool, token } = record;
    switch (action.name) {
      case 'view_full':
        return {
          result: 'modal',
          modal: { kind: 'view_full', title: tool, text: JSON.stringify(request.input, null, 2) },
        };
      case 'deny_with_reason':
        return { result: 'modal', modal: { kind: 'deny_with_reason', token, tool } };
      case 'answer_in_words': {
        const questions = (request.questions ?? []).map((question) => question.question);
        if (questions.length === 0) return refused('expired', 'This is not a question.');
        return { result: 'modal', modal: { kind: 'answer_in_words', token, questions } };
      }
      case 'answer': {
        const decided = answerWithOptions(request, action.choice);
        return decided
          ? this.#decide(record, decided, person)
          : refused('expired', 'That option does not exist any more.');
      }
      case 'approve':
        // A bare allow would leave the question open (PROTOCOL.md 9).
        if (request.questions) return refused('expired', 'This is a question: pick an answer.');
        return this.#decide(record, approve(), person);
      case 'deny':
        return this.#decide(record, deny(person.name, null), person);
      default:
        return action.name satisfies never;
    }
  }

  async submission(submission: InboundSubmission, person: Person): Promise<SubmissionOutcome> {
    const open = this.#find(submission.token, person, false);
    if ('result' in open) return open;
    const { record, request } = open;
    if (submission.name === 'deny_with_reason') {
      const reason = (submission.texts[0] ?? '').trim();
      if (reason === '') return { result: 'invalid', errors: [{ input: 0, text: 'Say why.' }] };
      return this.#decide(record, deny(person.name, reason), person);
    }
    const answer = answerInWords(request, submission.texts);
    if ('empty' in answer) {
      return { result: 'invalid', errors: answer.empty.map((input) => ({ input, text: 'An answer is missing.' })) };
    }
    return this.#decide(record, answer, person);
  }

  /**
   * Letta asks, or asks again after a reconnect or a restart: then the card that people have is the one that counts.
   * A request that Letta had taken the answer of is another one under the same id: ids are the model's (PROTOCOL.md 9).
   */
  async asked(request: ApprovalRequest): Promise<void> {
    const { state } = this.#parts;
    const turn = state.open;
    if (!turn) return;
    const { requestId } = request;
    const digest = digestOf(request.input);
    const last = state.record?.approvals.findLast(
      (approval) => approval.turn === turn.id && approval.requestId === requestId,
    );
    const known = last?.digest === digest && !this.#taken.has(last.token) ? last : null;
    if (!known) {
      const others = state.turn.openApprovals.filter((open) => open !== requestId);
      state.turn = foldTurn(state.turn, { type: 'approvals-open', requestIds: others });
    }
    state.turn = foldTurn(state.turn, { type: 'approval-asked', request });
    state.dirty = true;
    if (!known) return this.#open(turn, request, digest);
    if (known.state.state === 'open') return;
    if (known.state.state === 'decided') {
      // Decided on disk, but Letta still waits: it never heard of it.
      const { decision, by, words } = known.state;
      const remade = decision === 'approved' ? approve() : decision === 'denied' ? deny(by, words) : null;
      const send = this.#decisions.get(requestId) ?? remade?.send;
      if (send) return this.#tell(known, send);
    }
    await state.insist((record) => setApproval(record, known.token, { state: 'open' }));
  }

  async #open(turn: OpenTurn, request: ApprovalRequest, digest: string): Promise<void> {
    const { state, random, clock, log } = this.#parts;
    const { requestId, tool } = request;
    const at = clock.now();
    const approval: ApprovalRecord = {
      token: makeToken(random.id()),
      turn: turn.id,
      requestId,
      tool,
      title: approvalTitle(request),
      digest,
      requester: turn.requester,
      askedAt: at,
      state: { state: 'open' },
    };
    await state.insist((record) => {
      // A write that failed may have been done all the same.
      if (record.approvals.some(({ token }) => token === approval.token)) return record;
      const before = record.approvals.map((old): ApprovalRecord => {
        const replaced = old.turn === turn.id && old.requestId === requestId && old.state.state === 'open';
        return replaced ? { ...old, state: { state: 'closed', why: 'answered_elsewhere', at } } : old;
      });
      return { ...record, approvals: [...before, approval] };
    });
    log.info({ turn: turn.id, request: requestId, tool, digest }, 'approval asked');
  }

  /** Closes cards of requests that Letta no longer waits for: answered outside Slack, or lost in a restart. */
  async close(stillOpen: readonly string[], why: 'answered_elsewhere' | 'link_lost' | 'turn_over'): Promise<void> {
    const { state, clock } = this.#parts;
    const turn = state.open?.id;
    const settled = (state.record?.approvals ?? []).filter(
      (approval) =>
        approval.turn === turn && approval.state.state === 'open' && !stillOpen.includes(approval.requestId),
    );
    if (settled.length === 0) return;
    const at = clock.now();
    await state.insist((record) =>
      settled.reduce((now, approval) => setApproval(now, approval.token, { state: 'closed', why, at }), record),
    );
    state.dirty = true;
  }

  /** The turn is over: nothing is left to be said again. */
  forget(): void {
    this.#decisions.clear();
    this.#taken.clear();
  }

  #find(
    token: string,
    person: Person,
    justLooking: boolean,
  ): { record: ApprovalRecord; request: ApprovalRequest } | Refused {
    const { state, link, policies } = this.#parts;
    const record = state.record?.approvals.find((approval) => approval.token === token);
    if (!record) return refused('expired', 'This request is over.');
    const { requester, tool } = record;
    const doing: Doing = justLooking
      ? { do: 'look' }
      : { do: tool === 'AskUserQuestion' ? 'answer' : 'decide', requester };
    const verdict = can(policies.current(), person, doing, state.place);
    if (!verdict.allowed) return refused('not_allowed', verdict.notice);
    if (record.state.state !== 'open') {
      return refused(record.state.state === 'decided' ? 'already_decided' : 'expired', lateNotice(record));
    }
    if (!link.ready) {
      return refused('unreachable', 'Letta can not be reached right now; nothing was decided. Try again in a moment.');
    }
    const request = state.turn.approvals.find((approval) => approval.requestId === record.requestId);
    const pending = state.turn.openApprovals.includes(record.requestId);
    if (!request || !pending || digestOf(request.input) !== record.digest) {
      return refused('expired', 'This request changed or is over; nothing was decided.');
    }
    return { record, request };
  }

  async #decide(record: ApprovalRecord, decided: Decided, person: Person): Promise<{ result: 'decided' }> {
    const { state, mailbox, clock, log } = this.#parts;
    const { decision, words, send } = decided;
    const next = { state: 'decided', decision, by: person.id, at: clock.now(), words } as const;
    try {
      await state.update((now) => setApproval(now, record.token, next));
    } catch (error) {
      // It may be on disk all the same, and nobody would tell Letta: the card is open again, as the person is told.
      mailbox.post(() => state.insist((now) => reopened(now, record.token, next)));
      throw error;
    }
    const { requestId: request, tool, digest } = record;
    log.info({ request, tool, digest, decision, by: person.id }, 'approval decided');
    this.#decisions.set(record.requestId, send);
    state.dirty = true;
    this.#tell(record, send);
    return { result: 'decided' };
  }

  #tell(record: ApprovalRecord, decision: Decision): void {
    const { state, link, mailbox, clock, log } = this.#parts;
    const connection = link.ready;
    if (!connection) return;
    mailbox.away(
      connection.answer(record.requestId, decision),
      async (answer) => {
        this.#decisions.delete(record.requestId);
        this.#taken.add(record.token);
        if (answer === 'accepted') return;
        const at = clock.now();
        await state.insist((now) => setApproval(now, record.token, { state: 'closed', why: 'answered_elsewhere', at }));
        state.dirty = true;
      },
      async (error) => {
        const { certain, code } = asBridgeError(error);
        log.warn({ request: record.requestId, err: error }, 'a decision was not confirmed');
        // With the link gone Letta asks again; refused over a good link, it still waits for somebody's click.
        if (!certain || code === 'link_lost' || link.ready !== connection) return;
        if (state.open?.id !== record.turn || !state.turn.openApprovals.includes(record.requestId)) return;
        this.#decisions.delete(record.requestId);
        await state.insist((now) => setApproval(now, record.token, { state: 'open' }));
        state.dirty = true;
      },
    );
  }
}

/** The record with that very decision taken back. */
function reopened(record: ThreadRecord, token: Token, decided: { by: string; at: number }): ThreadRecord {
  const state = record.approvals.find((approval) => approval.token === token)?.state;
  const isThat = state?.state === 'decided' && state.by === decided.by && state.at === decided.at;
  return isThat ? setApproval(record, token, { state: 'open' }) : record;
}
