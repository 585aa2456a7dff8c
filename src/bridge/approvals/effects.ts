import type { ApprovalRequest } from '../agent-event.ts';
import type { ApprovalRecord } from '../record/thread-record.ts';
import type { TurnState } from '../turn/fold.ts';
import type { ToolCall } from '../turn/steps.ts';
import { judgeGuarded } from './auto-approval/guarded.ts';

/** What a turn did that may have changed something, counted. */
export interface Effects {
  commands: number;
  /** Changes of files that the tool reported as done. */
  files: number;
  others: number;
  /** Whether nothing else can have run: all that the turn did was heard, and is known to have run or not. */
  isCertain: boolean;
}

const SHELLS = new Set('Bash exec_command write_stdin shell Shell shell_command ShellCommand Monitor'.split(' '));
const EDITS = new Set('Write Edit MultiEdit ApplyPatch write_artifact_file'.split(' '));
/** Asks people, which changes nothing. */
const QUESTION = 'AskUserQuestion';

/** Why `guarded` asks about calls that only read all the same: where they read, not what they do. */
const READS_ELSEWHERE: ReadonlySet<string> = new Set([
  'outside_the_working_directory',
  'working_directory_may_move',
  'working_directory_is_no_project',
  'working_directory_unknown',
  'may_hold_secrets',
]);

/** Whether a call may change something; not if it is a read that `guarded` knows, wherever it reads. */
export function mayChange({ tool, input }: Pick<ToolCall, 'tool' | 'input'>): boolean {
  if (tool === QUESTION) return false;
  const verdict = judgeGuarded({ tool, input }, '/project');
  return verdict.asks && !READS_ELSEWHERE.has(verdict.because);
}

/** Whether a call of the turn that may change something has begun to run. */
export function hasChanged({ tools }: Pick<TurnState, 'tools'>): boolean {
  return tools.some((call) => call.status !== 'called' && mayChange(call));
}

type Asked = Pick<ApprovalRecord, 'requestId' | 'state'>;

/**
 * What a turn may have changed.
 * @param approvals of the turn: a call that people did not allow has not run
 * @param isAllHeard whether the bridge heard all that the turn did: not after a lost link or a restart
 */
export function effectsOf(
  { tools, approvals: requests }: Pick<TurnState, 'tools' | 'approvals'>,
  approvals: readonly Asked[],
  isAllHeard: boolean,
): Effects {
  const effects: Effects = { commands: 0, files: 0, others: 0, isCertain: isAllHeard };
  const refused = refusedCalls(requests, approvals);
  for (const call of tools) {
    if (!mayChange(call) || refused.has(call.callId)) continue;
    if (call.status === 'called') effects.isCertain = false;
    else if (SHELLS.has(call.tool)) effects.commands += 1;
    else if (EDITS.has(call.tool) && call.status === 'ok') effects.files += 1;
    else effects.others += 1;
  }
  return effects;
}

/** The calls that wait for people, or that people did not allow. */
function refusedCalls(requests: readonly ApprovalRequest[], approvals: readonly Asked[]): ReadonlySet<string> {
  const refused = new Set<string>();
  for (const { requestId, callId } of requests) {
    const state = approvals.findLast((approval) => approval.requestId === requestId)?.state;
    const isAllowed = state?.state === 'decided' ? state.decision !== 'denied' : isUnknown(state);
    if (callId !== null && !isAllowed) refused.add(callId);
  }
  return refused;
}

/** Without a record, or when another client answered, people may have allowed it. */
function isUnknown(state: ApprovalRecord['state'] | undefined): boolean {
  return state === undefined || (state.state === 'closed' && state.why === 'answered_elsewhere');
}

/** Whether nothing was changed, for certain. */
export function isHarmless({ commands, files, others, isCertain }: Effects): boolean {
  return isCertain && commands + files + others === 0;
}
