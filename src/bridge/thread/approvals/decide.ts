import { asBridgeError } from '../../../errors.ts';
import { can, type Doing, type Verdict } from '../../access/can.ts';
import type { PolicyBook } from '../../access/policy.ts';
import type { ApprovalRequest, Decision } from '../../agent-event.ts';
import { approvalTitle, type Decided, digestOf, lateNotice } from '../../approvals/answers.ts';
import { makeGrant, withGrant } from '../../approvals/auto-approval/grants.ts';
import { listOtherApprovers, needsAnotherApprover, withEditedCommand } from '../../approvals/edited-command.ts';
import { auditText } from '../../approvals/shown.ts';
import { whoDecides } from '../../approvals/who-decides.ts';
import { makeToken, type Token, type UserId } from '../../ids.ts';
import { type Refused, refused } from '../../inbound.ts';
import type { Person } from '../../person.ts';
import type { Clock, Log, Random } from '../../ports.ts';
import { changeTurn, reopenApproval, setApproval, settleApproval } from '../../record/inbox.ts';
import type {
  ApprovalClosed,
  ApprovalRecord,
  DecidedVia,
  GrantKind,
  ThreadRecord,
} from '../../record/thread-record.ts';
import type { ThreadLink } from '../link.ts';
import type { Mailbox } from '../mailbox.ts';
import type { ThreadState } from '../state.ts';

export interface DecidingParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  policies: PolicyBook;
  clock: Clock;
  random: Random;
  log: Log;
  /** ms after which a request that nobody decided is denied; left out: never. */
  timeoutMs?: number | undefined;
  /** Tells this author that their reply came after the request was over, so the agent has not read it. */
  tooLate(author: UserId): void;
  /** A request was decided, closed or opened again. */
  onChange(): void;
}

/** An open request that this person may decide and that is what its card shows; `request`: as it would run. */
export interface Found {
  record: ApprovalRecord;
  request: ApprovalRequest;
}

/** `decide`: approve or answer. `edit`: run another command instead. `save`: approve, with a rule for later turns. */
export type Wish = 'look' | 'decide' | 'edit' | 'deny' | 'save';

export interface How {
  via: DecidedVia;
  /** What the approval also allows until the turn ends. */
  grant?: GrantKind | undefined;
  /** A change that must be on disk together with the decision. */
  also?: (record: ThreadRecord) => ThreadRecord;
}

/** Decides each request once, by a person who may and for what they were shown; stores that, then tells Letta. */
export class ApprovalDecisions {
  readonly #parts: DecidingParts;
  /** Decisions that Letta has not confirmed, by request: sent again after a reconnect if Letta still asks. */
  readonly #decisions = new Map<string, Decision>();
  /** Cards whose decision Letta has confirmed. */
  readonly #taken = new Set<Token>();

  constructor(parts: DecidingParts) {
    this.#parts = parts;
  }

  /** Judges a click: whether this person may, the request is open, and Letta still waits for what the card shows. */
  find(token: string, person: Person, wish: Wish): Found | Refused {
    const { state, link } = this.#parts;
    const record = state.record?.approvals.find((approval) => approval.token === token);
    if (!record) return refused('expired', 'This request is over.');
    const verdict = this.#may(record, person, wish);
    if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
    if (record.state.state !== 'open') {
      return refused(record.state.state === 'decided' ? 'already_decided' : 'expired', lateNotice(record));
    }
    if (wish !== 'look' && state.open?.id === record.turn && state.open.stoppedBy) {
      return refused('expired', 'The turn is being stopped, so nothing was decided.');
    }
    if (!link.ready) {
      return refused('unreachable', 'I can’t reach Letta right now, so nothing was decided. Try again in a moment.');
    }
    const request = state.turn.approvals.find((approval) => approval.requestId === record.requestId);
    const pending = state.turn.openApprovals.includes(record.requestId);
    if (!request || !pending || digestOf(request.input) !== record.digest) {
      return refused('expired', 'This request changed or is over, so nothing was decided.');
    }
    return { record, request: withEditedCommand(request, record) };
  }

  /** Whether this person may decide the request, open or not. @param wish `deny`: whether they may at least deny it */
  mayDecide(record: ApprovalRecord, person: Person, wish: 'decide' | 'deny' = 'decide'): boolean {
    return this.#may(record, person, wish).allowed;
  }

  /** Whether this person may decide the request, with a saved rule or without one. */
  couldDecide(record: ApprovalRecord, person: Person): boolean {
    return this.#may(record, person, 'decide').allowed || this.#may(record, person, 'save').allowed;
  }

