import type { InboundKind } from '../../bridge/inbound.ts';
import type { Clock, Intake, Log, Metrics, Surface } from '../../bridge/ports.ts';
import { asBridgeError } from '../../errors.ts';
import type { Identity } from '../api/identity.ts';
import type { SlackApi } from '../api/slack-api.ts';
import type { HomeTabs } from '../outbox/home-tabs.ts';
import { ownMrkdwn } from '../render/own-mrkdwn.ts';

/** What all listeners need. */
export interface ListenerContext {
  intake: Intake;
  api: SlackApi;
  homes: HomeTabs;
  /** Sends private messages at a fair pace; left out: they are sent at once. */
  whispers?: Pick<Surface, 'whisper'> | undefined;
  /** Throws if it is called before `start` has asked Slack who we are. */
  identity(): Identity;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}

export interface Ignored {
  kind: InboundKind;
  /** In one word. */
  reason: string;
  /** More ids and words of Slack's for the log; never a person's text. */
  [field: string]: unknown;
}

/** Logs and counts a delivery that the bridge ignores, with the same line and metric as one that it handles. */
export function countIgnored(
  { log, metrics }: Pick<ListenerContext, 'log' | 'metrics'>,
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

/**
 * Sends a message that only `user` sees. Best effort: Slack does not promise delivery (docs/slack.md, Interactivity).
 */
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
