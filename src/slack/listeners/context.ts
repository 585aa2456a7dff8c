import type { InboundKind } from '../../bridge/inbound.ts';
import type { Clock, Intake, Log, Metrics, Surface } from '../../bridge/ports.ts';
import { asBridgeError } from '../../errors.ts';
import type { Identity } from '../api/identity.ts';
import type { SlackApi } from '../api/slack-api.ts';
import { ownMrkdwn } from '../render/own-mrkdwn.ts';

/** What every listener works with. */
export interface ListenerContext {
  intake: Intake;
  api: SlackApi;
  /** Where words for one person wait for their share of Slack's budget; left out: they are sent at once. */
  whispers?: Pick<Surface, 'whisper'> | undefined;
  /** Known before anything is delivered. */
  identity(): Identity;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}

export interface Ignored {
  kind: InboundKind;
  /** In one word. */
  reason: string;
  /** Further ids and words of Slack's; no texts. */
  [field: string]: unknown;
}

/** Notes what the middle is not asked about, in the same words as what it is: one line and one count. */
export function countIgnored(
  { log, metrics }: ListenerContext,
  ignored: Ignored,
  level: 'info' | 'debug' = 'info',
): void {
  const { kind, reason, ...fields } = ignored;
  metrics.count('inbound_events', { kind, outcome: 'ignored', reason });
  log[level]({ kind, outcome: 'ignored', reason, ...fields }, 'inbound event');
}

export interface Whisper {
  channel: string;
  user: string;
  threadTs: string | null;
  text: string;
}

/** Only `user` sees it; best effort, as Slack does not promise more (docs/slack.md, Interactivity). */
export async function whisper(context: ListenerContext, { channel, user, threadTs, text }: Whisper): Promise<void> {
  const { api, log, whispers, identity } = context;
  if (whispers) return whispers.whisper({ team: identity().teamId, channel, threadTs }, user, text);
  const thread = threadTs === null ? {} : { thread_ts: threadTs };
  try {
    await api.call('chat.postEphemeral', { channel, user, text: ownMrkdwn(text), ...thread }, { client: 'control' });
  } catch (error) {
    log.warn({ error: asBridgeError(error).message }, 'could not show a private notice');
  }
}
