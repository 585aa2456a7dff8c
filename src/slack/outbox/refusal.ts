import type { SlackError } from '../slack-api.ts';

/**
 * What an error of a delivery call means for the message:
 * - `later`: the same call may work after a while; nobody knows whether it happened if `SlackError.failure` is `unknown`.
 * - `gone`: nothing can be written there any more.
 * - `lost`: this one message can not be changed any more; its content needs another.
 * - `content`: Slack does not take what it says; said more simply it may.
 */
export type Refusal = 'later' | 'gone' | 'lost' | 'content';

/** Of chat.postMessage, chat.update and the token (PLATFORM.md 2.3, 2.4, A:chat.postMessage). */
const GONE = new Set([
  'access_denied',
  'account_inactive',
  'cannot_reply_to_message',
  'channel_not_found',
  'ekm_access_denied',
  'enterprise_is_restricted',
  'invalid_auth',
  'is_archived',
  'is_inactive',
  'message_limit_exceeded',
  'messages_tab_disabled',
  'missing_scope',
  'no_permission',
  'not_allowed_token_type',
  'not_authed',
  'not_in_channel',
  'org_login_required',
  'team_access_not_granted',
  'team_not_found',
  'thread_not_found',
  'token_expired',
  'token_revoked',
  'user_not_found',
]);
const GONE_PATTERN = /^restricted_action|^slack_connect_.*_blocked$/;

const LOST = new Set([
  'block_mismatch',
  'cant_delete_message',
  'cant_update_message',
  'compliance_exports_prevent_deletion',
  'edit_window_closed',
  'message_not_found',
  'no_dual_broadcast_content_update',
  'streaming_state_conflict',
]);

const LATER = new Set(['request_timeout', 'team_added_to_org']);
const TOO_LARGE = 'http_413';

export function refusalOf(error: SlackError): Refusal {
  if (error.error === TOO_LARGE) return 'content';
  if (error.failure !== 'refused' || LATER.has(error.error)) return 'later';
  if (GONE.has(error.error) || GONE_PATTERN.test(error.error)) return 'gone';
  return LOST.has(error.error) ? 'lost' : 'content';
}

/** Refusals of the status that concern one thread; all others concern the app and will not change by themselves. */
const STATUS_HERE_ONLY = new Set([
  'channel_not_found',
  'invalid_thread_ts',
  'is_archived',
  'message_not_found',
  'not_in_channel',
  'thread_not_found',
]);

/** Whether this refusal of `assistant.threads.setStatus` means that the app can not set any. */
export function statusNeverWorks(error: SlackError): boolean {
  return error.failure === 'refused' && !LATER.has(error.error) && !STATUS_HERE_ONLY.has(error.error);
}
