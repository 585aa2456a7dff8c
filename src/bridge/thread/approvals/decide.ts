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
  /** What this person wrote as an answer, or as the reason for a no, met a request that was over. */
  tooLate(author: UserId): void;
  /** Some request is decided, closed, or open again. */
  onChange(): void;
}

/** An open request that this person may decide, exactly as it was shown: `request` as it would run. */
export interface Found {
  record: ApprovalRecord;
  request: ApprovalRequest;
}

/** `decide`: whatever it will be. `edit`: put another command in its place. `save`: decide it with a rule that outlives the turn. */
export type Wish = 'look' | 'decide' | 'edit' | 'deny' | 'save';

export interface How {
  via: DecidedVia;
  /** What else is allowed with it, until the turn ends. */
  grant?: GrantKind | undefined;
  /** Something that must be on disk together with the decision. */
  also?: (record: ThreadRecord) => ThreadRecord;
}

/** Decides requests: by the one who may, once, for what was shown; on disk first, then told to Letta. */
export class ApprovalDecisions {
  readonly #parts: DecidingParts;
  /** Decisions on their way to Letta, by request: said again after a reconnect if the request is still open. */
  readonly #decisions = new Map<string, Decision>();
  /** Cards whose decision Letta has taken. */
  readonly #taken = new Set<Token>();

  constructor(parts: DecidingParts) {
    this.#parts = parts;
  }

  /** Judged anew at each click: who it is, whether it is open, and whether Letta waits for what was shown. */
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

  /** Whether this person may decide that request now, whatever else is with it. @param wish `deny`: at least that */
  mayDecide(record: ApprovalRecord, person: Person, wish: 'decide' | 'deny' = 'decide'): boolean {
    return this.#may(record, person, wish).allowed;
  }

  /** Whether they could have decided it as they did, with a saved rule or without. */
  couldDecide(record: ApprovalRecord, person: Person): boolean {
    return this.#may(record, person, 'decide').allowed || this.#may(record, person, 'save').allowed;
  }

