import type { Permissions } from '../access/policy.ts';
import type { UserId } from '../ids.ts';
import { describeTasks, tasksOf } from '../record/tasks.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import { plainName } from '../text/plain-name.ts';
import { messageLine } from '../turn/prompt.ts';
import { permissionWords } from '../words/permissions.ts';
import type { Activity, TurnView } from './turn.ts';

export interface StatusPlace {
  /** Foreign text; `null`: not known. */
  agentName: string | null;
  device: string | null;
  workingDirectory: string | null;
  permissions: Permissions;
  /** Whether rules of the policy approve some requests. */
  hasRules: boolean;
}

/** Says what a thread is doing, in our Markdown. @param live what its open turn does; `null`: it ends, or none is open */
export function statusText(record: ThreadRecord | null, live: TurnView['live'], place: StatusPlace): string {
  if (!record) return 'There is no conversation here yet.';
  const { turn } = record;
  const tasks = tasksOf(record);
  const doing = [
    ...(turn ? [`Working for <@${turn.requester}>: ${live ? activityText(live.activity) : 'finishing'}`] : []),
    ...(!turn && tasks.length === 0 ? ['Idle'] : []),
    ...(tasks.length > 0 ? [`In the background: ${describeTasks(tasks)}`] : []),
  ];
  const undecided = record.approvals.filter((approval) => approval.state.state === 'open').length;
  const more = [
    ...(record.inbox.length > 0 ? [`Queued: ${record.inbox.length}.`] : []),
    ...(undecided > 0 ? [`Waiting for a decision: ${undecided}.`] : []),
    ...(record.muted ? ['Muted: I answer only messages that mention me.'] : []),
  ];
  const { runtime } = record;
  return [
    [...doing, ...whereText(place), permissionWords(place.permissions, place.hasRules)].join(' · '),
    ...(more.length > 0 ? [more.join(' ')] : []),
    // For a report to those who run it; people do not need them.
    ...(runtime ? [`Ids: \`${runtime.agentId}\`, \`${runtime.conversationId}\``] : []),
  ].join('\n');
}

/** Which agent, and where it works, as far as both are known. */
function whereText({ agentName, device, workingDirectory }: StatusPlace): string[] {
  const name = plainName(agentName ?? '');
  const words = [
    ...(name === '' ? [] : [`**${name}**`]),
    ...(workingDirectory ? [`in ${asCode(workingDirectory)}`] : []),
    ...(device ? [`on ${asCode(device)}`] : []),
  ];
  return words.length === 0 ? [] : [`agent ${words.join(' ')}`];
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
