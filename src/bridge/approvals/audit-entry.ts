import type { ThreadKey, TurnId, UserId } from '../ids.ts';
import type { ApprovalClosed, ApprovalDecision, ApprovalRecord, DecidedVia } from '../record/thread-record.ts';

/** What became of one request: never changed once it is written. */
export interface AuditEntry {
  /** Of the entry: writing the same entry again changes nothing. */
  id: string;
  thread: ThreadKey;
  turn: TurnId;
  /** Letta's id of the request, unique only in its conversation (docs/letta-protocol.md, Approvals). */
  requestId: string;
  tool: string;
  /** What the request was about, in one line without secrets. */
  title: string;
  /** SHA-256 of the whole input that was asked about, secrets included. */
  digest: string;
  /**
   * What the one who decides was shown of it, or of what was run instead; without keys, its middle left out where it is
   * long. Left out in entries of before November 2026.
   */
  input?: string | undefined;
  /** Whose turn asked. */
  requester: UserId;
  /** The person who wrote the command; left out: the agent. */
  editedBy?: UserId | undefined;
  /** ms since 1970 */
  askedAt: number;
  /** Who decided; `null`: a rule, or the passing of time. */
  by: UserId | null;
  /** ms since 1970, when it was decided. */
  at: number;
  /** `refused`: `by` tried to decide and may not, for `reason`; the request's own outcome is another entry. */
  outcome: ApprovalDecision | ApprovalClosed | 'refused';
  reason?: string | undefined;
  /**
   * How it was decided: by a click, a modal, a command, a reply, an earlier consent (`grant`), a rule, as a plain read
   * (`guarded`), as the taking of a file that the bridge handed over (`file`), because a Stop ends the task (`stop`), or by what the
   * policy says of the bridge's own tools (`tools`).
   */
  via: DecidedVia | 'rule' | 'guarded' | 'file' | 'stop' | 'tools' | null;
}

/** The audit entry of a request that is over; `null` while it is open. */
export function entryOf(thread: ThreadKey, record: ApprovalRecord): AuditEntry | null {
  const { token, turn, requestId, tool, title, digest, input, requester, edit, askedAt, state } = record;
  if (state.state === 'open') return null;
  const asked = { id: token, thread, turn, requestId, tool, title, digest, requester, askedAt, at: state.at };
  const shared = { ...asked, ...(input !== undefined && { input }), ...(edit && { editedBy: edit.by }) };
  if (state.state === 'closed') return { ...shared, by: null, outcome: state.why, via: null };
  // Without `edit`, the person who decided also wrote the command: they edited and approved it in one step.
  const own = state.decision === 'approved_with_changes' && !edit && { editedBy: state.by };
  return { ...shared, ...own, by: state.by, outcome: state.decision, via: state.via ?? 'click' };
}

/** A click, reply or command of somebody who wanted to decide a request and may not. */
export interface RefusedClick {
  thread: ThreadKey;
  /** The token of the card. */
  token: string;
  user: UserId;
  /** The code that `can()` gave as its reason. */
  reason: string;
  via: DecidedVia;
}

/** The audit entry of such a click. */
export function refusedEntry(
  { thread, user, reason, via }: RefusedClick,
  record: ApprovalRecord,
  at: number,
): AuditEntry {
  const { token, turn, requestId, tool, title, digest, requester, edit, askedAt } = record;
  const asked = {
    thread,
    turn,
    requestId,
    tool,
    title,
    digest,
    requester,
    ...(edit && { editedBy: edit.by }),
    askedAt,
  };
  return { id: `${token}:${user}`, ...asked, by: user, at, outcome: 'refused', reason, via };
}