  #may({ tool, requester, edit }: ApprovalRecord, person: Person, wish: Wish): Verdict {
    const { state, policies } = this.#parts;
    const judge = (doing: Doing) => can(policies.current(), person, doing, state.place);
    if (wish === 'look') return judge({ do: 'look' });
    // What somebody wrote they may write anew, or take back.
    const decide = whoDecides({ tool, requester, edit: wish === 'decide' || wish === 'save' ? edit : undefined });
    if (wish === 'edit') {
      // It is as if they had asked for that command themselves.
      const speaks = judge({ do: 'speak' });
      const decides = judge(decide);
      return decides.allowed && !speaks.allowed ? { ...speaks, notice: MAY_NOT_SPEAK } : decides;
    }
    if (wish === 'decide') return judge(decide);
    if (wish === 'deny') {
      // Whoever may say no to other tools may say no to this one, too.
      const usual = judge(decide.do === 'decide' ? { ...decide, startsAgent: false } : decide);
      return usual.allowed ? usual : judge(decide);
    }
    const admin = judge({ do: 'administer' });
    // Nobody saves a rule for what they could not approve because it is their own.
    return admin.allowed && requester === person.id ? judge(decide) : admin;
  }

  /** Letta is told once it is on disk. Refused when somebody was quicker. */
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
    const next = { state: 'decided', decision, by: person.id, at, words, via } as const;
    const giver = { id: person.id, kind: person.kind, groups: [...(person.groups ?? [])] };
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

  /** Whether what this person makes of a command waits for somebody else. */
  mustAskAnother(): boolean {
    return needsAnotherApprover(this.#parts.policies.current(), this.#parts.state.place.channel);
  }

  /** Nobody but them could approve what they make of it: a line for them. `null`: somebody could. */
  nobodyElse({ requester }: ApprovalRecord, { id: editor }: Person): string | null {
    const { policies, state } = this.#parts;
    const others = listOtherApprovers(policies.current(), state.place.channel, { editor, requester });
    return this.mustAskAnother() && others.length === 0 ? NOBODY_ELSE : null;
  }

  /** Asks somebody else about the command that this person put in the place of the agent's, on a card of its own. */
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
    const over = { state: 'decided', decision: 'edited', by: person.id, at, words: fresh.title, via: 'modal' } as const;
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
      state.dirty = true;
      onChange();
    });
    return { result: 'decided' };
  }

  /** The request, if it was decided by just this. */
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
    state.dirty = true;
    onChange();
    this.tell(record, send);
  }

  /** Nobody decided, and nobody can any more: Letta is told no. */
  denyUndecided(record: ApprovalRecord, why: ApprovalClosed & ('expired' | 'not_shown')): void {
    const { state, clock, log, onChange } = this.#parts;
    state.change((now) => settleApproval(now, record.token, { state: 'closed', why, at: clock.now() }));
    log.warn({ request: record.requestId, tool: record.tool, why }, 'approval denied by the bridge');
    state.dirty = true;
    onChange();
    this.tell(record, denialOf(why));
  }

  /** People decide anew, in as much time as at first. */
  reopen({ token }: ApprovalRecord): void {
    const { state, clock, timeoutMs, onChange } = this.#parts;
    const expiresAt = timeoutMs === undefined ? undefined : clock.now() + timeoutMs;
    state.change((now) => reopenApproval(now, token, expiresAt));
    state.dirty = true;
    onChange();
  }

  /** Whether Letta has taken what was decided on that card: under the same id it asks for something else then. */
  isTaken(token: Token): boolean {
    return this.#taken.has(token);
  }

  /** What was decided and Letta did not hear, or took back. */
  underWay(requestId: string): Decision | undefined {
    return this.#decisions.get(requestId);
  }

  /** The turn is over: nothing is left to be said again. */
  forget(): void {
    this.#decisions.clear();
    this.#taken.clear();
  }

  /** Letta hears it once all of the present step is on disk. */
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
        // What somebody wrote was taken for this alone: nobody has read it.
        if (record.state.state === 'decided' && record.state.via === 'reply') this.#parts.tooLate(record.state.by);
        const at = clock.now();
        state.change((now) => setApproval(now, record.token, { state: 'closed', why: 'answered_elsewhere', at }));
        state.dirty = true;
        onChange();
      },
      (error) => {
        const { certain, code } = asBridgeError(error);
        log.warn({ request: record.requestId, err: error }, 'Letta did not confirm a decision');
        // With the link gone Letta asks again; refused over a good link, it still waits for somebody's click.
        if (!certain || code === 'link_lost' || link.ready !== connection) return;
        if (state.open?.id !== record.turn || !state.turn.openApprovals.includes(record.requestId)) return;
        this.#decisions.delete(record.requestId);
        this.reopen(record);
      },
    );
  }
}

/** For the audit: the input that was asked about, or what runs instead of it. */
function inputOf(request: ApprovalRequest, send: Decision, folder: string | null): string {
  const isChanged = send.behavior === 'allow' && send.updatedInput !== undefined && !request.questions;
  return auditText(isChanged ? { ...request, input: send.updatedInput ?? {}, diffs: [] } : request, folder);
}

const MAY_NOT_SPEAK = 'You can approve or deny this, but you may not run your own command on the agent’s machine.';
const NOBODY_ELSE =
  'Someone else would have to approve your command, and no one else here can. Deny with a reason instead: the agent reads it.';

/** What the agent reads of a request that nobody decided. */
export function denialOf(why: ApprovalClosed & ('expired' | 'not_shown')): Decision {
  const message =
    why === 'expired'
      ? 'No one in Slack decided this in time, so it was not approved.'
      : 'This could not be shown to anyone in Slack, so it was not approved.';
  return { behavior: 'deny', message };
}
