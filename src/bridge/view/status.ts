import type { Permissions } from '../access/policy.ts';
import type { UserId } from '../ids.ts';
import { describeTasks, tasksOf } from '../record/tasks.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import { messageLine } from '../turn/prompt.ts';
import type { Activity, TurnView } from './turn.ts';

export interface StatusPlace {
  device: string | null;
  workingDirectory: string | null;
  permissions: Permissions;
}

/** Says what a thread is doing, in our Markdown. @param live what its open turn does; `null`: it ends, or none is open */
export function statusText(record: ThreadRecord | null, live: TurnView['live'], place: StatusPlace): string {
  if (!record) return 'There is no conversation here yet.';
  const { turn } = record;
  const tasks = tasksOf(record);
  const lines = [
    ...(turn ? [`Working for <@${turn.requester}>: ${live ? activityText(live.activity) : 'finishing'}.`] : []),
    ...(!turn && tasks.length === 0 ? ['Idle.'] : []),
  ];
  if (tasks.length > 0) lines.push(`In the background: ${describeTasks(tasks)}.`);
  if (record.inbox.length > 0) lines.push(`Queued: ${record.inbox.length}.`);
  if (record.muted) lines.push('Muted: I answer only messages that mention me.');
  const undecided = record.approvals.filter((approval) => approval.state.state === 'open').length;
  if (undecided > 0) lines.push(`Waiting for a decision: ${undecided}.`);
  const { runtime } = record;
  if (runtime) lines.push(`Agent \`${runtime.agentId}\`, conversation \`${runtime.conversationId}\`.`);
  if (place.device) lines.push(`Device: ${asCode(place.device)}.`);
  if (place.workingDirectory) lines.push(`Directory: ${asCode(place.workingDirectory)}.`);
  lines.push(`Permissions: ${place.permissions}.`);
  return lines.join(' ');
}

const LISTED = 20;

/** Lists the queued messages, in our Markdown. */
export function queueText(inbox: readonly InboxItem[], botUser: UserId): string {
  if (inbox.length === 0) return 'Nothing is queued.';
  const lines = inbox.slice(0, LISTED).map((item, at) => {
    return `${at + 1}. <@${item.user}>: ${messageLine(item.spans, botUser)}`;
  });
  const more = inbox.length > LISTED ? [`… and ${inbox.length - LISTED} more`] : [];
  return ['Edit or delete your message to change or withdraw it.', ...lines, ...more].join('\n');
}

function activityText(activity: Activity): string {
  switch (activity.kind) {
    case 'tool':
      return asCode(`${activity.tool} ${activity.detail}`);
    case 'looking':
      return `looking around, ${activity.steps} steps`;
    case 'waiting_for_letta':
      return activity.notice.replace(/\.$/, '');
    default:
      return activity.kind.replaceAll('_', ' ');
  }
}
