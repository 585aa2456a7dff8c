import type { Permissions } from '../access/policy.ts';
import type { ToolsetsSeen } from '../agent-event.ts';
import type { UserId } from '../ids.ts';
import { describeTasks, tasksOf } from '../record/tasks.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import { moment } from '../text/moment.ts';
import { messageLine } from '../turn/prompt.ts';
import type { TurnUse } from '../turn/steps.ts';
import { otherModeText } from '../words/clients.ts';
import { contextTexts, modelTexts, toolsetTexts } from '../words/models.ts';
import { permissionWords } from '../words/permissions.ts';
import {
  inBackgroundText,
  lastFailureText,
  queuedText,
  STATUS,
  undecidedText,
  whereTexts,
  workingForText,
} from '../words/status.ts';
import { THREAD } from '../words/thread.ts';
import { lastTokensText } from '../words/usage.ts';
import type { Activity, TurnView } from './turn.ts';

export interface StatusPlace {
  /** Foreign text; `null`: not known. */
  agentName: string | null;
  /** `null`: not known. */
  model: { handle: string; effort: string | null } | null;
  /** `null`: not known. */
  toolsets: ToolsetsSeen | null;
  /** How full the model's context is, in percent; `null`: not known. */
  context: number | null;
  /** What the running or the last turn used; `null`: not known. */
  tokens: { used: TurnUse; isRunning: boolean } | null;
  device: string | null;
  workingDirectory: string | null;
  permissions: Permissions;
  /** Whether rules of the policy approve some requests. */
  hasRules: boolean;
  /** The permission mode that another client set; `null`: it is the wanted one. */
  otherMode: string | null;
}

/** What is done in a thread besides turns, which no Stop ends; `null`: nothing. */
export function besideTurns(record: ThreadRecord | null): string | null {
  if (record?.run) return STATUS.runsCommand;
  if (record?.compaction) return STATUS.summarises;
  return record?.fork ? STATUS.copies : null;
}

/** Says what a thread is doing, in our Markdown. @param live what its open turn does; `null`: it ends, or none is open */
export function statusText(record: ThreadRecord | null, live: TurnView['live'], place: StatusPlace): string {
  if (!record) return THREAD.noConversation;
  const { turn } = record;
  const tasks = tasksOf(record);
  const doing = [
    ...(turn
      ? [workingForText(turn.client ? null : turn.requester, live ? activityText(live.activity) : STATUS.finishing)]
      : []),
    ...(!turn && tasks.length === 0 ? [besideTurns(record) ?? STATUS.idle] : []),
    ...(tasks.length > 0 ? [inBackgroundText(describeTasks(tasks))] : []),
  ];
  const undecided = record.approvals.filter((approval) => approval.state.state === 'open').length;
  const more = [
    ...(record.inbox.length > 0 ? [queuedText(record.inbox.length)] : []),
    ...(undecided > 0 ? [undecidedText(undecided)] : []),
    ...(record.muted ? [STATUS.muted] : []),
  ];
  const { runtime, failure } = record;
  return [
    [
      ...doing,
      ...whereTexts(place),
      ...modelTexts(place.model),
      ...toolsetTexts(place.toolsets),
      ...contextTexts(place.context),
      ...(place.tokens ? [lastTokensText(place.tokens.used, place.tokens.used.isAll, place.tokens.isRunning)] : []),
      permissionWords(place.permissions, place.hasRules),
    ].join(' · '),
    ...(more.length > 0 ? [more.join(' ')] : []),
    ...(place.otherMode === null ? [] : [otherModeText(place.otherMode)]),
    ...(failure && !turn ? [lastFailureText(failure.line, moment(failure.at, 'minutes'))] : []),
    // For a report to those who run it; people do not need them.
    ...(runtime ? [`Ids: \`${runtime.agentId}\`, \`${runtime.conversationId}\``] : []),
  ].join('\n');
}

const LISTED = 20;

/** Lists the queued messages, in our Markdown. */
export function queueText(inbox: readonly InboxItem[], botUser: UserId): string {
  if (inbox.length === 0) return STATUS.nothingQueued;
  const lines = inbox.slice(0, LISTED).map((item, at) => {
    return `${at + 1}. <@${item.user}>: ${messageLine(item.spans, botUser)}`;
  });
  const more = inbox.length > LISTED ? [`… and ${inbox.length - LISTED} more`] : [];
  return [STATUS.howToChange, ...lines, ...more].join('\n');
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
