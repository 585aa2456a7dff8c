import { asBridgeError } from '../../errors.ts';
import type { ReadAsk } from '../inbound/asks.ts';
import { modalView, noticeView } from '../modals/modals.ts';
import { NOTHING_ASKED, notOpenedText } from '../words/dialogs.ts';
import { type ListenerContext, whisper } from './context.ts';

/**
 * Opens the dialog of "Ask the agent about this", or a window that says why not. A trigger expires after 3 s and works
 * once (docs/slack.md, Interactivity).
 */
export async function openAskDialog(
  context: ListenerContext,
  { ask, triggerId }: ReadAsk,
  ack: () => Promise<void>,
): Promise<void> {
  const { intake, api, log } = context;
  // Nothing is decided yet, so the click is acknowledged at once.
  await ack();
  try {
    const outcome = await intake.handleAsk(ask);
    const view = outcome.result === 'modal' ? modalView(outcome.modal) : noticeView(noticeOf(outcome));
    await api.call('views.open', { trigger_id: triggerId, view }, { client: 'live' });
  } catch (error) {
    log.warn({ error: asBridgeError(error).message }, 'could not open the dialog of a shortcut');
    const text = notOpenedText('try');
    await whisper(context, { channel: ask.channel, user: ask.actor.user, threadTs: ask.threadTs, text });
  }
}

/** Stores that somebody goes on from a message in a new thread, then acknowledges the click; what comes of it is told later. */
export async function beginFork(context: ListenerContext, { ask }: ReadAsk, ack: () => Promise<void>): Promise<void> {
  const text = await context.intake.handleFork(ask);
  await ack();
  const { channel, actor, threadTs } = ask;
  await whisper(context, { channel, user: actor.user, threadTs, text });
}

const noticeOf = (outcome: { result: string; notice?: string }) => outcome.notice ?? NOTHING_ASKED;
