import { type Policy, settingsOf, type Where } from '../access/policy.ts';
import type { ApprovalRequest } from '../agent-event.ts';
import type { UserId } from '../ids.ts';
import type { ApprovalRecord } from '../record/thread-record.ts';

const known = new WeakMap<ApprovalRequest, Map<string, ApprovalRequest>>();

/**
 * The request as it would run: with the command by which a person replaced the agent's. The same request and command give
 * the same object.
 */
export function withEditedCommand(request: ApprovalRequest, { edit }: Pick<ApprovalRecord, 'edit'>): ApprovalRequest {
  if (!edit) return request;
  const { command } = edit;
  const versions = known.get(request) ?? new Map<string, ApprovalRequest>();
  const version = versions.get(command) ?? {
    ...request,
    input: { ...request.input, command },
    // What Letta offers to save is about the agent's command.
    suggestions: [],
    diffs: [],
  };
  known.set(request, versions.set(command, version));
  return version;
}

/** Whether an edited command needs the approval of another person. */
export function needsAnotherApprover(policy: Policy, place: Where): boolean {
  return !settingsOf(policy, place).selfApproval;
}

/**
 * Who may be able to approve a command that `editor` edited: neither the editor, nor the person whose turn it is.
 * @returns people and user groups, as they are mentioned
 */
export function listOtherApprovers(
  policy: Policy,
  place: Where,
  { editor, requester }: { editor: UserId; requester: UserId },
): string[] {
  const { approvers } = settingsOf(policy, place);
  // What a bot's turn asks, admins decide in its place.
  const forBots = approvers.requester && /^[AB]/.test(requester) ? [policy.admins] : [];
  const ids = [approvers, ...forBots].flatMap((list) => [...list.ids, ...list.groups]);
  return [...new Set(ids)].filter((id) => id !== editor && id !== requester);
}
