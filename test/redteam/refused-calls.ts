import type { HistoryItem } from '../../src/bridge/agent-event.ts';
import { makeToken } from '../../src/bridge/ids.ts';
import type { FakeMessage } from '../slack/outbox/fake-slack.ts';
import { ROOT, TEAM } from '../support/middle.ts';
import { createShown, type Shown } from '../support/shown.ts';

/** What chat.postMessage, chat.update and chat.delete refuse with, by Slack's method definitions, and what nobody knows yet. */
export const WORDS = [
  ...['access_denied', 'accesslimited', 'account_inactive', 'app_uninstalled', 'as_user_not_supported'],
  ...['attachment_payload_limit_exceeded', 'block_mismatch', 'cannot_reply_to_message', 'cant_broadcast_message'],
  ...['cant_update_message', 'channel_not_found', 'deprecated_endpoint', 'duplicate_channel_not_found'],
  ...['duplicate_message_not_found', 'edit_window_closed', 'ekm_access_denied', 'enterprise_is_restricted'],
  ...['external_channel_migrating', 'fatal_error', 'internal_error', 'invalid_arg_name', 'invalid_arguments'],
  ...['invalid_array_arg', 'invalid_attachments', 'invalid_auth', 'invalid_blocks', 'invalid_blocks_format'],
  ...[
    'invalid_charset',
    'invalid_form_data',
    'invalid_metadata_format',
    'invalid_metadata_schema',
    'invalid_post_type',
  ],
  ...['invalid_thread_ts', 'is_archived', 'is_inactive', 'markdown_text_conflict', 'message_limit_exceeded'],
  ...['message_not_found', 'messages_tab_disabled', 'metadata_must_be_sent_from_app', 'metadata_too_large'],
  ...['method_deprecated', 'missing_post_type', 'missing_scope', 'msg_blocks_too_long', 'msg_too_long'],
  ...['no_dual_broadcast_content_update', 'no_permission', 'no_text', 'not_allowed_token_type', 'not_authed'],
  ...['not_in_channel', 'org_login_required', 'request_timeout', 'restricted_action'],
  ...['restricted_action_non_threadable_channel', 'restricted_action_read_only_channel'],
  ...['restricted_action_thread_locked', 'restricted_action_thread_only_channel', 'rollup_error'],
  ...['service_unavailable', 'slack_connect_canvas_sharing_blocked', 'slack_connect_file_link_sharing_blocked'],
  ...['streaming_state_conflict', 'team_access_not_granted', 'team_added_to_org', 'team_disabled', 'team_not_found'],
  ...['thread_not_found', 'token_expired', 'token_revoked', 'too_many_attachments', 'too_many_contact_cards'],
  ...['two_factor_setup_required', 'update_failed', 'user_not_found', 'user_removed_from_team', 'word_of_next_year'],
] as const;

/** Words about one message. */
const OF_A_MESSAGE: ReadonlySet<string> = new Set([
  ...['block_mismatch', 'cant_update_message', 'edit_window_closed', 'message_not_found'],
  ...['no_dual_broadcast_content_update', 'streaming_state_conflict'],
]);

/** `invited`: every call of ours for 90 s, then something happens in the channel. */
export const LASTS = ['one', 'three', 'for 20 s', 'until invited'] as const;
export const WHEN = ['first post', 'live edit', 'card', 'final edit'] as const;

export interface Case {
  word: string;
  lasts: (typeof LASTS)[number];
  when: (typeof WHEN)[number];
  /** The bridge dies while it is refused. */
  restart: boolean;
}

const FIRST = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen';
const SECOND = 'seventeen eighteen nineteen twenty';
const ANSWER = 'and then all of it was done as you had asked';

