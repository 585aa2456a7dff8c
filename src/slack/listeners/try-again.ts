import { z } from 'zod';
import type { Log } from '../../bridge/ports.ts';
import { modalText, modalTitle } from '../modals/modal-text.ts';
import type { Envelope, Reply } from '../receiver/transport.ts';
import { TRY_AGAIN } from '../words/try-again.ts';

export interface TryAgainParts {
  fetch: typeof globalThis.fetch;
  /** Base of the Web API; a test Slack takes answers on the same host. */
  slackApiUrl: string;
  log: Log;
}

const withType = z.looseObject({ type: z.string(), response_url: z.string().nullish() });
const TEXT = 3_000;
/** The person waits, and nothing depends on it. */
const TIMEOUT_MS = 5_000;
const ANSWER_HOST = /^hooks\.slack(?:-gov)?\.com$/;

/**
 * Tells a person that nobody took their click, dialog or command in time. It needs no token, so that a process may do it
 * that does not serve the workspace.
 * @param isCertain whether it certainly had no effect
 * @returns the reply for Slack's "ok"; `null`: Slack itself tells the person, if it hears no "ok".
 */
export function replyTryAgain(
  { kind, body }: Pick<Envelope, 'kind' | 'body'>,
  isCertain: boolean,
  parts: TryAgainParts,
): { reply: Reply } | null {
  const text = isCertain ? TRY_AGAIN.nothingDone : TRY_AGAIN.notKnown;
  if (kind === 'slash_commands') return { reply: { response_type: 'ephemeral', text } };
  const { type, response_url: url } = withType.safeParse(body).data ?? {};
  if (type === 'view_submission') return { reply: { response_action: 'push', view: viewOf(text) } };
  if (type === 'view_closed') return { reply: undefined };
  if (type === 'block_suggestion') return { reply: { options: [] } };
  // Of a click in a dialog or on the Home tab: there is nowhere to answer, but Slack puts a warning sign beside it.
  if (!url || !isAnswerAddress(url, parts.slackApiUrl)) return null;
  void answer(url, text, parts);
  return { reply: undefined };
}

function viewOf(text: string) {
  const words = { title: modalTitle(TRY_AGAIN.title), close: modalTitle(TRY_AGAIN.close) };
  return { type: 'modal', ...words, blocks: [{ type: 'section', text: modalText(text, TEXT) }] };
}

function isAnswerAddress(address: string, api: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, host, hostname, port } = new URL(address);
  const own = new URL(api);
  if (protocol === own.protocol && host === own.host) return true;
  return protocol === 'https:' && port === '' && ANSWER_HOST.test(hostname);
}

async function answer(url: string, text: string, { fetch, log }: TryAgainParts): Promise<void> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ response_type: 'ephemeral', replace_original: false, text }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
  } catch {
    // Without the cause, which may contain the address.
    log.warn({}, 'could not ask a person to try again');
  }
}
