import type { ApprovalRequest } from '../agent-event.ts';
import type { ApprovalRecord } from '../record/thread-record.ts';
import { jsonText } from '../text/json.ts';
import type { ToolCall } from '../turn/steps.ts';
import { CARD_NOTES } from '../words/requests.ts';
import { isProject } from './auto-approval/paths.ts';

/** A tool call: one that Letta asks about, or one that the bridge heard. */
interface Call {
  tool: string;
  input: Readonly<Record<string, unknown>>;
}

/**
 * Tools that move the working directory. Letta Code 0.32.18 has SetWorkingDirectory, EnterWorktree and ExitWorktree; the
 * other names are what a later one, or a mod, would call them.
 */
const MOVERS =
  /work(?:ing)?_?-?(?:dir|tree)|(?:^|[_-])(?:cd|cwd|pushd|popd)$|ch(?:ange)?_?-?dir|(?:set|switch|change)_?-?(?:cwd|dir)/i;
/** A shell command after which Letta may follow into the worktree that it made, up to half a second later. */
const SHELL_MOVE = /work\W*tree/i;
const SHELL_FIELDS = ['command', 'cmd', 'chars'];

/** Whether a call may change the directory that relative paths of later calls are read in. */
export function mayMoveDirectory(call: Call): boolean {
  return MOVERS.test(call.tool) || mayMoveByShell(call);
}

function mayMoveByShell({ input }: Call): boolean {
  return SHELL_FIELDS.some((field) => input[field] !== undefined && SHELL_MOVE.test(jsonText(input[field])));
}

/** What the bridge heard of a turn, to find its moves of the working directory. */
export interface MovesHeard {
  /** Every request of the turn, including those that passed without a card. */
  requests: readonly ApprovalRequest[];
  /** The turn's records: after a restart they are all that is left of its requests. */
  records: readonly ApprovalRecord[];
  /** The turn's tool calls. */
  tools: readonly ToolCall[];
}

/**
 * Calls that may still move the working directory: they wait for a decision, may run, or may have run. Letta runs the
 * calls of a batch side by side once all are decided, so a *later* call can move the directory for an earlier one, too;
 * and only after the move does the device report the new directory.
 * @returns their ids: of the call where it is known, else of the request
 */
export function pendingMoves({ requests, records, tools }: MovesHeard): string[] {
  const recordOf = (id: string) => records.findLast(({ requestId }) => requestId === id);
  const asked = requests.filter(mayMoveDirectory);
  const refused = asked.filter(({ requestId }) => isRefused(recordOf(requestId)));
  const of = (request: ApprovalRequest) => request.callId ?? request.requestId;
  const known = new Set(requests.map(({ requestId }) => requestId));
  const ids = [
    ...asked.map(of),
    ...tools.filter(mayMoveDirectory).map(({ callId }) => callId),
    ...records.flatMap((record) => (!known.has(record.requestId) && isMove(record) ? [record.requestId] : [])),
  ];
  const over = new Set([...refused.map(of), ...tools.filter(isOver).map(({ callId }) => callId)]);
  return [...new Set(ids)].filter((id) => !over.has(id));
}

/** Whether a request of which only the record is left may be a move: judged by its tool and its title. */
function isMove(record: ApprovalRecord): boolean {
  return !isRefused(record) && (MOVERS.test(record.tool) || SHELL_MOVE.test(record.title));
}

/** Whether it certainly did not run. */
function isRefused(record: ApprovalRecord | undefined): boolean {
  if (record?.state.state === 'decided') return ['denied', 'edited'].includes(record.state.decision);
  return record?.state.state === 'closed' && record.state.why !== 'answered_elsewhere';
}

/**
 * Whether the directory after the call is known: Letta reports it before the tool's end, except for a worktree that a
 * shell command made.
 */
function isOver(call: ToolCall): boolean {
  return call.status === 'failed' || (call.status === 'ok' && !mayMoveByShell(call));
}

/** What is approved without asking in a channel. */
export interface PassedUnasked {
  /** Reads inside of the working directory (`guarded`). */
  hasReads: boolean;
  /** What rules of the policy allow. */
  hasRules: boolean;
}

/** What an approval of this call additionally permits, in one line for its card; `null`: nothing. */
export function describeWidening(call: Call, { hasReads, hasRules }: PassedUnasked): string | null {
  if (!mayMoveDirectory(call)) return null;
  const { path } = call.input;
  const isSystemFolder = typeof path === 'string' && path.startsWith('/') && !isProject(path);
  const what = [
    ...(hasReads && !isSystemFolder ? [CARD_NOTES.readsThere] : []),
    ...(hasRules ? [CARD_NOTES.rulesThere] : []),
  ];
  const moves = MOVERS.test(call.tool) ? CARD_NOTES.movesDirectory : CARD_NOTES.mayMoveDirectory;
  return `${[moves, ...what].join(', ')}.`;
}