/** Plays one turn with one kind of refusal in it, and says what is wrong at its end. */
export async function play({ word, lasts, when, restart }: Case): Promise<string[]> {
  const shown = createShown();
  const { middle, slack } = shown;
  const { clock } = middle;
  const wrong: string[] = [];
  let armed = false;
  let left = lasts === 'one' ? 1 : lasts === 'three' ? 3 : Number.POSITIVE_INFINITY;
  let until: number | null = null;
  slack.fault = (method, args) => {
    if (!armed || left <= 0 || !method.startsWith('chat.') || !isHit({ word, lasts, when }, method, args)) return null;
    until ??= clock.now() + (lasts === 'until invited' ? 90_000 : 20_000);
    if (lasts === 'for 20 s' || lasts === 'until invited') {
      if (clock.now() >= until) return null;
    } else left -= 1;
    return { kind: 'refused', error: word };
  };
  const arm = (at: Case['when']) => {
    if (when === at) armed = true;
  };
  const history: HistoryItem[] = [];
  const say = (id: string, text: string) => {
    history.push({ kind: 'assistant', id, text });
    middle.connection.say(text, 'run-1', id);
  };
  const died = async (at: Case['when'], loop: 'busy' | 'waiting_on_approval' | 'idle') => {
    if (!restart || when !== at) return;
    await clock.advance(1_500);
    await middle.restart();
    middle.connection.past = [{ kind: 'user', id: 'u', clientMessageId: id(), text: 'list' }, ...history];
    const approvals = loop === 'waiting_on_approval' ? [REQUEST] : [];
    const runs = { activeRunIds: loop === 'idle' ? [] : ['run-1'], clientMessageIdsByRun: { 'run-1': [id()] } };
    middle.connection.ready({ loop, ...(loop === 'idle' ? {} : runs), approvals, reconnected: true });
    await clock.advance(100);
  };
  let submitted = '';
  const id = () => submitted;
  const answers = () => middle.connections.flatMap((connection) => connection.answers);
  const waitFor = async (what: () => boolean | Promise<boolean>) => {
    for (let second = 0; second < 400 && !(await what()); second += 1) {
      await clock.advance(1_000);
      if (lasts === 'until invited' && until !== null && clock.now() >= until) shown.surface.retrySoon('C01GEN');
    }
  };

  arm('first post');
  await middle.write('list the files');
  middle.connection.ready();
  await clock.settle();
  middle.connection.begin();
  submitted = middle.connection.submitted[0]?.clientMessageId ?? '';
  say('m-1', `${FIRST} `);
  await died('first post', 'busy');
  await clock.advance(4_000);
  arm('live edit');
  middle.connection.say(SECOND, 'run-1', 'm-1');
  history[0] = { kind: 'assistant', id: 'm-1', text: `${FIRST} ${SECOND}` };
  await died('live edit', 'busy');
  await clock.advance(4_000);
  arm('card');
  middle.connection.emit({ type: 'approval-asked', request: REQUEST });
  await died('card', 'waiting_on_approval');
  // Only people decide: they do so as soon as they see what is asked.
  await waitFor(() => decide(shown));
  if (answers().length !== 1 || answers()[0]?.decision.behavior !== 'allow') {
    wrong.push(`the request was answered so: ${JSON.stringify(answers())}`);
  }
  middle.connection.emit({ type: 'approvals-open', requestIds: [] });
  await clock.advance(3_000);
  arm('final edit');
  say('m-2', ANSWER);
  middle.connection.past = [{ kind: 'user', id: 'u', clientMessageId: id(), text: 'list' }, ...history];
  await clock.advance(100);
  middle.connection.end();
  await died('final edit', 'idle');
  await waitFor(() => middle.record().turn === null);
  await clock.advance(5_000);

  const texts = shown.messages().map((message) => shown.read(message));
  const all = texts.join('\n');
  for (const part of [FIRST, SECOND, ANSWER]) {
    const times = all.split(part).length - 1;
    if (times !== 1) wrong.push(`"${part.slice(0, 20)}…" is shown ${times} times`);
  }
  if (middle.record().turn !== null) wrong.push('the turn has not ended');
  const blocks = JSON.stringify(shown.messages().map(({ blocks: each }) => each));
  if (/bridge_(?:stop|approve|deny)/.test(blocks)) wrong.push('a live button is left');
  if (/Writing|Thinking|I restarted/.test(all)) wrong.push('something says that the agent is at work');
  if (all.split('Approved').length !== 2) wrong.push('the card does not say once that it was approved');
  // A process does not know when the one before it wrote last.
  if (!restart) wrong.push(...slack.complaints);
  if (wrong.length > 0) wrong.push(...texts.map((text) => `shown: ${text}`));
  return wrong;
}

function isHit({ word, when, lasts }: Omit<Case, 'restart'>, method: string, args: Record<string, unknown>): boolean {
  // Slack may forbid to edit, or to delete: where it forbids both for good, nothing helps.
  if (lasts === 'until invited') return method !== 'chat.delete' || !OF_A_MESSAGE.has(word);
  if (when === 'live edit' || when === 'final edit') return method === 'chat.update';
  const isCard = /bridge_approve|!approve/.test(JSON.stringify([args.blocks, args.text]));
  return method === 'chat.postMessage' && (when === 'card') === isCard;
}

const REQUEST = {
  requestId: 'perm-1',
  callId: 'call-1',
  tool: 'Bash',
  input: { command: 'touch one.txt' },
  suggestions: [],
  diffs: [],
  questions: null,
};

/** Clicks Approve, or types it where there are no buttons. True once it is decided. */
async function decide(shown: Shown): Promise<boolean> {
  const { middle } = shown;
  const isOpen = middle.record().approvals.some(({ state }) => state.state === 'open');
  if (!isOpen) return middle.record().approvals.length > 0;
  for (const message of shown.messages()) {
    const token = tokenOf(message);
    if (token !== null) {
      const actor = { user: 'U01ALICE', team: TEAM };
      const where = { team: TEAM, channel: 'C01GEN', messageTs: message.ts, threadTs: ROOT };
      await middle.intake.handleAction({ name: 'approve', token: makeToken(token), choice: null, actor, ...where });
      await middle.clock.settle();
      return true;
    }
    const typed = /!approve (\S{8})/.exec(shown.read(message))?.[1];
    if (typed === undefined) continue;
    await middle.write(`!approve ${typed}`);
    return true;
  }
  return false;
}

function tokenOf({ blocks }: FakeMessage): string | null {
  const buttons = (blocks as { elements?: { action_id?: string; value?: string }[] }[]).flatMap(
    (b) => b.elements ?? [],
  );
  return buttons.find(({ action_id }) => action_id === 'bridge_approve')?.value ?? null;
}
