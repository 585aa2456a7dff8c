import type { Clock, Intake, Log, Metrics } from '../../bridge/ports.ts';
import { asBridgeError } from '../../errors.ts';
import type { Identity } from '../identity.ts';
import { ownMrkdwn } from '../own-mrkdwn.ts';
import type { SlackApi } from '../slack-api.ts';

/** What every listener works with. */
export interface ListenerContext {
  intake: Intake;
  api: SlackApi;
  /** Known before anything is delivered. */
  identity(): Identity;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}

export interface Whisper {
  channel: string;
  user: string;
  threadTs: string | null;
  text: string;
}

/** Only `user` sees it; best effort, as Slack does not promise more (PLATFORM.md 6). */
export async function whisper({ api, log }: ListenerContext, { channel, user, threadTs, text }: Whisper) {
  const thread = threadTs === null ? {} : { thread_ts: threadTs };
  try {
    await api.call('chat.postEphemeral', { channel, user, text: ownMrkdwn(text), ...thread }, { client: 'control' });
  } catch (error) {
    log.warn({ error: asBridgeError(error).message }, 'notice for one person not delivered');
  }
}
