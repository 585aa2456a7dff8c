import { OTHER_CLIENT } from '../ids.ts';
import type { ApprovalRecord } from '../record/thread-record.ts';
import { moment } from '../text/moment.ts';
import { reminderWords } from '../words/requests.ts';

/** A reminder of an open request. */
export interface Reminder {
  /** ms since 1970 */
  at: number;
  /** Users and user groups (`S…`). */
  whom: readonly string[];
}

/** A person whose request waits this long is reminded of it. */
const REMIND_AFTER_MS = 15 * 60_000;

type Asked = Pick<ApprovalRecord, 'askedAt' | 'remindedAt' | 'expiresAt' | 'requester' | 'asks'>;

/**
 * The next reminder of a request: first of its requester, then, at half of its time, of those who decide it; none of one
 * that was asked through another client.
 */
export function dueReminder({ askedAt, remindedAt, expiresAt, requester, asks }: Asked): Reminder | null {
  if (requester === OTHER_CLIENT) return null;
  const first: Reminder = { at: askedAt + REMIND_AFTER_MS, whom: [requester] };
  const halfTime = expiresAt === undefined ? null : askedAt + Math.floor((expiresAt - askedAt) / 2);
  const second: Reminder[] = halfTime === null ? [] : [{ at: halfTime, whom: asks ?? [requester] }];
  const both = [first, ...second].sort((a, b) => a.at - b.at);
  return both.find(({ at }) => remindedAt === undefined || at > remindedAt) ?? null;
}

/** When the next reminder of a request is due, ms since 1970; infinite when there is none. */
export function reminderTime(request: Asked): number {
  return dueReminder(request)?.at ?? Number.POSITIVE_INFINITY;
}

/**
 * What a reminder says, in our Markdown.
 * @param isThere whether it is read where the request is
 */
export function reminderText(
  { tool, title, expiresAt }: Pick<ApprovalRecord, 'tool' | 'title' | 'expiresAt'>,
  channel: string,
  isThere: boolean,
): string {
  const where = isThere ? 'above' : `in <#${channel}>`;
  const what = { tool: tool === 'AskUserQuestion' ? null : tool, title };
  return reminderWords(what, where, expiresAt === undefined ? null : moment(expiresAt));
}