  #may({ tool, requester, edit }: ApprovalRecord, person: Person, wish: Wish): Verdict {
    const { state, policies } = this.#parts;
    const judge = (doing: Doing) => can(policies.current(), person, doing, state.place);
    if (wish === 'look') return judge({ do: 'look' });
    // The author of an edited command may not approve it, but may edit it again or deny it.
    const decide = whoDecides({ tool, requester, edit: wish === 'decide' || wish === 'save' ? edit : undefined });
    if (wish === 'edit') {
      // An edited command counts as its editor's own, so they must be allowed to give the agent work.
      const speaks = judge({ do: 'speak' });
      const decides = judge(decide);
      return decides.allowed && !speaks.allowed ? { ...speaks, notice: MAY_NOT_SPEAK } : decides;
    }
    if (wish === 'decide') return judge(decide);
    if (wish === 'deny') {
      // Starting agents may be reserved to admins, but whoever may deny other tools may deny this one.
      const usual = judge(decide.do === 'decide' ? { ...decide, startsAgent: false } : decide);
      return usual.allowed ? usual : judge(decide);
    }
    const admin = judge({ do: 'administer' });
    // An admin who may not approve their own requests may not save a rule for one either.
    return admin.allowed && requester === person.id ? judge(decide) : admin;
  }

  /** Stores the decision, then tells Letta; refused when somebody else decided first. */
  decide(
    { record, request }: Found,
    decided: Decided,
    person: Person,
    { via, grant, also }: How,
  ): { result: 'decided' } | Refused {
    const { state, link, mailbox, clock } = this.#parts;
    const { decision, words } = decided;
    const { token } = record;
    const at = clock.now();
    const input = inputOf(request, decided.send, link.workingDirectory);
    const { id: by, name } = person;
    const next = { state: 'decided', decision, by, name, at, words, via } as const;
    const giver = { id: by, name, kind: person.kind, groups: [...(person.groups ?? [])] };
    state.change((now) => {
      const settled = settleApproval(now, token, next, input);
      if (settled === now) return now;
      const given = grant && makeGrant(request, { kind: grant, by: giver, at, directory: link.workingDirectory });
      const grants = given ? withGrant(now.turn?.grants ?? [], given) : null;
      const granted = grants && now.turn?.id === record.turn ? changeTurn(settled, { grants }) : settled;
      return also ? also(granted) : granted;
    });
    if (!this.#stored(token, next)) {
      const other = state.record?.approvals.find((approval) => approval.token === token);
      return refused('already_decided', other ? lateNotice(other) : 'This request is over.');
    }
    mailbox.after(() => {
      const stored = this.#stored(token, next);
      if (stored) this.#decided(stored, decided, grant);
    });
    return { result: 'decided' };
  }

  /** Whether an edited command needs the approval of another person. */
  mustAskAnother(): boolean {
    return needsAnotherApprover(this.#parts.policies.current(), this.#parts.state.place.channel);
  }

  /** A line for an editor whose command nobody else could approve; `null`: somebody could. */
  nobodyElse({ requester }: ApprovalRecord, { id: editor }: Person): string | null {
    const { policies, state } = this.#parts;
    const others = listOtherApprovers(policies.current(), state.place.channel, { editor, requester });
    return this.mustAskAnother() && others.length === 0 ? NOBODY_ELSE : null;
  }

  /** Closes the card of the agent's command, and asks others on a new card about the command that replaces it. */
  askEdited({ record, request }: Found, command: string, person: Person): { result: 'decided' } | Refused {
    const { state, link, mailbox, policies, clock, random, log, timeoutMs, onChange } = this.#parts;
    const at = clock.now();
    const input = auditText(request, link.workingDirectory);
    const edit = { command, by: person.id };
    const edited = withEditedCommand(request, { edit });
    const { remindedAt: _, expiresAt: __, audit: ___, ...rest } = record;
    const { requester, requestId, tool, digest } = record;
    const fresh: ApprovalRecord = {
      ...rest,
      token: makeToken(random.id()),
      title: approvalTitle(edited),
      asks: listOtherApprovers(policies.current(), state.place.channel, { editor: person.id, requester }),
      rule: false,
      askedAt: at,
      ...(timeoutMs !== undefined && { expiresAt: at + timeoutMs }),
      edit,
      state: { state: 'open' },
    };
    const { id: by, name } = person;
    const over = { state: 'decided', decision: 'edited', by, name, at, words: fresh.title, via: 'modal' } as const;
    state.change((now) => {
      const settled = settleApproval(now, record.token, over, input);
      return settled === now ? now : { ...settled, approvals: [...settled.approvals, fresh] };
    });
    if (!state.record?.approvals.some(({ token }) => token === fresh.token)) {
      const other = state.record?.approvals.find(({ token }) => token === record.token);
      return refused('already_decided', other ? lateNotice(other) : 'This request is over.');
    }
    mailbox.after(() => {
      log.info({ request: requestId, tool, digest, by: person.id }, 'command edited; another person must approve it');
      state.isViewOutdated = true;
      onChange();
    });
    return { result: 'decided' };
  }

  /** The request, if this decision is the one in the record. */
  #stored(token: Token, { by, at }: { by: string; at: number }): ApprovalRecord | null {
    const stored = this.#parts.state.record?.approvals.find((approval) => approval.token === token);
    return stored?.state.state === 'decided' && stored.state.at === at && stored.state.by === by ? stored : null;
  }

  #decided(record: ApprovalRecord, { decision, send }: Decided, grant: GrantKind | undefined): void {
    const { state, log, onChange } = this.#parts;
    const { requestId, tool, digest } = record;
    const { by, via } = record.state.state === 'decided' ? record.state : { by: null, via: null };
    log.info({ request: requestId, tool, digest, decision, by, via, grant }, 'approval decided');
    this.#decisions.set(requestId, send);
    state.isViewOutdated = true;
    onChange();
    this.tell(record, send);
  }

  /** Denies a request that nobody decided in time, or that could not be shown. */
  denyUndecided(record: ApprovalRecord, why: ApprovalClosed & ('expired' | 'not_shown')): void {
    const { state, clock, log, onChange } = this.#parts;
    state.change((now) => settleApproval(now, record.token, { state: 'closed', why, at: clock.now() }));
    log.warn({ request: record.requestId, tool: record.tool, why }, 'approval denied by the bridge');
    state.isViewOutdated = true;
    onChange();
    this.tell(record, denialOf(why));
  }

  /** Opens a request again, with a full deadline. */
  reopen({ token }: ApprovalRecord): void {
    const { state, clock, timeoutMs, onChange } = this.#parts;
    const expiresAt = timeoutMs === undefined ? undefined : clock.now() + timeoutMs;
    state.change((now) => reopenApproval(now, token, expiresAt));
    state.isViewOutdated = true;
    onChange();
  }

  /** Whether Letta has confirmed this card's decision, so that another request with the same id is a new one. */
  isTaken(token: Token): boolean {
    return this.#taken.has(token);
  }

  /** The decision for this request that Letta has not confirmed. */
  underWay(requestId: string): Decision | undefined {
    return this.#decisions.get(requestId);
  }

  /** The turn is over, so no decision of it has to be sent to Letta again. */
  forget(): void {
    this.#decisions.clear();
    this.#taken.clear();
  }

  /** Tells Letta the decision, once the changes of the present mail are on disk. */
  tell(record: ApprovalRecord, decision: Decision): void {
    this.#parts.mailbox.after(() => this.#tell(record, decision));
  }

  #tell(record: ApprovalRecord, decision: Decision): void {
    const { state, link, mailbox, clock, log, onChange } = this.#parts;
    const connection = link.ready;
    if (!connection) return;
    mailbox.away(
      () => connection.answer(record.requestId, decision),
      (answer) => {
        this.#decisions.delete(record.requestId);
        this.#taken.add(record.token);
        if (answer === 'accepted') return;
        // The reply counted only as this decision, and the request was over, so the agent has not read it.
        if (record.state.state === 'decided' && record.state.via === 'reply') this.#parts.tooLate(record.state.by);
        const at = clock.now();
        state.change((now) => setApproval(now, record.token, { state: 'closed', why: 'answered_elsewhere', at }));
        state.isViewOutdated = true;
        onChange();
      },
      (error) => {
        const { certain, code } = asBridgeError(error);
        log.warn({ request: record.requestId, err: error }, 'Letta did not confirm a decision');
        // After a lost link Letta asks again. If it refused over a link that is up, it still waits: people decide anew.
        if (!certain || code === 'link_lost' || link.ready !== connection) return;
        if (state.open?.id !== record.turn || !state.turn.openApprovals.includes(record.requestId)) return;
        this.#decisions.delete(record.requestId);
        this.reopen(record);
      },
    );
  }
}

/** The input for the audit: what the agent asked for, or what runs instead. */
function inputOf(request: ApprovalRequest, send: Decision, folder: string | null): string {
  const isChanged = send.behavior === 'allow' && send.updatedInput !== undefined && !request.questions;
  return auditText(isChanged ? { ...request, input: send.updatedInput ?? {}, diffs: [] } : request, folder);
}

const MAY_NOT_SPEAK = 'You can approve or deny this, but you may not run your own command on the agent’s machine.';
const NOBODY_ELSE =
  'Someone else would have to approve your command, and no one else here can. Deny with a reason instead: the agent reads it.';

/** The denial that the agent reads for a request that nobody decided. */
export function denialOf(why: ApprovalClosed & ('expired' | 'not_shown')): Decision {
  const message =
    why === 'expired'
      ? 'No one in Slack decided this in time, so it was not approved.'
      : 'This could not be shown to anyone in Slack, so it was not approved.';
  return { behavior: 'deny', message };
}
