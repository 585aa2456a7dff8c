import type { PermissionMode } from './agent-event.ts';
import type { ThreadLink } from './thread-link.ts';
import type { ThreadState } from './thread-state.ts';
import { type Activity, asCode } from './turn-view.ts';

/** What a thread is doing, in Markdown of ours. */
export function statusText(state: ThreadState, link: ThreadLink, mode: PermissionMode): string {
  const { record, open } = state;
  if (!record) return 'No conversation here yet.';
  const live = open ? state.view(record, open, link.workingDirectory, null).live : null;
  const lines = [
    open ? `Working for <@${open.requester}>: ${live ? activityText(live.activity) : 'finishing'}.` : 'Idle.',
  ];
  if (record.inbox.length > 0) lines.push(`${record.inbox.length} waiting.`);
  const undecided = record.approvals.filter((approval) => approval.state.state === 'open').length;
  if (undecided > 0) lines.push(`${undecided} waiting for a decision.`);
  const { runtime } = record;
  if (runtime) lines.push(`Agent \`${runtime.agentId}\`, conversation \`${runtime.conversationId}\`.`);
  if (link.device) lines.push(`Device: ${asCode(link.device)}.`);
  if (link.workingDirectory) lines.push(`Directory: ${asCode(link.workingDirectory)}.`);
  lines.push(`Permissions: ${mode}.`);
  return lines.join(' ');
}

function activityText(activity: Activity): string {
  switch (activity.kind) {
    case 'tool':
      return asCode(`${activity.tool} ${activity.detail}`);
    case 'waiting_for_letta':
      return activity.notice.replace(/\.$/, '');
    default:
      return activity.kind.replaceAll('_', ' ');
  }
}
