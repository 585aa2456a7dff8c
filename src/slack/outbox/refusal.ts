import { isLasting } from '../api/refusals.ts';
import type { SlackError } from '../api/slack-api.ts';

/**
 * What an error of a delivery call means for the message:
 * - `later`: the same call may work after a while. If `SlackError.failure` is `unknown`, it may have had its effect.
 * - `closed`: Slack refuses all our writes there until somebody invites the bot, unarchives the channel or renews the
 *   token. What must arrive waits for that.
 * - `lost`: this one message cannot be changed or removed any more, so its content needs another message.
 * - `content`: Slack refuses what the post says; it may accept a simpler form.
 */
export type Refusal = 'later' | 'closed' | 'lost' | 'content';

/** How far a `closed` refusal reaches: all that we write, the channel, or the thread only. */
export type Closed = 'workspace' | 'channel' | 'thread';

/**
 * Of chat.postMessage, chat.update, chat.delete and of every method (docs/slack.md, Editing; Posting and deleting,
 * A:chat.postMessage).
 */
const CLOSED: Readonly<Record<string, Closed>> = {
  accesslimited: 'workspace',
  ekm_access_denied: 'workspace',
  enterprise_is_restricted: 'workspace',
  team_access_not_granted: 'workspace',
  team_not_found: 'workspace',
  two_factor_setup_required: 'workspace',
  access_denied: 'channel',
  cant_broadcast_message: 'channel',
  channel_not_found: 'channel',
  channel_type_not_supported: 'channel',
  duplicate_channel_not_found: 'channel',
  external_channel_migrating: 'channel',
  is_archived: 'channel',
  is_inactive: 'channel',
  message_limit_exceeded: 'channel',
  messages_tab_disabled: 'channel',
  method_not_supported_for_channel_type: 'channel',
  missing_scope: 'channel',
  no_permission: 'channel',
  not_allowed: 'channel',
  not_in_channel: 'channel',
  posting_to_general_channel_denied: 'channel',
  team_not_in_channel: 'channel',
  user_not_found: 'channel',
  user_not_in_channel: 'channel',
  cannot_reply_to_message: 'thread',
  invalid_thread_ts: 'thread',
  restricted_action_thread_locked: 'thread',
  thread_locked: 'thread',
  thread_not_found: 'thread',
};
const CLOSED_PATTERN = /^restricted_action|^slack_connect_.*_blocked$/;

/** Refusals that concern one message only. */
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

/** Troubles of Slack's own, and rules of the method that only Slack can change. */
const LATER = new Set([
  'deprecated_endpoint',
  'fatal_error',
  'internal_error',
  'method_deprecated',
  'request_timeout',
  'rollup_error',
  'service_unavailable',
  'team_added_to_org',
  'unknown_method',
  'update_failed',
]);
const TOO_LARGE = 'http_413';

export function refusalOf(error: SlackError): Refusal {
  if (error.error === TOO_LARGE) return 'content';
  if (error.failure !== 'refused' || LATER.has(error.error)) return 'later';
  if (closedBy(error) !== null) return 'closed';
  return LOST.has(error.error) ? 'lost' : 'content';
}

/** How far this refusal closes the way for our writes; `null`: it is another kind of refusal. */
export function closedBy({ failure, error }: SlackError): Closed | null {
  if (failure !== 'refused') return null;
  if (isLasting(error)) return 'workspace';
  return CLOSED[error] ?? (CLOSED_PATTERN.test(error) ? 'channel' : null);
}

/**
 * Refusals of a status or session that concern the app or the method, so that only installing the app anew helps.
 */
const NEVER_A_STATUS = new Set([
  'feature_disabled',
  'feature_not_enabled',
  'method_deprecated',
  'missing_scope',
  'no_permission',
  'not_agent_app',
  'not_allowed_token_type',
  'not_authorized',
  'unknown_method',
]);

/**
 * Whether this refusal of `assistant.threads.setStatus` or `agents.sessions.setStatus` means that the app cannot set
 * any.
 */
export function statusNeverWorks(error: SlackError): boolean {
  return error.failure === 'refused' && NEVER_A_STATUS.has(error.error);
}
